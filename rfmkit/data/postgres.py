"""Tables of PostgreSQL: looked at in one transaction that only reads, and copied once, whole, to be worked on here."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfmkit.data.opened import MayPass, Opened, digest_of, place_of
from rfmkit.errors import ExportError, Problem, SurroundingsError

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

#: What libpq is told unless the address says otherwise; a silent server is found out in two minutes, not in hours.
_LIBPQ = {"connect_timeout": "10", "keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "6"}
#: How the server writes values, so that equal tables have equal digests; only a lock is not waited for.
_SESSION = """
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '30s'
"""
_TABLES = """
SELECT n.nspname, c.relname, pg_table_is_visible(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY pg_table_is_visible(c.oid) DESC, 1, 2
"""
#: PostgreSQL's types that rfmkit reads as they are, and as what; all others are read as text.
_KINDS = {
    **{"int2": "int16", "int4": "int32", "int8": "int64", "float4": "float32", "float8": "float64"},
    **{"bool": "boolean", "date": "date", "timestamp": "timestamp(6)", "timestamptz": "timestamp('UTC', 6)"},
}
_DECIMALS = {"numeric", "money"}
#: How a cell is asked for, by its type: text sorts by its signs, as in other engines, and not by a language; days that
#: no calendar has become the first or the last, and an empty one, which `greatest` passes over, stays empty.
_FORMS = {
    **{kind: "{0}" for kind in ("int2", "int4", "int8", "float4", "float8", "bool", "numeric")},
    **dict.fromkeys(
        ("date", "timestamp", "timestamptz"),
        "CASE WHEN {0} IS NOT NULL THEN greatest('0001-01-01', least('9999-12-31', {0})) END",
    ),
    "money": "{0}::numeric",
}
_TEXT = '{0}::text COLLATE "C"'
_MOST_DIGITS = 38
#: SQLSTATEs of what may pass: connection lost, server restarting or full, a lock, a standby that caught up.
_PASSING = re.compile("08|53300|57P0[123]|40001|40P01|55P03")
_CHUNK_BYTES = 1 << 24


def open_postgres(spec, where: str) -> Opened:
    """Open a table of the server whose address is in the environment; see `databases.open_table`."""
    connection = _connected(spec.connection_env, f"{where} connection_env")
    try:
        return _opened(connection, spec, where)
    except BaseException:
        connection.close()
        raise


def _connected(variable: str, where: str) -> psycopg.Connection:
    """A connection to the server whose address an environment variable holds; the address is never told."""
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError:
        fix = 'Install it: pip install "rfmkit[postgres]".'
        raise SurroundingsError(Problem(where, "the driver of PostgreSQL is not installed", fix)) from None
    form = f"Set {variable} to postgresql://user:password@host/database."
    address = os.environ.get(variable, "").strip()
    if not address:
        raise SurroundingsError(Problem(where, f"the environment variable {variable} is not set", form))
    if not address.startswith(("postgresql://", "postgres://")):
        what = f"the environment variable {variable} holds no address of a database that rfmkit knows"
        fix = "Known are PostgreSQL, by postgresql://user:password@host/database, and DuckDB, by its file in source."
        raise SurroundingsError(Problem(where, what, fix))
    try:
        parameters = {**_LIBPQ, **conninfo_to_dict(address), "application_name": "rfmkit", "client_encoding": "utf8"}
    except psycopg.Error:
        raise SurroundingsError(Problem(where, f"the address in {variable} cannot be read", form)) from None
    try:
        # Nothing is prepared on the server: a pooler may stand between.
        return psycopg.connect(**parameters, prepare_threshold=None)
    except psycopg.Error:
        state = psycopg.pq.PGconn.ping(make_conninfo(**parameters).encode())
        if state == psycopg.pq.Ping.OK:
            fix = f"Check user, password and database in {variable}."
            raise SurroundingsError(Problem(where, "the server does not let us in", fix)) from None
        fix = f"Check host and port in {variable}, and that the server runs."
        raise MayPass(Problem(where, "the server does not answer", fix)) from None


def _opened(connection: psycopg.Connection, spec, where: str) -> Opened:
    import ibis
    import ibis.expr.operations as ops
    from psycopg import IsolationLevel, sql

    backend = ibis.postgres.from_connection(connection)
    # One transaction that only reads sees one state of the server, however long it lasts: nothing changes meanwhile.
    connection.read_only, connection.isolation_level = True, IsolationLevel.REPEATABLE_READ
    connection.execute(_SESSION)
    place = sql.Identifier(*place_of(spec.table, connection.execute(_TABLES).fetchall(), where))
    forms, kinds = {}, {}
    for column in connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(place)).description:
        known = connection.adapters.types.get(column.type_code)
        kinds[column.name] = known.name if known and known.oid == column.type_code else "array"
        forms[column.name] = _FORMS.get(kinds[column.name], _TEXT)

    def query() -> sql.Composed:
        cells = [sql.SQL(form + " AS {0}").format(sql.Identifier(one)) for one, form in forms.items()]
        return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(cells), place)

    decimals = [one for one, kind in kinds.items() if kind in _DECIMALS]
    summed = [sql.SQL("count(*), sum(hashtextextended((t.*)::text, 0))")]
    summed += [sql.SQL("max(scale(t.{0})), max(abs(t.{0}))").format(sql.Identifier(one)) for one in decimals]
    content = sql.SQL("SELECT {} FROM ({}) AS t").format(sql.SQL(", ").join(summed), query())
    seen, *numbers = connection.execute(
        sql.SQL("SELECT txid_current_snapshot()::text, * FROM ({}) AS t").format(content)
    ).fetchone()
    schema = {one: _KINDS.get(kind, "string") for one, kind in kinds.items()}
    for one, scale, largest in zip(decimals, numbers[2::2], numbers[3::2], strict=True):
        schema[one] = _decimal(scale, largest)
        if schema[one] == "float64":
            forms[one] = f"({forms[one]})::float8"
    digest = digest_of(kinds, *numbers)

    def again() -> str:
        if connection.closed or connection.execute("SELECT txid_current_snapshot()::text").fetchone()[0] == seen:
            return digest
        return digest_of(kinds, *connection.execute(content).fetchone())

    def copy(to: Path) -> None:
        if connection.closed:
            other = open_postgres(spec, where)
            if other.digest != digest:
                other.close()
                fix = "Run again when nobody writes to it."
                raise ExportError(Problem(spec.table, "changed while it was read", fix))
            other.copy(to)
            return
        with contextlib.closing(connection):
            _copy(connection, query(), ibis.schema(schema).to_pyarrow(), to, spec.table)

    return Opened(
        # Ibis would find the types by making a view, which a reader may not.
        table=ops.SQLQueryResult(query().as_string(connection), ibis.schema(schema), backend).to_expr(),
        name=spec.table,
        digest=digest,
        again=again,
        let_go=connection.close,
        copy=copy,
    )


def _decimal(scale: int | None, largest: Any) -> str:
    """The type of numbers that the server keeps without bounds; what no bounds hold is as exact as a float is."""
    if largest is None:
        return "decimal(38, 2)"
    if not largest.is_finite() or len(str(int(largest))) + scale > _MOST_DIGITS:
        return "float64"
    return f"decimal({_MOST_DIGITS}, {scale})"


class _Lines(io.RawIOBase):
    """The server's lines as a file that Arrow reads; what went wrong on the way is kept, for Arrow would reword it."""

    def __init__(self, copy: Any):
        self._copy, self._rest, self.error = copy, b"", None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        blocks, have = [self._rest], len(self._rest)
        try:
            while have < size and (block := self._copy.read()):
                blocks.append(bytes(block))
                have += len(block)
        except Exception as error:
            self.error = error
            raise
        everything = b"".join(blocks)
        self._rest = everything[size:]
        return everything[:size]


def _copy(connection: psycopg.Connection, query: Any, schema: pa.Schema, to: Path, name: str) -> None:
    """Write what a query gives as Parquet, in one pass over the server's table and in little memory."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
    from psycopg import sql

    missing = dict(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)) as copy:
        lines = _Lines(copy)
        try:
            reader = pa.csv.open_csv(
                pa.PythonFile(lines, "r"),
                pa.csv.ReadOptions(use_threads=False, column_names=schema.names, block_size=_CHUNK_BYTES),
                pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
                pa.csv.ConvertOptions(
                    column_types=schema, true_values=["t"], false_values=["f"], include_columns=schema.names, **missing
                ),
            )
            with pa.parquet.ParquetWriter(to, schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        except pa.ArrowInvalid as error:
            if lines.error:
                raise lines.error from None
            if "Empty CSV" in str(error):
                pa.parquet.write_table(schema.empty_table(), to)
            elif "straddling" in str(error):
                what = f"has a line of more than {_CHUNK_BYTES >> 20} MB"
                fix = "Name a view without the columns that hold documents or pictures."
                raise ExportError(Problem(name, what, fix)) from None
            else:
                # The only text that a server keeps and cannot write as UTF-8 is that of a database without an encoding.
                raise ExportError(
                    Problem(name, "holds text that is not UTF-8", "Correct the database's encoding.")
                ) from None


def postgres_error(name: str, error: Any) -> SurroundingsError:
    """The server's words for what went wrong as rfmkit's."""
    state = error.sqlstate or ""
    # A connection that broke has no state to tell.
    if _PASSING.match(state) or (not state and type(error).__name__ == "OperationalError"):
        locked = state in {"55P03", "40P01"}
        what = "is locked by somebody else" if locked else "the connection to the server was lost"
        return MayPass(Problem(name, what, "Run again when it is free." if locked else "Run again."))
    match state:
        case "42501":
            return SurroundingsError(Problem(name, "the role may not read it", "Grant it: GRANT SELECT ON … TO …."))
        case "57014":
            return SurroundingsError(Problem(name, "somebody stopped the query on the server", "Run again."))
        case _:
            return SurroundingsError(Problem(name, f"the server refused a query (SQLSTATE {state or 'unknown'})"))
