"""A table of a real PostgreSQL: opened to be read alone, copied whole or refused in one line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import open_one
from engines import PASSWORD, SMALL, SMALL_COLUMNS, WHERE, part, refusal

from rfmkit.data import databases
from rfmkit.data import postgres as reading
from rfmkit.data.databases import open_table, table_digest, worked_on
from rfmkit.data.inputs import InputTable
from rfmkit.data.sources import read_export
from rfmkit.errors import ClinicFileError, ExportError, SurroundingsError

# One server and one session serve all of these, in one process.
pytestmark = pytest.mark.xdist_group("engines")


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
