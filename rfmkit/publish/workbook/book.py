"""An Excel workbook of finished sheets: what is typed, formatted, frozen and filtered, and how sheets are named."""

from __future__ import annotations

import datetime as dt
import io
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfmkit.errors import Problem, RfmkitError
from rfmkit.present.wording import JOINER
from rfmkit.publish.workbook.measures import BUTTON, LINE, heading_lines, heading_width, lines, widest, width

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.present.wording import Reader

#: A fixed date: the time of writing is no part of what a workbook says.
_CREATED = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - workbooks know no time zones
#: Excel's limits on the name of a sheet: https://support.microsoft.com/office/rename-a-worksheet-3f1f7148-ee83-404d-8ef0-9ff99fbad1f9
_LONGEST_NAME, _NOT_IN_NAMES, _RESERVED = 31, re.compile(r"[\[\]:*?/\\\x00-\x1f]"), "history"
_MONEY_FORMS = ("#,##0", "#,##0.00")
_NUMBERS = {"count": "#,##0", "decimal": "#,##0.0", "share": "0.0%", "whole share": "0%", "date": "yyyy-mm-dd"}
_WIDEST, _PROSE, _USUAL = 34, 60, 8.43
#: A text under a narrow table runs on to this column.
_FEWEST = 8
_A4 = 9
_TINT = "#e8edf1"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
        The column of the frame.
    heading : str
        In the reader's language.
    form : str, default "text"
        What its values are: "text", "prose" (wrapped), "count", "decimal", "share", "whole share" (no
        decimals), "sum" (money), "gain" (money gained or, below 0, lost) or "date".
    """

    name: str
    heading: str
    form: str = "text"


@dataclass(frozen=True)
class Sheet:
    """One sheet: a table, the lines above it and the texts below.

    Parameters
    ----------
    title : str
        As the tab is to read; what Excel does not allow in it is left out.
    frame : pandas.DataFrame
        Texts, numbers and days; what is missing stays empty. A text in a column of numbers stands as it is ("< 5").
    columns : sequence of Column
        Those of `frame` that are shown.
    form_of_row : str, optional
        The column of `frame` that says of each row what its numbers are, where the rows differ.
    above : sequence of str
        Lines over the table, the first of them its heading.
    below : sequence of (str, str)
        Texts under the table, each with the words that introduce it.
    marked : collection of (int, str)
        Cells with a tint, by the place of the row and the name of the column.
    """

    title: str
    frame: pd.DataFrame
    columns: Sequence[Column]
    form_of_row: str | None = None
    above: Sequence[str] = ()
    below: Sequence[tuple[str, str]] = ()
    marked: Collection[tuple[int, str]] = ()


def write_book(sheets: Sequence[Sheet], *, title: str, reader: Reader) -> bytes:
    """Write the sheets, in their order.

    Every text is written as text: none is a formula or a link, whatever it begins with.

    Parameters
    ----------
    sheets : sequence of Sheet
    title : str
        Of the document.
    reader : Reader
        Whose money it is.

    Returns
    -------
    bytes
        The same sheets give the same bytes.
    """
    return _book(sheets, _Page, title=title, reader=reader)


def write_long_table(sheet: Sheet, *, title: str, reader: Reader) -> bytes:
    """Write a sheet of very many rows: what `write_book` writes, in a fraction of the time.

    Parameters
    ----------
    sheet : Sheet
        Of texts ("text") and days ("date") alone, with a row at least, and with nothing below or marked.
    title, reader
        As for `write_book`.

    Returns
    -------
    bytes
        The same sheet gives the same bytes.
    """
    from rfmkit.publish.workbook.long_table import with_rows

    page_with_sample = _book([sheet], _LongPage, title=title, reader=reader)
    frame = sheet.frame[[column.name for column in sheet.columns]]
    return with_rows(page_with_sample, frame, _heading_line(sheet) + 2)


def _book(sheets: Sequence[Sheet], page: type[_Page], *, title: str, reader: Reader) -> bytes:
    import xlsxwriter

    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": title, "created": _CREATED})
    formats = _formats(book, reader)
    for name, sheet in zip(sheet_names([sheet.title for sheet in sheets]), sheets, strict=True):
        page(book.add_worksheet(name), sheet, formats, reader).write()
    book.close()
    return content.getvalue()


def _heading_line(sheet: Sheet) -> int:
    """In which row the headings stand, the first of all being 0."""
    return len(sheet.above) + bool(sheet.above)


def sheet_names(titles: Sequence[str]) -> list[str]:
    """Names of sheets that Excel takes: 31 signs at most, without ``[]:*?/\\``, no two alike but for their capitals.

    Examples
    --------
    >>> sheet_names(["Lost?", "lost", "What [or who]: a/b"])
    ['Lost', 'lost (2)', 'What or who a b']
    """
    names, taken = [], {_RESERVED}
    for title in titles:
        plain = " ".join(_NOT_IN_NAMES.sub(" ", title).split()).strip("' ") or "–"
        name, number = _cut(plain, _LONGEST_NAME), 1
        while name.casefold() in taken:
            number += 1
            name = _cut(plain, _LONGEST_NAME - len(mark := f" ({number})")) + mark
        taken.add(name.casefold())
        names.append(name)
    return names


def _cut(text: str, longest: int) -> str:
    """As many signs as UTF-16 has room for: Excel counts what lies beyond its plane twice."""
    while len(text.encode("utf-16-le")) > 2 * longest:
        text = text[:-1]
    return text.rstrip("' ")


def _formats(book, reader: Reader) -> dict[str, object]:
    """The formats by form; Excel itself puts in the separators of the machine's language."""
    money, gain = _money_forms(reader)
    numbers = _NUMBERS | {"sum": money, "gain": gain}
    made = {
        form: book.add_format({"num_format": mask, "align": "right", "valign": "top"}) for form, mask in numbers.items()
    }
    text = {"num_format": "@", "valign": "top"}
    made["text"] = book.add_format(text)
    made["prose"] = book.add_format({**text, "text_wrap": True, "indent": 1})
    made["hidden"] = book.add_format({**text, "align": "right"})
    made["title"] = book.add_format({**text, "bold": True, "font_size": 14})
    made["term"] = book.add_format({**text, "bold": True})
    heading = {"bold": True, "text_wrap": True, "valign": "bottom", "bottom": 1, "font_color": "#1c2126"}
    made["heading"] = book.add_format(heading)
    made["prose heading"] = book.add_format({**heading, "indent": 1})
    made["number heading"] = book.add_format({**heading, "align": "right", "indent": BUTTON})
    made["marked"] = book.add_format({"num_format": numbers["count"], "align": "right", "bg_color": _TINT})
    return made


def _money_forms(reader: Reader) -> tuple[str, str]:
    """Sums with the currency's sign where the reader's language puts it; with cents below 100, as on the page.

    The second form is of sums that were gained or lost: signed, and without cents.
    """
    before, _, after = reader.money(1, 0).partition(reader.number(1))
    quote = '"{}"'.format
    whole, cents = ((quote(before) if before else "") + form + (quote(after) if after else "") for form in _MONEY_FORMS)
    return f"[=0]{whole};[<100]{cents};{whole}", f"+{whole};-{whole};{whole}"


class _Page:
    """A sheet on its way into a workbook."""

    def __init__(self, page, sheet: Sheet, formats: dict, reader: Reader):
        self.page, self.sheet, self.formats, self.reader = page, sheet, formats, reader
        self.first = _heading_line(sheet)
        self.widths = [min(_WIDEST, heading_width(column.heading)) for column in sheet.columns]

    def write(self) -> None:
        page, columns = self.page, self.sheet.columns
        self._lay_out()
        for line, text in enumerate(self.sheet.above):
            self._text(line, 0, text, "text" if line else "title")
        for place, column in enumerate(columns):
            form = {"text": "heading", "prose": "prose heading"}.get(column.form, "number heading")
            self._text(self.first, place, column.heading, form)
        rows = self._rows()
        for line, row in rows.items():
            for place, column in enumerate(columns):
                form = "marked" if (line, column.name) in self.sheet.marked else self._form(row, column)
                self._value(self.first + 1 + line, place, row[column.name], form)
        last = self.first + len(self.sheet.frame)
        page.autofilter(self.first, 0, last, len(columns) - 1)
        for place, room in enumerate(self.widths):
            page.set_column(place, place, room)
        self._make_room(rows)
        for line, (term, text) in enumerate(self.sheet.below, start=last + 2):
            self._below(line, term, text)

    def _rows(self) -> dict[int, dict]:
        """The rows by their place in the table."""
        return dict(enumerate(self.sheet.frame.to_dict("records")))

    def _make_room(self, rows: dict[int, dict]) -> None:
        """Rows as high as their texts: not every program does it by itself, and few do it for Chinese ones."""
        columns = self.sheet.columns
        headings = [heading_lines(column.heading, room) for column, room in zip(columns, self.widths, strict=True)]
        self.page.set_row(self.first, LINE * max(headings))
        prose = [column.name for column in columns if column.form == "prose"]
        for line, row in rows.items() if prose else ():
            most = max(lines(row[name], _PROSE) if isinstance(row[name], str) else 1 for name in prose)
            self.page.set_row(self.first + 1 + line, LINE * most)

    def _lay_out(self) -> None:
        self.page.freeze_panes(self.first + 1, 1)
        self.page.set_landscape()
        self.page.set_paper(_A4)
        self.page.fit_to_pages(1, 0)
        self.page.repeat_rows(self.first)

    def _form(self, row: dict, column: Column) -> str:
        own = self.sheet.form_of_row
        return row[own] if own and column.form != "text" else column.form

    def _value(self, line: int, place: int, value: object, form: str) -> None:
        if isinstance(value, str):
            form = form if form in {"text", "prose"} else "hidden"
            self.widths[place] = _PROSE if form == "prose" else self._wide_enough(place, value)
            self._text(line, place, value, form)
        elif form == "date" and value == value and value is not None:  # what is no time is not even itself
            self._checked(self.page.write_datetime(line, place, value, self.formats[form]))
        elif form != "date" and value is not None and math.isfinite(value):
            write = {"sum": self.reader.money, "gain": self.reader.gain}.get(form, self.reader.number)
            shown = write(value, 0)
            self.widths[place] = self._wide_enough(place, shown)
            self._checked(self.page.write_number(line, place, float(value), self.formats[form]))

    def _wide_enough(self, place: int, shown: str) -> int:
        return min(_WIDEST, max(self.widths[place], width(shown) + 2))

    def _below(self, line: int, term: str, text: str) -> None:
        """A text over the columns behind the first, as many lines high as it needs: merged cells do not grow."""
        self._text(line, 0, term, "term")
        last = max(len(self.widths) - 1, _FEWEST)
        room = sum(self.widths[1:]) + _USUAL * (last + 1 - len(self.widths))
        self.page.set_row(line, LINE * lines(text, room))
        self._checked(self.page.merge_range(line, 1, line, last, "", self.formats["prose"]))
        self._text(line, 1, text, "prose")

    def _text(self, line: int, place: int, text: str, form: str) -> None:
        text = text.replace(JOINER, "")  # who searches for "18–34" types none
        if text.endswith("</r>"):
            text += " "  # else XlsxWriter takes what begins with <r> for XML that is finished
        self._checked(self.page.write_string(line, place, text, self.formats[form]))

    def _checked(self, code: int | None) -> None:
        """xlsxwriter cuts what does not fit and says so only in a return code."""
        if code:
            where = f"a workbook, {self.sheet.title}"
            raise RfmkitError(Problem(where, "a table does not fit", "This is a fault of rfmkit's."))


class _LongPage(_Page):
    """A sheet on which one row stands for all of them, as wide as they are, in the place of the first and the last."""

    def _rows(self) -> dict[int, dict]:
        frame = self.sheet.frame
        sample = {
            column.name: frame[column.name].max() if column.form == "date" else "x" * widest(frame[column.name])
            for column in self.sheet.columns
        }
        return {0: sample, len(frame) - 1: sample}
