"""The rows of a long table put into a finished workbook, a column at a time.

XlsxWriter makes an object of every cell: of a hundred thousand patients it writes for many seconds. It still makes
everything but the rows; this module knows of the format what a row, a cell and a text look like, and nothing of how
XlsxWriter goes about it. Texts are shared, as in Excel's own workbooks: telephones show no others.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
from typing import TYPE_CHECKING

from rfmkit.present.wording import JOINER
from rfmkit.publish.columnwise import one_text, side_by_side, texts_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SHEET, _TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_CELL = re.compile(r'<c r="([A-Z]+)\d+" s="(\d+)"')
_NUMBER_OF_TEXT = re.compile(r't="s"><v>(\d+)</v>')
_COUNTS = re.compile(r'count="\d+" uniqueCount="\d+"')
#: What XML has no room for, and what Excel would read as the name of such a sign.
_NAMED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
#: Where a text may be another one in XML, with blanks at an end among them.
_MAYBE_OTHER = r"[&<>\x00-\x1f\x{fffe}\x{ffff}]|_x|^[\s\pZ\x{85}]|[\s\pZ\x{85}]$"
#: Excel counts days from here, and has a 29th of February in 1900, the sixtieth of its days.
_DAY_0, _NO_DAY = "1899-12-31", 60


def with_rows(book: bytes, frame: pd.DataFrame, first: int) -> bytes:
    """Put the rows of a table in the place of the sample that a workbook of one sheet ends with.

    Parameters
    ----------
    book : bytes
        With headings, and a cell of each column's format in the row `first`; that row, what comes behind it and their
        texts are left out.
    frame : pandas.DataFrame
        Columns of texts and days, from the sheet's first on. What is missing stays empty.
    first : int
        The number of the first row, as Excel counts.
    """
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        content = {part.filename: (part, parts.read(part).decode("utf-8")) for part in parts.infolist()}
    head, start, rest = content[_SHEET][1].partition(f'<row r="{first}"')
    sample, end, foot = rest.partition("</sheetData>")
    named = [int(number) for number in _NUMBER_OF_TEXT.findall(head)]
    known = 1 + max(named)
    rows, texts, cells = _rows(frame, first, dict(_CELL.findall(start + sample)), known)
    shared = "</si>".join([*content[_TEXTS][1].split("</si>")[:known], ""])
    counts = f'count="{len(named) + cells}" uniqueCount="{known + len(texts)}"'
    written = {
        _SHEET: "".join([head, rows, end, foot]),
        _TEXTS: "".join([_COUNTS.sub(counts, shared, count=1), _entries(texts), "</sst>"]),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        for name, (part, as_it_was) in content.items():
            parts.writestr(part, written.get(name, as_it_was).encode("utf-8"))
    return made.getvalue()


def _rows(frame: pd.DataFrame, first: int, styles: dict[str, str], known: int) -> tuple[str, pa.Array, int]:
    """The rows as XML; the texts that their cells name by number, from the number `known` on; and how many cells do."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    from xlsxwriter.utility import xl_col_to_name

    days = [name for name in frame if frame[name].dtype.kind == "M"]
    columns = {name: texts_of(frame[name]) for name in frame if name not in days}
    pool = pa.concat_arrays([pc.replace_substring(column, JOINER, "") for column in columns.values()])
    pool = pool.dictionary_encode()
    numbers = pc.add(pool.indices, known).cast(pa.large_string())
    columns = {name: numbers.slice(place * len(frame), len(frame)) for place, name in enumerate(columns)}
    columns |= {name: texts_of(_serial(frame[name]).astype("str")) for name in days}
    numbers_of_rows = texts_of(pd.Series(range(first, first + len(frame))))
    cells = []
    for place, name in enumerate(frame):
        letters = xl_col_to_name(place)
        kind = "" if name in days else ' t="s"'
        opened = f'" s="{styles.get(letters)}"{kind}><v>'
        cell = side_by_side(f'<c r="{letters}', numbers_of_rows, opened, columns[name], "</v></c>")
        cells.append(pc.fill_null(cell, ""))
    rows = side_by_side('<row r="', numbers_of_rows, '">', *cells, "</row>")
    return one_text(rows), pool.dictionary, len(pool) - pool.null_count


def _serial(days: pd.Series) -> pd.Series:
    """The number that stands for a day in a sheet."""
    import pandas as pd

    number = (days - pd.Timestamp(_DAY_0)).dt.days.astype("Int64")
    return number + (number >= _NO_DAY)


def _entries(texts: pa.Array) -> str:
    """The texts as XML."""
    import pyarrow as pa
    import pyarrow.compute as pc

    other = pc.match_substring_regex(texts, _MAYBE_OTHER)
    entries = side_by_side("<si><t>", texts, "</t></si>")
    if pc.any(other).as_py():
        written = [_entry(text) for text in texts.filter(other).to_pylist()]
        entries = pc.replace_with_mask(entries, other, pa.array(written, pa.large_string()))
    return one_text(entries)


def _entry(text: str) -> str:
    named = _NAMED.sub(lambda sign: f"_x{ord(sign[0]):04X}_", text)
    return f'<si><t xml:space="preserve">{html.escape(named, quote=False)}</t></si>'
