"""Text files of delimited cells: strictly decoded, parted by Arrow, every row known by its number."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from rfmkit.data.cells import TYPED
from rfmkit.data.inputs import InputFile
from rfmkit.data.origin import FILE, HEADER_LINES, REJECT_COLUMNS, ROW, check_delimiter, header_line, places
from rfmkit.data.totals import told_by_text
from rfmkit.errors import ClinicFileError, ExportError, Problem

_CHUNK_BYTES = 1 << 23
#: A quoted cell longer than so many characters was not closed.
_LONGEST_CELL = 1 << 24
#: Chunks that are parted while others are decoded.
_AHEAD = 2
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class DelimitedFile:
    """One text file of an export; what is found of it is complete when its batches have been read to the end.

    Parameters
    ----------
    file : InputFile
    spec : rfmkit.clinic.Transactions or rfmkit.clinic.Patients

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the batches: a text column a heading, under rfmkit's names, and ``_file`` and ``_row``.
    titles : int
        Lines above the header.

    Raises
    ------
    ClinicFileError
        If the file is in another encoding or has another delimiter than the clinic file says, or lacks a heading.
    ExportError
        If it has a heading twice, or a quoted cell without an end.
    """

    def __init__(self, file: InputFile, spec):
        self.file, self.spec = file, spec
        self._chunks = _whole_rows(_decoded(file, spec), file, spec)
        self._first = next((chunk for chunk in self._chunks if chunk), "")
        lines = _first_lines(self._first, file, spec)
        at = header_line(lines, spec) if spec.header else 0
        row, header = lines[at] if lines else (1, [])
        headings = [heading.strip() for heading in header] if spec.header else [str(n + 1) for n in range(len(header))]
        try:
            self._places = places(file.name, row, headings, spec)
        except ClinicFileError:
            check_delimiter(file.name, lines, spec)
            raise
        self.titles = sum(any(cell.strip() for cell in line) for _, line in lines[:at]) if spec.header else 0
        self._row = row + 1 if spec.header else 1
        # Some systems close every line but the header with a delimiter.
        after = lines[at + 1][1] if len(lines) > at + 1 else header
        self._width = len(header) + (len(after) == len(header) + 1 and after[-1] == "")
        names = [(name, pa.string()) for name in self._places]
        self.schema = pa.schema([*names, (FILE, pa.string()), (ROW, pa.int64())])
        self._broken: list[tuple[int, str, str]] = []
        self.error: Exception | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The lines below the header, in batches; an error is kept in `error`, since an engine would reword it."""
        try:
            yield from self._parted()
        except Exception as error:
            self.error = error
            raise

    @property
    def broken(self) -> pd.DataFrame:
        """The lines that have another number of cells than there are headings."""
        frame = pd.DataFrame(self._broken, columns=["row", "reason", "line"])
        return frame.assign(file=self.file.name, column="")[REJECT_COLUMNS]

    def _parted(self) -> Iterator[pa.RecordBatch]:
        skip = self._row - 1
        row = 1
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting: deque[Future] = deque()
            for chunk in self._all_chunks():
                if skip:
                    # The header and what stands above it, however many lines its cells hold.
                    reader = csv.reader(io.StringIO(chunk, newline=""), delimiter=self.spec.delimiter)
                    for _ in range(skip):
                        next(reader, None)
                    chunk = _after_lines(chunk, reader.line_num)
                    row, skip = row + skip, 0
                waiting.append(pool.submit(self._part, chunk))
                if len(waiting) > _AHEAD:
                    batch, row = self._numbered(*waiting.popleft().result(), row)
                    yield batch
            while waiting:
                batch, row = self._numbered(*waiting.popleft().result(), row)
                yield batch

    def _all_chunks(self) -> Iterator[str]:
        first, self._first = self._first, ""
        if first:
            yield first
        yield from self._chunks

    def _part(self, chunk: str) -> tuple[pa.Table | None, list[tuple[int, str, str]], bool]:
        """The cells of whole rows, and those rows, by their place, that have too few or too many."""
        broken: list[tuple[int, str, str]] = []

        def keep_aside(row) -> str:
            reason = f"{row.actual_columns} fields where there are {row.expected_columns} headings"
            broken.append((row.number - 1, reason, row.text))
            return "skip"

        if not chunk:
            return None, broken, False
        content = chunk.encode("utf-8")
        names = [f"c{position}" for position in range(self._width)]
        quoted = '"' in chunk
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(content),
                pa.csv.ReadOptions(use_threads=False, column_names=names, block_size=len(content) + 1),
                pa.csv.ParseOptions(
                    delimiter=self.spec.delimiter,
                    quote_char='"' if quoted else False,
                    newlines_in_values=quoted,
                    ignore_empty_lines=False,
                    invalid_row_handler=keep_aside,
                ),
                pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return None, broken, quoted
            fix = "Check delimiter in the clinic file, and quotation marks in the export."
            raise ExportError(Problem(self.file.name, "cannot be read as lines of cells", fix)) from None
        return table, broken, quoted

    def _numbered(
        self, table: pa.Table | None, broken: list[tuple[int, str, str]], quoted: bool, row: int
    ) -> tuple[pa.RecordBatch, int]:
        """A batch with its rows' numbers and without blank lines, and the number of the row behind it."""
        whole = len(table) if table is not None else 0
        after = row + whole + len(broken)
        rows = np.delete(np.arange(row, after), [place for place, _, _ in broken])
        self._broken += [
            (row + place, told_by_text(line, self.spec.delimiter) or reason, line)
            for place, reason, line in broken
            if line.strip(" \u00a0\t\r\n")
        ]
        if table is None:
            return _empty(self.schema), after
        columns = [table.column(position).combine_chunks() for position in self._places.values()]
        if quoted:
            _refuse_swallowed_lines(self.file, columns, rows, self.spec.delimiter)
        columns += [pa.repeat(self.file.name, whole), pa.array(rows)]
        batch = pa.record_batch(columns, schema=self.schema)
        return _without_blank_lines(batch, len(self._places)), after


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def _first_lines(chunk: str, file: InputFile, spec) -> list[tuple[int, list[str]]]:
    """The first lines with their numbers; a cell with a line break is one row."""
    reader = csv.reader(io.StringIO(chunk, newline=""), delimiter=spec.delimiter)
    lines = []
    try:
        for row, line in enumerate(reader, 1):
            lines.append((row, line))
            if row > HEADER_LINES:
                break
    except csv.Error:
        raise ExportError(_open_cell(file, reader.line_num)) from None
    return lines


def _after_lines(text: str, lines: int) -> str:
    stream = io.StringIO(text, newline="")
    for _ in range(lines):
        stream.readline()
    return stream.read()


def _whole_rows(chunks: Iterator[str], file: InputFile, spec) -> Iterator[str]:
    """Join chunks of whole lines to chunks of whole rows: a quoted cell may hold line breaks.

    Arrow takes a stray quotation mark as meant and would lose lines by it, so that wherever there is one the rows are
    gone through strictly first.
    """
    rest, lines = "", 1
    for chunk in chunks:
        text = rest + chunk
        if '"' not in text:
            yield text
            lines += text.count("\n")
            rest = ""
            continue
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=spec.delimiter, strict=True)
        ended = 0
        try:
            for _ in reader:
                ended = reader.line_num
        except csv.Error as error:
            if "unexpected end of data" not in str(error) or len(text) > _LONGEST_CELL:
                raise ExportError(_open_cell(file, lines + reader.line_num - 1)) from None
            rest = _after_lines(text, ended)
            text = text[: len(text) - len(rest)]
        else:
            rest = ""
        if text:
            yield text
        lines += text.count("\n")
    if rest:
        raise ExportError(_open_cell(file, lines + rest.count("\n")))


def _open_cell(file: InputFile, line: int) -> Problem:
    fix = "A quotation mark is missing or stray there, or the file is cut short: correct the export."
    return Problem(f"{file.name}:{line}", "a quoted cell does not end", fix)


def _refuse_swallowed_lines(file: InputFile, columns: list[pa.Array], rows: np.ndarray, delimiter: str) -> None:
    """A quoted cell may hold line breaks, but not whole lines: then its closing mark was that of another cell."""
    least = max(len(columns) - 1, 1)
    line = rf"\n([^\n]*{re.escape(delimiter)}){{{least}}}"
    for column in columns:
        if not pa.compute.any(pa.compute.match_substring(column, "\n")).as_py():
            continue
        swallowing = pa.compute.match_substring_regex(column, line).to_numpy(zero_copy_only=False)
        if swallowing.any():
            where = f"{file.name}:{rows[swallowing.argmax()]}"
            fix = "A quotation mark is missing or stray there: correct the export."
            raise ExportError(Problem(where, "a quoted cell holds whole lines", fix, int(swallowing.sum())))


def _without_blank_lines(batch: pa.RecordBatch, cells: int) -> pa.RecordBatch:
    blank = pa.compute.equal(batch.column(0), "")
    for position in range(1, cells):
        if not pa.compute.any(blank).as_py():
            return batch
        blank = pa.compute.and_(blank, pa.compute.equal(batch.column(position), ""))
    return batch.filter(pa.compute.invert(blank)) if pa.compute.any(blank).as_py() else batch


def _decoded(file: InputFile, spec) -> Iterator[str]:
    """Yield the text of a file, strictly decoded, in chunks of whole lines."""
    encoding = spec.encoding or found_encoding(file.path)
    decode = codecs.getincrementaldecoder(encoding)(errors="strict")
    lines, rest = 1, ""
    with file.path.open("rb") as stream:
        while True:
            block = stream.read(_CHUNK_BYTES)
            try:
                chunk = rest + decode.decode(block, final=not block)
            except UnicodeDecodeError as error:
                row = lines + rest.count("\n") + error.object[: error.start].count(b"\n")
                fix = f"Write its real encoding in the clinic file, for example {_other_than(encoding)}."
                raise ClinicFileError(Problem(f"{file.name}:{row}", f"is not {encoding} text", fix)) from None
            except UnicodeError:
                fix = f"Write its real encoding in the clinic file, for example {_other_than(encoding)}."
                raise ClinicFileError(Problem(f"{file.name}:1", f"is not {encoding} text", fix)) from None
            if lines == 1:
                chunk = chunk.removeprefix("\ufeff")
            if "\0" in chunk or TYPED in chunk:
                fix = "Write its real encoding in the clinic file (utf-16?), or export it again."
                raise ExportError(Problem(f"{file.name}:{lines}", "holds bytes that are no text", fix))
            whole, newline, rest = chunk.rpartition("\n") if block else (chunk, "", "")
            lines += whole.count("\n") + len(newline)
            yield (_single_spaced(whole) if spec.delimiter == " " else whole) + newline
            if not block:
                break


def _single_spaced(text: str) -> str:
    """Columns set apart by any number of spaces, as a fixed-width export writes them."""
    return re.sub(r"(?m)^ +| +(?=\r?$)", "", re.sub(" +", " ", text))


def found_encoding(path: Path) -> str:
    """What a byte order mark says, else UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(3)
    return next((encoding for bom, encoding in _BOMS.items() if start.startswith(bom)), "utf-8")


def _other_than(encoding: str) -> str:
    often = {"cp1251": "Russian", "gb18030": "Chinese", "utf-8": "any language"}
    return " or ".join(f'encoding = "{name}" ({of})' for name, of in often.items() if name != encoding)
