"""A real PostgreSQL and a real local Spark, with small tables to open, for the tests that need one.

Each skips with a line where it is absent.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from rfmkit.clinic import Transactions
from rfmkit.data import databases
from rfmkit.data.databases import open_table
from rfmkit.errors import RfmkitError

PASSWORD = "Tr0ub4dor&3?/:@#"  # signs that an address must escape


@dataclass(frozen=True)
class PostgresServer:
    """A server that listens on a socket in a folder of its own, and on no port."""

    binaries: Path
    folder: Path
    account: int | None

    def address(self, role: str = "owner", database: str = "clinic", more: str = "") -> str:
        password = "".join(f"%{ord(sign):02x}" for sign in PASSWORD)
        return f"postgresql://{role}:{password}@/{database}?host={self.folder}{more}"

    def control(self, *arguments: str) -> None:
        command = [self.binaries / "pg_ctl", "--pgdata", self.folder / "data", "--silent", *arguments]
        with (self.folder / "control.log").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, user=self.account, cwd=self.folder)

    @contextlib.contextmanager
    def connection(self, database: str = "clinic"):
        import psycopg

        with psycopg.connect(self.address(database=database), autocommit=True) as connection:
            yield connection

    def load(self, name: str, table: pa.Table) -> None:
        """Make a table of the same columns and lines."""
        from psycopg import sql

        kinds = {"string": "text", "date32[day]": "date", "int64": "bigint", "double": "double precision"}
        columns = [
            sql.SQL("{} {}").format(
                sql.Identifier(field.name),
                sql.SQL(kinds.get(str(field.type)) or re.sub("decimal128", "numeric", str(field.type))),
            )
            for field in table.schema
        ]
        made = sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(columns))
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(made)
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
                for line in zip(*[column.to_pylist() for column in table.columns], strict=True):
                    copy.write_row(line)


def _binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = shutil.which("initdb") or (installed[-1] if installed else None)
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server with the database ``clinic``, its owner, and a ``reader`` who may read what is granted to it."""
    binaries = _binaries()
    if not (binaries and importlib.util.find_spec("psycopg")):
        pytest.skip("PostgreSQL's server (Debian: postgresql) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="rfmkit-postgres-"))
    # The server refuses to run as root.
    account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if account:
        os.chown(folder, account, -1)
    server = PostgresServer(binaries, folder, account)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    # Sorted as a language would, to see that rfmkit does not care.
    options = "--username=owner --auth=scram-sha-256 --encoding=UTF8 --locale-provider=icu --icu-locale=ru --no-sync"
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=20"
    try:
        server.control("init", "--options", f"{options} --pwfile={folder / 'password'} --locale=C.UTF-8")
        server.control("start", "--wait", "--log", str(folder / "server.log"), "--options", settings)
        with server.connection("postgres") as connection:
            connection.execute("CREATE DATABASE clinic")
            connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.control("stop", "--mode=immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session of Spark in this process, as small as it can be."""
    if not importlib.util.find_spec("pyspark"):
        pytest.skip("Spark (rfmkit[spark]) is not installed")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Java (Debian: default-jre-headless), which Spark needs, is not installed")
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}",
        "spark.sql.optimizer.maxIterations": "10",
        "spark.sql.shuffle.partitions": "2",
        # Of few lines, compiling a query takes longer than interpreting it.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.log.level": "OFF",
    }
    builder = SparkSession.builder.master("local[2]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def write_duckdb(path: Path, tables: dict[str, pa.Table]) -> None:
    """A DuckDB file with these tables."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        for name, table in tables.items():
            connection.register("arrow", table)
            quoted = name.replace('"', '""')
            connection.execute(f'CREATE TABLE "{quoted}" AS SELECT * FROM arrow')
            connection.unregister("arrow")


def write_parquet(path: Path, table: pa.Table) -> None:
    pyarrow.parquet.write_table(table, path)


# Parts of clinic files that name tables of these, and what is said of them

WHERE = "north.toml [transactions]"
HEADINGS = {
    "patient_id": "Код",
    "visit_date": "Дата",
    "amount": "Сумма, ₽",
    "receipt_id": "Чек",
    "category": "Вид",
    "discount": "Скидка",
    "quantity": "Кол-во",
}


def part(**keys) -> Transactions:
    """The part of a clinic file."""
    return Transactions(**{"columns": HEADINGS, **keys})


SMALL = pa.table({"Код": ["7", "8"], "Дата": ["2026-10-01", "2026-10-02"], "Сумма, ₽": ["5.00", "6.50"]})
SMALL_COLUMNS = {name: HEADINGS[name] for name in ("patient_id", "visit_date", "amount")}


def refusal(spec, folder=Path(), kind=RfmkitError):
    """What is said, in one line, of a table that cannot be opened."""
    with pytest.raises(kind) as refused:
        open_table(spec, folder, WHERE)
    assert type(refused.value).exit_code == kind.exit_code
    assert len(refused.value.problems) == 1
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture(scope="session")
def server(postgres):
    """The server with two small tables, one that nobody else may read, and one in a schema."""
    postgres.load("payments", SMALL)
    postgres.load("private", SMALL)
    with postgres.connection() as connection:
        connection.execute(
            "GRANT SELECT ON payments TO reader; CREATE SCHEMA north; GRANT USAGE ON SCHEMA north TO reader"
        )
        connection.execute("CREATE VIEW north.payments_of_2026 AS SELECT * FROM payments")
        connection.execute("GRANT SELECT ON north.payments_of_2026 TO reader")
    return postgres


@pytest.fixture
def clinic_db(server, monkeypatch):
    """The part of a clinic file of a table of the server, which the environment names to a reader."""
    monkeypatch.setenv("CLINIC_DB", server.address("reader"))
    monkeypatch.setattr(databases, "_WAITS", (0.0, 0.0))

    def of(table="payments", **keys):
        return part(connection_env="CLINIC_DB", table=table, columns=SMALL_COLUMNS, **keys)

    return of


def of_spark(**keys):
    return part(engine="spark", columns=SMALL_COLUMNS, **keys)


@pytest.fixture(scope="session")
def chain(spark, tmp_path_factory):
    """A folder of monthly Parquet files, and a table of the catalog."""
    folder = tmp_path_factory.mktemp("a chain [1]")
    for month in ("2026-09", "2026-10"):
        (folder / f"month={month}").mkdir()
        write_parquet(folder / f"month={month}" / "part.parquet", SMALL)
    spark.createDataFrame(SMALL.to_pandas()).write.mode("overwrite").saveAsTable("payments")
    return folder
