"""Rows in whatever form an analyst has them, as one Ibis table with the vocabulary's types."""

from __future__ import annotations

import atexit
import errno
import functools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Union

from rfmkit.errors import ExportError, Problem

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

#: A frame, the path of a Parquet or CSV file, or an Ibis table.
Rows = Union["pd.DataFrame", str, PathLike, "ir.Table"]

#: Beyond this the engine cuts hash tables into parts and works on few at a time, which costs no time and takes much off
#: the peak; what does not fit into memory still spills.
_WORKING_MEMORY = "256MB"
#: What is written is read again soon, by this machine: encoded for its kind, which takes little time to write and to
#: read, and not compressed, which takes much and saves little. What has more values than a clinic has services, as ids
#: have, is written as it is: to look for its values in a list costs as much as to write them.
_PARQUET = {"parquet_version": "v2", "compression": "uncompressed", "dictionary_size_limit": 1000}
_TYPES = {
    "patient_id": "string",
    "visit_date": "date",
    "amount": "decimal(18, 2)",
    "receipt_id": "string",
    "service": "string",
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
        _check_frame(rows, needed)
    wrong = {
        name: table[name].cast(kind)
        for name, kind in _TYPES.items()
        if name in table.columns and table.schema()[name] != ibis.dtype(kind)
    }
    return table.mutate(**wrong) if wrong else table


def numbered(table: ir.Table, names: Mapping[str, pd.Index]) -> ir.Table:
    """Put in the place of text its number among some names, from 0; what is none of them is missing.

    Numbers are grouped, joined and handed over several times faster than text.
    """
    import ibis
    import pandas as pd

    for column, known in names.items():
        numbers = ibis.memtable(
            pd.DataFrame({"name": known, "number": pd.RangeIndex(len(known))}).astype({"number": "int32"})
        )
        table = table.left_join(numbers, table[column] == numbers.name).drop(column, "name").rename({column: "number"})
    return table


def _check_frame(rows: pd.DataFrame, needed: tuple[str, ...]) -> None:
    """Refuse a frame whose rows would be lost or misread; the engine's own words would quote them."""
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype, is_object_dtype

    problems = []
    for name in needed:
        if count := int(rows[name].isna().sum()):
            fix = "Fill them or drop these rows before."
            problems.append(Problem(f"column {name}", "has missing values", fix, count))
    dates, amounts = rows.get("visit_date"), rows.get("amount")
    if dates is not None and not (is_datetime64_any_dtype(dates) or _all_days(dates)):
        fix = "Convert it with pandas.to_datetime and its format."
        problems.append(Problem("column visit_date", f"holds no dates but {dates.dtype}", fix))
    if amounts is not None and not (is_numeric_dtype(amounts) or (is_object_dtype(amounts) and _all_decimals(amounts))):
        problems.append(Problem("column amount", f"holds no numbers but {amounts.dtype}", "Convert it to numbers."))
    if problems:
        raise ExportError(problems)


def _all_days(values: pd.Series) -> bool:
    from pandas.api.types import infer_dtype

    return infer_dtype(values, skipna=True) in {"date", "datetime"}


def _all_decimals(values: pd.Series) -> bool:
    from pandas.api.types import infer_dtype

    return infer_dtype(values, skipna=True) in {"decimal", "floating", "integer", "mixed-integer-float"}


@functools.cache
def _engine():
    """DuckDB in memory; what does not fit spills into a private folder, not into the one we happen to stand in."""
    import ibis

    if ibis.options.default_backend is None:
        spill = tempfile.mkdtemp(prefix="rfmkit-")
        atexit.register(shutil.rmtree, spill, ignore_errors=True)
        engine = ibis.duckdb.connect(temp_directory=spill)
        engine.raw_sql(f"SET operator_memory_limit = '{_WORKING_MEMORY}'")
        ibis.set_backend(engine)
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
    backend = table.get_backend()
    with engine_faults():
        table.to_parquet(path, **(_PARQUET if backend.name == "duckdb" else {}))


def read_rows(path: PathLike) -> ir.Table:
    """Read what `write_rows` wrote, its types as they were."""
    return _engine().read_parquet(path)
