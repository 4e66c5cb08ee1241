"""Workbooks as other programs write them, damaged ones, and files that are none."""

from __future__ import annotations

import datetime as dt
import random
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import pytest
import python_calamine
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from workbook_bombs import MAIN, ROW_OF_SECRET, SECRET, SHEET, content_xml, pack, parts, sheet_xml
from workbooks import cells_of, lists_of, only, row_xml, stage

from rfmkit.data.inputs import InputFile
from rfmkit.data.workbook_child import Refused
from rfmkit.data.workbook_child.__main__ import read
from rfmkit.data.workbooks import MERGED, NO_VALUE, TYPED, cell_name, stage_workbook
from rfmkit.errors import ExportError, RfmkitError, SurroundingsError

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
        parts({"A": sheet_xml('<row r="1"><c r="A1" t="s"><v>9</v></c></row>')}, shared=f'<sst xmlns="{MAIN}"/>'),
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
