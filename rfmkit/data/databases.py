"""Tables of databases and clusters, opened to be read and nothing else: PostgreSQL, DuckDB, Spark."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rfmkit.data.cluster import open_spark, spark_error
from rfmkit.data.opened import MayPass, Opened, place_of
from rfmkit.data.postgres import open_postgres, postgres_error
from rfmkit.errors import ClinicFileError, ExportError, Problem, SurroundingsError

if TYPE_CHECKING:
    import ibis.expr.types as ir

_T = TypeVar("_T")
#: Endings of DuckDB's files.
DUCKDB = {".duckdb", ".ddb", ".db"}
#: Seconds before the second and the third try of what may pass by itself.
_WAITS = (0.5, 2.5)


def names_table(spec) -> bool:
    """Whether a part of a clinic file names a table of a database or a cluster, and no files."""
    return bool(spec.connection_env or spec.engine == "spark" or Path(spec.source or "").suffix.lower() in DUCKDB)


def open_table(spec, folder: Path, where: str) -> Opened:
    """Open the table that a part of a clinic file names.

    Parameters
    ----------
    spec : rfmkit.clinic.Transactions or rfmkit.clinic.Patients
        With ``connection_env`` and ``table`` (PostgreSQL); a ``source`` that is a DuckDB file, and ``table``; or
        ``engine = "spark"`` with ``table``, or with a ``source`` of Parquet.
    folder : pathlib.Path
        Where the clinic file lies.
    where : str
        The part, for messages: ``north.toml [transactions]``.

    Returns
    -------
    Opened

    Raises
    ------
    ClinicFileError
        If there is no such table or file, or the clinic file names what the engine cannot read.
    ExportError
        If a file is damaged.
    SurroundingsError
        If a library, the environment variable or the server is missing, or does not let us in. What may pass is tried
        three times.
    """
    if spec.engine == "spark":
        return open_spark(spec, folder, where)

    def once() -> Opened:
        with answering(spec.table):
            return open_postgres(spec, where) if spec.connection_env else _open_duckdb(spec, folder, where)

    return retried(once)


def table_digest(opened: Opened) -> str:
    """What identifies the content of an open table now; another digest than at its opening means that it changed."""
    with answering(opened.name):
        return opened.again()


def worked_on(opened: Opened, scratch: Path) -> ir.Table:
    """The table where its lines are worked on.

    PostgreSQL is only read, so it has no room for what is worked out: its lines are copied once, in one pass, and it is
    let go. DuckDB and Spark work on their own. A copy whose connection is lost is begun anew.

    Parameters
    ----------
    opened : Opened
    scratch : pathlib.Path
        A private folder that outlives the table.
    """
    if opened.copy is None:
        return opened.table
    import ibis

    to = scratch / "lines.parquet"

    def once() -> None:
        with answering(opened.name):
            opened.copy(to)

    retried(once)
    backend = ibis.duckdb.connect(temp_directory=str(scratch))
    backend.raw_sql("SET TimeZone = 'UTC'")
    return backend.read_parquet(str(to))


def retried(read: Callable[[], _T]) -> _T:
    """What `read` gives; where a connection is lost, it is asked anew from its start, three times in all."""
    for wait in _WAITS:
        try:
            return read()
        except MayPass:
            time.sleep(wait)
    return read()


@contextlib.contextmanager
def answering(name: str) -> Iterator[None]:
    """An engine's words for what went wrong while a table was read, as rfmkit's: they would quote values.

    The classes of engines that may not be installed are known by the module they come from.
    """
    try:
        yield
    except Exception as error:
        match type(error).__module__.partition(".")[0], hasattr(error, "sqlstate"):
            case "psycopg", True:
                raise postgres_error(name, error) from None
            case "duckdb" | "_duckdb", _:
                if told := _duckdb_error(name, error):
                    raise told from None
            case "pyspark" | "py4j", _:
                if told := spark_error(name, error):
                    raise told from None
        raise


# DuckDB


def _open_duckdb(spec, folder: Path, where: str) -> Opened:
    import ibis

    path = folder / spec.source
    if not spec.table:
        raise ClinicFileError(Problem(where, "source is a database, and table is missing", "Name its table."))
    _check_duckdb_file(path, f"{where} source")
    first = _files_digest(path)
    spill = tempfile.mkdtemp(prefix="rfmkit-")
    # Attached, so that two parts of a clinic file may name two tables of one database.
    backend = ibis.duckdb.connect(temp_directory=spill)
    forget = weakref.finalize(backend, shutil.rmtree, spill, ignore_errors=True)

    def close() -> None:
        backend.disconnect()
        forget()

    try:
        with answering(path.name):
            quoted = str(path).replace("'", "''")
            backend.raw_sql(f"SET TimeZone = 'UTC'; ATTACH '{quoted}' AS source (TYPE duckdb, READ_ONLY)")
            # A view may read other files, which the digest would not know of.
            known = "SELECT schema_name, table_name, schema_name = 'main' FROM duckdb_tables() WHERE NOT internal"
            schema, table = place_of(spec.table, backend.raw_sql(f"{known} ORDER BY ALL").fetchall(), where)
            opened = backend.table(table, database=("source", schema))
    except BaseException:
        close()
        raise
    return Opened(opened, f"{path.name} {spec.table}", first, lambda: _files_digest(path), close)


def _check_duckdb_file(path: Path, where: str) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except (FileNotFoundError, IsADirectoryError):
        raise ClinicFileError(Problem(where, "no such file", "The path is relative to the clinic file.")) from None
    except OSError as error:
        fix = "Check its permissions."
        raise SurroundingsError(Problem(path.name, f"cannot be read ({error.strerror})", fix)) from None
    if start[8:12] != b"DUCK":
        raise ExportError(Problem(path.name, "is no DuckDB database, or a damaged one", "Export it again."))


def _files_digest(path: Path) -> str:
    """The digest of a database's file, and of what was committed to the log beside it alone."""
    digest = hashlib.sha256()
    for part in (path, path.with_name(f"{path.name}.wal")):
        if part.exists():
            with part.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _duckdb_error(name: str, error: Exception) -> Exception | None:
    """What is wrong with a DuckDB file; None where the engine tells of something else."""
    words = str(error)
    if "Could not set lock" in words or "different configuration" in words:
        return MayPass(Problem(name, "is open for writing in another program", "Close it there."))
    if "version number" in words:
        fix = "Export it again with the DuckDB that rfmkit has, or export Parquet."
        return ExportError(Problem(name, "was written by another version of DuckDB", fix))
    if "Corrupt database" in words or "Could not read enough bytes" in words:
        return ExportError(Problem(name, "is a damaged DuckDB database", "Export it again."))
    return None
