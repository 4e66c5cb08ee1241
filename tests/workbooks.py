"""Workbooks read for tests: their sheets, the cells of these by name, and the processes that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow.parquet as pq
import pytest

from rfmkit.data.inputs import InputFile
from rfmkit.data.workbooks import cell_name, stage_workbook


def stage(path: Path, **said):
    """The sheets of a workbook."""
    spec = SimpleNamespace(**{"sheet": None, "decimal": None, "date_format": None, **said})
    return stage_workbook(InputFile(path, path.name, "", path.stat().st_size, 0), spec, path.parent)


def cells_of(sheet) -> dict[str, str]:
    """The cells of a staged sheet by their names; blank ones are left out."""
    return {
        cell_name(int(name[1:]), row["_row"]): value
        for row in pq.read_table(sheet.path).to_pylist()
        for name, value in row.items()
        if name[0] == "c" and value is not None
    }


def lists_of(sheet, name: str) -> set[str]:
    """The cells that a column of lists names."""
    rows = pq.read_table(sheet.path, columns=["_row", name]).to_pylist()
    return {cell_name(column, row["_row"]) for row in rows for column in row[name] or ()}


def only(path: Path, **said) -> dict[str, str]:
    """The cells of the only sheet that has any."""
    (sheet,) = stage(path, **said)
    return cells_of(sheet)


def row_xml(values: list[str], *, style: int = 0, row: int = 1) -> str:
    """A row of numbers as XML."""
    cells = "".join(f'<c r="{cell_name(n, row)}" s="{style}"><v>{value}</v></c>' for n, value in enumerate(values))
    return f'<row r="{row}">{cells}</row>'


@pytest.fixture
def readers() -> Callable[[], set[psutil.Process]]:
    """The processes that this test started and that are still there; the servers of other tests are not among them."""
    before = set(psutil.Process().children())
    return lambda: set(psutil.Process().children()) - before
