"""Workbooks say as text what they hold: numbers, days, text, sheets, merged areas and formulas."""

from __future__ import annotations

import re
from decimal import Decimal

import openpyxl
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from workbook_bombs import MAIN, pack, parts, sheet_xml, styles_xml
from workbooks import cells_of, lists_of, only, row_xml, stage

from rfmkit.data.workbook_child import texts
from rfmkit.data.workbooks import MERGED, NO_VALUE, TYPED, cell_name
from rfmkit.errors import ClinicFileError, ExportError

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
