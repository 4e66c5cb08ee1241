"""Where a line came from, and where a heading stands: what every kind of source is brought to."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd

from rfmkit.errors import ClinicFileError, ExportError, Problem, raise_all

FILE, ROW = "_file", "_row"
#: In front of a column's name: its cells as the export has them.
RAW = "raw_"
#: Columns of an export that the clinic file does not map keep their heading behind this mark.
UNMAPPED = "_cell:"
REJECT_COLUMNS = ["file", "row", "column", "reason", "line"]
#: The header stands in one of so many first lines; above it are titles.
HEADER_LINES = 50
DELIMITERS = (";", ",", "\t", "|")


@dataclass(frozen=True)
class Export:
    """The cells of an export.

    Attributes
    ----------
    cells : ibis.Table
        One row a line; rfmkit's column names where the clinic file maps a heading, ``_cell:<heading>`` for the rest, in
        the order of the first file; text, or the types of a typed source; ``_file`` and ``_row``, as a spreadsheet
        counts them (missing for tables, whose lines have no number).
    broken : pandas.DataFrame
        Lines with more or fewer fields than headings: ``file, row, column, reason, line``.
    titles : int
        Lines above the headings.
    first : str
        The first file.
    numbered : bool
        Whether a file and a row name one line.
    tidy : frozenset of str
        Columns of text that are known to have no blanks at the ends of their cells.
    """

    cells: ir.Table
    broken: pd.DataFrame
    titles: int = 0
    first: str = ""
    numbered: bool = True
    tidy: frozenset[str] = frozenset()


def mapped_columns(spec) -> dict[str, str]:
    """rfmkit's names and the headings that the clinic file gives them."""
    return {name: heading for name, heading in spec.columns.model_dump().items() if heading is not None}


def raw_cells(table: ir.Table, spec) -> ir.Table:
    """The cells of an export under the names that they have beside what was read of them."""
    return table.rename({RAW + name: name for name in mapped_columns(spec)})


def cell_names(lines: ir.Table) -> list[str]:
    """The columns of lines that are cells as the export has them, in its order."""
    return [name for name in lines.columns if name.startswith((UNMAPPED, RAW))]


def with_cells(lines: ir.Table, export: Export, spec) -> ir.Table:
    """Some lines with their cells as the export has them; these are not carried along where they can be found again."""
    return lines.inner_join(raw_cells(export.cells, spec), [FILE, ROW]) if export.numbered else lines


def place(row, column: str = "") -> str:
    """Where a line stands, for messages: file, row where there is one, heading."""
    where = row.file if pd.isna(row.row) else f"{row.file}:{int(row.row)}"
    return f"{where} «{column}»" if column else where


def header_line(lines: list[tuple[int, list[str]]], spec) -> int:
    """The place, in a file's first lines, of the first that holds every heading the clinic file names; else the best.

    Parameters
    ----------
    lines : list of (row, cells)
        The first lines that hold anything.
    """
    wanted = set(mapped_columns(spec).values())
    have = [len(wanted & {cell.strip() for cell in line}) for _, line in lines[:HEADER_LINES]]
    return have.index(max(have)) if have else 0


def places(file: str, row: int, headings: list[str], spec) -> dict[str, int]:
    """The position of each column under its name in rfmkit, in the file's order.

    Raises
    ------
    ClinicFileError, ExportError
        If headings are missing, or stand more than once; all of them are told.
    """
    mapped = mapped_columns(spec)
    missing, doubled = [], []
    for name, heading in mapped.items():
        times = headings.count(heading)
        if times == 1:
            continue
        where = f"{file}:{row} «{heading}»" if spec.header else f"{file} column {heading}"
        near = difflib.get_close_matches(heading, headings, n=1)
        # The other headings are not told: a file without a header has a patient in their place.
        fix = f"Correct columns.{name} in the clinic file, or the export; this line has {len(headings)} cells."
        if times:
            doubled.append(Problem(where, f"stands {times} times", "Give every column a heading of its own."))
        else:
            missing.append(Problem(where, "no such column", f"Is it «{near[0]}»? {fix}" if near else fix))
    if len(missing) == len(mapped) > 1:
        what = f"has none of the clinic file's {len(mapped)} headings"
        fix = "Check encoding, delimiter and header in the clinic file; or it is another file."
        missing.insert(0, Problem(f"{file}:{row}", what, fix))
    raise_all([*([ClinicFileError(missing)] if missing else []), *([ExportError(doubled)] if doubled else [])])
    found = [(headings.index(heading), name) for name, heading in mapped.items()]
    taken = {position for position, _ in found}
    known: set[str] = set()
    for position, heading in enumerate(headings):
        if position not in taken:
            name, times = f"{UNMAPPED}{heading}", 1
            # An engine does not tell small letters from capitals in names.
            while name.lower() in known:
                times += 1
                name = f"{UNMAPPED}{heading} ({times})"
            known.add(name.lower())
            found.append((position, name))
    return {name: position for position, name in sorted(found)}


def check_delimiter(file: str, lines: list[tuple[int, list[str]]], spec) -> None:
    """Lines of one cell each that hold another delimiter were not parted."""
    wanted = set(mapped_columns(spec).values())
    for row, line in lines:
        if len(line) != 1:
            continue
        for sign in DELIMITERS:
            parts = {part.strip().strip('"') for part in line[0].split(sign)}
            if sign != spec.delimiter and len(parts) > 1 and (wanted <= parts or row == lines[0][0] == 1):
                fix = f"Write delimiter = {json.dumps(sign)} in the clinic file."
                raise ClinicFileError(Problem(f"{file}:{row}", "has a single cell", fix))
