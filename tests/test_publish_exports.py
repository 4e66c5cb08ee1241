"""The files beside the page: for machines, for spreadsheets, for the clinic alone."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from types import SimpleNamespace

import frames
import numpy as np
import openpyxl
import pandas as pd
import pytest
import xlsxwriter
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from rfmkit import NotEnoughData, Reader
from rfmkit.present.wording import LOCALES
from rfmkit.publish.exports import patients_parquet, rejects_csv, tags_csv
from rfmkit.publish.metrics import plain, to_json
from rfmkit.publish.workbook import workbook
from rfmkit.publish.workbook.book import sheet_names

NAN = float("nan")
OK = SimpleNamespace(status="ok", reason=None)
MISSING = SimpleNamespace(status="not_enough_data", reason=NotEnoughData("few_patients", have=9, need=50))


def rejects(*lines):
    rows = [("payments.csv", number, "Сумма", "not a number", line) for number, line in enumerate(lines, start=2)]
    return pd.DataFrame(rows, columns=["file", "row", "column", "reason", "line"])


def test_rejected_lines_are_all_there():
    lines = ['1;"a;b"', "x\ny", "ёж", "", '"']
    read = list(csv.reader(io.StringIO(rejects_csv(rejects(*lines)).decode("utf-8-sig"), newline="")))
    assert read[0] == ["file", "row", "column", "reason", "line"]
    assert [row[4] for row in read[1:]] == lines
    assert [row[1] for row in read[1:]] == ["2", "3", "4", "5", "6"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "  ="])
def test_no_rejected_line_is_a_formula(start):
    read = list(csv.reader(io.StringIO(rejects_csv(rejects(f"{start}1+1")).decode("utf-8-sig"), newline="")))
    assert read[1][4] == f"'{start}1+1"


def test_no_rejected_lines_leave_a_heading():
    assert rejects_csv(rejects()).decode("utf-8-sig") == '"file","row","column","reason","line"\r\n'


def test_tags_are_written_for_other_programs():
    tags = pd.DataFrame(
        {
            "patient_id": ["007", "=8"],
            "tag": ["vip", "vip"],
            "since": pd.to_datetime(["2026-08-31", "2026-10-31"]),
            "put_on_this_month": [False, True],
            "taken_off_this_month": [True, False],
        }
    )
    read = list(csv.reader(io.StringIO(tags_csv(tags).decode("utf-8-sig"), newline="")))
    assert read == [
        ["patient_id", "tag", "since", "put_on_this_month", "taken_off_this_month"],
        ["007", "vip", "2026-08-31", "false", "true"],
        ["'=8", "vip", "2026-10-31", "true", "false"],
    ]


def test_patients_survive_and_are_the_same_bytes():
    frame = pd.DataFrame(
        {
            "patient_id": ["007", "8"],
            "first_visit": pd.to_datetime(["2025-01-01", "2025-02-02"]),
            "recency_score": pd.array([5, None], dtype="Int64"),
            "segment": ["loyal", None],
            "clv": [1.5, NAN],
        },
        index=[4, 9],
    )
    content = patients_parquet(frame)
    assert content == patients_parquet(frame.copy())
    read = pd.read_parquet(io.BytesIO(content))
    assert list(read.columns) == list(frame.columns)
    assert list(read["patient_id"]) == ["007", "8"]
    assert read["recency_score"].isna().tolist() == [False, True]
    assert read["clv"].iloc[0] == 1.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float64(0.1), 0.1),
        (NAN, None),
        (np.inf, None),
        (pd.NA, None),
        (pd.NaT, None),
        (Decimal("1.50"), 1.5),
        (np.bool_(True), True),
        (dt.date(2026, 10, 31), "2026-10-31"),
        (pd.Timestamp("2026-10-31"), "2026-10-31"),
        ({"a": [np.int32(1), (None, "x")]}, {"a": [1, [None, "x"]]}),
    ],
    ids=repr,
)
def test_json_knows_the_value(value, expected):
    made = plain(value)
    assert made == expected
    assert type(made) is type(expected)
    assert json.loads(to_json({"x": value if isinstance(value, str) else made}))["x"] == expected


#: Their sheets are looked at in test_publish_workbook.py.
ELSEWHERE = {"movement", "movement_year", "portraits", "cohorts"}


def study(locale="en", missing=(), segment="champions"):
    groups = pd.DataFrame(
        {"segment": [segment, "lost"], "colour": ["#111111", "#222222"], "patients": [3, 40]}
        | {"revenue": [1234.5, 1.0], "patients_share": [3 / 43, 40 / 43], "clv": [NAN, NAN]}
    )
    history = pd.DataFrame(
        {"month": ["2026-09", "2026-10"], "revenue": [1.0, 2.0], "visits": [1, 2], "crr": [NAN, 0.5]}
    )
    headline = pd.DataFrame(
        [("revenue", 2.0, 1.0, NAN), ("rpr", 0.5, 0.4, 0.3)], columns=["metric", "value", "last_month", "last_year"]
    )
    reach = pd.DataFrame(
        {"segment": [segment, "lost"], "patients": [3, 40], "sms": [0, 7], "any": [3, 38], "ads": [1, 7]}
    )
    return SimpleNamespace(
        clinic=SimpleNamespace(
            name="Dental",
            loyalty=SimpleNamespace(period_months=12),
            active_months=12,
            rfm=SimpleNamespace(bins=5, window_months=24, recency_by="days"),
            clv=SimpleNamespace(horizon_months=12, margin=0.5, annual_discount_rate=0.1),
            report=SimpleNamespace(min_count=5),
        ),
        reader=Reader(locale, "EUR", min_count=5),
        reach_by_segment=reach,
        month="2026-10",
        part=lambda name: MISSING if name in ELSEWHERE.union(missing) else OK,
        recommendation_details={
            "traits": frames.TRAITS,
            "services": pd.DataFrame([(segment, "=Peel()", 9, 1.0)], columns=frames.NEXT_SERVICES.columns),
        },
        segments=groups,
        recommendations=groups,
        loyalty_history=history,
        headline=headline,
    )


def worded(locale):
    """The keys that a catalogue has words for, each with its kind."""
    with (LOCALES / locale / "messages.po").open("rb") as file:
        return [(message.context, message.id) for message in read_po(file) if message.context]


def sheets(made):
    return {sheet.title: sheet for sheet in openpyxl.load_workbook(io.BytesIO(made))}


def test_the_workbook_has_numbers_as_numbers():
    made = workbook(study())
    assert made == workbook(study())
    book = sheets(made)
    fixed = ["Overview", "Groups", "What to do", "By month"]
    assert list(book) == [*fixed, "Champions", "Lost", "What the words mean"]
    segments = book["Groups"]
    assert segments.freeze_panes == "B2"
    assert segments.auto_filter.ref == "A1:D3"
    assert [cell.value for cell in segments[2]] == ["Champions", 3, pytest.approx(3 / 43), 1234.5]
    assert segments["C2"].number_format == "0.0%"
    assert segments["D2"].number_format == '[=0]"€"#,##0;[<100]"€"#,##0.00;"€"#,##0'
    assert book["Overview"]["B3"].number_format == "0.0%"
    assert book["By month"]["D2"].value is None


@pytest.mark.parametrize(
    ("locale", "form"),
    [("ru", '[=0]#,##0"\xa0€";[<100]#,##0.00"\xa0€";#,##0"\xa0€"'), ("zh", '[=0]"€"#,##0;[<100]"€"#,##0.00;"€"#,##0')],
)
def test_the_workbook_speaks_the_readers_language(locale, form):
    book = sheets(workbook(study(locale)))
    assert not {"Groups", "Overview"} & set(book)
    second = list(book.values())[1]
    assert second["A2"].value == Reader(locale).name("segment", "champions")
    assert second["D2"].number_format == form


def test_the_workbook_does_not_speak_of_what_is_not_there():
    book = sheets(workbook(study(missing={"segments", "recommendations"})))
    assert list(book) == ["Overview", "By month", "What the words mean"]


def test_each_group_has_a_sheet_with_its_figures_and_its_advice():
    page = sheets(workbook(study()))["Champions"]
    assert (page["A1"].value, page["A2"].value) == ("Champions", Reader().words("who", "champions"))
    assert page.freeze_panes == "B5"
    rows = {row[0].value: row[1:3] for row in page.iter_rows(min_row=5) if row[0].value}
    assert page.auto_filter.ref == "A4:C10"
    assert [cell.value for cell in page[4]][:3] == ["Measure", "This group", "All patients"]
    assert [cell.value for cell in rows["Patients"]] == [3, 43]
    assert [cell.value for cell in rows["Revenue"]] == [1234.5, 1235.5]
    assert rows["Revenue"][0].number_format == '[=0]"€"#,##0;[<100]"€"#,##0.00;"€"#,##0'
    assert rows["Share of patients"][0].number_format == "0.0%"
    assert [cell.value for cell in rows["Share of patients"]] == [pytest.approx(3 / 43), 1]
    # Of the channels no total: it would tell what is hidden of a small group.
    assert [cell.value for cell in rows["Reachable by SMS"]] == [0, None]
    assert [cell.value for cell in rows["Reachable by any of these"]] == ["< 5", None]
    assert rows["What to do"][0].value == Reader().words("advice-what", "champions", 3)


def test_numbers_of_few_who_can_be_reached_are_hidden():
    page = sheets(workbook(study()))["What to do"]
    headings = [cell.value for cell in page[1]]
    assert headings[-7:-4] == ["Reachable by SMS", "Reachable by any of these", "Reachable by advertising"]
    rows = [[cell.value for cell in row][-7:-4] for row in page.iter_rows(min_row=2)]
    assert rows == [[0, "< 5", "< 5"], [7, "> 35", 7]]  # 38 of 40: 2 are left over


def test_the_workbook_says_what_to_offer_each_group_and_whom_it_holds():
    book = sheets(workbook(study()))
    page = book["What to do"]
    rows = [[cell.value for cell in row][-4:] for row in page.iter_rows()]
    assert rows[0] == ["What to do", "Offer first", "Found here more often than elsewhere", "Why"]
    assert rows[1][1:3] == ["=Peel() (100%)", "Women, 55\xa0and\xa0over"]
    assert rows[2][1:3] == [None, None]
    terms = {row[0].value: row[1].value for row in book["Champions"].iter_rows() if row[0].value}
    assert terms["Offer first"] == "=Peel() (100%)"
    assert "Offer first" not in {row[0].value for row in book["Lost"].iter_rows()}


def test_without_consents_the_workbook_does_not_speak_of_channels():
    book = sheets(workbook(study(missing={"reach"})))
    assert "Reachable by SMS" not in {cell.value for cell in book["What to do"][1]}
    assert "Reachable by SMS" not in {cell.value for row in book["Lost"] for cell in row}


def test_means_of_all_patients_are_weighted():
    some = study()
    some.segments = some.segments.assign(mean_visit_count=[4.0, 0.5])
    page = sheets(workbook(some))["Lost"]
    (row,) = [row for row in page.iter_rows(min_row=5) if row[0].value == "Visits per patient"]
    assert [cell.value for cell in row[1:3]] == [0.5, pytest.approx((3 * 4 + 40 * 0.5) / 43)]


@pytest.mark.parametrize("locale", sorted(path.name for path in LOCALES.iterdir()))
def test_names_of_sheets_are_legal_in_every_language(locale):
    keys = [key for kind, key in worded(locale) if kind == "segment"]
    made = workbook(study(locale))
    titles = [Reader(locale).name("segment", key) for key in keys]
    for name in [*sheets(made), *sheet_names(titles)]:
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= 31
        assert not set("[]:*?/\\") & set(name)
    assert len({name.casefold() for name in sheet_names(titles)}) == len(titles)


@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_titles_become_names_that_excel_takes(titles):
    names = sheet_names([*titles, *titles])
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True})
    for name in names:  # refuses what Excel would
        book.add_worksheet(name)
    book.close()
    assert len(names) == 2 * len(titles)


@pytest.mark.parametrize(
    "name", ["=1+1", "{=1+1}", "@SUM(A1)", "http://elsewhere.invalid", "internal:Sheet1!A1", "+7", "-1"]
)
def test_no_name_is_a_formula_or_a_link(name):
    cell = sheets(workbook(study(segment=name)))["Groups"]["A2"]
    assert (cell.data_type, cell.value, cell.hyperlink) == ("s", name, None)


def test_a_name_that_looks_like_rich_text_is_shown_as_it_is():
    cell = sheets(workbook(study(segment="<r><t>bold</t></r>")))["Groups"]["A2"]
    assert cell.value.rstrip() == "<r><t>bold</t></r>"


def test_columns_are_as_wide_as_their_numbers():
    groups = study()
    groups.segments = groups.segments.assign(revenue=[123456789.0, 1.0])
    assert sheets(workbook(groups))["Groups"].column_dimensions["D"].width > len("€123,456,789")
