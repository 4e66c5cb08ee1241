"""The workbook's sheets on movement and portraits, against the frames of the study they are made of."""

from __future__ import annotations

import io
from types import SimpleNamespace

import frames
import openpyxl
import pandas as pd
import pytest
from conftest import open_one

from rfmkit import Reader
from rfmkit.present.disclosure import shown_traits
from rfmkit.publish.definitions import definitions, missing_parts
from rfmkit.publish.workbook import movement, portraits, workbook
from rfmkit.publish.workbook.book import write_book

OK, GONE = SimpleNamespace(status="ok", ok=True), SimpleNamespace(status="not_enough_data", ok=False)
LEAST = 5


def study(locale="en", missing=()):
    """The parts of a study that these sheets are made of, hand-made."""
    year = SimpleNamespace(**{**vars(frames.MOVEMENT), "start": frames.MOVEMENT.start.replace(year=2025)})
    return SimpleNamespace(
        reader=Reader(locale, "EUR", min_count=LEAST),
        clinic=SimpleNamespace(rfm=SimpleNamespace(window_months=24)),
        part=lambda name: GONE if name in missing else OK,
        month_movement=frames.MOVEMENT,
        year_movement=year,
        group_history=frames.GROUP_HISTORY,
        portraits=frames.PORTRAITS.assign(patients=[3, *frames.PORTRAITS["patients"][1:]]),
        portrait_traits=frames.TRAITS,
        cohorts=frames.COHORTS,
        cohort_traits=frames.TRAITS.replace({"group": {"champions": "female_55", "loyal": "male_55"}}),
    )


def read(sheets, reader=None):
    """The tables of the sheets: title → rows of values, the headings first."""
    made = openpyxl.load_workbook(io.BytesIO(write_book(sheets, title="x", reader=reader or Reader(currency="EUR"))))
    return {page.title: [[cell.value for cell in row] for row in page[page.auto_filter.ref]] for page in made}


def table(rows):
    """Rows by heading."""
    headings, *rest = rows
    return [dict(zip(headings, row, strict=True)) for row in rest]


def held(size, cells):
    """Whether cells can be those of a group of so many: "< 5" stands for 1 to 4."""
    known = sum(cell for cell in cells if isinstance(cell, int))
    hidden = sum(cell == "< 5" for cell in cells)
    return known + hidden <= size <= known + hidden * (LEAST - 1)


# --- movement


def test_rows_of_the_matrix_are_the_groups_of_then_and_its_columns_those_of_now():
    sheet, _ = movement.moves(study())
    rows = table(read([sheet])["Moves in a month"])
    names = Reader().name
    assert [row["Group"] for row in rows][-1] == names("segment", "not_yet")
    flows = frames.MOVEMENT.flows.set_index("segment")
    by_name = {row.pop("Group"): row for row in rows}
    for segment, flow in flows.iterrows():
        row = by_name[names("segment", segment)]
        assert held(flow["start"], row.values())
        assert held(flow["end"], [row[names("segment", segment)] for row in by_name.values()])
    champions = by_name["Champions"]
    assert (champions["Champions"], champions["At risk"], champions["Lost"], champions["Loyal"]) == (
        240,
        52,
        "< 5",
        None,
    )


def test_the_year_has_a_sheet_only_where_the_data_reach_back():
    assert [sheet.title for sheet in movement.moves(study())] == ["Moves in a month", "Moves in a year"]
    short = study(missing={"movement_year"})
    assert [sheet.title for sheet in movement.moves(short)] == ["Moves in a month"]
    (sheet,) = movement.came_and_went(short)
    assert {row["Within"] for row in table(read([sheet])["Who came and went"])} == {"1 month"}


def test_each_group_comes_from_its_size_of_then_to_that_of_now():
    (sheet,) = movement.came_and_went(study(missing={"movement_year"}))
    for row, flow in zip(
        table(read([sheet])["Who came and went"]), frames.MOVEMENT.flows.to_dict("records"), strict=True
    ):
        assert [row["Patients then"], row["Patients now"]] == [flow["start"], flow["end"]]
        assert [row["First visit"], row["Moved in"], row["Moved out"]] == [
            flow["entered"],
            flow["moved_in"],
            flow["moved_out"],
        ]


def test_small_moves_are_hidden_where_groups_are_balanced():
    few = study(missing={"movement_year"})
    flows = frames.MOVEMENT.flows.assign(reactivated=[0, 4, 5, 0, 0])
    few.month_movement = SimpleNamespace(**{**vars(frames.MOVEMENT), "flows": flows})
    (sheet,) = movement.came_and_went(few)
    assert [row["Came back"] for row in table(read([sheet])["Who came and went"])] == [0, "< 5", 5, 0, 0]


def test_moves_of_few_patients_or_of_no_money_are_not_among_those_that_changed_revenue():
    (sheet,) = movement.moves_and_revenue(study(missing={"movement_year"}))
    rows = table(read([sheet])["Moves and revenue"])
    moves = frames.MOVEMENT.moves.query("patients >= 5 and revenue_change != 0")
    assert [row["Patients"] for row in rows] == moves["patients"].tolist()
    assert [row["Change"] for row in rows] == moves["revenue_change"].tolist()
    assert all(row["Paid now"] - row["Paid before"] == row["Change"] for row in rows)


@pytest.mark.parametrize(
    ("locale", "form"),
    [("en", '+"€"#,##0;-"€"#,##0;"€"#,##0'), ("ru", '+#,##0"\xa0€";-#,##0"\xa0€";#,##0"\xa0€"')],
)
def test_changes_of_revenue_are_signed(locale, form):
    some = study(locale, missing={"movement_year"})
    made = write_book(movement.moves_and_revenue(some), title="x", reader=some.reader)
    (page,) = openpyxl.load_workbook(io.BytesIO(made))
    assert page["G4"].number_format == form


def test_the_groups_stand_month_by_month():
    (sheet,) = movement.groups_by_month(study())
    rows = table(read([sheet])["The groups month by month"])
    assert len(rows) == 24
    assert rows[-1]["Month"] == "October 2026"
    last = frames.GROUP_HISTORY[frames.GROUP_HISTORY["month"] == "2026-10"]
    assert list(rows[-1].values())[1:] == last["patients"].tolist()


# --- portraits


def test_of_a_small_group_a_portrait_shows_the_size_alone():
    (sheet,) = portraits.portraits_of_groups(study())
    first, second, *_ = table(read([sheet])["Portraits of the groups"])
    size = {"Group", "Patients", "Share of patients"}
    assert first["Patients"] == 3
    assert {name for name, value in first.items() if value is not None} == size
    assert second["Age (median)"] == 42
    # Of the patients of this group three came back: their rhythm is hidden, the spend of all is not.
    fourth = table(read([sheet])["Portraits of the groups"])[3]
    assert (fourth["Days between visits (median)"], fourth["Revenue per patient"] is None) == (None, False)


def test_no_cohort_is_small_and_none_follows_from_the_total():
    (sheet,) = portraits.portraits_of_cohorts(study())
    rows = table(read([sheet])["Portraits of the cohorts"])
    sizes = [row["Patients"] for row in rows]
    assert min(sizes) >= LEAST
    assert sum(sizes) == frames.COHORTS["patients"].sum()
    assert rows[-1]["Cohort"] == "Small cohorts together"
    assert rows[-1]["Age (median)"] is None


def test_only_claims_that_may_be_shown_set_groups_apart():
    (sheet,) = portraits.what_sets_groups_apart(study())
    rows = table(read([sheet])["What sets groups apart"])
    claims = shown_traits(frames.TRAITS, min_count=LEAST)
    assert len(rows) == len(claims)
    shares = dict(zip(claims["item"], claims["share"], strict=True))
    for row, item in [(rows[0], "Implant <3>"), (rows[1], "Veneer")]:
        assert (row["Trait"], row["More often than the others"]) == ("Service", item)
        assert row["Share of them"] == round(shares[item], 2)
    veneer = rows[1]
    # Two patients among the others: neither their share nor how many times as often.
    assert (veneer["Share of all others"], veneer["Times as often"]) == (None, None)
    assert "Wednesday" in {row["More often than the others"] for row in rows}


def test_where_no_difference_passes_there_is_no_sheet():
    alike = study()
    alike.portrait_traits = frames.TRAITS.assign(over=False)
    assert portraits.what_sets_groups_apart(alike) == []


@pytest.mark.parametrize(
    "make",
    [
        movement.moves,
        movement.came_and_went,
        movement.moves_and_revenue,
        movement.groups_by_month,
        portraits.portraits_of_groups,
        portraits.portraits_of_cohorts,
        portraits.what_sets_groups_apart,
        portraits.what_sets_cohorts_apart,
    ],
)
def test_of_what_is_not_there_is_no_sheet(make):
    assert make(study())
    assert make(study(missing={"movement", "movement_year", "portraits", "cohorts"})) == []


# --- a whole study


@pytest.fixture
def clinic(write_clinic, tmp_path):
    """Three years of two hundred patients: sixty come every fifth week, the others once or twice a year."""
    rows, persons = ["id,date,amount,what\n"], ["id,sex,born\n"]
    start = pd.Timestamp("2023-11-01")
    for number in range(200):
        often = number < 60
        for time in range(30 if often else 2 + number % 4):
            day = start + pd.Timedelta(days=35 * time if often else 7 * (number % 50) + 160 * time)
            rows.append(f"p{number},{day:%Y-%m-%d},{100 if often else 10},{'implant' if often else 'check'}\n")
        persons.append(f"p{number},{'f' if often or number % 3 else 'm'},{1950 + number % 60}-01-01\n")
    path = write_clinic("".join(rows))
    (tmp_path / "data" / "people.csv").write_text("".join(persons), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    text = text.replace('amount = "amount"', 'amount = "amount"\nservice = "what"')
    text = text.replace("[transactions]\n", "[transactions]\ncomplete_history = true\n")
    patients = '\n[patients]\nsource = "../data/people.csv"\n[patients.columns]\npatient_id = "id"\nsex = "sex"\n'
    path.write_text(text + patients + 'birth_date = "born"\n', encoding="utf-8")
    return path


def test_a_study_has_the_sheets_of_its_parts(clinic):
    whole = open_one(clinic)
    made = openpyxl.load_workbook(io.BytesIO(workbook(whole)))
    titles = made.sheetnames
    for title in ("Moves in a month", "Moves in a year", "Who came and went", "The groups month by month"):
        assert title in titles
    for title in ("Portraits of the groups", "What sets groups apart", "Portraits of the cohorts"):
        assert title in titles
    assert titles[-1] == "What the words mean"

    pages = {page.title: [[cell.value for cell in row] for row in page[page.auto_filter.ref]] for page in made}
    for moved, title in [(whole.month_movement, "Moves in a month"), (whole.year_movement, "Moves in a year")]:
        rows = {name: cells for name, *cells in pages[title][1:]}
        there = moved.flows[moved.flows["start"] > 0]
        for segment, size in zip(there["segment"], there["start"], strict=True):
            assert held(size, rows[whole.reader.name("segment", segment)])


def test_the_words_of_the_sheets_are_defined(clinic):
    whole = open_one(clinic)
    words = dict(definitions(whole.clinic, missing=missing_parts(whole), reader=whole.reader))
    for word in ("Move between groups", "Revenue of a move", "First visit", "Moved in", "Cohort", "Times as often"):
        assert words[word]
    few = dict(definitions(whole.clinic, missing=frozenset({"movement", "portraits"}), reader=whole.reader))
    assert not {"Move between groups", "Moved in", "Cohort", "Times as often"} & set(few)
