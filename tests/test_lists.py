"""Lists hold whom the clinic may contact and nobody else, and no spreadsheet calculates what stands in them."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
import shutil
import subprocess
import zipfile

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import Reader
from rfmkit.publish.audiences import HEADER, audience_csv
from rfmkit.publish.free_text import (
    each_harmless,
    each_harmless_line,
    each_on_one_line,
    harmless,
    harmless_line,
    on_one_line,
)
from rfmkit.publish.lists import COLUMNS, list_csv, list_table, list_xlsx
from rfmkit.publish.workbook.book import Column, Sheet, write_book, write_long_table

#: What is calculated, looked up or started by a spreadsheet that takes text for a formula.
FORMULAS = [
    "1+1", "1+1+cmd|' /C calc'!A0", "SUM(1,2)", "HYPERLINK(\"http://x.invalid\",\"click\")", "cmd|' /C calc'!A0",
    "DDE(\"cmd\";\"/C calc\";\"1\")", "WEBSERVICE(\"http://x.invalid\")", "1+1;2", "NOW()", "A1",
]  # fmt: skip
#: Before them: the signs that begin a formula, in full width too, and what a spreadsheet may look past.
STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", '"=', "'=", "＝", "＋", "－", "＠", "\u00a0=", "\u200b="]
OTHERS = [
    "{=1+1}", "Anna;=1+1", "Anna,=1+1", "Anna\t=1+1", "Anna\n=1+1", '";=1+1', '",=1+1,"', "%0A=1+1", "http://x.invalid",
    "internal:A1", "mailto:a@x.invalid", "#REF!", "+79160000000", "-5", "=", "1E5", "01.02.2026", "00123",
]  # fmt: skip
PAYLOADS = [
    *(start + formula for start in STARTS[:6] for formula in FORMULAS[:6]),
    *(f"{start}1+1" for start in STARTS),
]
PAYLOADS = list(dict.fromkeys([*PAYLOADS, *FORMULAS[6:], *OTHERS]))
PHONES = [f"+7916{number:07d}" for number in range(len(PAYLOADS))]


def contacts(names, branches, segments):
    """Patients whom every channel reaches, with these texts in the places where free text stands."""
    table = pd.DataFrame({"name": names, "branch": branches, "segment": segments})
    table["patient_id"] = [f"P{number}" for number in range(len(table))]
    table["last_visit"] = pd.Timestamp("2026-10-01")
    table["sms"] = table["phone"] = table["ads_phone"] = PHONES[: len(table)]
    table["email"] = table["ads_email"] = [f"p{number}@example.org" for number in range(len(table))]
    return table


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What LibreOffice holds of the lists: the workbook; the CSV, as text that may calculate; one without a guard."""
    program = shutil.which("soffice")
    if not program:
        pytest.skip("LibreOffice is not installed")
    folder = tmp_path_factory.mktemp("office")
    turned = PAYLOADS[1:] + PAYLOADS[:1]
    reader = Reader("ru", own={("segment", f"s{number}"): text for number, text in enumerate(PAYLOADS)})
    listed = list_table(contacts(PAYLOADS, turned, [f"s{number}" for number in range(len(PAYLOADS))]), reader)
    (folder / "book.xlsx").write_bytes(list_xlsx(listed, reader))
    (folder / "list.csv").write_bytes(list_csv(listed))
    (folder / "bare.csv").write_text('"name"\r\n"=1+1"\r\n"Anna"\r\n', encoding="utf-8-sig")
    # Comma, quotes, UTF-8, from the first line; quoted cells are no more than others, and formulas are calculated.
    as_cells = "--infilter=CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"
    for names, options in ((["book.xlsx"], []), (["list.csv", "bare.csv"], [as_cells])):
        command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", *options]
        command += ["--convert-to", "xlsx", "--outdir", folder / "out", *[folder / name for name in names]]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return {path.stem: openpyxl.load_workbook(path).active for path in (folder / "out").glob("*.xlsx")}


def formulas(page):
    return [cell.coordinate for row in page for cell in row if cell.data_type == "f" or cell.hyperlink]


def test_there_are_enough_payloads():
    assert len(PAYLOADS) >= 60


def test_libreoffice_would_calculate_what_nobody_guards(opened):
    assert formulas(opened["bare"]) == ["A2"]


@pytest.mark.parametrize("name", ["book", "list"])
def test_no_cell_is_a_formula_in_libreoffice(opened, name):
    page = opened[name]
    assert page.max_row == len(PAYLOADS) + 1
    assert formulas(page) == []


def test_the_workbook_says_what_was_typed(opened):
    rows = list(opened["book"].iter_rows(min_row=2))
    assert [cell.value for cell in opened["book"][1]] == [Reader("ru").name("column", name) for name in COLUMNS]
    for row, payload, phone in zip(rows, PAYLOADS, PHONES, strict=True):
        cells = dict(zip(COLUMNS, row, strict=True))
        spoken = " ".join(payload.split()).strip("\u200b ")
        for place in ("name", "segment"):
            assert " ".join(str(cells[place].value).split()).strip("\u200b ") == spoken
            assert cells[place].data_type == "s"
        assert cells["sms_phone"].value == cells["call_phone"].value == phone
        assert cells["sms_phone"].data_type == "s"
        assert cells["last_visit"].is_date


def test_phones_of_the_csv_are_as_they_were(opened):
    column = COLUMNS.index("sms_phone")
    digits = [str(row[column].value).removeprefix("+") for row in opened["list"].iter_rows(min_row=2)]
    assert digits == [phone.removeprefix("+") for phone in PHONES]


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_csv_has_phones_in_e164_and_no_line_but_its_rows():
    listed = list_table(contacts(PAYLOADS, PAYLOADS, ["lost"] * len(PAYLOADS)), Reader("zh"))
    content = list_csv(listed)
    rows = rows_of(content)
    assert [row["sms_phone"] for row in rows] == [row["call_phone"] for row in rows] == PHONES
    assert {row["segment"] for row in rows} == {Reader("zh").name("segment", "lost")}
    assert {row["last_visit"] for row in rows} == {"2026-10-01"}
    assert content.count(b"\n") == len(rows) + 1
    assert list(rows[0]) == list(COLUMNS)


@given(st.text(max_size=30))
def test_no_text_begins_like_a_formula_wherever_a_reader_cuts_it(text):
    line = harmless_line(text)
    for delimiter in (None, ",", ";", "|"):
        for piece in line.split(delimiter) if delimiter else [line]:
            bare = piece.lstrip(' \u00a0"`´‘’“”„«»\u200b')
            assert not bare.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert not set("\n\r\t\0") & set(line)


#: Texts of whatever a spreadsheet may look at or past, and of what it does not.
RISKY = st.text(st.sampled_from("=+-@\t\r\n\0＝＋ \u00a0\u200b\u2028\x1c\x85\"'«,;|aя1._"), max_size=8)


@pytest.mark.parametrize(
    ("whole_column", "one_text"),
    [(each_harmless, harmless), (each_harmless_line, harmless_line), (each_on_one_line, on_one_line)],
)
@given(texts=st.lists(RISKY | st.text() | st.none() | st.just("=" + 500 * "a") | st.just(501 * "a")))
def test_of_a_column_every_text_is_made_as_harmless_as_it_would_be_alone(whole_column, one_text, texts):
    made = whole_column(pd.Series(texts, dtype=object))
    expected = [None if text is None else one_text(text) for text in texts]
    assert made.astype(object).where(made.notna(), None).tolist() == expected


def test_a_phone_is_guarded_only_where_more_than_a_phone_follows():
    phones = ["+79160000000", "+0916000000", "+7916000000a", "+7916\n"]
    made = each_harmless_line(pd.Series(phones))
    assert made.tolist() == [phones[0], *map(harmless_line, phones[1:])]


def test_an_address_that_begins_like_a_formula_is_guarded_in_the_csv():
    listed = list_table(contacts(["A"], ["B"], ["lost"]).assign(email="=1+1@example.org"), Reader())
    assert rows_of(list_csv(listed))[0]["email"] == "'=1+1@example.org"


def test_a_list_holds_its_columns_and_no_other():
    table = contacts(["A", "B"], [None, None], ["lost", "lost"]).assign(service="Implant", total_spend=5.0)
    table = table.drop(columns="phone")
    assert list(list_table(table, Reader()).columns) == [
        "patient_id",
        "name",
        "sms_phone",
        "email",
        "last_visit",
        "segment",
    ]


#: What XML, or Excel in XML, says in other words; "𝄞" takes two places in UTF-16, "会" two in a column.
WRITTEN_OTHERWISE = st.text(st.sampled_from('&<>"\t\n\r\0\x1f\ufffe \u00a0\u2060_x0041会𝄞a'), max_size=9)
ROWS = st.lists(
    st.tuples(
        WRITTEN_OTHERWISE | st.text(max_size=5) | st.just("_x000D_") | st.none(),
        st.sampled_from(["North", "North & South", None]),
        st.dates(dt.date(1900, 2, 1), dt.date(2100, 1, 1)) | st.none(),
    ),
    min_size=1,
    max_size=6,
)


def shown(book):
    """All that a sheet shows: cells with their formats, widths and heights, what is frozen, filtered and printed."""
    (page,) = openpyxl.load_workbook(io.BytesIO(book))
    cells = {
        cell.coordinate: (cell.data_type, cell.value, cell.number_format, cell.alignment.horizontal, cell.font.b)
        for row in page
        for cell in row
        if cell.value is not None
    }
    widths = {name: column.width for name, column in page.column_dimensions.items()}
    heights = {line: row.height for line, row in page.row_dimensions.items() if row.height}
    return cells, widths, heights, page.freeze_panes, page.auto_filter.ref, page.print_title_rows


@settings(deadline=None)
@given(ROWS, st.lists(st.just("Above"), max_size=2))
def test_a_table_written_by_columns_is_the_one_written_by_cells(rows, above):
    frame = pd.DataFrame(rows, columns=["name", "branch", "day"]).astype({"name": "str", "branch": "str"})
    frame["day"] = pd.to_datetime(frame["day"]).astype("datetime64[us]")
    columns = [Column("name", "Name"), Column("day", "Day", "date"), Column("branch", "Branch")]
    sheet = Sheet("List", frame, columns, above=above)
    by_columns = write_long_table(sheet, title="x", reader=Reader())
    assert shown(by_columns) == shown(write_book([sheet], title="x", reader=Reader()))
    assert by_columns == write_long_table(sheet, title="x", reader=Reader())


def test_a_long_table_shares_its_texts():
    """Telephones show no texts that stand in the cells themselves."""
    listed = list_table(contacts(["Eva", "Eva", "<r>Ida</r>"], ["N", "N", "S"], ["lost"] * 3), Reader())
    with zipfile.ZipFile(io.BytesIO(list_xlsx(listed, Reader()))) as parts:
        sheet, texts = (parts.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
    assert "inlineStr" not in sheet
    counts = re.search(r'count="(\d+)" uniqueCount="(\d+)"', texts).groups()
    assert counts == (str(sheet.count('t="s"')), str(texts.count("<si>")))
    assert texts.count("&lt;r&gt;Ida&lt;/r&gt;</t>") == texts.count("Ida")


def test_whom_only_advertising_may_reach_is_on_no_list():
    table = contacts(["A", "B"], ["N", "S"], ["lost", "lost"])
    table.loc[0, ["sms", "phone", "email"]] = None
    assert list_table(table, Reader())["name"].tolist() == ["B"]


# --- audiences

#: From Meta's page on customer information parameters: John_Smith@gmail.com, and (650)555-1212 in the United States.
META = {
    "john_smith@gmail.com": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    "16505551212": "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
}


def test_hashes_are_those_of_the_platforms_own_examples():
    table = pd.DataFrame({"ads_phone": ["+16505551212"], "ads_email": [" John_Smith@gmail.com "]})
    header, row, end = audience_csv(table).decode("ascii").split("\r\n")
    email, with_plus, digits = row.split(",")
    assert (header, end) == (HEADER, "")
    assert (email, digits) == tuple(META.values())
    # Google hashes E.164 as it is written, with its plus.
    assert with_plus == hashlib.sha256(b"+16505551212").hexdigest()


def test_an_audience_has_no_line_twice_and_none_without_a_contact():
    phones, emails = ["+16505551212", "+16505551212", None, None], [None, None, "a@example.org", None]
    lines = audience_csv(pd.DataFrame({"ads_phone": phones, "ads_email": emails})).decode("ascii").split("\r\n")
    assert len(lines) == 1 + 2 + 1
    assert audience_csv(pd.DataFrame({"ads_phone": phones[3:]})) == b""
