"""Workbooks say as text what they hold, and one that is built to do harm ends as one error."""

from __future__ import annotations

import datetime as dt
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import python_calamine
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from workbook_bombs import (
    BOMBS,
    MAIN,
    ROW_OF_SECRET,
    SECRET,
    SHEET,
    content_xml,
    half_a_million_rows,
    pack,
    parts,
    sheet_xml,
    styles_xml,
)

from rfmkit.data.inputs import InputFile
from rfmkit.data.workbook_child import Refused, limits, texts
from rfmkit.data.workbook_child.__main__ import read
from rfmkit.data.workbooks import MERGED, NO_VALUE, TYPED, cell_name, stage_workbook
from rfmkit.errors import ClinicFileError, ExportError, RfmkitError, SurroundingsError

LINUX = sys.platform == "linux"
#: What a bomb may take: seconds of the processor, for machines are shared, and memory beside a parent's 150 MB.
BOMB_SECONDS, BOMB_BYTES = 5, 360 * 2**20


def stage(path: Path, **said):
    """The sheets of a workbook."""
    spec = SimpleNamespace(**{"sheet": None, "decimal": None, "date_format": None, **said})
    return stage_workbook(InputFile(path, path.name, "", path.stat().st_size, 0), spec, path.parent)


def cells_of(sheet) -> dict[str, str]:
    """The cells of a staged sheet by their names; blank ones are left out."""
    return {
        cell_name(int(name[1:]), row["_row"]): value
        for row in pq.read_table(sheet.path).to_pylist()
        for name, value in row.items()
        if name[0] == "c" and value is not None
    }


def lists_of(sheet, name: str) -> set[str]:
    """The cells that a column of lists names."""
    rows = pq.read_table(sheet.path, columns=["_row", name]).to_pylist()
    return {cell_name(column, row["_row"]) for row in rows for column in row[name] or ()}


def only(path: Path, **said) -> dict[str, str]:
    """The cells of the only sheet that has any."""
    (sheet,) = stage(path, **said)
    return cells_of(sheet)


def row_xml(values: list[str], *, style: int = 0, row: int = 1) -> str:
    """A row of numbers as XML."""
    cells = "".join(f'<c r="{cell_name(n, row)}" s="{style}"><v>{value}</v></c>' for n, value in enumerate(values))
    return f'<row r="{row}">{cells}</row>'


@pytest.fixture
def readers() -> Callable[[], set[psutil.Process]]:
    """The processes that this test started and that are still there; the servers of other tests are not among them."""
    before = set(psutil.Process().children())
    return lambda: set(psutil.Process().children()) - before


# --- numbers, days and times ------------------------------------------------------------------------------------------

#: As a file writes them, and as they are told.
NUMBERS = {
    "0": "0",
    "-0": "0",
    "-0.0": "0",
    "79161234567": "79161234567",
    "79161234567.0": "79161234567",
    "7.9161234567E+10": "79161234567",
    "7.9161234567E10": "79161234567",
    "0.30000000000000004": "0.3",  # 0.1 + 0.2
    "1234.5600000000001": "1234.56",
    "4.3499999999999996": "4.35",
    "-1234.50": "-1234.5",
    "1E-7": "0.0000001",
    "1.5e-3": "0.0015",
    "100": "100",
    "1e2": "100",
    "999999999999999": "999999999999999",  # fifteen digits are sure
    "99999999999999.99": "100000000000000",
    "1E15": "1E+15",
    "999999999999999.9": "1E+15",
    "1234567890123456": "1.23456789012346E+15",
    "-4276123456789012": "-4.27612345678901E+15",
    "1e400": "1e400",
    "about ten": "about ten",
}


def test_numbers_are_told_in_one_way(tmp_path):
    path = pack(tmp_path / "n.xlsx", parts({"A": sheet_xml(row_xml(list(NUMBERS)))}))
    assert list(only(path).values()) == list(NUMBERS.values())
    told = list(only(path, decimal=",").values())
    assert told == [text.replace(".", ",") for text in NUMBERS.values()]


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=4, allow_nan=False))
def test_a_number_of_fifteen_digits_comes_back_exactly(number):
    exact = Decimal(f"{number:.15g}") if number else Decimal(0)
    told = texts.number_text(repr(float(exact)))
    assert "E" not in told
    assert Decimal(told) == exact
    assert not re.search(r"^-?0\d|\.0*$|\.\d*0$", told)


#: Serial days of the two epochs. 45,000 is 15 March 2023: 1 January is 44,927, and 31 + 28 + 14 days follow.
DAYS_1900 = {
    "0": "00:00:00",
    "0.5": "12:00:00",
    "1": "1900-01-01",
    "59": "1900-02-28",
    "60": "60",  # 29 February 1900, which there was not
    "61": "1900-03-01",
    "45000": "2023-03-15",
    "45000.75": "2023-03-15 18:00:00",
    "45000.430555555555556": "2023-03-15 10:20:00",
    "45000.999999": "2023-03-16",  # a tenth of a second to midnight
    "2958465": "9999-12-31",
    "2958466": "2958466",
    "-1": "-1",
}
DAYS_1904 = {"0": "1904-01-01", "59": "1904-02-29", "60": "1904-03-01", "43538": "2023-03-15"}  # 45,000 − 1,462


def test_days_of_both_epochs(tmp_path):
    for since, days in [("", DAYS_1900), ('<workbookPr date1904="1"/>', DAYS_1904)]:
        made = parts({"A": sheet_xml(row_xml(list(days)))}, styles=styles_xml(14), before_sheets=since)
        assert list(only(pack(tmp_path / "d.xlsx", made)).values()) == list(days.values())


def test_days_in_the_clinic_files_way(tmp_path):
    path = pack(tmp_path / "d.xlsx", parts({"A": sheet_xml(row_xml(["45000", "45000.75"]))}, styles=styles_xml(14)))
    assert list(only(path, date_format="%d.%m.%Y").values()) == ["15.03.2023", "15.03.2023 18:00:00"]
    assert list(only(path, date_format="%Y年%m月%d日").values()) == ["2023年03月15日", "2023年03月15日 18:00:00"]
    timed = ["15.03.2023 00:00", "15.03.2023 18:00"]
    assert list(only(path, date_format="%d.%m.%Y %H:%M").values()) == timed


#: Number formats, and 45,000.75 and 0.75 in them.
FORMATS = {
    "General": ("45000.75", "0.75"),
    "#,##0.00\\ [$₽-419]": ("45000.75", "0.75"),
    '0.00" days"': ("45000.75", "0.75"),
    "[Red]0.00;[Blue]-0.00": ("45000.75", "0.75"),
    "0.00E+00": ("45000.75", "0.75"),
    "0\\d": ("45000.75", "0.75"),
    "dd.mm.yyyy": ("2023-03-15 18:00:00", "18:00:00"),
    "[$-804]yyyy年m月d日": ("2023-03-15 18:00:00", "18:00:00"),
    "mmm": ("2023-03-15 18:00:00", "18:00:00"),
    "h:mm": ("2023-03-15 18:00:00", "18:00:00"),
    "mm:ss.0": ("2023-03-15 18:00:00", "18:00:00"),
    "[h]:mm:ss": ("1080018:00:00", "18:00:00"),  # 45,000 × 24 + 18
    22: ("2023-03-15 18:00:00", "18:00:00"),
    31: ("2023-03-15 18:00:00", "18:00:00"),  # Chinese year, month, day
    46: ("1080018:00:00", "18:00:00"),
}


def test_what_a_number_is_by_its_format(tmp_path):
    rows = "".join(row_xml(["45000.75", "0.75"], style=n, row=n + 1) for n in range(len(FORMATS)))
    told = only(pack(tmp_path / "f.xlsx", parts({"A": sheet_xml(rows)}, styles=styles_xml(*FORMATS))))
    assert [(told[f"A{n}"], told[f"B{n}"]) for n in range(1, len(FORMATS) + 1)] == list(FORMATS.values())


def test_cells_have_the_names_that_spreadsheets_give_them():
    assert [cell_name(column, 2) for column in (0, 3, 25, 26, 701, 702, 16_383)] == [
        *("A2", "D2", "Z2", "AA2", "ZZ2", "AAA2", "XFD2")
    ]


# --- text, and the forms that programs give it ------------------------------------------------------------------------

SHARED = f"""<sst xmlns="{MAIN}">
<si><t>Иванова &amp; Co &lt;b&gt;</t></si><si/><si><t xml:space="preserve"> два  </t></si>
<si><r><t>Анна</t></r><r><rPr><b/></rPr><t xml:space="preserve"> Мария</t></r><rPh sb="0"><t>アンナ</t></rPh></si>
<si><t>line_x000D_\nbreak _x005F_x000D_ &#x41;</t></si><si><t>
  blanks that do not count </t></si></sst>"""
TEXTS = ["Иванова & Co <b>", None, " два  ", "Анна Мария", "line\r\nbreak _x000D_ A", "blanks that do not count"]
ROWS = """<row r="2" spans="1:5"><c r="A2" t="s"><v>0</v></c>\
<c r="C2" t="inlineStr"><is><t>in &amp; line</t></is></c><c r="D2" s="0"><v>1.5</v></c><c r="E2" s="0"/></row>\
<row r="3"/><row r="4"><c r="B4" t="b"><v>1</v></c><c r="C4" t="e"><v>#N/A</v></c>\
<c r="D4" t="str"><f>A2&amp;""</f><v>a b</v></c></row>"""
TOLD = {"A2": "Иванова & Co <b>", "C2": "in & line", "D2": "1.5", "B4": "true", "C4": "#N/A", "D4": "a b"}


def _attributes_turned(xml: str) -> str:
    return re.sub(r'<(c|row) (r="\w+")((?: \w+="[^"]*")+)', r"<\1\3 \2", xml)


def _aside(xml: str) -> str:
    xml = xml.replace("<row", '<!-- <row r="1"><c r="A1"><v>7</v></c></row> --><row').replace("<c ", "<?pi <c ?><c ")
    return xml.replace("in &amp; line", "<![CDATA[in & ]]>line")


#: The same sheet as different programs write it.
FORMS = {
    "as Excel": lambda xml: xml,
    "with prefixes": lambda xml: re.sub(r"<(/?)(?=\w)", r"<\1x:", xml).replace("xmlns=", "xmlns:x="),
    "attributes turned": _attributes_turned,
    "single quotes": lambda xml: xml.replace('"', "'").replace("A2&amp;''", "A2"),
    "neatly written": lambda xml: xml.replace("><", ">\n  <"),
    "Windows line ends": lambda xml: xml.replace("><", ">\r\n<"),
    "comments and sections": _aside,
    "declared": lambda xml: '\ufeff<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + xml,
    "small letters": lambda xml: xml.replace('"A2"', '"a2"'),
}


def test_shared_text_is_what_the_reader_sees(tmp_path):
    row = "".join(f'<c r="{cell_name(n, 1)}" t="s"><v>{n}</v></c>' for n in range(len(TEXTS)))
    path = pack(tmp_path / "t.xlsx", parts({"A": sheet_xml(f'<row r="1">{row}</row>')}, shared=SHARED))
    assert only(path) == {cell_name(n, 1): text for n, text in enumerate(TEXTS) if text}


def test_every_form_of_a_sheet_says_the_same(tmp_path):
    made = parts({name: form(sheet_xml(ROWS)) for name, form in FORMS.items()}, shared=SHARED)
    sheets = stage(pack(tmp_path / "f.xlsx", made))
    assert [sheet.name for sheet in sheets] == list(FORMS)
    for sheet in sheets:
        assert cells_of(sheet) == TOLD, sheet.name
        assert (sheet.rows, sheet.columns) == (2, 4)
        assert lists_of(sheet, TYPED) == {"D2", "B4"}


def test_cells_without_names_stand_behind_each_other(tmp_path):
    rows = '<row><c><v>1</v></c><c/><c t="str"><v>x</v></c></row><row/><row><c r="B3"><v>2</v></c><c><v>3</v></c></row>'
    rows += '<row r="7"><c><v>4</v></c></row><row><c><v>5</v></c></row>'
    told = {"A1": "1", "C1": "x", "B3": "2", "C3": "3", "A7": "4", "A8": "5"}
    assert only(pack(tmp_path / "u.xlsx", parts({"A": sheet_xml(rows)}))) == told


def test_blank_rows_are_left_out_and_rows_keep_their_numbers(tmp_path):
    rows = '<row r="3"><c r="B3"><v>1</v></c></row><row r="4"><c r="A4" s="0"/></row>'
    rows += '<row r="9"><c r="D9"><v>2</v></c></row>'
    (sheet,) = stage(pack(tmp_path / "b.xlsx", parts({"A": sheet_xml(rows)})))
    assert pq.read_table(sheet.path).select(["_row", "c0", "c1", "c2", "c3"]).to_pylist() == [
        {"_row": 3, "c0": None, "c1": "1", "c2": None, "c3": None},
        {"_row": 9, "c0": None, "c1": None, "c2": None, "c3": "2"},
    ]


def long_rows(first: int, last: int) -> str:
    """Rows of a number in column B and a long text in C; Parquet is written in groups of some five hundred of them."""
    text = f'" t="inlineStr"><is><t>{"x" * 30_000}</t></is></c></row>'
    return "".join(
        f'<row r="{n}"><c r="B{n}"><v>{n}</v></c><c r="C{n}{text}' for n in range(first, last + 1)
    )  # fmt: skip


def test_a_row_may_be_wider_than_all_before_it(tmp_path):
    rows = long_rows(1, 900) + '<row r="901"><c r="E901"><v>7</v></c></row>' + long_rows(902, 1000)
    (sheet,) = stage(pack(tmp_path / "w.xlsx", parts({"A": sheet_xml(rows)})))
    table = pq.read_table(sheet.path)
    assert pq.ParquetFile(sheet.path).num_row_groups > 1
    assert (sheet.rows, sheet.columns, table["_row"].to_pylist()) == (1000, 5, list(range(1, 1001)))
    assert table["c1"].to_pylist() == [str(n) if n != 901 else None for n in range(1, 1001)]
    assert table["c4"].to_pylist() == [None] * 900 + ["7"] + [None] * 99


# --- sheets -----------------------------------------------------------------------------------------------------------


def test_a_stray_cell_is_told_by_its_name(tmp_path):
    row = '<row r="7"><c r="A7"><v>1</v></c><c r="XFD7"><v>1</v></c></row>'
    with pytest.raises(ExportError, match=r"s\.xlsx, sheet «Лист1»: has a cell XFD7, beyond the 1,000 columns"):
        stage(pack(tmp_path / "s.xlsx", parts({"Лист1": sheet_xml(row)})))


def test_sheets_in_their_order_hidden_or_not(tmp_path):
    book = openpyxl.Workbook()
    for name, state in [("Июнь", "visible"), ("Июль", "hidden"), ("Пусто", "visible"), ("Август", "veryHidden")]:
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        if name != "Пусто":
            sheet["A1"] = name
    book.save(tmp_path / "s.xlsx")
    assert [sheet.name for sheet in stage(tmp_path / "s.xlsx")] == ["Июнь", "Июль", "Август"]
    assert only(tmp_path / "s.xlsx", sheet=" июль ") == {"A1": "Июль"}
    assert stage(tmp_path / "s.xlsx", sheet="Пусто") == []
    with pytest.raises(ClinicFileError, match=r"s\.xlsx: has no sheet «Май».*«Июнь», «Июль», «Пусто», «Август»"):
        stage(tmp_path / "s.xlsx", sheet="Май")


def test_workbooks_staged_in_one_folder_stay_apart(tmp_path):
    paths = [pack(tmp_path / f"{n}.xlsx", parts({"A": sheet_xml(row_xml([str(n)]))})) for n in (1, 2)]
    staged = [stage(path)[0] for path in paths]
    assert [cells_of(sheet) for sheet in staged] == [{"A1": "1"}, {"A1": "2"}]


# --- merged areas -----------------------------------------------------------------------------------------------------


def test_a_merged_area_is_filled_and_told(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [["Оплаты"], ["id", "day", "amount"], ["7", "1 May", 90], [None, "2 May", None], [None, "3 May", 5]]:
        sheet.append(row)
    for area in ("A1:C1", "A3:A5", "C3:C4"):
        sheet.merge_cells(area)
    book.save(tmp_path / "m.xlsx")
    (sheet,) = stage(tmp_path / "m.xlsx")
    assert pq.read_table(sheet.path).to_pylist() == [
        {"_row": 1, "c0": "Оплаты", "c1": "Оплаты", "c2": "Оплаты", TYPED: None, MERGED: [1, 2]},
        {"_row": 2, "c0": "id", "c1": "day", "c2": "amount", TYPED: None, MERGED: None},
        {"_row": 3, "c0": "7", "c1": "1 May", "c2": "90", TYPED: [2], MERGED: None},
        {"_row": 4, "c0": "7", "c1": "2 May", "c2": "90", TYPED: [2], MERGED: [0, 2]},
        {"_row": 5, "c0": "7", "c1": "3 May", "c2": "5", TYPED: [2], MERGED: [0]},
    ]


def test_a_value_under_a_merged_area_is_kept(tmp_path):
    rows = "".join(row_xml([str(n), "1"], row=n) for n in (1, 2)) + '<row r="3"><c r="B3"><v>1</v></c></row>'
    behind = '<mergeCells count="2"><mergeCell ref="A1:A3"/><mergeCell ref="E1:F9"/></mergeCells>'
    (sheet,) = stage(pack(tmp_path / "m.xlsx", parts({"A": sheet_xml(rows, behind=behind)})))
    assert cells_of(sheet) == {"A1": "1", "B1": "1", "A2": "2", "B2": "1", "A3": "1", "B3": "1"}
    assert lists_of(sheet, MERGED) == {"A3"}


def test_a_merged_area_reaches_over_any_number_of_rows(tmp_path):
    rows = row_xml(["5", "1"]) + long_rows(2, 1000)
    behind = '<mergeCells><mergeCell ref="A1:A999"/></mergeCells>'
    (sheet,) = stage(pack(tmp_path / "m.xlsx", parts({"A": sheet_xml(rows, behind=behind)})))
    table = pq.read_table(sheet.path)
    assert pq.ParquetFile(sheet.path).num_row_groups > 1
    assert table["c0"].to_pylist() == ["5"] * 999 + [None]
    assert table[MERGED].to_pylist() == [None] + [[0]] * 998 + [None]
    assert table[TYPED].to_pylist() == [[0, 1]] * 999 + [[1]]


# --- formulas ---------------------------------------------------------------------------------------------------------


def test_a_formula_without_a_saved_value_is_no_blank_cell(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["a", "b", "c"])
    book.active.append([1, "=A2*2", None])
    book.save(tmp_path / "o.xlsx")
    assert only(tmp_path / "o.xlsx") == {"A1": "a", "B1": "b", "C1": "c", "A2": "1", "B2": NO_VALUE}

    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, [1, "=A1*2"])
        sheet.write_formula("C1", "=A1*3", value=3)
        sheet.write_array_formula("D1:D1", "{=A1*4}", value=4)
    assert only(tmp_path / "x.xlsx") == {"A1": "1", "B1": NO_VALUE, "C1": "3", "D1": "4"}


def test_which_formulas_have_a_value(tmp_path):
    cells = [
        ("<f>1+1</f><v>2</v>", "", "2"),
        ("<f>1-1</f><v>0</v>", "", "0"),
        ('<f>""</f><v></v>', ' t="str"', None),  # an empty text is a value
        ("<f>A1</f><v/>", ' t="str"', None),
        ("<f>A1</f>", ' t="str"', NO_VALUE),
        ("<f>1+1</f>", "", NO_VALUE),
        ("<f>1+1</f><v></v>", "", NO_VALUE),
        ("<f>1+1</f><v />", "", NO_VALUE),
        ('<f t="shared" si="0"/>', "", NO_VALUE),
        ('<f t="shared" si="0"/><v>7</v>', "", "7"),
        ("<f>1/0</f><v>#DIV/0!</v>", ' t="e"', "#DIV/0!"),
        ("<f>A1&gt;B1</f><v>1</v>", ' t="b"', "true"),
        ("<v></v>", "", None),
    ]
    row = "".join(f'<c r="{cell_name(n, 1)}"{kind}>{inside}</c>' for n, (inside, kind, _) in enumerate(cells))
    path = pack(tmp_path / "f.xlsx", parts({"A": sheet_xml(f'<row r="1">{row}</row>')}))
    assert only(path) == {cell_name(n, 1): told for n, (_, _, told) in enumerate(cells) if told}


# --- other programs ---------------------------------------------------------------------------------------------------


def mixed_workbook(path: Path, *, since_1904: bool = False) -> Path:
    """Cells of every kind, as openpyxl writes them; formulas have no value until a program saves the file."""
    book = openpyxl.Workbook()
    if since_1904:
        book.epoch = CALENDAR_MAC_1904
    sheet = book.active
    sheet.title = "Оплаты"
    sheet.append(["Отчёт", None, None, None, None])
    sheet.merge_cells("A1:E1")
    sheet.append(["id", "day", "amount", "phone", "note"])
    sheet.append(["007", dt.date(2024, 2, 29), 1234.5, 79161234567, "two\nlines"])
    sheet.append(["008", dt.datetime(2024, 3, 1, 13, 45, 10), 0.1 + 0.2, 1234567890123456, True])
    sheet.append(["009", dt.time(10, 20), "=C3*2", dt.timedelta(hours=26, minutes=30), "  a   b & <c>"])
    sheet.append([None, None, None, None, "=1/0"])
    sheet["C3"].number_format = '# ##0.00\\ "₽"'
    hidden = book.create_sheet("Скрытый")
    hidden["B2"], hidden.sheet_state = "hidden", "hidden"
    book.create_sheet("Пусто")
    book.save(path)
    return path


MIXED = {
    **dict.fromkeys(["A1", "B1", "C1", "D1", "E1"], "Отчёт"),
    **{"A2": "id", "B2": "day", "C2": "amount", "D2": "phone", "E2": "note"},
    **{"A3": "007", "B3": "2024-02-29", "C3": "1234.5", "D3": "79161234567", "E3": "two\nlines"},
    **{"A4": "008", "B4": "2024-03-01 13:45:10", "C4": "0.3", "D4": "1.23456789012346E+15", "E4": "true"},
    **{"A5": "009", "B5": "10:20:00", "C5": "2469", "D5": "26:30:00", "E5": "  a   b & <c>", "E6": "#DIV/0!"},
}


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    """Workbooks as LibreOffice saves them, by their endings."""
    program = shutil.which("soffice")
    if not program:
        pytest.skip("LibreOffice is not installed")
    folder = tmp_path_factory.mktemp("office")
    mixed_workbook(folder / "mixed.xlsx")
    mixed_workbook(folder / "mac.xlsx", since_1904=True)
    (folder / "long.csv").write_text("1\n" * 65_536)
    for ending, names in [
        ("xls", ["mixed.xlsx", "mac.xlsx", "long.csv"]),
        ("ods", ["mixed.xlsx"]),
        ("xlsx", ["mixed.xlsx"]),
    ]:
        command = [
            program,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            ending,
        ]
        command += ["--outdir", folder / ending, *[folder / name for name in names]]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def test_what_openpyxl_writes(tmp_path):
    sheets = stage(mixed_workbook(tmp_path / "mixed.xlsx"))
    assert [sheet.name for sheet in sheets] == ["Оплаты", "Скрытый"]
    assert cells_of(sheets[0]) == {**MIXED, "C5": NO_VALUE, "E6": NO_VALUE}
    assert lists_of(sheets[0], TYPED) == {"B3", "C3", "D3", "B4", "C4", "D4", "E4", "B5", "D5"}
    mac = stage(mixed_workbook(tmp_path / "mac.xlsx", since_1904=True))
    assert cells_of(mac[0]) == cells_of(sheets[0])


@pytest.mark.parametrize("ending", ["xlsx", "ods", "xls"])
def test_what_libreoffice_writes(office, ending):
    sheets = stage(office / ending / f"mixed.{ending}")
    assert [sheet.name for sheet in sheets] == ["Оплаты", "Скрытый"]
    # Of an .xls file calamine does not tell errors; LibreOffice saves a truth without a format of its own as a number.
    other = {"xls": {"E6": None}, "ods": {"E4": "1"}, "xlsx": {}}[ending]
    assert cells_of(sheets[0]) == {name: text for name, text in {**MIXED, **other}.items() if text}
    assert cells_of(sheets[1]) == {"B2": "hidden"}
    assert lists_of(sheets[0], MERGED) == {"B1", "C1", "D1", "E1"}
    assert lists_of(sheets[0], TYPED) == {"B3", "C3", "D3", "B4", "C4", "D4", "E4", "B5", "C5", "D5"}


def test_old_workbooks_of_macintoshes(office):
    told = cells_of(stage(office / "xls" / "mac.xls")[0])
    assert (told["B3"], told["B4"], told["B5"]) == ("2024-02-29", "2024-03-01 13:45:10", "10:20:00")


def test_an_old_workbook_that_is_full_was_cut(office):
    with pytest.raises(
        ExportError, match=r"long\.xls, sheet «long»: reaches row 65,536.*cut there\. Export it as \.xlsx"
    ):
        stage(office / "xls" / "long.xls")


def test_what_xlsxwriter_writes(tmp_path):
    for options in ({}, {"constant_memory": True}, {"date_1904": True}):
        with xlsxwriter.Workbook(tmp_path / "x.xlsx", options) as book:
            day = book.add_format({"num_format": "dd.mm.yyyy"})
            sheet = book.add_worksheet("Оплаты")
            sheet.write_string("A1", "=1+1")
            sheet.write_string("B1", " ∀ <&> \x1f")
            sheet.write_number("C1", 79161234567)
            sheet.write_datetime("D1", dt.datetime(2024, 2, 29), day)
            sheet.write_boolean("E1", False)
            sheet.write_rich_string("F1", "Анна", book.add_format({"bold": True}), " Мария")
            sheet.merge_range("A2:B3", "both")
            sheet.write("C3", 1)
        told = {
            "A1": "=1+1",
            "B1": " ∀ <&> \x1f",
            "C1": "79161234567",
            "D1": "2024-02-29",
            "E1": "false",
            "F1": "Анна Мария",
        }
        told |= {"A2": "both", "B2": "both", "A3": "both", "B3": "both", "C3": "1"}
        assert only(tmp_path / "x.xlsx") == told


def test_another_reader_finds_the_same_cells(tmp_path):
    draw = random.Random(7)
    values = [*("a", "Ёлка", "x<y", "7", 5, -12.25, 1e-5, 123456789.125, True, dt.datetime(2025, 1, 2, 3, 4, 5)), None]
    book = openpyxl.Workbook()
    for _ in range(400):
        book.active.append([draw.choice(values) for _ in range(12)])
    book.save(tmp_path / "r.xlsx")
    found = python_calamine.load_workbook(tmp_path / "r.xlsx").get_sheet_by_index(0).to_python(skip_empty_area=False)
    told = {
        cell_name(column, row): str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, str | dt.datetime) else f"{Decimal(repr(value)):f}".removesuffix(".0")
        for row, cells in enumerate(found, start=1)
        for column, value in enumerate(cells)
        if value != ""
    }  # fmt: skip
    assert only(tmp_path / "r.xlsx") == told


def test_an_opendocument_sheet_by_hand(tmp_path):
    table = """<table:table table:name="Лист1"><table:table-column/><table:table-row table:number-rows-repeated="2">
        <table:table-cell table:number-columns-repeated="16384"/></table:table-row>
      <table:table-row table:number-rows-repeated="2">
        <table:table-cell table:number-columns-repeated="2" office:value-type="float" office:value="1.50">
          <text:p>1,5</text:p></table:table-cell><table:table-cell/>
        <table:table-cell office:value-type="string"><office:annotation><text:p>a remark</text:p></office:annotation>
          <text:p>one<text:s text:c="2"/>t<text:span>w</text:span>o</text:p><text:p>line</text:p></table:table-cell>
      </table:table-row>
      <table:table-row>
        <table:table-cell table:number-rows-spanned="2" office:value-type="currency" office:value="1E+3"/>
        <table:table-cell table:formula="of:=1+1"/><table:table-cell table:formula="of:=1" office:value-type="float"/>
        <table:table-cell office:value-type="time" office:time-value="PT26H30M00S"/></table:table-row>
      <table:table-row><table:covered-table-cell/>
        <table:table-cell office:value-type="date" office:date-value="1899-12-30"/>
        <table:table-cell office:value-type="boolean" office:boolean-value="true"/></table:table-row></table:table>"""
    (sheet,) = stage(pack(tmp_path / "h.ods", content_xml(table)), decimal=",")
    told = {f"{column}{row}": "1,5" for row in (3, 4) for column in "AB"} | {
        "D3": "one  two\nline",
        "D4": "one  two\nline",
    }
    told |= {
        "A5": "1000",
        "B5": NO_VALUE,
        "C5": NO_VALUE,
        "D5": "26:30:00",
        "A6": "1000",
        "B6": "1899-12-30",
        "C6": "true",
    }
    assert cells_of(sheet) == told
    assert lists_of(sheet, MERGED) == {"A6"}
    assert lists_of(sheet, TYPED) == {"A3", "B3", "A4", "B4", "A5", "A6", "B6", "C6", "D5"}


# --- what is no workbook ----------------------------------------------------------------------------------------------

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
NOT_WORKBOOKS = {
    "page.xls": (f"<html><body><table><tr><td>{SECRET}</td>", "is a web page named .xls, as many systems export"),
    "mhtml.xls": ("MIME-Version: 1.0\nContent-Type: multipart/related", "is a web page"),
    "wide.xls": (f"<table><tr><td>{SECRET}</td>".encode("utf-16"), "is a web page"),
    "tabs.xls": (f"id\tday\n7\t{SECRET}\n".encode("cp1251"), "is a text file named .xls"),
    "unicode.xls": (f"id\tday\n7\t{SECRET}\n".encode("utf-16"), "is a text file named .xls"),
    "lines.xlsx": (f"id;day\n7;{SECRET}\n", "is a text file named .xlsx"),
    "old.xls": ('<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>', "is an XML spreadsheet of Excel 2003"),
    "bare.xls": (b"\x09\x08\x08\x00\x00\x00\x10\x00", "is an Excel file of before 1997"),
    "print.xlsx": (b"%PDF-1.7\n\x00", "is a PDF document"),
    "other.xlsx": (b"\x00\x01\x02\x03" * 9, "is no workbook"),
    "locked.xlsx": (
        OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 600,
        "is protected by a password",
    ),
    "torn.xls": (OLE + b"\0" * 20, "is damaged"),
    "cut.xlsx": (b"PK\x03\x04" + b"\0" * 200, "is damaged: the file is cut short"),
}
ARCHIVES = {
    "binary.xlsb": ({"xl/workbook.bin": "x", "_rels/.rels": "<a/>"}, "is a binary workbook"),
    "letter.xlsx": (
        {"_rels/.rels": parts({})["_rels/.rels"], "xl/workbook.xml": "<document/>"},
        "has no sheet of cells",
    ),
    "several.xlsx": ({"may.csv": "1,2", "june.csv": "3,4"}, "is an archive with no workbook in it"),
    "locked.ods": (
        {**content_xml(""), "META-INF/manifest.xml": "<m:file-entry><m:encryption-data/>"},
        "is protected by a password",
    ),
    "utf16.xlsx": ({**parts({"A": ""}), SHEET: sheet_xml("").encode("utf-16")}, "holds XML that is not UTF-8"),
    "cp1251.xlsx": (
        {**parts({"A": ""}), SHEET: '<?xml version="1.0" encoding="windows-1251"?>' + sheet_xml("")},
        "holds XML that is not UTF-8",
    ),
    "entity.xlsx": (parts({"A": sheet_xml(ROW_OF_SECRET.replace("Мария", "&x;"))}), "is damaged"),
    "shared.xlsx": (
        parts({"A": sheet_xml('<row r="1"><c r="A1" t="s"><v>9</v></c></row>')}, shared=SHARED),
        "is damaged",
    ),
    "part.xlsx": ({name: xml for name, xml in parts({"A": ""}).items() if name != SHEET}, "a part is missing"),
    "turned.xlsx": (
        parts({"A": sheet_xml(row_xml(["1"], row=2) + row_xml(["1"]))}),
        "cells do not stand in their order",
    ),
    "open.xlsx": (parts({"A": f'<worksheet xmlns="{MAIN}"><sheetData>{ROW_OF_SECRET}'}), "a part does not end"),
    "nested.xlsx": (parts({"A": sheet_xml('<row r="1"><c r="A1"><w/></c></row>')}), "a cell holds what it cannot"),
}


@pytest.mark.parametrize("name", [*NOT_WORKBOOKS, *ARCHIVES])
def test_what_is_no_workbook_is_told_by_what_it_is(tmp_path, name):
    if name in ARCHIVES:
        content, said = ARCHIVES[name]
        pack(tmp_path / name, content)
    else:
        content, said = NOT_WORKBOOKS[name]
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ExportError) as caught:
        stage(tmp_path / name)
    (problem,) = caught.value.problems
    assert problem.where.startswith(name)
    assert said in problem.what
    assert problem.fix.endswith(".")
    assert SECRET.split()[0] not in str(problem)


def test_a_part_under_a_password(tmp_path):
    path = pack(tmp_path / "p.xlsx", parts({"A": sheet_xml("")}))
    content = bytearray(path.read_bytes())
    for sign, at in [(b"PK\3\4", 6), (b"PK\1\2", 8)]:
        for found in re.finditer(re.escape(sign), bytes(content)):
            content[found.start() + at] |= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match="is protected by a password"):
        stage(path)


def test_a_file_that_may_not_be_read(tmp_path):
    path = pack(tmp_path / "p.xlsx", parts({"A": sheet_xml("")}))
    file = InputFile(path, path.name, "", path.stat().st_size, 0)
    path.unlink()
    with pytest.raises(SurroundingsError, match=r"p\.xlsx: cannot be read"):
        stage_workbook(file, SimpleNamespace(sheet=None, decimal=None, date_format=None), tmp_path)


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_archive_is_exact_or_refused(tmp_path):
    """Every archive has a checksum of each part: a bit more or less never changes a cell. Read without a child."""
    whole = mixed_workbook(tmp_path / "mixed.xlsx").read_bytes()
    draw, path, request = random.Random(11), tmp_path / "m.xlsx", {"kind": "zip", "sheet": None, "decimal": "."}
    request |= {"path": str(path), "date_format": "%Y-%m-%d"}
    told = {**MIXED, "C5": NO_VALUE, "E6": NO_VALUE}
    for turn in range(300):
        content = bytearray(whole)
        if turn % 3:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        else:
            del content[draw.randrange(len(content)) :]
        path.write_bytes(content)
        folder = tmp_path / str(turn)
        folder.mkdir()
        try:
            sheets = read(request, folder)
        except Refused:
            continue
        first = next(sheet for sheet in sheets if sheet["name"] == "Оплаты")
        assert cells_of(SimpleNamespace(path=folder / first["file"])) == told


@pytest.mark.parametrize("turn", range(12))
def test_a_damaged_old_workbook_ends_no_parent(office, tmp_path, turn, readers):
    draw, content = random.Random(turn), bytearray((office / "xls" / "mixed.xls").read_bytes())
    if turn % 2:
        for _ in range(40):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    else:
        del content[draw.randrange(len(content)) :]
    (tmp_path / "m.xls").write_bytes(content)
    try:
        stage(tmp_path / "m.xls")
    except RfmkitError as error:
        assert len(error.problems) == 1
    assert not readers()


# --- harm -------------------------------------------------------------------------------------------------------------


class Watch:
    """The most memory that the readers had at a time, and the processor's time they took."""

    def __init__(self, readers):
        self._readers = readers

    def __enter__(self):
        self.most, self._ended = 0, threading.Event()
        self._before = self._time()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self.seconds = self._time() - self._before

    def _look(self):
        while not self._ended.wait(0.005):
            resident = 0
            for child in self._readers():
                try:
                    resident += child.memory_info().rss
                except psutil.Error:
                    continue
            self.most = max(self.most, resident)

    def _time(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_as_one_error(tmp_path, name, readers):
    make, ending = BOMBS[name]
    path = make(tmp_path / f"payments{ending}")
    with Watch(readers) as watch, pytest.raises(ExportError) as caught:
        stage(path)
    (problem,) = caught.value.problems
    assert problem.where.startswith(path.name)
    assert problem.fix
    assert not any(word in str(problem) for word in SECRET.split())
    assert watch.seconds < BOMB_SECONDS
    assert watch.most < BOMB_BYTES
    assert not readers()


@pytest.fixture(scope="session")
def half_a_million(tmp_path_factory):
    return half_a_million_rows(tmp_path_factory.mktemp("large") / "payments.xlsx")


def test_half_a_million_rows_pass_under_the_same_limits(half_a_million, tmp_path, readers):
    path = tmp_path / half_a_million.name
    path.symlink_to(half_a_million)
    with Watch(readers) as watch:
        (sheet,) = stage(path)
    assert (sheet.name, sheet.rows, sheet.columns) == ("Данные", 500_000, 10)
    assert watch.most < BOMB_BYTES
    table = pq.read_table(sheet.path)
    # 499,999 mod 900 = 499, and day 44,499 is 302 days after 1 January 2021, which is 44,197; 499,999 mod 97 = 61.
    last = 499_999
    assert table.slice(last).to_pylist() == [
        {
            **{"_row": 500_000, "c0": "P499999", "c1": "Иванова Мария 499999 Петровна", "c2": "2021-10-30"},
            **{"c3": "6100.5", "c4": "Гигиена", "c5": "Филиал Север", "c6": "79160499999", "c7": None, "c8": "1"},
            **{"c9": "0.3", TYPED: [2, 3, 6, 8, 9], MERGED: None},
        }
    ]
    # Rows n = 0 … 499,999 have 100 · (n mod 97) + 0.5: 5,154 whole rounds of 97, and 62 rows of the next.
    rounds, rest = divmod(500_000, 97)
    exact = 100 * (rounds * 96 * 97 // 2 + rest * (rest - 1) // 2) + Decimal("0.5") * 500_000
    assert pc.sum(pc.cast(table["c3"], "float64")).as_py() == float(exact)
    assert pc.count_distinct(table["c0"]).as_py() == 500_000


READING = """
import sys
from pathlib import Path
from types import SimpleNamespace
from rfmkit.data.inputs import InputFile
from rfmkit.data.workbooks import stage_workbook
path = Path(sys.argv[1])
file = InputFile(path, path.name, "", path.stat().st_size, 0)
try:
    stage_workbook(file, SimpleNamespace(sheet=None, decimal=None, date_format=None), Path(sys.argv[2]))
except KeyboardInterrupt:
    import psutil
    print("interrupted", len(psutil.Process().children(recursive=True)))
"""


def reading(path: Path, folder: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """A parent that reads a large workbook, and its child, which is at work."""
    parent = subprocess.Popen([sys.executable, "-c", READING, path, folder], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        # The child is at work once it has written the first rows.
        if any(folder.rglob("*.parquet")):
            return parent, psutil.Process(parent.pid).children()[0]
        time.sleep(0.02)
    raise AssertionError("the child did not begin")


def test_a_child_ends_with_its_parent(half_a_million, tmp_path):
    parent, child = reading(half_a_million, tmp_path)
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs([child], timeout=5)[1] == []


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_who_interrupts_leaves_no_child(half_a_million, tmp_path):
    parent, _ = reading(half_a_million, tmp_path)
    parent.send_signal(signal.SIGINT)
    assert parent.communicate(timeout=30)[0].split() == ["interrupted", "0"]


def test_a_child_that_takes_too_long_or_too_much_is_ended(half_a_million, tmp_path, monkeypatch, readers):
    path = tmp_path / half_a_million.name
    path.symlink_to(half_a_million)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "CLOCK_SECONDS", -1000)
        with pytest.raises(ExportError, match="takes longer to read than its size explains"):
            stage(path)
    assert not readers()
    if LINUX:
        monkeypatch.setattr(limits, "RESIDENT", 2**20)
        with pytest.raises(ExportError, match="needs more than 256 MB of memory"):
            stage(path)
        assert not readers()


@pytest.mark.skipif(not LINUX, reason="the address space is limited on Linux")
def test_a_child_gets_no_more_than_its_share():
    begun = "from rfmkit.data.workbook_child import limits; limits.confine(); "
    # A little more than its share: an interpreter has some room of its own, which its limit counts as taken.
    greedy = begun + "bytearray(limits.MEMORY + 32 * limits.MEGABYTE)"
    memory = subprocess.run([sys.executable, "-c", greedy], capture_output=True, text=True)
    assert "MemoryError" in memory.stderr
    busy = begun + "limits.CPU_SECONDS = 0; limits.allow(0)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", busy], timeout=60).returncode == -signal.SIGXCPU


def test_a_child_that_does_not_start_is_no_fault_of_the_export(tmp_path, monkeypatch):
    path = pack(tmp_path / "p.xlsx", parts({"A": sheet_xml("")}))
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "false")
    with pytest.raises(SurroundingsError, match="the process that reads workbooks does not start"):
        stage(path)


def test_a_child_starts_with_what_it_needs_alone():
    code = "import rfmkit.data.workbook_child.__main__, sys; print([m for m in {} if m in sys.modules])"
    heavy = ("pandas", "ibis", "duckdb", "pydantic", "rfmkit.clinic", "rfmkit.study")
    told = subprocess.run([sys.executable, "-c", code.format(heavy)], capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_a_parent_needs_no_reader(tmp_path):
    code = "import rfmkit.data.workbooks, sys; print([m for m in ('pyarrow', 'python_calamine') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
