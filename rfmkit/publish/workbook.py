"""segments.xlsx: the ready tables for the clinic's management, in the report's language."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfmkit.errors import Problem, RfmkitError

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

#: A fixed date: the time of writing is no part of what a workbook says.
_CREATED = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - workbooks know no time zones
_SHARES = {"patients_share", "revenue_share", "rpr", "crr", "mean_probability_alive"}
_SUMS = {"revenue", "mean_total_spend", "aov", "clv", "value_at_risk"}
_DECIMALS = {"mean_visit_count"}
_WORDS = {"segment": "segment", "metric": "metric"}
_SEGMENTS = (
    *(
        "segment",
        "patients",
        "patients_share",
        "visits",
        "revenue",
        "revenue_share",
        "median_recency_days",
        "median_days_overdue",
        "mean_visit_count",
    ),
    *("mean_total_spend", "mean_probability_alive", "clv", "value_at_risk"),
)
_RECOMMENDATIONS = (
    "segment",
    "patients",
    "revenue",
    "median_recency_days",
    "mean_probability_alive",
    "clv",
    "value_at_risk",
)
_ADVICE = {"what": "advice-what", "why": "advice-why"}
_HISTORY = ("month", "revenue", "visits", "active_patients", "rpr", "aov", "crr")
_MONEY_FORMS = ("#,##0", "#,##0.00")
_NARROWEST, _WIDEST, _PROSE = 11, 34, 60


@dataclass(frozen=True)
class _Sheet:
    title: str
    frame: pd.DataFrame
    columns: Sequence[str]


def workbook(study: Study) -> bytes:
    """The tables of a study that its data carry, one a sheet.

    Parameters
    ----------
    study : Study

    Returns
    -------
    bytes
        An Excel workbook; the same study gives the same bytes.
    """
    import xlsxwriter

    reader = study.reader
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": f"{study.clinic.name} – {reader.month(study.month)}", "created": _CREATED})
    formats = _formats(book, reader)
    for sheet in _sheets(study):
        _write(book, sheet, formats, reader)
    book.close()
    return content.getvalue()


def _sheets(study: Study) -> list[_Sheet]:
    say = study.reader.say
    sheets = []
    if study.part("segments").status == "ok":
        sheets.append(_Sheet(say("Groups"), study.segments, _known(study.segments, _SEGMENTS)))
    if study.part("recommendations").status == "ok":
        frame = _with_advice(study.recommendations, study.reader)
        sheets.append(_Sheet(say("What to do"), frame, _known(frame, [*_RECOMMENDATIONS, *_ADVICE])))
    if study.part("loyalty").status == "ok":
        frame = study.loyalty_history
        sheets.append(_Sheet(say("By month"), frame, _known(frame, _HISTORY)))
    headline = study.headline
    return [_Sheet(say("Overview"), headline, ("metric", "value", "last_month", "last_year")), *sheets]


def _with_advice(recommendations: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """The recommendations with their words."""
    groups = list(zip(recommendations["segment"], recommendations["patients"], strict=True))
    words = {name: [reader.words(kind, *group) or None for group in groups] for name, kind in _ADVICE.items()}
    return recommendations.assign(**words)


def _known(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns that hold anything: a table does not speak of what is not there."""
    return [name for name in columns if name in frame.columns and frame[name].notna().any()]


def _formats(book, reader: Reader) -> dict[str, object]:
    """The number formats; Excel itself puts in the separators of the reader's machine."""
    sum_form = _money_form(reader)
    forms = {"count": "#,##0", "decimal": "#,##0.0", "share": "0.0%", "sum": sum_form}
    made = {
        name: book.add_format({"num_format": form, "align": "right", "valign": "top"}) for name, form in forms.items()
    }
    made["text"] = book.add_format({"num_format": "@", "valign": "top"})
    made["prose"] = book.add_format({"num_format": "@", "valign": "top", "text_wrap": True})
    made["heading"] = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "bottom", "bottom": 1, "font_color": "#1c2126"}
    )
    return made


def _money_form(reader: Reader) -> str:
    """Sums with the currency's sign where the reader's language puts it; with cents below 100, as on the page."""
    before, _, after = reader.money(1, 0).partition(reader.number(1))
    quote = '"{}"'.format
    whole, cents = ((quote(before) if before else "") + form + (quote(after) if after else "") for form in _MONEY_FORMS)
    return f"[<100]{cents};{whole}"


def _write(book, sheet: _Sheet, formats: dict, reader: Reader) -> None:
    page = book.add_worksheet(sheet.title[:31])
    page.freeze_panes(1, 1)
    page.set_landscape()
    page.set_paper(9)
    page.fit_to_pages(1, 0)
    page.repeat_rows(0)
    headings = [reader.name("column", name) for name in sheet.columns]
    for column, heading in enumerate(headings):
        _checked(page.write_string(0, column, heading, formats["heading"]), sheet.title)
    widths = [min(_WIDEST, max(_NARROWEST, math.ceil(_width(heading) * 0.7))) for heading in headings]
    for line, row in enumerate(sheet.frame.to_dict("records"), start=1):
        for column, name in enumerate(sheet.columns):
            value = row[name]
            if isinstance(value, str):
                text = _word(name, value, reader)
                prose = name in _ADVICE
                widths[column] = _PROSE if prose else min(_WIDEST, max(widths[column], _width(text) + 2))
                _checked(page.write_string(line, column, text, formats["prose" if prose else "text"]), sheet.title)
            elif value is not None and math.isfinite(value):
                form = _form(row.get("metric", name))
                shown = reader.money(value, 0) if form == "sum" else reader.number(value)
                widths[column] = min(_WIDEST, max(widths[column], _width(shown) + 2))
                _checked(page.write_number(line, column, float(value), formats[form]), sheet.title)
    page.autofilter(0, 0, len(sheet.frame), len(sheet.columns) - 1)
    for column, width in enumerate(widths):
        page.set_column(column, column, width)


def _word(name: str, value: str, reader: Reader) -> str:
    if name == "month":
        return reader.month(value)
    return reader.name(_WORDS[name], value) if name in _WORDS else value


def _form(name: str) -> str:
    if name in _SHARES:
        return "share"
    if name in _SUMS:
        return "sum"
    return "decimal" if name in _DECIMALS else "count"


def _width(text: str) -> int:
    """Columns a text takes: a Chinese character takes two."""
    return sum(2 if ord(sign) > 0x2E7F else 1 for sign in text)


def _checked(code: int | None, title: str) -> None:
    """xlsxwriter cuts what does not fit and says so only in a return code."""
    if code:
        raise RfmkitError(Problem(f"segments.xlsx, {title}", "a table does not fit", "This is a fault of rfmkit's."))
