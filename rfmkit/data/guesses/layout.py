"""How the files of an export are laid out, when nobody has said: sheet, delimiter, headings."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from rfmkit.data.guesses.encodings import Reading, guess_encoding
from rfmkit.data.guesses.headings import known
from rfmkit.data.inputs import InputFile
from rfmkit.data.origin import DELIMITERS, HEADER_LINES
from rfmkit.errors import ExportError, Problem

#: So much of a file's beginning shows how it is laid out.
_BEGINNING = 1 << 18
#: Lines that a delimiter parts alike must be so many of all.
_MOST = 0.5
_BLANK = "[ \u00a0\u2009\u202f]"
DAY = re.compile(
    r"(\d{4}[-./年]\d{1,2}[-./月]\d{1,2}日?|\d{1,2}[-./]\d{1,2}[-./]\d{2}(\d{2})?|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}"
    r"|(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))([ T] ?\d{1,2}:\d{2}.*)?"
)
NUMBER = re.compile(
    rf"[(]?[-+−–]?{_BLANK}*([A-Z]{{3}}|[^\W\d_]{{1,3}}[.]?|[$€£¥₽₸₴])?{_BLANK}*[-+−–]?\d[\d.,'’{_BLANK[1:-1]}]*{_BLANK}*"
    rf"([A-Z]{{3}}|[^\W\d_]{{1,5}}[.]?|[$€£¥₽₸₴])?{_BLANK}*-?[)]?"
)

Lines = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Layout:
    """How the files of an export are laid out.

    Attributes
    ----------
    kind : str
        "CSV", "Excel" or "Parquet".
    headings : list of str
        Of the first file, in its order; column numbers where there is no header.
    shared : list of str
        Those that stand once in every file, and so can be named in a clinic file.
    doubled : list of str
        Those that stand twice somewhere.
    header : bool
    encoding : Reading or None
        Of text files.
    delimiter : str or None
    delimiters : tuple of str
        Others that part the lines alike.
    sheet : str or None
        The sheet to name; None where each file has only one with these headings.
    sheets : list of str
        Others with the same headings.
    staged : list of (path, row of the header)
        The sheets that were read, as `workbooks.stage_workbook` writes them.
    """

    kind: str
    headings: list[str]
    shared: list[str]
    doubled: list[str] = field(default_factory=list)
    header: bool = True
    encoding: Reading | None = None
    delimiter: str | None = None
    delimiters: tuple[str, ...] = ()
    sheet: str | None = None
    sheets: list[str] = field(default_factory=list)
    staged: list[tuple[Path, int]] = field(default_factory=list)


def layout_of_text(files: list[InputFile]) -> Layout:
    """Look at text files.

    Raises
    ------
    ExportError
        If they are in no encoding known here, or no delimiter parts their lines alike.
    """
    encoding = guess_encoding([file.path for file in files])
    if encoding is None:
        fix = "Save them as UTF-8, all alike."
        raise ExportError(Problem(files[0].name, "is in no encoding that can be told, or one of its own", fix))
    beginnings = [_beginning(file.path, encoding.encoding) for file in files]
    ranked = sorted(((_parted(beginnings[0], sign), sign) for sign in (*DELIMITERS, " ")), key=lambda one: -one[0])
    said = re.match(r"sep=(.)\r?\n", beginnings[0])
    (best, delimiter), *others = ranked
    delimiter = said[1] if said else delimiter
    if not best and not said:
        fix = f"Columns must be set apart by one of {' '.join(DELIMITERS[:2])} | or a tab."
        raise ExportError(Problem(files[0].name, "has no lines of the same number of cells", fix))
    close = tuple(sign for score, sign in others if score > best - 0.1) if not said else ()
    headers = [_header(_lines(text, delimiter)) for text in beginnings]
    return Layout(
        kind="CSV",
        **shared_headings([headings for _, headings in headers]),
        header=headers[0][0] > 0,
        encoding=encoding,
        delimiter=delimiter,
        delimiters=close,
    )


def layout_of_workbooks(files: list[InputFile], scratch: Path, sheet: str | None = None) -> Layout:
    """Look at workbooks, which are staged for that in `scratch`."""
    from rfmkit.data.workbooks import stage_workbook

    asked = _AsItIs(sheet=sheet)
    chosen, rivals = [], []
    for file in files:
        sheets = []
        for one in stage_workbook(file, asked, scratch):
            row, headings = _header(_sheet_lines(one.path))
            found = len({heading for heading in headings if known(heading)})
            sheets.append((found >= min(2, len(headings)), one.rows, one, row, headings))
        if not sheets:
            raise ExportError(Problem(file.name, "has no sheet with any cell", "Export it again."))
        sheets.sort(key=lambda one: one[:2], reverse=True)
        chosen.append(sheets[0])
        rivals.append([other for other in sheets[1:] if other[0] and sheets[0][0]])
    shared = shared_headings([headings for *_, headings in chosen])
    # A sheet must be named where another has the headings that a clinic file may name.
    others = sorted({other[2].name for some in rivals for other in some if _alike(other[4], shared["shared"])})
    names = {one[2].name for one in chosen}
    return Layout(
        kind="Excel",
        **shared,
        header=chosen[0][3] > 0,
        sheet=names.pop() if (others or sheet) and len(names) == 1 else None,
        sheets=others,
        staged=[(one.path, row) for _, _, one, row, _ in chosen],
    )


def layout_of_parquet(files: list[InputFile]) -> Layout:
    """Look at Parquet files, which say themselves what they hold.

    Raises
    ------
    ExportError
        If one is damaged.
    """
    headings, damaged = [], []
    for file in files:
        try:
            headings.append([name.strip() for name in pyarrow.parquet.read_schema(file.path).names])
        except (pa.ArrowException, OSError):
            damaged.append(Problem(file.name, "is no Parquet file, or a damaged one", "Export it again."))
    if damaged:
        raise ExportError(damaged)
    return Layout(kind="Parquet", **shared_headings(headings))


def layout_of_table(headings: Iterable[str]) -> Layout:
    """The columns of a table of a database."""
    return Layout(kind="Parquet", **shared_headings([[one.strip() for one in headings]]))


@dataclass(frozen=True)
class _AsItIs:
    sheet: str | None = None
    decimal: str | None = None
    date_format: str | None = None


def _alike(headings: list[str], shared: list[str]) -> bool:
    """Whether a sheet has most of the headings of another."""
    both = set(headings) & set(shared)
    return len(both) >= min(3, len(shared))


def shared_headings(of_files: list[list[str]]) -> dict[str, list[str]]:
    """The headings of the first file, those that a clinic file can name, and those that stand twice."""
    headings = of_files[0]
    counts = [Counter(one) for one in of_files]
    return {
        "headings": headings,
        "shared": [one for one in headings if one and all(count[one] == 1 for count in counts)],
        "doubled": sorted({one for count in counts for one, times in count.items() if times > 1 and one}),
    }


def _beginning(path: Path, encoding: str) -> str:
    """The first whole lines of a file."""
    with path.open("rb") as stream:
        block = stream.read(_BEGINNING)
        whole = not stream.read(1)
    text = codecs.getincrementaldecoder(encoding)(errors="strict").decode(block, final=False).removeprefix("\ufeff")
    if whole:
        return text
    lines = text.splitlines(keepends=True)
    return "".join(lines[:-1]) or text


def _lines(text: str, delimiter: str) -> Lines:
    if delimiter == " ":
        text = re.sub(r"(?m)^ +| +(?=\r?$)", "", re.sub(" +", " ", text))
    lines = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row, line in enumerate(reader, 1):
            if any(cell.strip() for cell in line):
                lines.append((row, line))
    except csv.Error:
        pass  # what was parted before it shows enough
    return lines


def _parted(text: str, delimiter: str) -> float:
    """How well a delimiter parts lines: into the same number of cells, with days, amounts and headings among them."""
    lines = _lines(text, delimiter)
    widths = Counter(len(line) for _, line in lines)
    width, count = max(widths.items(), key=lambda one: (one[0] > 1, one[1], one[0]), default=(0, 0))
    if width < 2 or count < _MOST * len(lines):
        return 0.0
    row, headings = _header(lines)
    body = [line for number, line in lines if number > row and len(line) == width][:200]
    if not body:
        return 0.1 * sum(known(heading) for heading in headings if heading)
    days, numbers = (
        any(sum(bool(shape.fullmatch(plain(line[at]))) for line in body) > len(body) / 2 for at in range(width))
        for shape in (DAY, NUMBER)
    )
    met = len({heading for heading in headings if known(heading)})
    # Columns set apart by blanks alone are the last thing to think of.
    return count / len(lines) + 0.3 * days + 0.1 * numbers + 0.1 * min(met, 6) - (0.5 if delimiter == " " else 0)


def plain(cell: str) -> str:
    """A cell in half-width signs and without blanks around it."""
    return unicodedata.normalize("NFKC", cell).strip()


def _sheet_lines(path: Path) -> Lines:
    batch = next(pyarrow.parquet.ParquetFile(path).iter_batches(HEADER_LINES), None)
    if batch is None:
        return []
    cells = [name for name in batch.schema.names if re.fullmatch(r"c\d+", name)]
    columns = [["" if cell is None else str(cell) for cell in batch.column(name).to_pylist()] for name in cells]
    return list(zip(batch.column("_row").to_pylist(), map(list, zip(*columns, strict=True)), strict=True))


def _header(lines: Lines) -> tuple[int, list[str]]:
    """The row of the headings and what they are; row 0 and the columns' numbers where there is no header."""
    lines = lines[: HEADER_LINES + 1]
    width = max(Counter(len(line) for _, line in lines).items(), key=lambda one: (one[1], one[0]), default=(0, 0))[0]
    cells = [[cell.strip() for cell in line] for _, line in lines]
    # A title over merged cells stands in each of them.
    filled = [list(dict.fromkeys(cell for cell in line if cell)) for line in cells]
    often = Counter(len(line) for line in filled if len(line) > 1)
    usual = max(often, key=lambda count: (often[count], count), default=1)
    best, header = (0, 0.0), None
    for number, line in enumerate(filled):
        if any(_is_value(cell) for cell in line):
            if len(line) > usual / 2:
                break  # a line of the export: what stands below it is no header
            continue
        # Titles stand above, in a cell or two; of two lines of headings the lower has more of them.
        met, share = sum(known(cell) for cell in line), len(line) / usual
        if (met, share) > best and share > 0.5 and len(line) > 1:
            best, header = (met, share), number
    if header is None:
        return 0, [str(at + 1) for at in range(width)]
    return lines[header][0], cells[header]


def _is_value(cell: str) -> bool:
    """Whether a cell is one of a line and not of a header: a day, a number, an address, an answer."""
    words = plain(cell)
    return bool(
        DAY.fullmatch(words) or re.search(r"\d{3}|@", words) or re.fullmatch(r"[-+(]?\d[\d .,]*[^\w]?[)]?", words)
    )
