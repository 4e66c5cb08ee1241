"""Faults planted in good exports: each is told with its file, row and column, and nothing else is told."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from conftest import open_one

from rfmkit.errors import ExportError

SEED = 20261031
PLANTED = 300
KINDS = ("csv", "xlsx", "parquet")
HEADINGS = {
    "patient_id": "Код пациента",
    "visit_date": "Дата",
    "amount": "Сумма",
    "discount": "Скидка",
    "quantity": "Кол-во",
    "days_supply": "Дней приёма",
    "service": "Услуга",
    "note": "Примечание",
}
CLINIC = """name = "Planted"
currency = "RUB"
[transactions]
source = "{source}"
{keys}
[transactions.columns]
""" + "\n".join(f'{name} = "{heading}"' for name, heading in HEADINGS.items() if name != "note")

#: The check that must tell of a fault → cells that have it, by column. Text; typed cells of workbooks stand apart.
FAULTS = {
    "patient_id": {"rounded_ids": ["7,91612E+10", "7.0001E+10", "1,2E+15"]},
    "visit_date": {
        "empty": ["", "  "],
        "not_a_date": ["вчера", "31.02.2026", "29.02.2025", "32.10.2026", "15.13.2026", "10/31/2026", "2026", "1.10"],
        "before_1900": ["01.01.0001", "30.12.1899"],
        "after_today": ["05.10.2062", "22.11.2026"],
    },
    "amount": {
        "empty": ["", "\u00a0"],
        "not_a_number": [
            "бесплатно",
            "1 2345,00",
            "--5,00",
            "5,00-5",
            "1e3",
            "(5,00",
            "12,34,56",
            "#ЗНАЧ!",
            "-",
            "1O0,00",
        ],
        "more_than_two_decimals": ["12,345", "0,001"],
    },
    "discount": {"not_a_number": ["много", "10 %"], "more_than_two_decimals": ["0,005"]},
    "quantity": {"not_a_number": ["две", "1 шт", "2х"]},
    "days_supply": {"not_a_number": ["месяц", "30-60"]},
}
#: Typed cells of a workbook that have a fault.
TYPED = {
    "patient_id": {"rounded_ids": [7.91612345678901e18]},
    "visit_date": {"after_today": [dt.datetime(2062, 10, 5), dt.datetime(2026, 11, 22)], "empty": [None]},
    "amount": {"more_than_two_decimals": [12.345, 0.001], "empty": [None], "not_a_number": [True]},
    "discount": {"more_than_two_decimals": [0.005]},
}
#: Odd, and right: nothing must be told of them.
IDS = ("007", "12E4", "А-1", "5/26", "1E5Б", "00000012")
AMOUNTS = (
    "1 234,50",
    "1\u00a0234,50",
    "1\u202f234,5",
    "-500,00",
    "(500,00)",
    "\u2212500,00",
    "500",
    "0,00",
    "1 234,50 ₽",
    "7,10 руб.",
)
DAYS = ("{:%d.%m.%Y}", "{:%d.%m.%Y} 0:00:00", "{:%d.%m.%Y} 14:05")
SERVICES = (
    "Осмотр",
    "Итоговый осмотр",
    "Total face lift",
    "合计护理",
    "Всего два зуба",
    "Гигиена; 2 челюсти",
    'Гель "Мята"',
)


@dataclass
class Planted:
    """One export with its faults: the check that must tell, and the place, ``file:row «column»``."""

    clinic: Path
    lines: int = 0
    faults: list[tuple[str, str, str]] = field(default_factory=list)

    def plant(self, check: str, file: str, row: int, heading: str = "") -> None:
        self.faults.append((check, heading, f"{file}:{row}" + (f" «{heading}»" if heading else "")))

    @property
    def places(self) -> Counter[str]:
        """Where the faults are."""
        return Counter(place for _, _, place in self.faults)

    @property
    def kinds(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Check and heading of each kind of fault → its first place, and how many it has."""
        counts = Counter((check, heading) for check, heading, _ in self.faults)
        firsts = {(check, heading): place for check, heading, place in reversed(self.faults)}
        return {kind: (firsts[kind], count) for kind, count in counts.items()}


def good_line(rng: random.Random, kind: str) -> dict:
    """A line without a fault, as text, or in a workbook now and then typed."""
    day = dt.date(2026, 5, 4) + dt.timedelta(days=rng.randrange(180))
    typed = kind == "xlsx" and rng.random() < 0.7
    return {
        "patient_id": float(rng.randrange(1, 500)) if typed else rng.choice([*IDS, *map(str, range(1, 300))]),
        "visit_date": dt.datetime.combine(day, dt.time()) if typed else rng.choice(DAYS).format(day),
        "amount": rng.randrange(0, 900_000) / 100 if typed else rng.choice([*AMOUNTS, "450,00", "1200,00"]),
        "discount": rng.choice(["", "0,00", "12,50"]),
        "quantity": rng.choice(["1", "2", "0,5", ""]),
        "days_supply": rng.choice(["", "30", "60"]),
        "service": rng.choice(SERVICES),
        "note": rng.choice(["", "", "позвонить", "две\nстроки"]),
    }


def with_faults(rng: random.Random, line: dict, kind: str, cells: int) -> tuple[dict, list[tuple[str, str]]]:
    """The line with faults in so many of its cells: also the checks that must tell, with their columns."""
    told = []
    for name in rng.sample(sorted(FAULTS), cells):
        faults = TYPED if kind == "xlsx" and name in TYPED and rng.random() < 0.4 else FAULTS
        check = rng.choice(sorted(faults[name]))
        line = line | {name: rng.choice(faults[name][check])}
        told.append((check, name))
    return line, told


def planted_export(
    folder: Path, kind: str, *, files: int, lines: int, faults: int, seed: int, nameless: int = 0
) -> Planted:
    """Write an export of a kind, with faults in so many cells (and broken lines where lines can break)."""
    rng = random.Random(f"{seed} {kind} {faults}")
    folder.mkdir()
    # Text tells how it is written where few cells are faulty; a workbook of text and numbers needs to be told.
    keys = "" if kind == "parquet" and faults < files * lines / 100 else 'decimal = ","\ndate_format = "%d.%m.%Y"\n'
    keys += 'encoding = "cp1251"\ndelimiter = ";"' if kind == "csv" else ""
    planted = Planted(folder / "clinic.toml")
    planted.clinic.write_text(CLINIC.format(source=f"lines-*.{kind}", keys=keys), encoding="utf-8")
    doubles, broken = faults // 10, faults // 10 if kind == "csv" else 0
    # How many faults each faulty line has: 0 is a line with a cell too many or too few.
    jobs = [2] * doubles + [0] * broken + [1] * (faults - 2 * doubles - broken - nameless) + [-1] * nameless
    at = rng.sample(range(files * lines), len(jobs))
    todo = dict(zip(at, jobs, strict=True))
    for number in range(files):
        file = f"lines-{number}.{kind}"
        # The first of each kind has lines above the headings; blank rows and sums count as rows of a spreadsheet.
        rows = [["Отчёт по оплатам"], [], list(HEADINGS.values())] if number == 0 and kind != "parquet" else []
        rows = rows or ([list(HEADINGS.values())] if kind != "parquet" else [])
        for place in range(number * lines, (number + 1) * lines):
            if kind != "parquet" and place % 997 == 5:
                rows += [[], ["Итого", "", "1 234,00"]] if kind == "xlsx" else [[], ["Итого", *[""] * 6, "1 234,00"]]
            line = good_line(rng, kind)
            row = len(rows) + 1
            cells = todo.get(place)
            if cells == 0:
                rows.append([*line.values(), "", "лишнее"] if rng.random() < 0.5 else list(line.values())[:5])
                planted.plant("broken_lines", file, row)
                continue
            if cells == -1:
                line["patient_id"] = rng.choice(["", " "])
                planted.plant("empty", file, row, HEADINGS["patient_id"])
            elif cells:
                line, told = with_faults(rng, line, kind, cells)
                for check, name in told:
                    planted.plant(check, file, row, HEADINGS[name])
            rows.append(list(line.values()))
        WRITERS[kind](folder / file, rows)
    planted.lines = files * lines
    return planted


def write_csv(path: Path, rows: list[list]) -> None:
    """Semicolons and Windows-1251; the signs that it lacks are left out of the text."""

    def cell(value: str) -> str:
        value = value.encode("cp1251", "ignore").decode("cp1251")
        return '"' + value.replace('"', '""') + '"' if set(value) & set(';"\n') else value

    text = "".join(";".join(cell(value) for value in row) + "\r\n" for row in rows)
    path.write_bytes(text.encode("cp1251"))


def write_xlsx(path: Path, rows: list[list]) -> None:
    """A workbook whose numbers are numbers and whose text is text."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, dt.datetime):
                    sheet.write_datetime(number, column, value, day)
                elif isinstance(value, bool):
                    sheet.write_boolean(number, column, value)
                elif isinstance(value, float):
                    sheet.write_number(number, column, value)
                elif value:
                    sheet.write_string(number, column, value)


def write_parquet(path: Path, rows: list[list]) -> None:
    """A table of text."""
    pd.DataFrame(rows, columns=list(HEADINGS.values()), dtype="str").to_parquet(path)


WRITERS = {"csv": write_csv, "xlsx": write_xlsx, "parquet": write_parquet}


def test_the_faults_are_as_many_as_they_should_be(exports):
    assert sum(len(planted.faults) for planted in exports.values()) == PLANTED
    told = {(check, heading) for planted in exports.values() for check, heading, _ in planted.faults}
    assert told >= {(check, HEADINGS[name]) for name, faults in FAULTS.items() for check in faults} | {
        ("broken_lines", "")
    }


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, Planted]:
    """An export of each kind with faults in less than one line of a hundred."""
    folder = tmp_path_factory.mktemp("planted")
    each = PLANTED // len(KINDS)
    return {kind: planted_export(folder / kind, kind, files=3, lines=3_600, faults=each, seed=SEED) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_told_in_its_place_and_nothing_else(exports, kind):
    planted = exports[kind]
    study = open_one(planted.clinic)
    rejects = study.rejects[~study.rejects["reason"].str.contains("no payment")]
    places = Counter(
        f"{line.file}:{line.row}" + (f" «{line.column}»" if line.column else "") for line in rejects.itertuples()
    )
    assert sorted((planted.places - places).elements()) == [], "planted and not told"
    assert sorted((places - planted.places).elements()) == [], "told and not planted"
    faulty_lines = len({place.partition(" ")[0] for place in planted.places})
    assert (study.rows["read"], study.rows["rejected"]) == (planted.lines, faulty_lines)
    assert study.rows["kept"] == planted.lines - faulty_lines
    assert told(study.problems) == planted.kinds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nameless", [0, 2])
def test_too_many_faults_are_told_by_the_first_of_each_kind(tmp_path, kind, nameless):
    planted = planted_export(
        tmp_path / "many", kind, files=2, lines=400, faults=60, seed=SEED + nameless, nameless=nameless
    )
    with pytest.raises(ExportError) as refused:
        _ = open_one(planted.clinic).rows
    assert told(refused.value.problems) == planted.kinds


@pytest.mark.parametrize("kind", KINDS)
def test_one_patient_without_an_id_stops_the_run(tmp_path, kind):
    planted = planted_export(tmp_path / "one", kind, files=1, lines=300, faults=1, seed=SEED, nameless=1)
    with pytest.raises(ExportError) as refused:
        _ = open_one(planted.clinic).rows
    assert told(refused.value.problems) == planted.kinds


def told(problems) -> dict[tuple[str, str], tuple[str, int]]:
    """Check and heading of each kind of rejected lines → its first place, and how many it has."""
    found = {}
    for problem in problems:
        if problem.done == "rejected":
            kind = problem.check, problem.where.partition("«")[2].rstrip("»")
            # Lines with too many cells and with too few are told apart: both are broken.
            first, count = found.get(kind, (problem.where, 0))
            found[kind] = first, count + problem.count
    return found
