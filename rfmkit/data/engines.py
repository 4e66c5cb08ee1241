"""What differs from engine to engine: where a table is kept while it is worked on, and how equals are found fastest."""

from __future__ import annotations

import functools
import operator

import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa


@ibis.udf.scalar.builtin(name="hash")
def _hash_of_three(first, second, third) -> dtypes.uint64:
    """DuckDB's own; Ibis would make a text of bits of each column's hash on the way to a number."""


def computed(table: ir.Table) -> ir.Table:
    """The same table, computed once where the engine has room for it.

    DuckDB and Spark keep it until the connection ends; PostgreSQL is only read, so there it stays a query.
    """
    backend, name = table.get_backend(), ibis.util.gen_name("rfmkit")
    if backend.name in {"duckdb", "pyspark"}:
        # Frames in the expression have to be there before it is run; compiling alone does not see to it.
        backend._register_in_memory_tables(table)
    match backend.name:
        case "duckdb":
            # Not by Ibis, which goes through the whole expression again to see what it is made of.
            backend.raw_sql(f"CREATE TEMP TABLE {name} AS {backend.compile(table)}")
        case "pyspark":
            # Not by Ibis, which asks at once whether it is kept, and a remote session does not know yet.
            backend.raw_sql(backend.compile(table)).cache().createOrReplaceTempView(name)
        case _:
            return table
    return backend.table(name)


def digest(lines: ir.Table, first: str, second: str, third: str) -> ir.IntegerColumn:
    """A number that lines with equal cells in three columns share; few others do."""
    columns = [lines[name] for name in (first, second, third)]
    if lines.get_backend().name == "duckdb":
        return _hash_of_three(*columns)
    return functools.reduce(operator.xor, [column.hash() for column in columns])


def repeated(numbers: ir.Table) -> ir.Table | None:
    """The numbers of a column that stand there more than once, each once; None where there is none.

    Among hardly any equal numbers DuckDB would make a group of each, which takes many times as long as to sort them
    here; on a cluster they are too many to be sorted here.

    Parameters
    ----------
    numbers : ibis.Table
        With a single column of whole numbers; missing ones are passed over.
    """
    (name,) = numbers.columns
    backend = numbers.get_backend()
    known = numbers.filter(numbers[name].notnull())
    if backend.name == "duckdb":
        values = np.require(known.to_pyarrow()[name].to_numpy(), requirements="W")  # a single batch is Arrow's own
        values.sort()  # where they are: a copy costs more than to sort them
        found = np.unique(values[1:][values[1:] == values[:-1]])
        table = ibis.util.gen_name("rfmkit")
        backend.con.register(table, pa.table({name: found}))
        return backend.table(table) if len(found) else None
    times = known.group_by(name).aggregate(times=ibis._.count())
    found = computed(times.filter(times.times > 1).select(name))
    return found if found.count().execute() else None
