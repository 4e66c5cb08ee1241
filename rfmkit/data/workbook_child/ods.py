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
_ASIDE = ("office:annotation", "draw:", "table:shapes", "text:ruby-text", "office:forms", "table:detective")
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
        for block in self._archive.text("content.xml"):
            parser.Parse(block)
        parser.Parse(b"", True)

    def _started(self, tag: str, given: dict[str, str]) -> None:
        if self._aside or tag.startswith(_ASIDE):
            self._aside += 1
        elif tag == "table:table":
            self._open(given.get("table:name", ""))
        elif self._stage is None:
            return
        elif tag == "table:table-row":
            self._row += self._rows
            self._rows = _times(given, "table:number-rows-repeated")
            self._column, self._cells = 0, []
        elif tag in {"table:table-cell", "table:covered-table-cell"}:
            self._cell, self._words, self._paragraphs, self._inside = given, [], 0, False
        elif self._cell is not None:
            if tag == "text:p":
                self._words.append("\n" if self._paragraphs else "")
                self._paragraphs, self._inside = self._paragraphs + 1, True
            elif tag == "text:s":
                self._words.append(" " * min(_times(given, "text:c"), 1000))
            elif tag in _BETWEEN:
                self._words.append(_BETWEEN[tag])

    def _said(self, words: str) -> None:
        # Between paragraphs there are but the line breaks of a neatly written file.
        if self._cell is not None and self._inside and not self._aside:
            self._words.append(words)

    def _ended(self, tag: str) -> None:
        if self._aside:
            self._aside -= 1
        elif self._stage is None:
            return
        elif tag in {"table:table-cell", "table:covered-table-cell"}:
            self._take()
        elif tag == "text:p":
            self._inside = False
        elif tag == "table:table-row":
            self._repeat()
        elif tag == "table:table":
            self._close()

    def _open(self, name: str) -> None:
        if self._stage is not None:
            raise damaged("a sheet is inside a sheet")
        self.names.append(name)
        if len(self.names) > limits.SHEETS:
            raise Refused(f"has more than {limits.SHEETS:,} sheets", limits.TOO_LARGE)
        if self._wanted(name):
            self._stage = Stage(self._folder, len(self.names))
            self._row, self._rows, self._merged = 1, 0, []
            self._rows_held: list[np.ndarray] = []
            self._columns_held: list[np.ndarray] = []
            self._texts_held: list[str] = []
            self._typed_held: list[np.ndarray] = []

    def _take(self) -> None:
        """The cell that ends here, as often as it is repeated."""
        given, self._cell = self._cell, None
        times = _times(given, "table:number-columns-repeated")
        wide, high = _times(given, "table:number-columns-spanned"), _times(given, "table:number-rows-spanned")
        if wide > 1 or high > 1:
            self._merged.append((self._row, self._column, self._row + high - 1, self._column + wide - 1))
        text = self._text(given)
        if text:
            if self._column + times > limits.COLUMNS:
                times = max(limits.COLUMNS + 1 - self._column, 1)  # the stage refuses the first too far
            typed = given.get("office:value-type") in _VALUES and text != NO_VALUE
            self._cells += [(column, text, typed) for column in range(self._column, self._column + times)]
        self._column += times

    def _text(self, given: dict[str, str]) -> str:
        kind = given.get("office:value-type")
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
        if not self._cells:
            return
        if self._row + self._rows - 1 > limits.LAST_ROW:
            raise damaged("a row stands outside its sheet")
        if len(self._cells) * (self._rows - 1) > limits.FILLED:
            raise Refused(f"repeats a row {self._rows:,} times", "Delete the rows that hold no payments.")
        columns = np.array([column for column, _, _ in self._cells])
        row = [text for _, text, _ in self._cells]
        typed = np.array([typed for _, _, typed in self._cells])
        at_once = max(_CELLS_AT_ONCE // len(row), 1)
        for first in range(self._row, self._row + self._rows, at_once):
            rows = np.arange(first, min(first + at_once, self._row + self._rows))
            self._rows_held.append(np.repeat(rows, len(row)))
            self._columns_held.append(np.tile(columns, len(rows)))
            self._texts_held += row * len(rows)
            self._typed_held.append(np.tile(typed, len(rows)))
            if len(self._texts_held) >= _CELLS_AT_ONCE:
                self._flush()

    def _flush(self) -> None:
        if self._texts_held:
            rows, columns = np.concatenate(self._rows_held), np.concatenate(self._columns_held)
            said = pa.array(self._texts_held, pa.string())
            self._stage.add(rows, columns, said, np.concatenate(self._typed_held))
            self._rows_held, self._columns_held, self._texts_held, self._typed_held = [], [], [], []

    def _close(self) -> None:
        self._flush()
        path = self._stage.finish(areas(self._merged))
        if path is not None:
            self.found.append((self.names[-1], path, self._stage.rows, self._stage.columns))
        self._stage = None


def _times(given: dict[str, str], name: str) -> int:
    times = int(given.get(name, 1))
    if times < 0:
        raise damaged("a cell is repeated less than never")
    return times
