"""Tables of a Spark cluster: rfmkit asks for the session that its surroundings decide, and reads."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

from rfmkit.data.opened import Opened, digest_of, no_such_table
from rfmkit.errors import ClinicFileError, ExportError, Problem, RfmkitError, SurroundingsError

#: Endings of what Spark would read as text, or not at all.
_OTHERS = re.compile(
    "(csv|tsv|tab|txt|dat|json|jsonl|xml|xlsx|xlsm|xlsb|xls|ods|orc|avro|gz|bz2|zst|zip|duckdb|ddb|db)", re.IGNORECASE
)
#: What the numbers need, whatever the cluster's defaults: headings that differ in case are two, a number too large is
#: an error and no missing value; and patients come to the driver as columns, not one object each. Ibis sets the time
#: zone to UTC.
_SETTINGS = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
#: Spark's types that rfmkit reads as they are, and as what; all others are read as text.
_KINDS = {
    **{"tinyint": "int8", "smallint": "int16", "int": "int32", "bigint": "int64"},
    **{"float": "float32", "double": "float64", "boolean": "boolean", "string": "string"},
    **{"date": "date", "timestamp_ntz": "timestamp", "timestamp": "timestamp('UTC')"},
}
_JAVA = "Spark needs Java 17 or later: install it (default-jre-headless), or set JAVA_HOME or SPARK_REMOTE."


def open_spark(spec, folder: Path, where: str) -> Opened:
    """Open a table of Spark's catalog, or Parquet where Spark can read it; see `databases.open_table`."""
    if spec.connection_env:
        fix = "Remove engine: PostgreSQL does its own work; or name the catalog's table of it."
        raise ClinicFileError(Problem(f"{where} engine", "Spark does not read connection_env", fix))
    if spec.source and spec.table:
        raise ClinicFileError(Problem(where, "source and table name two places", "Keep one of them."))
    if spec.source and _OTHERS.fullmatch(Path(spec.source.rstrip("/")).suffix[1:]):
        what = "Spark reads Parquet alone: of malformed text it replaces what it cannot read, and says nothing"
        fix = 'Write the file as Parquet once, or read it without engine = "spark".'
        raise ClinicFileError(Problem(f"{where} source", what, fix))
    name = spec.table or spec.source.rstrip("/").rpartition("/")[2]
    try:
        return _opened(_session(f"{where} engine"), spec, folder, name, where)
    except RfmkitError:
        raise
    except Exception as error:
        if told := spark_error(name, error, where):
            raise told from None
        raise


def _session(where: str) -> Any:
    """The session that spark-submit, SPARK_REMOTE or Spark's own configuration stands for."""
    if not importlib.util.find_spec("pyspark"):
        fix = 'Install it: pip install "rfmkit[spark]".'
        raise SurroundingsError(Problem(where, "Spark is not installed", fix))
    from pyspark.sql import SparkSession

    elsewhere = os.environ.get("SPARK_REMOTE") or os.environ.get("PYSPARK_GATEWAY_PORT")
    java = os.environ.get("JAVA_HOME") or shutil.which("java")
    if not (elsewhere or java or SparkSession.getActiveSession()):
        raise SurroundingsError(Problem(where, "Java is not installed", _JAVA))
    try:
        _join_running_application()
        session = SparkSession.builder.getOrCreate()
        for key, value in _SETTINGS.items():
            session.conf.set(key, value)
        _hush()
    except ImportError:
        fix = 'Install it: pip install "pyspark[connect]".'
        raise SurroundingsError(Problem(where, "the client of Spark Connect is not installed", fix)) from None
    except Exception as error:
        if "JAVA_GATEWAY_EXITED" in str(error):
            raise SurroundingsError(Problem(where, "Java did not start", _JAVA)) from None
        fix = "Check SPARK_REMOTE, or the configuration of Spark, and that the cluster runs."
        raise SurroundingsError(Problem(where, "there is no session of Spark to be had", fix)) from None
    return session


def _join_running_application() -> None:
    """Under spark-submit a notebook, which is a process, uses the application of the process that made it.

    Only that process can have one: the JVM that both talk to holds a single context.
    """
    from pyspark import SparkConf, SparkContext

    if "PYSPARK_GATEWAY_PORT" not in os.environ or SparkContext._active_spark_context:
        return
    from pyspark.java_gateway import launch_gateway

    gateway = launch_gateway()
    running = getattr(getattr(gateway.jvm.org.apache.spark, "SparkContext$"), "MODULE$").getActive()
    if running.isDefined():
        context = gateway.jvm.org.apache.spark.api.java.JavaSparkContext(running.get())
        SparkContext(gateway=gateway, jsc=context, conf=SparkConf(_jconf=context.getConf()))


def _hush() -> None:
    """The client would log, and warn of, what a query failed on, and that may be a cell."""
    warnings.filterwarnings("ignore", "toPandas attempted Arrow optimization")
    with contextlib.suppress(ImportError):  # earlier than Spark 4 it does not
        from pyspark.logger import PySparkLogger

        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)


def _opened(session: Any, spec, folder: Path, name: str, where: str) -> Opened:
    import ibis
    import ibis.expr.operations as ops

    frame = _catalog_table(session, spec.table, where) if spec.table else _parquet(session, spec.source, folder)
    # The fields are told one by one: equal names must not hide each other.
    fields = [(field.name, field.dataType.simpleString()) for field in frame.schema.fields]
    decimals = {kind: kind.replace(",", ", ") for _, kind in fields if kind.startswith("decimal(")}
    kinds = _KINDS | decimals
    cells = [
        _quoted(one) if kind in kinds else f"CAST({_quoted(one)} AS STRING) AS {_quoted(one)}" for one, kind in fields
    ]
    schema = {one: kinds.get(kind, "string") for one, kind in fields}
    view = ibis.util.gen_name("rfmkit")
    frame.selectExpr(*cells).createOrReplaceTempView(view)
    hashed = ", ".join(f"{_quoted(one)}, isnull({_quoted(one)})" for one in schema)
    query = f"SELECT count(*), sum(CAST(xxhash64({hashed}) AS DECIMAL(38, 0))) FROM {view}"  # noqa: S608 - quoted

    def digest() -> str:
        return digest_of(schema, *session.sql(query).collect()[0])

    backend = ibis.pyspark.connect(session)
    # Of a timestamp Ibis would not tell that it is an instant and no wall clock.
    table = ops.DatabaseTable(view, ibis.schema(schema), backend, ops.Namespace()).to_expr()
    return Opened(table, name, digest(), digest, lambda: session.catalog.dropTempView(view))


def _parquet(session: Any, source: str, folder: Path) -> Any:
    if "://" in source or Path(source).is_absolute():
        return session.read.parquet(source)
    # A pattern is the source's alone, and none of the folder's signs one.
    beside = re.sub(r"([\\{}\[\]*?])", r"\\\1", str(folder.absolute()))
    return session.read.parquet(f"file://{beside}/{source}")


def _catalog_table(session: Any, table: str, where: str) -> Any:
    """A table by its parts, so that no name is a query or the path of a file."""
    parts = table.split(".")
    quoted = ".".join(_quoted(part) for part in parts)
    try:
        there = session.catalog.tableExists(quoted)
    except Exception as error:
        if type(error).__name__ not in {"AnalysisException", "ParseException"}:
            raise
        there = False  # more parts than the catalog has
    if not there:
        place = ".".join(_quoted(part) for part in parts[:-1]) or None
        try:
            known = [".".join([*parts[:-1], one.name]) for one in session.catalog.listTables(place)]
        except Exception:  # a schema that is not there, in the words of whichever catalog
            known = []
        raise no_such_table(where, table, known)
    return session.table(quoted)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def spark_error(name: str, error: Any, where: str = "") -> RfmkitError | None:
    """Spark's words for what went wrong as rfmkit's; None where they tell of a fault of the query itself."""
    words = str(error)
    condition = error.getCondition() if hasattr(error, "getCondition") else None
    if condition == "PATH_NOT_FOUND":
        fix = "It is relative to the clinic file unless it begins with / or a scheme; it may hold * and ?."
        return ClinicFileError(Problem(f"{where} source", "no such file", fix))
    if condition == "UNABLE_TO_INFER_SCHEMA" or "is not a Parquet file" in words:
        return ExportError(Problem(name, "is no Parquet, or holds no file", "Export it again."))
    if "FILE_NOT_EXIST" in words or "FileNotFoundException" in words:
        return ExportError(Problem(name, "changed while it was read", "Run again when it is whole."))
    if "PARQUET_TYPE_ILLEGAL" in words:
        return ExportError(Problem(name, "has a column of a type that Spark does not read", "Export plain types."))
    if re.search("FAILED_READ_FILE|CANNOT_READ_FILE|ParquetDecodingException|org[.]apache[.]parquet", words):
        return ExportError(Problem(name, "is a damaged Parquet file", "Export it again."))
    if type(error).__name__ in {"AnalysisException", "ParseException"}:
        return None
    causes = re.findall(r"Caused by: (?:[\w$]+[.])*(\w+)", words)
    named = re.fullmatch(r"[A-Z0-9_.]+", condition or "")
    told = named.group() if named else causes[-1] if causes else type(error).__name__
    fix = "Its logs tell more; check that the cluster runs and may read the data."
    return SurroundingsError(Problem(name, f"Spark stopped ({told})", fix))
