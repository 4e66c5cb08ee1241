"""A real PostgreSQL and a real local Spark for the tests that need one; each skips with a line where it is absent."""

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
