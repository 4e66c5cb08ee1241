"""Rows in whatever form an analyst has them, as one Ibis table with the vocabulary's types."""

from __future__ import annotations

import errno
from os import PathLike, fspath
from typing import TYPE_CHECKING

from rfmkit.errors import ExportError, Problem

if TYPE_CHECKING:
    import ibis.expr.types as ir

Rows = "pd.DataFrame | str | PathLike | ir.Table"

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
        If a needed column is missing; all missing ones are named.
    """
    import ibis

    if isinstance(rows, ibis.Table):
        table = rows
    elif isinstance(rows, str | PathLike):
        path = fspath(rows)
        table = ibis.read_csv(path) if path.lower().endswith(".csv") else ibis.read_parquet(path)
    else:
        table = ibis.memtable(rows)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        present = ", ".join(table.columns)
        raise ExportError(
            Problem(f"column {name}", "missing", f"Rename the column that holds it; there are: {present}.")
            for name in missing
        )
    wrong = {
        name: table[name].cast(kind)
        for name, kind in _TYPES.items()
        if name in table.columns and table.schema()[name] != ibis.dtype(kind)
    }
    return table.mutate(**wrong) if wrong else table


def write_rows(table: ir.Table, path: PathLike) -> None:
    """Write rows as Parquet.

    Raises
    ------
    OSError
        If the disk does not take them.
    """
    try:
        table.to_parquet(path)
    except Exception as error:
        # The engine has an error class of its own for a full or broken disk, behind another library.
        if type(error).__name__ == "IOException":
            raise OSError(errno.ENOSPC, "the disk is full or broken") from None
        raise
