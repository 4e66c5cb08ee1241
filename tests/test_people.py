"""Patients are read as clinics write them: sexes, days, consents and lines, or why a cell says nothing."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from conftest import TODAY, open_one
from engines import write_duckdb, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from rfmkit.clinic import Patients
from rfmkit.data.databases import open_table
from rfmkit.data.inputs import InputTable, input_files
from rfmkit.data.origin import REJECT_COLUMNS, Export
from rfmkit.data.people import read_people
from rfmkit.data.sources import read_export
from rfmkit.errors import ClinicFileError, ExportError

HEADINGS = {
    "patient_id": "Код",
    "name": "ФИО",
    "phone": "Телефон",
    "email": "E-mail",
    "sex": "Пол",
    "birth_date": "Дата рождения",
    "opted_out": "Отказ от рассылок",
    "consent_sms": "Согласие на SMS",
    "consent_source": "Источник",
}


@pytest.fixture
def read(tmp_path):
    """Read the patients of a file whose lines are given as dicts, by rfmkit's names."""

    def read(lines, country="RU", columns=HEADINGS, today=TODAY, **keys):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=";", lineterminator="\n")
        writer.writerow(dict.fromkeys(columns.values()))
        writer.writerows([{columns[name]: line.get(name, "") for name in columns}.values() for line in lines])
        (tmp_path / "p.csv").write_text(text.getvalue(), encoding="utf-8")
        (tmp_path / "cells").mkdir(exist_ok=True)
        keys = {"source": "p.csv", "delimiter": ";", "date_format": "%d.%m.%Y", "columns": columns} | keys
        spec = Patients(**keys)
        export = read_export(input_files("p.csv", tmp_path, "c.toml [patients] source"), spec, tmp_path / "cells")
        return read_people(export, spec, country, today)

    return read


def told(people) -> set[tuple]:
    """What a run tells: heading, check, what was done, how many."""
    return {
        (
            re.search("«(.*)»", problem.where)[1] if "«" in problem.where else "",
            problem.check,
            problem.done,
            problem.count,
        )
        for problem in people.problems
    }


# Sexes, days, consents


def test_sexes_in_words_and_letters(read):
    cells = ["Ж", "жен.", "женский", "Female", "f", "女", "М", "муж", "Мужской", "Male", "M", "男"]
    people = read([{"patient_id": f"{n:02}", "sex": cell} for n, cell in enumerate(cells)])
    assert people.people["sex"].tolist() == ["female"] * 6 + ["male"] * 6
    assert told(people) == set()


def test_numbers_say_no_sex(read):
    cells = ["1", "2", "0", "", "не указан", "unknown", "х"]
    people = read([{"patient_id": f"{n}", "sex": cell} for n, cell in enumerate(cells)])
    assert people.people["sex"].isna().all()
    assert told(people) == {("Пол", "unreadable_sexes", "left_out", 4)}


def test_days_that_cannot_be(read):
    cells = ["31.12.1980", "31.02.1980", "01.01.1899", "22.11.2026", "", "01.01.0001 0:00:00", "30.12.1899"]
    people = read([{"patient_id": f"{n}", "birth_date": cell} for n, cell in enumerate(cells)])
    assert people.people["birth_date"].dropna().tolist() == [pd.Timestamp("1980-12-31")]
    reasons = people.rejects.set_index("row")["reason"].to_dict()
    # What a database writes for no day (0001, 1899-12-30) is no fault.
    assert reasons == {3: "not a date", 4: "before 1900", 5: "after today"}
    assert {check for _, check, _, _ in told(people)} == {"unreadable_dates"}


def test_without_a_declared_format_the_one_order_that_fits_all_columns_is_taken(read):
    lines = [
        {"patient_id": "1", "birth_date": "01.12.1980", "consent_sms": "да"},
        {"patient_id": "2", "opted_out": "0"},
    ]
    # The birth date alone can be read in two ways; a consent given on a 31st tells which.
    people = read([*lines, {"patient_id": "3", "consent_sms": "31.10.2025"}], date_format=None).people
    assert people["birth_date"][0] == pd.Timestamp("1980-12-01")
    assert people["consent_sms_date"][2] == pd.Timestamp("2025-10-31")
    with pytest.raises(ClinicFileError, match=r"p\.csv:2 «Дата рождения»: two readings are possible: ##\.##\.####"):
        read(lines, date_format=None)
    del lines[0]["birth_date"]
    assert read(lines, date_format=None).people["consent_sms"].tolist() == [True, False]


YESTERDAY, TOMORROW = (f"{TODAY + dt.timedelta(days=days):%d.%m.%Y}" for days in (-1, 1))
#: A cell: whether it gives consent, whether it opts out, and why it cannot be read as the one and the other.
ANSWERS = {
    "": (False, False, None, None),
    "да": (True, True, None, None),
    "Да ": (True, True, None, None),
    "YES": (True, True, None, None),
    "true": (True, True, None, None),
    "1": (True, True, None, None),
    "1.0": (True, True, None, None),
    "是": (True, True, None, None),
    "нет": (False, False, None, None),
    "No": (False, False, None, None),
    "0": (False, False, None, None),
    "FALSE": (False, False, None, None),
    "否": (False, False, None, None),
    "-": (False, False, None, None),
    "同意": (True, True, None, "neither yes, no nor a day"),
    "отказ": (False, True, None, None),
    YESTERDAY: (True, True, None, None),
    TOMORROW: (False, True, "after today", None),
    "01.01.0001 0:00:00": (False, False, None, None),
    "12.12.1812": (False, True, "before 1900", "before 1900"),
    "31.02.2024": (False, True, "neither yes, no nor a day", "neither yes, no nor a day"),
    "может быть": (False, True, "neither yes, no nor a day", "neither yes, no nor a day"),
    "x": (False, True, "neither yes, no nor a day", "neither yes, no nor a day"),
}


def test_what_cannot_be_read_never_lets_anybody_be_contacted(read):
    people = read([{"patient_id": f"{n:02}", "opted_out": cell, "consent_sms": cell} for n, cell in enumerate(ANSWERS)])
    reasons = people.rejects.set_index(["row", "column"])["reason"]
    for n, (cell, (consents, opts_out, *expected)) in enumerate(ANSWERS.items()):
        row = people.people.iloc[n]
        assert (row["consent_sms"], row["opted_out"]) == (consents, opts_out), cell
        headings = ("Согласие на SMS", "Отказ от рассылок")
        assert [reasons.get((n + 2, heading)) for heading in headings] == expected, cell
        day = pd.Timestamp(TODAY) - pd.Timedelta(days=1)
        assert row["consent_sms_date"] == day if cell == YESTERDAY else pd.isna(row["consent_sms_date"]), cell
    assert {check for _, check, _, _ in told(people)} == {"unreadable_consents"}


def test_one_heading_for_several_consents_is_told_once(read):
    columns = HEADINGS | {"consent_email": HEADINGS["consent_sms"], "consent_phone": HEADINGS["consent_sms"]}
    people = read(
        [{"patient_id": "1", "consent_phone": "?!"}, {"patient_id": "2", "consent_phone": "да"}], columns=columns
    )
    assert people.people[["consent_sms", "consent_email", "consent_phone"]].to_numpy().tolist() == [
        [False] * 3,
        [True] * 3,
    ]
    assert told(people) == {("Согласие на SMS", "unreadable_consents", "left_out", 1)}
    assert len(people.rejects) == 1


# Lines


def test_names_are_one_writing(read):
    names = ["  Иванова \u00a0Анна\tПетровна ", "И\u0306о\u200bсиф", "\u202eEvil\u202c", " "]
    people = read([{"patient_id": f"{n}", "name": name} for n, name in enumerate(names)])
    assert people.people["name"].fillna("").tolist() == ["Иванова Анна Петровна", "Йосиф", "Evil", ""]


def test_only_mapped_columns_are_there(read):
    people = read([{"patient_id": "1"}], columns={"patient_id": "id"})
    assert people.people.columns.tolist() == ["patient_id", "_file", "_row"]
    assert people.problems == []


def test_a_line_said_twice_is_one(read):
    line = {"patient_id": "7", "name": "Анна", "phone": "8 916 123-45-67", "consent_sms": "да"}
    again = {"patient_id": "7", "name": " Анна", "phone": "+79161234567", "consent_sms": "ДА"}
    people = read([line, again, line])
    assert len(people.people) == 1
    assert bool(people.people["consent_sms"][0])
    assert told(people) == {("", "copies", "dropped", 2)}
    assert not len(people.rejects)


def test_lines_that_differ_are_joined_on_the_safe_side(read):
    people = read(
        [
            {
                "patient_id": "7",
                "name": "Анна",
                "phone": "8 916 123-45-67",
                "consent_sms": "01.02.2024",
                "opted_out": "да",
            },
            {"patient_id": "8", "phone": "8 916 000-00-00", "consent_sms": "01.02.2024"},
            {"patient_id": "7", "phone": "8 903 765-43-21", "consent_sms": "01.03.2024", "sex": "ж"},
            {"patient_id": "8", "phone": "12", "consent_sms": "нет"},
            {"patient_id": "7", "consent_sms": "да"},
        ]
    )
    seven, eight = people.people.iloc[0], people.people.iloc[1]
    # The last line that states a fact is believed; consent needs all lines, and is as old as the latest day given.
    assert (seven["name"], seven["phone"], seven["sex"]) == ("Анна", "+79037654321", "female")
    assert (seven["consent_sms"], seven["consent_sms_date"]) == (True, pd.Timestamp("2024-03-01"))
    assert seven["opted_out"]
    # A number that cannot be read replaces the old one, which may be another's by now.
    assert pd.isna(eight["phone"])
    assert eight["phone_fault"] == "too_short"
    assert not eight["consent_sms"]
    assert pd.isna(eight["consent_sms_date"])
    assert told(people) == {
        ("Телефон", "conflicting_lines", "joined", 2),  # row 2 against 4, row 3 against 5
        ("Согласие на SMS", "conflicting_lines", "joined", 1),  # row 3
        ("Отказ от рассылок", "conflicting_lines", "joined", 2),  # rows 4 and 6
        ("Телефон", "invalid_phones", "left_out", 1),
    }
    assert people.rejects["row"].tolist() == sorted(people.rejects["row"])
    first = people.rejects.iloc[0]
    assert (first["file"], first["row"], first["column"]) == ("p.csv", 2, "Телефон")
    assert first["line"] == "7;Анна;8 916 123-45-67;;;;да;01.02.2024;"


def test_a_line_without_an_id_stops_the_run(read):
    with pytest.raises(ExportError) as refused:
        read([{"patient_id": "1"}, {"name": "Анна", "phone": "1"}, {"name": "Ева", "phone": "2"}])
    problem = refused.value.problems[0]
    assert (problem.where, problem.what, problem.count) == ("p.csv:3 «Код»", "empty", 2)


def test_totals_headings_and_blank_lines_are_no_patients(read):
    blank, total, label = {"name": " ", "phone": " "}, {"name": "Итого: 2"}, {"patient_id": "Всего", "phone": "2"}
    people = read([{"patient_id": "1"}, blank, total, label, HEADINGS, {"name": "Филиал 2"}])
    assert people.people["patient_id"].tolist() == ["1"]
    assert told(people) == {("", "totals", "left_out", 2), ("", "titles", "left_out", 2)}
    assert people.rejects["row"].tolist() == [4, 5, 6, 7]


def test_a_file_without_a_patient(read):
    people = read([{"name": "Итого: 0"}])
    assert not len(people.people)
    assert people.people.columns.tolist()[:4] == ["patient_id", "name", "phone", "phone_kind"]
    assert told(people) == {("", "totals", "left_out", 1)}


def test_broken_lines_are_told_with_the_others(read, tmp_path):
    people = read([{"patient_id": f"{n}"} for n in range(300)])
    with (tmp_path / "p.csv").open("a", encoding="utf-8") as stream:
        stream.write("one;two\n")
    spec = Patients(source="p.csv", delimiter=";", date_format="%d.%m.%Y", columns=HEADINGS)
    files = input_files("p.csv", tmp_path, "c.toml [patients] source")
    again = read_people(read_export(files, spec, tmp_path / "cells"), spec, "RU", None)
    assert_frame_equal(again.people, people.people)
    assert told(again) == {("", "broken_lines", "rejected", 1)}
    assert again.rejects["row"].tolist() == [302]
    (tmp_path / "p.csv").write_text(";".join(HEADINGS.values()) + "\n1;2\n", encoding="utf-8")
    files = input_files("p.csv", tmp_path, "c.toml [patients] source")
    with pytest.raises(ExportError, match="2 fields where there are 9 headings"):
        read_people(read_export(files, spec, tmp_path / "cells"), spec, "RU", None)


@pytest.mark.parametrize(("whole", "stops"), [(99, False), (98, True)])
def test_more_than_one_line_in_a_hundred_broken_or_rounded_stops_the_run(read, whole, stops):
    lines = [{"patient_id": f"{n}"} for n in range(whole)] + [{"patient_id": "7.9E+10"}]
    if stops:
        with pytest.raises(ExportError, match="«Код»: rounded by a spreadsheet"):
            read(lines)
        return
    people = read(lines)
    assert len(people.people) == 99
    assert told(people) == {("Код", "rounded_ids", "rejected", 1)}


def test_every_fault_is_told_with_its_place_and_none_with_its_value(read):
    faults = {
        "phone": ["8 916 777", "+7000776655443", "7.7E+10", "семь", "+7 916 123-45-67, +7 903 765-43-21"],
        "email": ["canary-a@", "canary-b"],
        "sex": ["canary-c"],
        "birth_date": ["31.02.1971", "canary-d", "17.07.1777", "17.07.2777"],
        "opted_out": ["canary-e"],
        "consent_sms": ["canary-f", "17.07.2777"],
    }
    planted = [(name, cell) for name, cells in faults.items() for cell in cells]
    lines = [
        {"patient_id": f"canary-{n}", "name": "Canary Анна", "consent_source": "canary", name: cell}
        for n, (name, cell) in enumerate(planted)
    ]
    people = read(lines)
    found = {(row.row, row.column) for row in people.rejects.itertuples()}
    assert found == {(n + 2, HEADINGS[name]) for n, (name, _) in enumerate(planted)}
    assert sum(problem.count for problem in people.problems) == len(planted)
    text = "\n".join(map(str, people.problems)).lower()
    for value in ["canary", "анна", "семь", "916", "777", "765", "000", "7.7", "1971"]:
        assert value not in text
    assert all(problem.check and problem.done for problem in people.problems)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 4), *[st.sampled_from(sorted(ANSWERS))] * 2), min_size=1, max_size=40))
def test_whom_one_line_protects_is_not_contacted(lines):
    names = ["patient_id", "opted_out", "consent_sms"]
    cells = pd.DataFrame(lines, columns=names).astype("str").assign(_file="p.csv", _row=range(2, len(lines) + 2))
    spec = Patients(source="p.csv", date_format="%d.%m.%Y", columns={name: name for name in names})
    people = read_people(Export(ibis.memtable(cells), pd.DataFrame(columns=REJECT_COLUMNS)), spec, None, TODAY).people
    for row in people.itertuples():
        mine = [line for line in lines if str(line[0]) == row.patient_id]
        assert row.opted_out == any(ANSWERS[out][1] for _, out, _ in mine)
        assert row.consent_sms == all(ANSWERS[consent][0] for _, _, consent in mine)
    assert len(people) == len({line[0] for line in lines})


# Typed sources


TYPED = pd.DataFrame(
    {
        "patient_id": ["1", "2", "3", "4"],
        "phone": [79161234567.0, 89037654321.0, 12.0, None],
        "birth_date": pd.to_datetime(["1980-12-31", None, "2999-01-01", "1899-12-30"]).astype("datetime64[us]"),
        "opted_out": pd.array([True, False, None, False], dtype="boolean"),
        "consent_sms": pd.array([1, 0, 1, None], dtype="Int64"),
    }
)


def typed_people(table):
    names = list(TYPED.columns)
    table = table.mutate(_file=ibis.literal("patients"), _row=ibis.null("int64"))
    spec = Patients(source="x.duckdb", table="patients", columns={name: name for name in names})
    return read_people(Export(table, pd.DataFrame(columns=REJECT_COLUMNS)), spec, "RU", TODAY)


def test_cells_that_have_a_type():
    people = typed_people(ibis.memtable(TYPED)).people
    assert people["phone"].fillna("").tolist() == ["+79161234567", "+79037654321", "", ""]
    assert people["phone_fault"].fillna("").tolist() == ["", "", "too_short", "empty"]
    assert people["birth_date"].notna().tolist() == [True, False, False, False]
    assert people["opted_out"].tolist() == [True, False, False, False]
    assert people["consent_sms"].tolist() == [True, False, True, False]


def test_a_phone_in_a_short_float_has_lost_digits():
    # 24 bits hold whole numbers up to 16,777,216: 79161234567 is stored as another.
    people = typed_people(ibis.memtable(TYPED.astype({"phone": "float32"}))).people
    assert people["phone_fault"].tolist() == ["rounded_by_a_spreadsheet"] * 2 + ["too_short", "empty"]


def test_lines_of_a_table_have_no_number_and_an_order_of_their_own():
    twice = pd.concat([TYPED.assign(phone=79160000001.0 + n) for n in range(3)])
    people = [typed_people(ibis.memtable(twice.sample(frac=1, random_state=seed))) for seed in range(5)]
    for other in people[1:]:
        assert_frame_equal(other.people, people[0].people)
        assert other.problems == people[0].problems
    assert people[0].problems[0].where.startswith("patients «")


# Other engines


IN_TABLES = {
    "patients_as_text": pa.table(
        {
            "Код": ["1", "2", "2", "3", "7.9E+10", None] + [f"p{n}" for n in range(200)],
            "ФИО": [" Анна\u00a0Ким", "Кои\u0306", "Лев", None, "", "Итого"] + ["И. И."] * 200,
            "Телефон": ["8 (916) 123-45-67", "", "7.9E+10", None, "", "205"] + ["+7 (000) 000-00-01"] * 200,
            "Дата рождения": ["31.12.1980", "01.01.0001 0:00:00", "31.02.1980", None, "", ""] + ["7.3.1999"] * 200,
            "Отказ от рассылок": ["нет", "?", "", "12.12.2020", "", ""] + [None] * 200,
            "Согласие на SMS": ["да", "01.02.2024", "17.05.2024", "01.01.2999", "", ""] + ["１"] * 200,
        }
    ),
    "typed_patients": pa.table(
        {
            "Код": [1, 2, 2, 3],
            "ФИО": ["Анна", "Лев", "Лёв", None],
            "Телефон": pa.array([79161234567.0, 79037654321.0, float("nan"), None], pa.float64()),
            "Дата рождения": [dt.date(1980, 12, 31), dt.date(2999, 1, 1), None, dt.date(1, 1, 1)],
            "Отказ от рассылок": [False, None, True, False],
            "Согласие на SMS": [dt.date(2024, 2, 1), None, None, None],
        }
    ),
}  # fmt: skip


def people_in(opened, spec, scratch) -> dict:
    """What is read of a table, by the columns that have an order in every engine."""
    people = read_people(read_export([InputTable(opened)], spec, scratch), spec, "RU", TODAY)
    return {
        "people": people.people.drop(columns=["_file", "_row"]),
        "rejects": people.rejects.drop(columns=["file", "line"]),
        "problems": [str(problem).replace(opened.name, "…") for problem in people.problems],
    }


@pytest.mark.xdist_group("engines")
@pytest.mark.parametrize("engine", ["postgres", "spark"])
@pytest.mark.parametrize("table", IN_TABLES)
def test_engines_give_identical_people(request, tmp_path, monkeypatch, engine, table):
    server = request.getfixturevalue(engine)
    columns = {name: heading for name, heading in HEADINGS.items() if heading in IN_TABLES[table].column_names}
    keys = {"columns": columns, "date_format": "%d.%m.%Y"}
    write_duckdb(tmp_path / "clinic.duckdb", {table: IN_TABLES[table]})
    specs = [Patients(source="clinic.duckdb", table=table, **keys)]
    if engine == "postgres":
        server.load(table, IN_TABLES[table])
        monkeypatch.setenv("RFMKIT_TEST_DB", server.address())
        specs.append(Patients(connection_env="RFMKIT_TEST_DB", table=table, **keys))
    else:
        write_parquet(tmp_path / f"{table}.parquet", IN_TABLES[table])
        specs.append(Patients(engine="spark", source=f"{table}.parquet", **keys))
    made = []
    for spec in specs:
        opened = open_table(spec, tmp_path, "c.toml [patients]")
        made.append(people_in(opened, spec, tmp_path))
        opened.close()
    expected, found = made
    assert_frame_equal(found["people"], expected["people"])
    assert_frame_equal(found["rejects"], expected["rejects"])
    assert found["problems"] == expected["problems"]
    assert len(expected["people"]) == (203 if table == "patients_as_text" else 3)


def test_a_line_of_a_workbook_that_was_not_used_is_kept_as_the_workbook_shows_it(write_clinic, tmp_path):
    parts = '[patients]\nsource = "../data/p.xlsx"\n[patients.columns]\npatient_id = "id"\nbirth_date = "born"\n'
    path = write_clinic("id,date,amount\n1,2026-10-01,5\n", parts=parts)
    frame = pd.DataFrame({"id": ["1"], "born": [pd.Timestamp(2080, 1, 1)]})
    frame.to_excel(tmp_path / "data" / "p.xlsx", index=False, engine="xlsxwriter")
    assert open_one(path).rejects["line"].tolist() == ["1,2080-01-01"]
