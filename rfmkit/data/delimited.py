"""Text files of delimited cells: parted by Arrow, strictly decoded, every row known by its number.

Where every byte is a sign, as in Windows-1251, rows are parted before they are decoded, and only the cells that need it
are decoded: most of an export is digits. All other encodings are decoded first.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from rfmkit.data.cells import TYPED
from rfmkit.data.columns_of_bytes import as_text, empty, padded, signs_of, without_blank_lines
from rfmkit.data.inputs import InputFile
from rfmkit.data.origin import HEADER_LINES, REJECT_COLUMNS, ROW, check_delimiter, header_line, places
from rfmkit.data.totals import CUT, told_by_text
from rfmkit.errors import ClinicFileError, ExportError, Problem

_CHUNK_BYTES = 1 << 23
#: A quoted cell longer than so many characters was not closed; the library's own limit is that of a short letter.
_LONGEST_CELL = 1 << 24
csv.field_size_limit(_LONGEST_CELL)
#: Chunks that are parted while others are decoded.
_AHEAD = 2
#: Bytes that no text has; each is looked for by itself, which is many times faster than by a pattern.
_NO_TEXT = (b"\0", TYPED.encode())
#: Columns of few values: each value is decoded, and goes to the engine, once a batch.
_OF_FEW_VALUES = frozenset({"visit_date", "service", "category", "branch"})
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
        Of the batches: a text column a heading, under rfmkit's names, some of them as dictionaries; and ``_row``.
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
        self._text = _Text(file, spec)
        self._chunks = _whole_rows(self._text, file, spec)
        self._first = next((chunk for chunk in self._chunks if chunk.content), _Chunk(b"", 0))
        lines = _first_lines(self._text.decoded(self._first), file, spec)
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
        closed = [len(line) == len(header) + 1 and line[-1] == "" for _, line in lines[at + 1 :]]
        self._width = len(header) + (2 * sum(closed) > len(closed))
        self.schema = pa.schema([*self._kinds(pa.string()).items(), (ROW, pa.int64())])
        self._broken: list[tuple[int, str, str]] = []
        self._padded: set[str] = set()

    @property
    def tidy(self) -> frozenset[str]:
        """The columns in which no cell has blanks at its ends."""
        return frozenset(self._places) - self._padded

    @property
    def broken(self) -> pd.DataFrame:
        """The lines that have another number of cells than there are headings."""
        frame = pd.DataFrame(self._broken, columns=["row", "reason", "line"])
        return frame.assign(file=self.file.name, column="")[REJECT_COLUMNS]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The lines below the header, in batches."""
        skip = self._row - 1
        row = 1
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting: deque[Future] = deque()
            for chunk in self._all_chunks():
                if skip:
                    # The header and what stands above it, however many lines its cells hold.
                    text = self._text.decoded(chunk)
                    reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.spec.delimiter)
                    for _ in range(skip):
                        next(reader, None)
                    below = _after_lines(chunk.content, reader.line_num)
                    chunk = _Chunk(below, chunk.start + len(chunk.content) - len(below))
                    row, skip = row + skip, 0
                waiting.append(pool.submit(self._part, chunk))
                if len(waiting) > _AHEAD:
                    batch, row = self._numbered(waiting.popleft().result(), row)
                    yield batch
            while waiting:
                batch, row = self._numbered(waiting.popleft().result(), row)
                yield batch

    def _all_chunks(self) -> Iterator[_Chunk]:
        first, self._first = self._first, _Chunk(b"", 0)
        if first.content:
            yield first
        yield from self._chunks

    def _part(self, chunk: _Chunk) -> _Rows:
        """The rows of a chunk in columns; those that have too few or too many cells are kept aside."""
        broken: list[tuple[int, str, str]] = []

        def keep_aside(row) -> str:
            reason = f"{row.actual_columns} fields where there are {row.expected_columns} headings"
            broken.append((row.number - 1, reason, row.text))
            return "skip"

        quoted = b'"' in chunk.content
        # Fails where a row is broken: to be kept aside, it has to be text.
        with suppress(pa.ArrowInvalid):
            if not self._text.signs:
                return _Rows.of(self._parted(chunk.content, pa.string()), [], quoted=quoted)
            if not quoted:
                cells = self._parted(chunk.content, pa.binary())
                try:
                    return _Rows.of([as_text(column, self._text.encoding) for column in cells], [], quoted=quoted)
                except UnicodeDecodeError:
                    self._text.decoded(chunk)  # tells the line
                    raise
        content = self._text.decoded(chunk).encode()  # text in another encoding is told as that
        try:
            cells = self._parted(content, pa.string(), keep_aside) if content else []
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return _Rows.of([], broken, quoted=quoted)
            fix = "Check delimiter in the clinic file, and quotation marks in the export."
            raise ExportError(Problem(self.file.name, "cannot be read as lines of cells", fix)) from None
        if broken and not content.endswith((b"\n", b"\r")):
            place, _, line = broken[-1]
            rows = len(broken) + (len(cells[0]) if cells else 0)
            if place == rows - 1 and line.count(self.spec.delimiter) < self._width - 1:
                broken[-1] = place, CUT, line
        return _Rows.of(cells, broken, quoted=quoted)

    def _parted(self, content: bytes, kind: pa.DataType, keep_aside: Callable | None = None) -> list[pa.Array]:
        """The mapped columns of rows."""
        names = [f"c{position}" for position in range(self._width)]
        kinds = dict.fromkeys(names, kind)
        kinds |= {names[self._places[name]]: one for name, one in self._kinds(kind).items()}
        quoted = b'"' in content
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
            pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )
        return [table.column(position).combine_chunks() for position in self._places.values()]

    def _kinds(self, kind: pa.DataType) -> dict[str, pa.DataType]:
        """The types of the mapped columns whose cells are of a kind."""
        listed = pa.dictionary(pa.int32(), kind)
        return {name: listed if name in _OF_FEW_VALUES else kind for name in self._places}

    def _numbered(self, rows: _Rows, row: int) -> tuple[pa.RecordBatch, int]:
        """A batch with its rows' numbers and without blank lines, and the number of the row behind it."""
        whole = len(rows.columns[0]) if rows.columns else 0
        after = row + whole + len(rows.broken)
        numbers = np.arange(row, after)
        if rows.broken:
            numbers = np.delete(numbers, [place for place, _, _ in rows.broken])
        self._broken += [
            (row + place, told_by_text(line, self.spec.delimiter, cut=reason == CUT) or reason, line)
            for place, reason, line in rows.broken
            if line.strip(" \u00a0\t\r\n")
        ]
        self._padded |= {name for name, spaced in zip(self._places, rows.padded, strict=False) if spaced}
        if not rows.columns:
            return empty(self.schema), after
        if rows.quoted:
            _refuse_swallowed_lines(self.file, rows.columns, numbers, self.spec.delimiter)
        batch = pa.record_batch([*rows.columns, pa.array(numbers)], schema=self.schema)
        return without_blank_lines(batch, len(self._places)), after


class _Rows(NamedTuple):
    """The rows of a chunk: the columns of the whole ones, and by their place those with too few or too many cells."""

    columns: list[pa.StringArray | pa.DictionaryArray]
    padded: list[bool]
    broken: list[tuple[int, str, str]]
    quoted: bool

    @classmethod
    def of(cls, columns: list[pa.Array], broken: list[tuple[int, str, str]], *, quoted: bool) -> _Rows:
        return cls(columns, [padded(column) for column in columns], broken, quoted)


class _Chunk(NamedTuple):
    """Whole lines of a file, as `_Text` has them, and how many bytes of it stand before them."""

    content: bytes
    start: int


class _Text:
    """The lines of a file: as they are where every byte is a sign or they are UTF-8, else decoded and in UTF-8.

    Attributes
    ----------
    encoding : str
        Of the chunks.
    signs : str or None
        The sign of each byte, where every byte is one.
    """

    def __init__(self, file: InputFile, spec):
        self._file, self._spec = file, spec
        marked = found_encoding(file.path)
        self._of_file = spec.encoding or marked or "utf-8"
        # Nearly every byte is a sign of Windows-1251: such text would be read as other letters, and nobody told.
        if marked == "utf-8" and not self._of_file.startswith("utf-8"):
            fix = 'Write encoding = "utf-8" in the clinic file, or leave it out.'
            raise ClinicFileError(Problem(f"{file.name}:1", f"begins as utf-8 does, and not as {self._of_file}", fix))
        self.signs = signs_of(self._of_file)
        self._as_it_is = bool(self.signs) or codecs.lookup(self._of_file).name == "utf-8"
        self.encoding = self._of_file if self.signs else "utf-8"

    def decoded(self, chunk: _Chunk) -> str:
        """The signs of a chunk."""
        try:
            return chunk.content.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise self._not_so(self.line_at(chunk.start) + chunk.content[: error.start].count(b"\n")) from None

    def line_at(self, start: int) -> int:
        """The number of the line that stands behind so many bytes of the chunks: read anew, as it is seldom asked."""
        line, chunks, read = 1, self.chunks(), 0
        while read < start:
            content = next(chunks).content[: start - read]
            line, read = line + content.count(b"\n"), read + len(content)
        return line

    def chunks(self) -> Iterator[_Chunk]:
        """The whole lines of the file, chunk after chunk."""
        decode = codecs.getincrementaldecoder(self._of_file)(errors="strict")
        start, rest = 0, b""
        with self._file.path.open("rb") as stream:
            while True:
                block = stream.read(_CHUNK_BYTES)
                last = not block
                if not self._as_it_is:
                    try:
                        block = decode.decode(block, final=last).encode()
                    except UnicodeDecodeError as error:
                        line = self.line_at(start) + (rest + error.object[: error.start]).count(b"\n")
                        raise self._not_so(line) from None
                    except UnicodeError:
                        raise self._not_so(1) from None
                stray = [at for at in map(block.find, _NO_TEXT) if at >= 0]
                if stray:
                    line = self.line_at(start) + (rest + block[: min(stray)]).count(b"\n")
                    fix = "Write its real encoding in the clinic file (utf-16?), or export it again."
                    raise ExportError(Problem(f"{self._file.name}:{line}", "holds bytes that are no text", fix))
                if not (start or rest or self.signs):
                    block = block.removeprefix(codecs.BOM_UTF8)
                block = rest + block
                whole, newline, rest = (block, b"", b"") if last else block.rpartition(b"\n")
                content = whole + newline
                if self._spec.delimiter == " ":
                    content = _single_spaced(self.decoded(_Chunk(content, start))).encode(self.encoding)
                yield _Chunk(content, start)
                start += len(content)
                if last:
                    break

    def _not_so(self, line: int) -> ClinicFileError:
        fix = f"Write its real encoding in the clinic file, for example {_other_than(self._of_file)}."
        return ClinicFileError(Problem(f"{self._file.name}:{line}", f"is not {self._of_file} text", fix))


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


def _after_lines(content: bytes, lines: int) -> bytes:
    return b"".join(content.splitlines(keepends=True)[lines:])


def _whole_rows(text: _Text, file: InputFile, spec) -> Iterator[_Chunk]:
    """Join chunks of whole lines to chunks of whole rows: a quoted cell may hold line breaks.

    Arrow takes a stray quotation mark as meant and would lose lines by it, so that wherever there is one the rows are
    gone through strictly first.
    """
    rest = _Chunk(b"", 0)
    for lines in text.chunks():
        chunk = _Chunk(rest.content + lines.content, lines.start - len(rest.content))
        rest = _Chunk(b"", 0)
        if b'"' not in chunk.content:
            yield chunk
            continue
        signs = text.decoded(chunk)
        reader = csv.reader(io.StringIO(signs, newline=""), delimiter=spec.delimiter, strict=True)
        ended = 0
        try:
            for _ in reader:
                ended = reader.line_num
        except csv.Error as error:
            if "unexpected end of data" not in str(error) or len(signs) > _LONGEST_CELL:
                raise ExportError(_open_cell(file, text.line_at(chunk.start) + ended)) from None
            after = _after_lines(chunk.content, ended)
            whole = chunk.content[: len(chunk.content) - len(after)]
            rest = _Chunk(after, chunk.start + len(whole))
            chunk = _Chunk(whole, chunk.start)
        if chunk.content:
            yield chunk
    if rest.content:
        raise ExportError(_open_cell(file, text.line_at(rest.start)))


def _open_cell(file: InputFile, line: int) -> Problem:
    fix = "A quotation mark is missing or stray there, the file is cut short, or delimiter is another."
    return Problem(f"{file.name}:{line}", "a quoted cell does not end", fix)


def _refuse_swallowed_lines(file: InputFile, columns: list[pa.Array], rows: np.ndarray, delimiter: str) -> None:
    """A quoted cell may hold line breaks, but not the delimiters of a line too: its closing mark was another cell's."""
    least = max(len(columns) - 1, 1)
    for column in columns:
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        broken = pa.compute.match_substring_regex(column, "[\r\n]")
        if not pa.compute.any(broken).as_py():
            continue
        many = pa.compute.greater_equal(pa.compute.count_substring(column, delimiter), least)
        swallowing = pa.compute.and_(broken, many).to_numpy(zero_copy_only=False)
        if swallowing.any():
            where = f"{file.name}:{rows[swallowing.argmax()]}"
            fix = "A quotation mark is missing or stray there: correct the export, or write it with another delimiter."
            raise ExportError(Problem(where, "a quoted cell holds whole lines", fix, int(swallowing.sum())))


def _single_spaced(text: str) -> str:
    """Columns set apart by any number of spaces, as a fixed-width export writes them."""
    return re.sub(r"(?m)^ +| +(?=\r?$)", "", re.sub(" +", " ", text))


def found_encoding(path: Path) -> str | None:
    """What a byte order mark says."""
    with path.open("rb") as stream:
        start = stream.read(3)
    return next((encoding for bom, encoding in _BOMS.items() if start.startswith(bom)), None)


def _other_than(encoding: str) -> str:
    unmarked = {"utf-16-le": "without a byte order mark"} if encoding == "utf-16" else {}
    often = unmarked | {"cp1251": "Russian", "gb18030": "Chinese", "utf-8": "any language"}
    return " or ".join(f'encoding = "{name}" ({of})' for name, of in often.items() if name != encoding)
