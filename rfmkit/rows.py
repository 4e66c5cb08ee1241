"""Rows in whatever form an analyst has them, as one Ibis table with the vocabulary's types."""

from __future__ import annotations

import atexit
import errno
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Union

from rfmkit.errors import ExportError, Problem

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: A frame, the path of a Parquet or CSV file, or an Ibis table.
Rows = Union["pd.DataFrame", str, PathLike, "ir.Table"]  # noqa: F821 - a name for readers and type checkers

_TYPES = {
    "patient_id": "string",
    "visit_date": "date",
    "amount": "decimal(18, 2)",
    "receipt_id": "string",
    "category": "string",
    "branch": "string",
}


def as_table(rows: Rows, *needed: str) -> ir.Table:
    """Read rows as an Ibis table with the vocabulary's types.

    Parameters
    ----------
    rows : pandas.DataFrame, path of a Parquet or CSV file, or ibis.Table
        Rows with rfmkit's column names.
    *needed : str
        Columns that must be there.

    Returns
    -------
    ibis.Table
        The same rows; ``patient_id`` is text, ``visit_date`` a date, ``amount`` DECIMAL(18,2).

    Raises
    ------
    ExportError
        If a needed column is missing, or has missing values in a frame; all of them are named.
    """
    import ibis

    if isinstance(rows, ibis.Table):
        table = rows
    elif isinstance(rows, str | PathLike):
        path = fspath(rows)
        table = _engine().read_csv(path) if path.lower().endswith(".csv") else _engine().read_parquet(path)
    else:
        _engine()
        table = ibis.memtable(rows)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        present = ", ".join(table.columns)
        raise ExportError(
            Problem(f"column {name}", "missing", f"Rename the column that holds it; there are: {present}.")
            for name in missing
        )
    if hasattr(rows, "isna"):
        holes = rows[list(needed)].isna().sum()
        if holes.any():
            fix = "Fill them or drop these rows before."
            raise ExportError(Problem(f"column {name}", "has missing values", fix, n) for name, n in holes.items() if n)
    wrong = {
        name: table[name].cast(kind)
        for name, kind in _TYPES.items()
        if name in table.columns and table.schema()[name] != ibis.dtype(kind)
    }
    return table.mutate(**wrong) if wrong else table


@functools.cache
def _engine():
    """DuckDB in memory; what does not fit spills into a private folder, not into the one we happen to stand in."""
    import ibis

    if ibis.options.default_backend is None:
        spill = tempfile.mkdtemp(prefix="rfmkit-")
        atexit.register(shutil.rmtree, spill, ignore_errors=True)
        ibis.set_backend(ibis.duckdb.connect(temp_directory=spill))
    return ibis.get_backend()


@contextmanager
def engine_faults() -> Iterator[None]:
    """The engine's words for a full disk and short memory as everybody's: OSError and MemoryError.

    Its classes stand behind another library and are no kin of Python's own, so they are known by their names.
    """
    try:
        yield
    except Exception as error:
        match type(error).__name__:
            case "IOException":
                raise OSError(errno.EIO, "the disk is full or broken") from None
            case "OutOfMemoryException":
                raise MemoryError from None
        raise


def write_rows(table: ir.Table, path: PathLike) -> None:
    """Write rows as Parquet.

    Raises
    ------
    OSError
        If the disk does not take them.
    """
    with engine_faults():
        table.to_parquet(path)
