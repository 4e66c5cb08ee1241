"""Tables of databases: opened to be read alone, and read alike by DuckDB, a real PostgreSQL and a real Spark."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import TODAY, open_one
from engines import PASSWORD, postgres, spark, write_duckdb, write_parquet  # noqa: F401 - fixtures
from pandas.testing import assert_frame_equal

from rfmkit import btyd_summary, calibration_holdout, refunds_from, rfm_table, visits_from
from rfmkit.analysis import loyalty
from rfmkit.analysis.traits import traits_of
from rfmkit.clinic import Transactions
from rfmkit.data import databases
from rfmkit.data import postgres as reading
from rfmkit.data.bought import names_in, sales_of
from rfmkit.data.checks import check_lines
from rfmkit.data.databases import names_table, open_table, table_digest, worked_on
from rfmkit.data.engines import computed
from rfmkit.data.inputs import InputTable
from rfmkit.data.sources import read_export
from rfmkit.errors import ClinicFileError, ExportError, RfmkitError, SurroundingsError
from rfmkit.period import Period
from rfmkit.rows import numbered

# One server and one session serve all of these, in one process.
pytestmark = pytest.mark.xdist_group("engines")

AS_OF = dt.date(2026, 10, 31)
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


# Opening a table


@pytest.fixture(scope="module")
def server(postgres):  # noqa: F811
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


@pytest.mark.parametrize("table", ["payments", "public.payments", "north.payments_of_2026"])
def test_a_table_of_postgresql_by_its_name(clinic_db, table):
    opened = open_table(clinic_db(table), Path(), WHERE)
    assert opened.name == table
    assert opened.table.order_by("Код").execute()["Сумма, ₽"].tolist() == ["5.00", "6.50"]
    opened.close()


def test_postgresql_is_only_read(clinic_db, server, monkeypatch):
    import psycopg

    for address in (server.address(), server.address(more="&options=-c%20default_transaction_read_only%3Doff")):
        monkeypatch.setenv("CLINIC_DB", address)
        opened = open_table(clinic_db(), Path(), WHERE)
        for attempt in (
            "INSERT INTO payments SELECT * FROM payments",
            "CREATE TABLE more (a int)",
            "DROP TABLE payments",
        ):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                opened.table.get_backend().raw_sql(attempt)
        opened.close()
    with server.connection() as connection:
        assert connection.execute("SELECT count(*) FROM payments").fetchone() == (2,)


def test_whoever_looks_at_the_server_sees_rfmkit_and_is_not_kept_from_writing(clinic_db, server):
    opened = open_table(clinic_db(), Path(), WHERE)
    with server.connection() as connection:
        seen = connection.execute("SELECT application_name FROM pg_stat_activity WHERE usename = 'reader'").fetchall()
        assert seen == [("rfmkit",)]
        connection.execute('SET lock_timeout = \'1s\'; UPDATE payments SET "Код" = "Код"')
    opened.close()


def test_what_was_opened_stays_as_it_was_and_a_change_is_another_digest(clinic_db, server):
    server.load("changing", SMALL)
    with server.connection() as connection:
        connection.execute("GRANT SELECT ON changing TO reader")
        first = open_table(clinic_db("changing"), Path(), WHERE)
        connection.execute("INSERT INTO changing VALUES ('9', '2026-10-03', '1.00')")
        assert first.table.count().execute() == 2
        assert table_digest(first) == first.digest
        second = open_table(clinic_db("changing"), Path(), WHERE)
        connection.execute('DELETE FROM changing WHERE "Код" = \'9\'; UPDATE changing SET "Код" = "Код"')
        third = open_table(clinic_db("changing"), Path(), WHERE)
    assert first.digest == third.digest != second.digest
    for opened in (first, second, third):
        opened.close()


def test_a_column_of_any_name_does_not_hide_a_change(clinic_db, server):
    server.load("hidden", pa.table({"t": ["1"], "Дата": ["2026-10-01"], "Сумма, ₽": ["3"]}))
    with server.connection() as connection:
        connection.execute("GRANT SELECT ON hidden TO reader")
        first = open_table(clinic_db("hidden"), Path(), WHERE)
        first.close()
        connection.execute("UPDATE hidden SET \"Сумма, ₽\" = '4'")
        second = open_table(clinic_db("hidden"), Path(), WHERE)
        second.close()
    assert first.digest != second.digest


def test_a_study_that_was_read_before_holds_no_connection_and_reads_again_if_it_must(clinic_db, server, tmp_path):
    columns = "".join(f'{name} = "{heading}"\n' for name, heading in SMALL_COLUMNS.items())
    (tmp_path / "c.toml").write_text(
        f'name = "C"\ncurrency = "RUB"\n[transactions]\nconnection_env = "CLINIC_DB"\ntable = "payments"\n'
        f"[transactions.columns]\n{columns}"
    )
    assert open_one(tmp_path / "c.toml").rows["kept"] == 2
    again = open_one(tmp_path / "c.toml")
    assert again.rows["kept"] == 2
    with server.connection() as connection:
        seen = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'").fetchone()
    assert seen == (0,)
    assert again.transactions.count().execute() == 2


@pytest.mark.parametrize("name", ['x"; DROP TABLE payments; --', "x'; DROP TABLE payments; --", "%(a)s {} \\ .", "a.b"])
def test_names_are_names_and_no_queries(clinic_db, server, monkeypatch, name):
    assert f"no such table: {name}" in refusal(clinic_db(name), kind=ClinicFileError)
    monkeypatch.setenv("CLINIC_DB", server.address())
    server.load(name, pa.table({name: ["1"], "Дата": ["2"], "Сумма, ₽": ["3"]}))
    opened = open_table(clinic_db(name), Path(), WHERE)
    assert opened.table.execute().to_dict("list") == {name: ["1"], "Дата": ["2"], "Сумма, ₽": ["3"]}
    opened.close()
    with server.connection() as connection:
        assert connection.execute("SELECT count(*) FROM payments").fetchone() == (2,)


KINDS = """CREATE DOMAIN money_of_ours AS numeric(12, 2);
CREATE TABLE kinds AS SELECT '{"a": 1}'::jsonb AS json, array[1, 2] AS array, interval '1 day' AS span,
time '10:00' AS time, '12.30'::money AS money, 1.50::money_of_ours AS domain, 'a'::char(5) AS padded,
1.5::numeric AS number, true AS bool, '2026-10-01 02:00+02'::timestamptz AS instant, 2::smallint AS small,
timestamp '2026-10-01 02:00:00.5' AS clock, date '0044-03-15 BC' AS before, timestamp 'infinity' AS never,
'NaN'::numeric AS nan, 1e30::numeric AS large, '-Infinity'::float8 AS far, '' AS blank, NULL::text AS nothing,
E'a,"b"\n;c' AS marks, NULL::numeric AS unknown, NULL::date AS no_day,
NULL::timestamptz AS no_instant"""


def test_types_of_postgresql(clinic_db, server, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_DB", server.address())
    with server.connection() as connection:
        connection.execute(KINDS)
    opened = open_table(clinic_db("kinds"), Path(), WHERE)
    there = opened.table.schema()
    here = worked_on(opened, tmp_path)
    assert {name: str(kind) for name, kind in here.schema().items()} == {
        name: str(kind) for name, kind in there.items()
    }
    assert there["instant"].timezone == "UTC"
    row = here.execute().iloc[0]
    texts = row[["json", "array", "span", "time", "padded", "blank", "marks"]].tolist()
    assert texts == ['{"a": 1}', "{1,2}", "1 day", "10:00:00", "a", "", 'a,"b"\n;c']
    assert row[["money", "domain", "number", "small"]].tolist() == [
        Decimal("12.30"),
        Decimal("1.50"),
        Decimal("1.5"),
        2,
    ]
    assert (row["instant"], row["clock"]) == (pd.Timestamp("2026-10-01 00:00Z"), pd.Timestamp("2026-10-01 02:00:00.5"))
    # Days that no calendar has stay outside of any clinic's.
    assert [row["before"].year, row["never"].year] == [1, 9999]
    assert np.isnan(row["nan"])
    assert row[["large", "far"]].tolist() == [Decimal(10**30), -np.inf]
    assert row[["nothing", "unknown", "no_day", "no_instant"]].isna().all()
    assert row["bool"] == np.True_


def test_a_missing_table_has_the_nearest_beside_it(clinic_db):
    assert "north.toml [transactions] table: no such table: paymnets. Is it «payments»?" in refusal(
        clinic_db("paymnets"), kind=ClinicFileError
    )


def test_a_missing_column_is_told_as_that_of_a_file(clinic_db, tmp_path):
    columns = SMALL_COLUMNS | {"amount": "Сума, ₽"}
    spec = part(connection_env="CLINIC_DB", table="payments", columns=columns)
    opened = open_table(spec, Path(), WHERE)
    with pytest.raises(ClinicFileError, match=r"payments.* «Сума, ₽»: no such column\. Is it «Сумма, ₽»\?"):
        read_export([InputTable(opened)], spec, tmp_path)
    opened.close()


def test_a_table_that_the_role_may_not_read(clinic_db):
    assert "private: the role may not read it. Grant it: GRANT SELECT" in refusal(
        clinic_db("private"), kind=SurroundingsError
    )


ADDRESSES = {
    "none": (None, "the environment variable CLINIC_DB is not set. Set CLINIC_DB to postgresql://user:password@host/"),
    "another database": (
        "mysql://me:s3cret@host/db",
        "no address of a database that rfmkit knows. Known are PostgreSQL",
    ),
    "nonsense": ("postgresql://me:s3cret@host:port/db", "the server does not answer. Check host and port in"),
    "an unknown setting": ("postgresql://me:s3cret@host/db?s3cret=1", "the address in CLINIC_DB cannot be read"),
    "nobody there": ("postgresql://me:s3cret@127.0.0.1:1/db", "the server does not answer. Check host and port in"),
    "another password": (
        "postgresql://reader:s3cret@/clinic?host={folder}",
        "the server does not let us in. Check user",
    ),
    "another role": ("postgresql://nobody:s3cret@/clinic?host={folder}", "the server does not let us in. Check user"),
    "another base": (
        "postgresql://reader:{password}@/s3cret?host={folder}",
        "the server does not let us in. Check user",
    ),
}


@pytest.mark.parametrize(("address", "said"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_an_address_is_never_told(clinic_db, server, monkeypatch, caplog, capfd, address, said):
    monkeypatch.delenv("CLINIC_DB")
    if address:
        password = "".join(f"%{ord(sign):02x}" for sign in PASSWORD)
        monkeypatch.setenv("CLINIC_DB", address.format(folder=server.folder, password=password))
    message = refusal(clinic_db(), kind=SurroundingsError)
    assert said in message
    seen = message + caplog.text + "".join(capfd.readouterr())
    assert "s3cret" not in seen
    assert PASSWORD not in seen


def test_the_password_stands_in_no_repr(clinic_db):
    opened = open_table(clinic_db(), Path(), WHERE)
    backend = opened.table.get_backend()
    shown = f"{opened!r} {opened.table!r} {backend!r} {backend.con!r} {vars(backend)!r} {opened.__dict__!r}"
    assert PASSWORD not in shown
    assert "%54" not in shown
    opened.close()


def test_only_what_may_pass_is_tried_again(server, clinic_db, monkeypatch):
    def tries_until(address):
        tried = []
        monkeypatch.setattr(databases.time, "sleep", tried.append)
        monkeypatch.setenv("CLINIC_DB", address)
        refusal(clinic_db(), kind=SurroundingsError)
        return 1 + len(tried)

    assert tries_until("postgresql://me:s3cret@127.0.0.1:1/db") == 3
    assert tries_until(f"postgresql://reader:s3cret@/clinic?host={server.folder}") == 1
    assert tries_until("mysql://host/db") == 1


def cut_off(server):
    """End every connection of the reader, as a restart does."""
    with server.connection() as connection:
        ended = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
        assert ended.fetchall()


def test_a_copy_is_whole_and_the_server_is_let_go(clinic_db, server, tmp_path):
    opened = open_table(clinic_db(), Path(), WHERE)
    table = worked_on(opened, tmp_path)
    assert table.order_by("Код").execute().to_dict("list") == SMALL.to_pydict()
    assert table_digest(opened) == opened.digest
    with server.connection() as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'").fetchone() == (0,)


def test_a_lost_connection_is_made_anew(clinic_db, server, tmp_path):
    opened = open_table(clinic_db(), Path(), WHERE)
    cut_off(server)
    assert worked_on(opened, tmp_path).count().execute() == 2


def test_a_table_that_changed_before_the_connection_was_made_anew_is_refused(clinic_db, server, tmp_path):
    server.load("moving", SMALL)
    with server.connection() as connection:
        connection.execute("GRANT SELECT ON moving TO reader")
        opened = open_table(clinic_db("moving"), Path(), WHERE)
        connection.execute("DELETE FROM moving WHERE \"Код\" = '7'")
    cut_off(server)
    with pytest.raises(ExportError, match=r"moving: changed while it was read\."):
        worked_on(opened, tmp_path)


def test_a_server_that_does_not_come_back_is_one_line(clinic_db, server, tmp_path, monkeypatch):
    opened = open_table(clinic_db(), Path(), WHERE)
    cut_off(server)
    monkeypatch.setenv("CLINIC_DB", "postgresql://me:s3cret@127.0.0.1:1/db")
    with pytest.raises(SurroundingsError) as lost:
        worked_on(opened, tmp_path)
    assert str(lost.value).startswith("north.toml [transactions] connection_env: the server does not answer.")
    assert "s3cret" not in str(lost.value)


def test_a_table_without_a_line(clinic_db, server, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_DB", server.address())
    server.load("empty", SMALL.slice(0, 0))
    assert worked_on(open_table(clinic_db("empty"), Path(), WHERE), tmp_path).execute().empty


def test_a_locked_table_is_waited_for_no_longer_than_it_must(clinic_db, server, monkeypatch):
    monkeypatch.setattr(reading, "_SESSION", reading._SESSION.replace("30s", "100ms"))
    with server.connection() as connection, connection.transaction():
        connection.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
        assert "payments: is locked by somebody else" in refusal(clinic_db(), kind=SurroundingsError)


def test_a_server_that_refuses_a_value_does_not_quote_it(clinic_db):
    opened = open_table(clinic_db(), Path(), WHERE)
    with pytest.raises(SurroundingsError) as refused, databases.answering(opened.name):
        opened.table.mutate(n=opened.table["Сумма, ₽"].cast("date")).execute()
    assert str(refused.value) == "payments: the server refused a query (SQLSTATE 22007)."
    opened.close()


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("duckdb") / "clinic.duckdb"
    write_duckdb(path, {"payments": SMALL, 'x"; DROP TABLE payments; --': SMALL})
    return path


def small_file(path, **keys):
    return part(**{"source": path.name, "table": "payments", "columns": SMALL_COLUMNS, **keys})


def test_a_table_of_a_duckdb_file_is_only_read(duckdb_file):
    before = duckdb_file.read_bytes()
    opened = open_table(small_file(duckdb_file), duckdb_file.parent, WHERE)
    assert opened.name == "clinic.duckdb payments"
    assert opened.table.count().execute() == 2
    with pytest.raises(Exception, match="read-only"):
        opened.table.get_backend().raw_sql("DROP TABLE source.payments")
    assert table_digest(opened) == opened.digest
    opened.close()
    assert [path.name for path in duckdb_file.parent.iterdir()] == ["clinic.duckdb"]
    assert duckdb_file.read_bytes() == before


def test_two_tables_of_a_duckdb_file_at_once(tmp_path):
    folder = tmp_path / "Anna's"
    folder.mkdir()
    write_duckdb(folder / "clinic.duckdb", {"payments": SMALL, "people": SMALL.slice(1)})
    both = [
        open_table(small_file(folder / "clinic.duckdb", table=name), folder, WHERE) for name in ("payments", "people")
    ]
    assert [opened.table.count().execute() for opened in both] == [2, 1]
    for opened in both:
        opened.close()


def test_names_in_a_duckdb_file_are_names(duckdb_file):
    name = 'x"; DROP TABLE payments; --'
    opened = open_table(small_file(duckdb_file, table=name), duckdb_file.parent, WHERE)
    assert opened.table.count().execute() == 2
    opened.close()
    said = refusal(small_file(duckdb_file, table="x'; DROP TABLE payments; --"), duckdb_file.parent, ClinicFileError)
    assert "no such table" in said


def test_a_view_of_a_duckdb_file_is_refused_because_it_may_read_other_files(tmp_path):
    import duckdb

    write_duckdb(tmp_path / "clinic.db", {"payments": SMALL})
    with duckdb.connect(str(tmp_path / "clinic.db")) as connection:
        connection.execute("CREATE VIEW seen AS SELECT * FROM read_csv('/etc/passwd', delim=':', header=false)")
    assert "no such table: seen" in refusal(small_file(tmp_path / "clinic.db", table="seen"), tmp_path, ClinicFileError)


def damaged(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    match how:
        case "cut":
            content = content[: len(content) // 2]
        case "no header":
            content[4096:] = bytes(len(content) - 4096)
        case "text":
            content = bytearray(b"id;date;amount\n1;2026-10-01;5\n" * 100)
        case "a page":
            content[3 * 4096 + 8 : 3 * 4096 + 4000] = bytes(3992)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "said"),
    [("cut", "damaged"), ("no header", "damaged"), ("text", "no DuckDB database"), ("a page", "damaged")],
)
def test_damaged_duckdb_files_end_as_one_error(tmp_path, how, said):
    many = pa.table({name: [f"{n * 7919}" for n in range(50_000)] for name in SMALL.column_names})
    write_duckdb(tmp_path / "clinic.duckdb", {"payments": many})
    damaged(tmp_path / "clinic.duckdb", how)

    def read():
        with databases.answering("clinic.duckdb"):
            open_table(small_file(tmp_path / "clinic.duckdb"), tmp_path, WHERE).table.execute()

    with pytest.raises(ExportError, match=f"clinic.duckdb.*{said}"):
        read()


def test_a_duckdb_file_that_is_not_there_or_names_no_table(duckdb_file):
    missing = small_file(Path("other.duckdb"))
    assert "source: no such file" in refusal(missing, duckdb_file.parent, ClinicFileError)
    assert "table is missing" in refusal(small_file(duckdb_file, table=None), duckdb_file.parent, ClinicFileError)


def test_a_duckdb_file_that_another_program_writes_to(duckdb_file, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_WAITS", (0.0, 0.0))
    shutil.copy(duckdb_file, tmp_path)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "clinic.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "open\n"
        assert "is open for writing in another program" in refusal(small_file(duckdb_file), tmp_path, SurroundingsError)
        writer.stdin.close()
    open_table(small_file(duckdb_file), tmp_path, WHERE).close()


def test_which_parts_name_a_table():
    assert names_table(part(source="x.duckdb", table="t"))
    assert names_table(part(connection_env="A", table="t"))
    assert names_table(part(engine="spark", table="t"))
    assert not names_table(part(source="x.csv"))


# Spark


def of_spark(**keys):
    return part(engine="spark", columns=SMALL_COLUMNS, **keys)


@pytest.fixture(scope="module")
def chain(spark, tmp_path_factory):  # noqa: F811
    """A folder of monthly Parquet files, and a table of the catalog."""
    folder = tmp_path_factory.mktemp("a chain [1]")
    for month in ("2026-09", "2026-10"):
        (folder / f"month={month}").mkdir()
        write_parquet(folder / f"month={month}" / "part.parquet", SMALL)
    spark.createDataFrame(SMALL.to_pandas()).write.mode("overwrite").saveAsTable("payments")
    return folder


@pytest.mark.parametrize(("source", "count"), [("month=*/*.parquet", 4), ("", 4), ("month=2026-10/part.parquet", 2)])
def test_parquet_where_spark_can_read_it(chain, source, count):
    sources = [
        source or ".",
        str(chain).replace("[", "\\[") + "/" + source,
        f"file://{chain}/{source}".replace("[", "\\["),
    ]
    digests = set()
    for one in sources:
        opened = open_table(of_spark(source=one), chain, WHERE)
        assert opened.table.count().execute() == count
        assert table_digest(opened) == opened.digest
        digests.add(opened.digest)
        opened.close()
    assert len(digests) == 1


def test_a_table_of_sparks_catalog(chain):
    for name in ("payments", "default.payments", "spark_catalog.default.payments"):
        opened = open_table(of_spark(table=name), chain, WHERE)
        assert opened.name == name
        assert sorted(opened.table.execute()["Код"]) == ["7", "8"]
        opened.close()


@pytest.mark.parametrize(
    "name", ["paymnets", "x`; DROP TABLE payments", f"csv.`{__file__}`", "no.such.thing.here", "a..b"]
)
def test_names_in_sparks_catalog_are_names(chain, name):
    said = refusal(of_spark(table=name), chain, ClinicFileError)
    assert f"no such table: {name}" in said
    assert ("«payments»" in said) == (name == "paymnets")


@pytest.mark.parametrize("source", ["x.csv", "x.CSV.gz", "s3a://bucket/x.xlsx", "data/*.txt"])
def test_spark_reads_no_text(chain, source):
    said = refusal(of_spark(source=source), chain, ClinicFileError)
    assert "replaces what it cannot read, and says nothing. Write the file as Parquet once" in said


SPARKS = {
    "no such file": ({"source": "other.parquet"}, "source: no such file", ClinicFileError),
    "no such file by a pattern": ({"source": "other-*.parquet"}, "source: no such file", ClinicFileError),
    "text under another name": ({"source": "text.parquet"}, "text.parquet: is no Parquet", ExportError),
    "an empty folder": ({"source": "nothing"}, "nothing: is no Parquet, or holds no file", ExportError),
    "cut": ({"source": "cut.parquet"}, "cut.parquet: is no Parquet", ExportError),
    "two places": ({"source": "x.parquet", "table": "t"}, "source and table name two places", ClinicFileError),
    "no library": (
        {"source": "s3a://key:s3cret@bucket/x.parquet"},
        "x.parquet: Spark stopped (Class",
        SurroundingsError,
    ),
    "an unknown scheme": ({"source": "nowhere://s3cret/x.parquet"}, "x.parquet: Spark stopped (", SurroundingsError),
}


@pytest.mark.parametrize(("keys", "said", "kind"), SPARKS.values(), ids=SPARKS.keys())
def test_what_spark_cannot_read_is_one_line(chain, tmp_path, keys, said, kind):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "text.parquet").write_text("id,date,amount\n" * 50)
    whole = (chain / "month=2026-09" / "part.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    message = refusal(of_spark(**keys), tmp_path, kind)
    assert said in message
    assert "s3cret" not in message


def test_a_damaged_page_of_parquet_on_spark(chain, tmp_path):
    many = pa.table({name: [f"{n}" for n in range(5000)] for name in SMALL.column_names})
    write_parquet(tmp_path / "x.parquet", many)
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    content[200:2000] = bytes(1800)
    (tmp_path / "x.parquet").write_bytes(content)
    assert "x.parquet: " in refusal(of_spark(source="x.parquet"), tmp_path, ExportError)


def test_headings_that_differ_in_case_are_two_on_spark(chain, tmp_path):
    table = pa.table({"id": ["1"], "ID": ["2"], "a`b": ["3"], "x.y": ["4"]})
    write_parquet(tmp_path / "x.parquet", table)
    opened = open_table(of_spark(source="x.parquet"), tmp_path, WHERE)
    assert opened.table.execute().to_dict("list") == table.to_pydict()
    opened.close()


def test_types_of_spark(chain, spark, tmp_path):  # noqa: F811
    spark.sql(
        "SELECT map('a', 1) AS m, array(1) AS a, named_struct('x', 1) AS s, CAST('abc' AS BINARY) AS b, 1.5BD AS d,"
        " TIMESTAMP_NTZ '2026-10-01 02:00:00' AS clock, TIMESTAMP '2026-10-01 02:00:00Z' AS instant, 1S AS small"
    ).write.mode("overwrite").parquet(str(tmp_path / "x"))
    opened = open_table(of_spark(source="x"), tmp_path, WHERE)
    schema = opened.table.schema()
    assert {name for name, kind in schema.items() if kind.is_string()} == {"m", "a", "s", "b"}
    assert (schema["instant"].timezone, schema["clock"].timezone) == ("UTC", None)
    row = opened.table.execute().iloc[0]
    assert row[["m", "a", "s", "b", "d", "small"]].tolist() == ["{a -> 1}", "[1]", "{1}", "abc", Decimal("1.5"), 1]
    opened.close()


def test_what_spark_failed_on_is_told_nowhere(chain, capfd, recwarn):
    opened = open_table(of_spark(table="payments"), chain, WHERE)
    with pytest.raises(SurroundingsError) as refused, databases.answering(opened.name):
        opened.table.mutate(day=opened.table["Сумма, ₽"].cast("date")).execute()
    said = str(refused.value) + "".join(capfd.readouterr()) + "".join(str(one.message) for one in recwarn)
    assert said.startswith("payments: Spark stopped (CAST_INVALID_INPUT).")
    assert "5.00" not in said
    assert "6.50" not in said
    opened.close()


def test_a_changed_table_of_spark_has_another_digest(chain, tmp_path):
    digests = []
    for table in (SMALL, SMALL.slice(0, 1), pa.concat_tables([SMALL.slice(1, 1), SMALL.slice(0, 1)])):
        write_parquet(tmp_path / "x.parquet", table)
        opened = open_table(of_spark(source="x.parquet"), tmp_path, WHERE)
        digests.append(opened.digest)
        opened.close()
    # The order of lines is none of a table's.
    assert digests[0] == digests[2] != digests[1]


def run_apart(tmp_path, code: str, **environment) -> str:
    """What a process says that has no session of Spark yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK", "JAVA"))}
    script = "from pathlib import Path\nfrom test_engines import of_spark, open_table\n" + code
    command = [sys.executable, "-c", script]
    clean |= {"PYTHONPATH": str(Path(__file__).parent), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=clean, cwd=tmp_path, timeout=120).stderr


OPEN = "open_table(of_spark(table='t'), Path(), 'c.toml [transactions]')"
HIDDEN = "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda name: name != 'pyspark' and f(name)\n"
ABSENT = {
    "no Spark": (HIDDEN + OPEN, {}, 'Spark is not installed. Install it: pip install "rfmkit[spark]".'),
    "no Java": (OPEN, {"PATH": "/nonexistent"}, "Java is not installed. Spark needs Java 17 or later: install it"),
    "another Java": (OPEN, {"JAVA_HOME": "/nonexistent"}, "Java did not start. Spark needs Java 17 or later"),
}


@pytest.mark.parametrize(("code", "environment", "said"), ABSENT.values(), ids=ABSENT.keys())
def test_what_spark_needs_is_told_where_it_is_missing(chain, tmp_path, code, environment, said):
    assert said in run_apart(tmp_path, code, **environment)


# Lines as a clinic has them, with everything that may be wrong with them


def lines(seed: int = 1, count: int = 1500) -> pd.DataFrame:
    """Lines of text, generated: sales, refunds with and without their sale, copies, late lines, few faults."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"{n:04}" for n in range(180)] + ["Код-7", "код-7", "病人甲", "a", "B", "é", "𝒳1", "я", "Ё"])
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 1050, count), "D")
    cents = rng.integers(0, 900_000, count) * (rng.random(count) > 0.1)
    frame = pd.DataFrame(
        {
            "Код": rng.choice(ids, count),
            "Дата": pd.Series(days).dt.strftime("%d.%m.%Y"),
            "Сумма, ₽": pd.Series([f"{cent / 100:.2f}".replace(".", ",") for cent in cents]),
            "Чек": np.where(rng.random(count) < 0.1, None, rng.integers(1, 3 * count, count).astype(str)),
            "Вид": rng.choice(["лечение", "гигиена", " осмотр ", ""], count),
            "Скидка": rng.choice(["", "0", "12,50", "(3,00)"], count),
            "Кол-во": rng.choice(["1", "2", "0,333", ""], count),
            "Заметка": rng.choice(["", "x;y", 'в "кавычках"', "две\nстроки"], count),
        }
    )
    day_of = pd.to_datetime(frame["Дата"], format="%d.%m.%Y")
    back = frame[day_of < "2026-08-01"].sample(60, random_state=seed).copy()
    later = pd.to_datetime(back["Дата"], format="%d.%m.%Y") + pd.to_timedelta(rng.integers(0, 60, len(back)), "D")
    back["Дата"], back["Сумма, ₽"] = later.dt.strftime("%d.%m.%Y"), "-" + back["Сумма, ₽"]
    back.loc[back.index[:20], "Чек"] = [f"R{n}" for n in range(20)]
    copies = frame[frame["Чек"].notna()].sample(25, random_state=seed)
    frame = pd.concat([frame, back, copies, copies.head(5)], ignore_index=True)
    amount, date = frame.columns.get_loc("Сумма, ₽"), frame.columns.get_loc("Дата")
    written = [
        "1 234,50", "1\u00a0234,50 ₽", "1'234,50", "１２３，４５", "(500,00)", "500-", " 7 ", "+3,10", "0,1000",
        "12 руб.", "1.234,50", "−15,00",
    ]  # fmt: skip
    for row, text in zip(range(100, 100 + len(written)), written, strict=True):
        frame.iloc[row, amount] = text
    for row, text in zip(range(200, 206), ["free", "", "1,125", "12,3 45", "$5", "1e5"], strict=True):
        frame.iloc[row, amount] = text
    for row, text in zip(range(300, 306), ["31.02.2026", "", "1.1", "01.01.0001", "30.11.2026", "x"], strict=True):
        frame.iloc[row, date] = text
    frame.iloc[310, date] = "7.3.2026 10:15"
    frame.iloc[320, frame.columns.get_loc("Код")] = "TEST-1"
    frame.iloc[330] = ["Итого", None, "1500,00", None, None, None, None, None]
    return frame


def typed(frame: pd.DataFrame) -> pa.Table:
    """The lines that can be read, with the types of a database."""
    days = pd.to_datetime(frame["Дата"], format="%d.%m.%Y", errors="coerce")
    digits = frame["Сумма, ₽"].str.replace(",", ".")
    good = days.notna() & digits.str.fullmatch(r"-?[0-9]+([.][0-9]{1,2})?").fillna(False)
    frame = frame[good]
    return pa.table(
        {
            "Код": pa.array(frame["Код"], pa.string()),
            "Дата": pa.array(days[good].dt.date, pa.date32()),
            "Сумма, ₽": pa.array([Decimal(one) for one in digits[good]], pa.decimal128(18, 2)),
            "Чек": pa.array(pd.to_numeric(frame["Чек"], errors="coerce").astype("Int64"), pa.int64()),
            "Вид": pa.array(frame["Вид"], pa.string()),
            "Скидка": pa.array([2.5] * len(frame), pa.float64()),
            "Кол-во": pa.array([1] * len(frame), pa.int64()),
            "Заметка": pa.array(frame["Заметка"], pa.string()),
        }
    )


TEXT = pa.schema([(heading, pa.string()) for heading in lines()])
TABLES = {"lines_as_text": pa.Table.from_pandas(lines(), TEXT, preserve_index=False), "typed_lines": typed(lines())}
WRITTEN = {
    "lines_as_text": {"decimal": ",", "date_format": "%d.%m.%Y", "test_patients": ["TEST*"]},
    "typed_lines": {},
}


def of_visits(visits, refunds) -> dict:
    """What the room of data and the loyalty functions make of visits."""
    year = Period.trailing(AS_OF, 12)
    order = ["patient_id", "visit_date"]
    return {
        "visits": visits.order_by(order).execute(),
        "refunds": refunds.order_by(order).execute(),
        "rfm": rfm_table(visits, AS_OF, 24, refunds=refunds),
        "btyd": btyd_summary(visits, AS_OF),
        "holdout": calibration_holdout(visits, dt.date(2025, 10, 31), AS_OF),
        "rpr": loyalty.repeat_purchase_rate(visits, year),
        "aov": loyalty.average_order_value(visits, year),
        "crr": loyalty.customer_retention_rate(visits, year, 12),
        "month": loyalty.period_figures(visits, refunds, Period.trailing(AS_OF, 1)),
        "history": loyalty.loyalty_history(visits, refunds, AS_OF, period_months=12, active_months=12, months=3),
    }


def everything(opened, spec, scratch) -> dict:
    """All that is made of a table: what becomes of its lines, visits, patients, rates."""
    source = InputTable(replace(opened, table=worked_on(opened, scratch), copy=None))
    checked = check_lines(read_export([source], spec, scratch), spec, AS_OF, TODAY, currency="RUB")
    kept = checked.kept
    order = ["patient_id", "visit_date", "amount", "receipt_id", "category", "quantity"]
    sales = sales_of(kept)
    patients = pd.Index(sorted(kept.select("patient_id").distinct().execute()["patient_id"]), dtype="str")
    sold = computed(numbered(sales, {"patient_id": patients} | names_in(sales)))
    traits = computed(traits_of(sold)).execute()
    return {
        # Lines of tables have no number, and each engine's nothing is of another type.
        "kept": kept.drop("_file", "_row").order_by(order).execute(),
        "rows": checked.rows,
        "rejects": checked.rejects.drop(columns=["file", "row"]),
        "problems": [str(problem).replace(opened.name, "…") for problem in checked.problems],
        "depends_on_today": checked.depends_on_today,
        "sales": sorted(map(str, sold.execute().astype("string").to_dict("records"))),
        "traits": sorted(map(str, traits.astype("string").to_dict("records"))),
        **of_visits(computed(visits_from(kept)), computed(refunds_from(kept))),
    }


def assert_same(found: dict, expected: dict) -> None:
    """Equal to the last digit, in order and in types."""
    for name, value in found.items():
        if isinstance(value, pd.DataFrame):
            assert_frame_equal(value, expected[name], check_exact=True, obj=name)
        else:
            assert value == expected[name], name


@pytest.fixture(scope="session")
def by_duckdb(tmp_path_factory):
    """What DuckDB makes of each table."""
    folder = tmp_path_factory.mktemp("duckdb")
    write_duckdb(folder / "clinic.duckdb", TABLES)
    made = {}
    for table in TABLES:
        spec = part(source="clinic.duckdb", table=table, **WRITTEN[table])
        opened = open_table(spec, folder, WHERE)
        made[table] = everything(opened, spec, folder)
        opened.close()
    return made


@pytest.fixture(scope="session", params=["postgres", "spark"])
def by_another(request, tmp_path_factory):
    """What another engine makes of each table."""
    engine = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    made = {}
    for table, content in TABLES.items():
        if request.param == "postgres":
            engine.load(table, content)
            spec = part(connection_env="RFMKIT_TEST_DB", table=table, **WRITTEN[table])
        else:
            write_parquet(folder / f"{table}.parquet", content)
            spec = part(engine="spark", source=f"{table}.parquet", **WRITTEN[table])
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "postgres":
                patch.setenv("RFMKIT_TEST_DB", engine.address())
            opened = open_table(spec, folder, WHERE)
            made[table] = everything(opened, spec, folder)
            assert table_digest(opened) == opened.digest
            opened.close()
    return made


@pytest.mark.parametrize("table", TABLES)
def test_engines_give_identical_tables(by_duckdb, by_another, table):
    assert by_another[table].keys() == by_duckdb[table].keys()
    assert_same(by_another[table], by_duckdb[table])


def test_postgresql_works_visits_and_patients_out_itself(by_duckdb, clinic_db, server, monkeypatch):
    kept = by_duckdb["lines_as_text"]["kept"][["patient_id", "visit_date", "amount", "receipt_id"]]
    kinds = [pa.string(), pa.date32(), pa.decimal128(18, 2), pa.string()]
    monkeypatch.setenv("CLINIC_DB", server.address())
    schema = pa.schema(list(zip(kept, kinds, strict=True)))
    server.load("kept", pa.Table.from_pandas(kept, schema, preserve_index=False))
    opened = open_table(clinic_db("kept"), Path(), WHERE)
    found = of_visits(visits_from(opened.table), refunds_from(opened.table))
    opened.close()
    assert_same(found, by_duckdb["lines_as_text"])


@pytest.fixture(scope="module")
def every_interval():
    """Patients who came twice, after 1, 2, 3 … days: up to all days from 1900 to 2027."""
    days = np.arange(1, 46_500)
    first = np.full(len(days), np.datetime64("1900-01-01"))
    return pa.table(
        {
            "patient_id": pa.array([f"{day:05}" for day in days] * 2),
            "visit_date": pa.array(np.concatenate([first, first + days])),
            "amount": pa.array([Decimal("1.00")] * 2 * len(days), pa.decimal128(18, 2)),
        }
    )


@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_the_inputs_of_models_do_not_show_whose_logarithm_it_was(engine, every_interval, request, tmp_path):
    """Each engine has a mathematical library of its own, and they differ in a number's last digit."""
    write_parquet(tmp_path / "visits.parquet", every_interval)
    if engine == "spark":
        request.getfixturevalue(engine)
        opened = open_table(of_spark(source="visits.parquet"), tmp_path, WHERE)
    else:
        server, of = request.getfixturevalue("server"), request.getfixturevalue("clinic_db")
        request.getfixturevalue("monkeypatch").setenv("CLINIC_DB", server.address())
        server.load("visits", every_interval)
        opened = open_table(of("visits"), tmp_path, WHERE)
    found = btyd_summary(opened.table, AS_OF)
    opened.close()
    assert_frame_equal(found, btyd_summary(tmp_path / "visits.parquet", AS_OF), check_exact=True)


SUBMITTED = """
import subprocess, sys
from test_engines import Path, of_spark, open_table
opened = open_table(of_spark(source="x.parquet"), Path(), "c.toml [transactions]")
print(opened.table.get_backend()._session.sparkContext.applicationId, opened.table.count().execute())
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "a notebook"], check=True)
"""


def test_under_spark_submit_notebooks_use_the_one_application(chain, tmp_path):
    import pyspark

    write_parquet(tmp_path / "x.parquet", SMALL)
    (tmp_path / "run.py").write_text(SUBMITTED)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK"))}
    clean |= {"PYTHONPATH": str(Path(__file__).parent), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    submit = [Path(pyspark.__file__).parent / "bin" / "spark-submit", "--master", "local[1]", "run.py"]
    told = subprocess.run(
        submit, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    parent, notebook = told.splitlines()
    assert parent == notebook
    assert parent.endswith(" 2")
