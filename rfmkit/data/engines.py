"""What differs from engine to engine: where a table may be kept while it is worked on."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir


def computed(table: ir.Table) -> ir.Table:
    """The same table, computed once where the engine has room for it.

    DuckDB and Spark keep it until the connection ends; PostgreSQL is only read, so there it stays a query.
    """
    backend = table.get_backend()
    match backend.name:
        case "duckdb":
            return backend.create_table(ibis.util.gen_name("rfmkit"), table, temp=True)
        case "pyspark":
            # Not by Ibis, which asks at once whether it is kept, and a remote session does not know yet.
            name = ibis.util.gen_name("rfmkit")
            backend.raw_sql(backend.compile(table)).cache().createOrReplaceTempView(name)
            return backend.table(name)
        case _:
            return table
