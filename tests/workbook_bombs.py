"""Workbooks made by hand: plain ones from parts of XML, and those that are built to do harm."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
#: A value that no message may show.
SECRET = "Иванова Мария"
ROW_OF_SECRET = f'<row r="1"><c r="A1" t="inlineStr"><is><t>{SECRET}</t></is></c></row>'
MEGABYTE = 1 << 20


def sheet_xml(rows: str, *, before: str = "", behind: str = "") -> str:
    """A sheet of these rows."""
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData>{behind}</worksheet>'


def parts(
    sheets: dict[str, str],
    *,
    shared: str | None = None,
    styles: str | None = None,
    before_sheets: str = "",
    behind_sheets: str = "",
) -> dict[str, str]:
    """The parts of an Excel file, by the XML of its sheets."""
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in enumerate(sheets, 1))
    related = [(f"s{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    made = {f"xl/worksheets/sheet{n}.xml": xml for n, xml in enumerate(sheets.values(), 1)}
    for name, kind, xml in [("styles", "styles", styles), ("sharedStrings", "sharedStrings", shared)]:
        if xml is not None:
            related.append((name, kind, f"{name}.xml"))
            made[f"xl/{name}.xml"] = xml
    return {
        "_rels/.rels": _relations([("b", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{before_sheets}<sheets>{listed}</sheets>'
        f"{behind_sheets}</workbook>",
        "xl/_rels/workbook.xml.rels": _relations(related),
        **made,
    }


def _relations(related: list[tuple[str, str, str]]) -> str:
    listed = "".join(f'<Relationship Id="{i}" Type="{OFFICE}/{kind}" Target="{to}"/>' for i, kind, to in related)
    return f'<Relationships xmlns="{RELATIONS}">{listed}</Relationships>'


def styles_xml(*formats: str | int) -> str:
    """Styles of cells, one a number format: those that are built in by their number, others as they are written."""
    numbers = [number if isinstance(number, int) else 164 + at for at, number in enumerate(formats)]
    codes = "".join(
        f'<numFmt numFmtId="{number}" formatCode="{code.replace("&", "&amp;").replace(chr(34), "&quot;")}"/>'
        for number, code in zip(numbers, formats, strict=True)
        if isinstance(code, str)
    )
    used = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
    return f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellXfs>{used}</cellXfs></styleSheet>'


def pack(path: Path, made: dict[str, str | bytes]) -> Path:
    """Write parts as an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in made.items():
            archive.writestr(name, content)
    return path


def content_xml(tables: str) -> dict[str, str]:
    """The parts of an OpenDocument spreadsheet with these tables."""
    names = ("office", "table", "text", "draw")
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    return {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "META-INF/manifest.xml": "<manifest/>",
        "content.xml": f"<office:document-content {spaces}><office:body><office:spreadsheet>{tables}"
        "</office:spreadsheet></office:body></office:document-content>",
    }


class Deflated:
    """Content that is one piece many times over, packed without ever standing in memory.

    Parameters
    ----------
    start, piece, end : bytes
    times : int
        How often the piece is repeated.
    """

    def __init__(self, start: bytes, piece: bytes, times: int, end: bytes):
        self.size = len(start) + len(piece) * times + len(end)
        self.packed = _flushed(start) + _flushed(piece) * times + _finished(end)
        self.crc = zlib.crc32(start)
        for _ in range(times):
            self.crc = zlib.crc32(piece, self.crc)
        self.crc = zlib.crc32(end, self.crc)


def _flushed(piece: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)


def _finished(piece: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(piece) + packer.flush()


def pack_bomb(path: Path, made: dict, *, listed: int = 1, claimed: int | None = None) -> Path:
    """Write an archive byte by byte.

    Parameters
    ----------
    path : pathlib.Path
    made : dict
        Parts: text, or `Deflated`.
    listed : int, default 1
        How often the last part is listed, under names of its own, over the same bytes.
    claimed : int, optional
        What the archive says that the last part unpacks to.
    """
    body, directory, count = bytearray(), bytearray(), 0
    for name, content in made.items():
        deflated = content if isinstance(content, Deflated) else Deflated(content.encode(), b"", 0, b"")
        last = name == list(made)[-1]
        size = claimed if last and claimed is not None else deflated.size
        fields = (20, 0, 8, 0, 33, deflated.crc, len(deflated.packed), size)
        at = len(body)
        for number in range(listed if last else 1):
            named = (name if not number else f"{number}-{name}").encode()
            if not number:
                body += struct.pack("<4s5H3I2H", b"PK\3\4", *fields, len(named), 0) + named + deflated.packed
            directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *fields, len(named), 0, 0, 0, 0, 0, at) + named
            count += 1
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(directory), len(body), 0)
    path.write_bytes(bytes(body + directory) + end)
    return path


def _one_sheet(rows: str = ROW_OF_SECRET, **more: str) -> dict[str, str]:
    return parts({"Лист1": sheet_xml(rows, **more)})


def _last(made: dict, name: str, content) -> dict:
    return {**{key: value for key, value in made.items() if key != name}, name: content}


SHEET, BOOK, SHARED = "xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml"
_START, _END = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode(), b"</sheetData></worksheet>"
_LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n + 1} "{f"&lol{n or str()};" * 10}">' for n in range(9))
    + "]>"
)


def _gigabyte_of_rows(path):
    rows = Deflated(_START + ROW_OF_SECRET.encode(), b" " * MEGABYTE, 1024, _END)
    return pack_bomb(path, _last(_one_sheet(), SHEET, rows))


def _gigabyte_of_shared_text(path):
    piece = b"<si><t>" + b"A" * (MEGABYTE // 32 - 16) + b"</t></si>"
    text = Deflated(f'<sst xmlns="{MAIN}">'.encode(), piece * 32, 1024, b"</sst>")
    return pack_bomb(path, _last(parts({"Лист1": sheet_xml(ROW_OF_SECRET)}, shared=""), SHARED, text))


def _shared_text_below_the_ratio(path):
    noise = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(3000)).encode()
    piece = (b"<si><t>" + noise + b"A" * (MEGABYTE // 4 - len(noise) - 16) + b"</t></si>") * 4
    text = Deflated(f'<sst xmlns="{MAIN}">'.encode(), piece, 300, b"</sst>")
    return pack_bomb(path, _last(parts({"Лист1": sheet_xml(ROW_OF_SECRET)}, shared=""), SHARED, text))


def _one_cell_of_megabytes(path):
    noise = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(3000)).encode()
    text = noise + b"A" * (MEGABYTE - len(noise))
    start = _START + b'<row r="1"><c r="A1" t="inlineStr"><is><t>'
    return pack_bomb(path, _last(_one_sheet(), SHEET, Deflated(start, text, 200, b"</t></is></c></row>" + _END)))


def _overlapping_parts(path):
    rows = Deflated(_START, b" " * MEGABYTE, 8, _END)
    return pack_bomb(path, _last(_one_sheet(), SHEET, rows), listed=9000)


def _more_than_it_claims(path):
    rows = Deflated(_START + ROW_OF_SECRET.encode(), b" " * MEGABYTE, 1024, _END)
    return pack_bomb(path, _last(_one_sheet(), SHEET, rows), claimed=2000)


def _archives_in_an_archive(path):
    inner = path.with_suffix(".inner")
    pack(inner, {"0.dll": b"0" * MEGABYTE})
    pack(path, {f"lib {n}.zip": inner.read_bytes() for n in range(16)})
    inner.unlink()
    return path


def _cells_at_the_corners(path):
    return pack(path, _one_sheet(f'{ROW_OF_SECRET}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'))


def _a_cell_in_the_last_row(path):
    return pack(path, _one_sheet(f'{ROW_OF_SECRET}<row r="1048576"><c r="A1048576"><v>1</v></c></row>'))


def _a_cell_beyond_the_last_row(path):
    return pack(path, _one_sheet(f'{ROW_OF_SECRET}<row r="9999999"><c r="A9999999"><v>1</v></c></row>'))


def _a_thousand_million_rows_claimed(path):
    return pack(path, _one_sheet(before='<dimension ref="A1:XFD1000000000"/>'))


def _laughs_in_a_sheet(path):
    sheet = _LAUGHS + sheet_xml('<row r="1"><c r="A1" t="inlineStr"><is><t>&lol9;</t></is></c></row>')
    return pack(path, parts({"Лист1": sheet}))


def _laughs_in_shared_text(path):
    shared = f'{_LAUGHS}<sst xmlns="{MAIN}"><si><t>&lol9;</t></si></sst>'
    return pack(path, parts({"Лист1": sheet_xml('<row r="1"><c r="A1" t="s"><v>0</v></c></row>')}, shared=shared))


def _a_file_as_an_entity(path):
    made = _one_sheet()
    made[BOOK] = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + made[BOOK].replace("Лист1", "&x;")
    return pack(path, made)


def _entities_in_utf_16(path):
    return pack(path, {**_one_sheet(), SHEET: (_LAUGHS + sheet_xml(ROW_OF_SECRET)).encode("utf-16")})


def _entities_in_a_part_nobody_reads(path):
    return pack(path, {**_one_sheet(), "docProps/app.xml": f"{_LAUGHS}<Properties>&lol9;</Properties>"})


def _a_million_blank_cells_without_names(path):
    return pack(path, _one_sheet(f'{ROW_OF_SECRET}<row r="2">{"<c/>" * 1_000_000}</row>'))


def _a_million_columns_described(path):
    columns = "".join(f'<col min="{n}" max="{n}" width="9"/>' for n in range(1, 1_000_001))
    return pack(path, _one_sheet(before=f"<cols>{columns}</cols>"))


def _a_million_styles(path):
    used = Deflated(
        f'<styleSheet xmlns="{MAIN}"><cellXfs>'.encode(),
        b'<xf numFmtId="14"/>' * 50_000,
        100,
        b"</cellXfs></styleSheet>",
    )
    made = parts({"Лист1": sheet_xml(ROW_OF_SECRET)}, styles="")
    return pack_bomb(path, _last(made, "xl/styles.xml", used))


def _a_hundred_thousand_sheets(path):
    made = _one_sheet()
    listed = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="s1"/>' for n in range(1, 100_001))
    made[BOOK] = f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>'
    return pack(path, made)


def _a_hundred_thousand_parts(path):
    rows = Deflated(sheet_xml(ROW_OF_SECRET).encode(), b"", 0, b"")
    return pack_bomb(path, _last(_one_sheet(), SHEET, rows), listed=100_000)


def _everything_merged(path):
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c><c r="SA{n}"><v>1</v></c></row>' for n in range(2, 20_000))
    merged = '<mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    return pack(path, _one_sheet(ROW_OF_SECRET + rows, behind=merged))


def _millions_of_merged_areas(path):
    start = sheet_xml(ROW_OF_SECRET, behind="<mergeCells>").partition("</worksheet>")[0].encode()
    piece = "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(1, 30_000)).encode()
    areas = Deflated(start, piece, 200, b"</mergeCells></worksheet>")
    return pack_bomb(path, _last(_one_sheet(), SHEET, areas))


def _cells_that_do_not_end(path):
    return pack(path, _one_sheet(ROW_OF_SECRET + '<row r="2">' + '<c r="A2"><v>1' * 200_000))


def _cells_over_each_other(path):
    cell = '<c r="A1"><v>1</v></c>'
    return pack(path, _one_sheet(f'<row r="1">{cell * 200_000}</row>'))


def _rows_repeated(path):
    cell = '<table:table-cell table:number-columns-repeated="900" office:value-type="float" office:value="1"/>'
    row = f'<table:table-row table:number-rows-repeated="1048575">{cell}</table:table-row>'
    return pack(path, content_xml(f'<table:table table:name="Лист1">{row}</table:table>'))


def _columns_repeated(path):
    cell = '<table:table-cell table:number-columns-repeated="999999999" office:value-type="float" office:value="1"/>'
    row = f"<table:table-row>{cell}</table:table-row>"
    return pack(path, content_xml(f'<table:table table:name="Лист1">{row}</table:table>'))


def _laughs_in_a_document(path):
    made = content_xml('<table:table table:name="Лист1"/>')
    return pack(path, {**made, "content.xml": _LAUGHS + made["content.xml"]})


#: By what they are: how they are made, and their ending.
BOMBS = {
    made.__name__.strip("_").replace("_", " "): (made, ending)
    for made, ending in [
        (_gigabyte_of_rows, ".xlsx"),
        (_gigabyte_of_shared_text, ".xlsx"),
        (_shared_text_below_the_ratio, ".xlsx"),
        (_one_cell_of_megabytes, ".xlsx"),
        (_overlapping_parts, ".xlsx"),
        (_more_than_it_claims, ".xlsx"),
        (_archives_in_an_archive, ".xlsx"),
        (_cells_at_the_corners, ".xlsx"),
        (_a_cell_in_the_last_row, ".xlsx"),
        (_a_cell_beyond_the_last_row, ".xlsx"),
        (_a_thousand_million_rows_claimed, ".xlsx"),
        (_laughs_in_a_sheet, ".xlsx"),
        (_laughs_in_shared_text, ".xlsx"),
        (_a_file_as_an_entity, ".xlsx"),
        (_entities_in_utf_16, ".xlsx"),
        (_entities_in_a_part_nobody_reads, ".xlsx"),
        (_a_million_blank_cells_without_names, ".xlsx"),
        (_a_million_columns_described, ".xlsx"),
        (_a_million_styles, ".xlsx"),
        (_a_hundred_thousand_sheets, ".xlsx"),
        (_a_hundred_thousand_parts, ".xlsx"),
        (_everything_merged, ".xlsx"),
        (_millions_of_merged_areas, ".xlsx"),
        (_cells_that_do_not_end, ".xlsx"),
        (_cells_over_each_other, ".xlsx"),
        (_rows_repeated, ".ods"),
        (_columns_repeated, ".ods"),
        (_laughs_in_a_document, ".ods"),
    ]
}


def half_a_million_rows(path: Path, rows: int = 500_000) -> Path:
    """A clinic's workbook of ten columns: ids and names of their own, days, money, services, a phone."""
    services = ("Лечение кариеса", "Гигиена", "Филиал Север")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, xml in parts({"Данные": ""}, shared="", styles=styles_xml(0, 14)).items():
            if name not in {SHEET, SHARED}:
                archive.writestr(name, xml)
        with archive.open(SHARED, "w") as stream:
            stream.write(f'<sst xmlns="{MAIN}">{"".join(f"<si><t>{text}</t></si>" for text in services)}'.encode())
            piece = "<si><t>P{0:06d}</t></si><si><t>Иванова Мария {0} Петровна</t></si>"
            for first in range(0, rows, 10_000):
                stream.write("".join(map(piece.format, range(first, min(first + 10_000, rows)))).encode())
            stream.write(b"</sst>")
        with archive.open(SHEET, "w") as stream:
            stream.write(_START)
            cells = [
                '<c r="A{0}" t="s"><v>{1}</v></c><c r="B{0}" t="s"><v>{2}</v></c><c r="C{0}" s="1"><v>{3}</v></c>',
                '<c r="D{0}"><v>{4}.5</v></c><c r="E{0}" t="s"><v>{5}</v></c><c r="F{0}" t="s"><v>2</v></c>',
                '<c r="G{0}"><v>{6}</v></c><c r="H{0}" s="1"/><c r="I{0}"><v>1</v></c>',
                '<c r="J{0}"><v>0.30000000000000004</v></c>',
            ]
            piece = f'<row r="{{0}}">{"".join(cells)}</row>'
            for first in range(0, rows, 10_000):
                stream.write(
                    "".join(
                        piece.format(n + 1, 3 + 2 * n, 4 + 2 * n, 44000 + n % 900, n % 97 * 100, n % 2, 79160000000 + n)
                        for n in range(first, min(first + 10_000, rows))
                    ).encode()
                )
            stream.write(_END)
    return path
