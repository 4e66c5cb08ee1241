"""OpenDocument spreadsheets (.ods): one part holds all sheets, in which equal cells and rows are written once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from rfmkit.data.workbook_child import NO_VALUE, Refused, damaged, limits, locked, texts
from rfmkit.data.workbook_child.archive import Archive, xml_parser
from rfmkit.data.workbook_child.staging import Stage, areas

_CELLS_AT_ONCE = 50_000
#: What stands in a cell beside its text: remarks, pictures and how a text is pronounced.
_ASIDE = {"office:annotation", "table:shapes", "text:ruby-text", "office:forms", "table:detective"}
_CELLS = {"table:table-cell", "table:covered-table-cell"}
_BETWEEN = {"text:tab": "\t", "text:line-break": "\n"}
_VALUES = {
    "float": "office:value",
    "percentage": "office:value",
    "currency": "office:value",
    "date": "office:date-value",
    "time": "office:time-value",
    "boolean": "office:boolean-value",
}


class Workbook:
    """The sheets of an OpenDocument spreadsheet.

    Parameters
    ----------
    archive : Archive
    decimal, date_format : str
        How numbers and days are written as text.
    folder : pathlib.Path
        Where the sheets are written.
    wanted : callable
        Says of a sheet's name whether it is read.
    """

    def __init__(self, archive: Archive, decimal: str, date_format: str, folder: Path, wanted):
        self._archive, self._decimal, self._days = archive, decimal, texts.Days(date_format)
        self._folder, self._wanted = folder, wanted
        #: Names of all sheets.
        self.names: list[str] = []
        #: Name, file, rows and columns of those that were read and have any cell.
        self.found: list[tuple[str, Path, int, int]] = []
        self._stage: Stage | None = None
        self._cell: dict[str, str] | None = None
        self._aside = 0

    def read(self) -> None:
        """Stage the sheets."""
        if any(b"encryption-data" in block for block in self._archive.blocks("META-INF/manifest.xml")):
            raise locked()
        parser = xml_parser()
        parser.buffer_text = True
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.CharacterDataHandler = self._said
        try:
            for block in self._archive.text("content.xml"):
                parser.Parse(block)
            parser.Parse(b"", True)
        except Refused as refusal:
            refusal.sheet = self.names[-1] if self._stage is not None else None
            raise

    def _started(self, tag: str, given: dict[str, str]) -> None:
        if self._aside or tag in _ASIDE or tag[:5] == "draw:":
            self._aside += 1
        elif self._cell is not None:
            if tag == "text:p":
                self._words.append("\n" if self._paragraphs else "")
                self._paragraphs, self._inside = self._paragraphs + 1, True
            elif tag == "text:s":
                self._words.append(" " * min(_times(given, "text:c"), 1000))
            elif tag in _BETWEEN:
                self._words.append(_BETWEEN[tag])
            elif tag == "table:table":
                raise damaged("a sheet is inside a sheet")
        elif tag == "table:table":
            self._open(given.get("table:name", ""))
        elif self._stage is None:
            return
        elif tag == "table:table-row":
            self._row += self._rows
            self._rows = _times(given, "table:number-rows-repeated")
            self._column, self._cells = 0, _Cells()
        elif tag in _CELLS:
            self._cell, self._words, self._paragraphs, self._inside = given, [], 0, False

    def _said(self, words: str) -> None:
        # Between paragraphs there are but the line breaks of a neatly written file.
        if self._cell is not None and self._inside and not self._aside:
            self._words.append(words)

    def _ended(self, tag: str) -> None:
        if self._aside:
            self._aside -= 1
        elif self._stage is None:
            return
        elif tag == "text:p":
            self._inside = False
        elif tag in _CELLS:
            self._take()
        elif tag == "table:table-row":
            self._repeat()
        elif tag == "table:table":
            self._close()

    def _open(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) > limits.SHEETS:
            raise Refused(f"has more than {limits.SHEETS:,} sheets", limits.TOO_LARGE)
        if self._wanted(name):
            self._stage = Stage(self._folder, len(self.names))
            self._row, self._rows, self._merged = 1, 0, []
            self._held = _Cells()

    def _take(self) -> None:
        """The cell that ends here, as often as it is repeated."""
        given, self._cell = self._cell, None
        times = _times(given, "table:number-columns-repeated")
        if "table:number-columns-spanned" in given or "table:number-rows-spanned" in given:
            wide, high = _times(given, "table:number-columns-spanned"), _times(given, "table:number-rows-spanned")
            self._merged.append((self._row, self._column, self._row + high - 1, self._column + wide - 1))
        kind = given.get("office:value-type")
        if text := self._text(kind, given):
            # The stage refuses the first column too far.
            for column in range(self._column, min(self._column + times, max(limits.COLUMNS, self._column) + 1)):
                self._cells.add(column, text, kind in _VALUES and text != NO_VALUE)
        self._column += times

    def _text(self, kind: str | None, given: dict[str, str]) -> str:
        value = given.get(_VALUES.get(kind, "office:string-value"))
        shown = "".join(self._words)
        if kind in _VALUES:
            if value is None:
                return NO_VALUE if "table:formula" in given else shown
            if kind == "date":
                return self._days.iso(value)
            if kind == "time":
                return texts.iso_duration(value)
            return value if kind == "boolean" else texts.number_text(value).replace(".", self._decimal)
        if kind is None and "table:formula" in given and not shown:
            return NO_VALUE
        # Errors have no value, only what is shown for them.
        return value or shown

    def _repeat(self) -> None:
        """The row that ends here, as often as it is repeated."""
        cells = len(self._cells.texts)
        if not cells:
            return
        if self._row + self._rows - 1 > limits.LAST_ROW:
            raise damaged("a row stands outside its sheet")
        if cells * (self._rows - 1) > limits.FILLED:
            raise Refused(f"repeats a row {self._rows:,} times", "Delete the rows that hold no payments.")
        for row in range(self._row, self._row + self._rows):
            self._held.rows += [row] * cells
            self._held.columns += self._cells.columns
            self._held.texts += self._cells.texts
            self._held.typed += self._cells.typed
            if len(self._held.texts) >= _CELLS_AT_ONCE:
                self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, _Cells()
        said = pa.array(held.texts, pa.string())
        self._stage.add(np.array(held.rows), np.array(held.columns), said, np.array(held.typed, dtype=bool))

    def _close(self) -> None:
        self._flush()
        path = self._stage.finish(areas(self._merged))
        if path is not None:
            self.found.append((self.names[-1], path, self._stage.rows, self._stage.columns))
        self._stage = None


class _Cells:
    """Cells on their way to the stage."""

    def __init__(self):
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.texts: list[str] = []
        self.typed: list[bool] = []

    def add(self, column: int, text: str, typed: bool) -> None:
        self.columns.append(column)
        self.texts.append(text)
        self.typed.append(typed)


def _times(given: dict[str, str], name: str) -> int:
    if name not in given:
        return 1
    times = int(given[name])
    if times < 0:
        raise damaged("a cell is repeated less than never")
    return times
