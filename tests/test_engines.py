"""DuckDB, a real PostgreSQL and a real Spark make identical tables of the same lines."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import TODAY
from engines import WHERE, of_spark, part, write_duckdb, write_parquet
from pandas.testing import assert_frame_equal

from rfmkit import btyd_summary, calibration_holdout, refunds_from, rfm_table, visits_from
from rfmkit.analysis import loyalty
from rfmkit.analysis.traits import traits_of
from rfmkit.data.bought import names_in, sales_of
from rfmkit.data.checks import check_lines
from rfmkit.data.databases import open_table, table_digest, worked_on
from rfmkit.data.engines import computed
from rfmkit.data.inputs import InputTable
from rfmkit.data.sources import read_export
from rfmkit.period import Period
from rfmkit.rows import numbered

# One server and one session serve all of these, in one process.
pytestmark = pytest.mark.xdist_group("engines")

AS_OF = dt.date(2026, 10, 31)


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
