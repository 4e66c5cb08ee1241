"""What a reader of the numbers must know of their lines: copies, refunds, prepaid courses, gaps, test patients."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data.copies import equal_lines
from rfmkit.data.origin import FILE, ROW, Export, mapped_columns, place
from rfmkit.errors import Problem

#: How test patients are called; a clinic's own rule stands in ``test_patients``.
_TESTS = "^([Tt]est|TEST|[Tt]est.*|[Тт]ест|ТЕСТ|[Тт]естов.*|[Пп]роба|[Dd]emo|DEMO|测试.*|0{4,}|9{5,}|123456789?)$"
#: Free visits that follow a payment and make it look like one for a whole course.
_COURSE_VISITS = 3
#: A clinic is open on the weekdays on which it has visits in so many of the weeks.
_OPEN_SHARE = 0.8
#: Open days in a row without a visit that are told.
_GAP_DAYS = 3
#: A month with less than this share of the usual lines.
_HALF = 0.5
_USUAL_MONTHS = 12
#: The last day with a visit may lie so many days before the month's end.
_LATE_DAYS = 5


def doubts(
    lines: ir.Table, kept: ir.Table, spec, *, export: Export, as_of: dt.date, people: pd.DataFrame | None
) -> list[Problem]:
    """Tell what was seen in lines that were used.

    Parameters
    ----------
    lines : ibis.Table
        All lines with their fate.
    kept : ibis.Table
        Those that were kept.
    spec : rfmkit.clinic.Transactions
    export : Export
        Where their cells are.
    as_of : datetime.date
    people : pandas.DataFrame or None
        The clinic's patients, by ``patient_id``, where there is a file of them.

    Returns
    -------
    list of Problem
        Each with how many lines (or days), where the first is, and what was done.
    """
    headings = mapped_columns(spec)
    # Most exports have few of these: one look tells which to go into.
    is_kept = lines.fate == "kept"
    seen = lines.aggregate(
        duplicates=lines.count(where=lines.fate == "duplicates"),
        after_as_of=lines.count(where=lines.fate == "after_as_of"),
        tests=lines.count(where=is_kept & lines.patient_id.re_search(_TESTS)),
        refunds=lines.count(where=is_kept & (lines.amount < 0)),
        free=lines.count(where=is_kept & (lines.amount == 0)),
    )
    seen = seen.execute().iloc[0]
    return [
        *(_lines_left_out(lines, as_of) if seen["duplicates"] or seen["after_as_of"] else []),
        *equal_lines(kept, export, spec),
        *(_likely_tests(kept, headings) if seen["tests"] else []),
        *(_refunds(kept, headings) if seen["refunds"] else []),
        *(_prepaid(kept) if seen["free"] else []),
        *_strangers(kept, people, headings),
        *_calendar(kept, export.first, as_of),
    ]


def _first(table: ir.Table) -> str:
    return place(table.select(file=FILE, row=ROW).order_by(["file", "row"]).limit(1).execute().iloc[0])


def _lines_left_out(lines: ir.Table, as_of: dt.date) -> list[Problem]:
    found = []
    for fate, what, done in (
        ("duplicates", "a copy of an earlier line with its receipt; it is dropped", "dropped"),
        ("after_as_of", f"after {as_of}; it is left for its month", "left_for_later"),
    ):
        some = lines.filter(lines.fate == fate)
        if count := int(some.count().execute()):
            check = {"duplicates": "copies"}.get(fate, fate)
            found.append(Problem(_first(some), what, "", count, check, done))
    return found


def _likely_tests(kept: ir.Table, headings: dict[str, str]) -> list[Problem]:
    some = kept.filter(kept.patient_id.re_search(_TESTS))
    count = int(some.count().execute())
    where = f"{_first(some)} «{headings['patient_id']}»"
    fix = "If it is, name its id in test_patients; its lines are kept until then."
    return [Problem(where, "may be a test patient", fix, count, "likely_test_patients", "kept")]


def _refunds(kept: ir.Table, headings: dict[str, str]) -> list[Problem]:
    refunds = kept.filter(kept.amount < 0)
    sold = ibis.null("date")
    if "receipt_id" in headings:
        sales = kept.filter((kept.amount >= 0) & kept.receipt_id.notnull())
        sales = sales.group_by(["patient_id", "receipt_id"]).aggregate(sold=sales.visit_date.min())
        refunds = refunds.left_join(sales, ["patient_id", "receipt_id"])
        sold = refunds.sold
    joined, found = (sold <= refunds.visit_date).fill_null(False), []
    fix = "" if "receipt_id" in headings else "Map receipt_id to have them find it."
    for check, what, done in (
        ("refunds_matched", "refunds have their sale, and are taken off its day", "joined"),
        ("refunds_unmatched", "refunds have no sale in the export, and stay on their day", "kept"),
    ):
        these = refunds.filter(joined if done == "joined" else ~joined)
        if count := int(these.count().execute()):
            found.append(Problem(_first(these), what, fix if done == "kept" else "", count, check, done))
    return found


def _prepaid(kept: ir.Table) -> list[Problem]:
    """Free visits after a payment: a course paid in advance is one purchase and many visits."""
    free = kept.filter(kept.amount == 0)
    # Few patients have free visits: only theirs are gone through.
    paid = kept.filter(kept.amount > 0).semi_join(free, "patient_id")
    paid = paid.group_by("patient_id").aggregate(paid=paid.visit_date.min())
    free = free.inner_join(paid, "patient_id")
    free = free.filter(free.visit_date > free.paid)
    courses = free.group_by("patient_id").aggregate(visits=free.visit_date.nunique())
    courses = courses.filter(courses.visits >= _COURSE_VISITS)
    first = free.semi_join(courses, "patient_id")
    row = courses.aggregate(patients=courses.count(), visits=courses.visits.sum()).execute().iloc[0]
    if not row["patients"]:
        return []
    what = f"visits cost nothing after a payment, of {int(row['patients'])} patients: prepaid courses"
    fix = "Each counts as a visit; the money stays on the day it was paid."
    return [Problem(_first(first), what, fix, int(row["visits"]), "prepaid", "counted", "visits")]


def _strangers(kept: ir.Table, people: pd.DataFrame | None, headings: dict[str, str]) -> list[Problem]:
    """Lines of patients whom the file of patients does not have."""
    if people is None:
        return []
    lines = kept.group_by("patient_id").aggregate(lines=kept.count(), file=kept[FILE].min()).execute()
    strange = lines[~lines["patient_id"].isin(people["patient_id"])]
    if not len(strange):
        return []
    what = f"{len(strange)} patients are not in the file of patients"
    fix = "They are counted; whether they may be contacted is not known."
    where = f"{strange['file'].min()} «{headings['patient_id']}»"
    return [Problem(where, what, fix, int(strange["lines"].sum()), "unknown_patients", "kept")]


def _calendar(kept: ir.Table, file: str, as_of: dt.date) -> list[Problem]:
    """Open days without a visit, an end before the month's, and a month with half the usual lines."""
    sales = kept.filter(kept.amount >= 0)
    days = sales.group_by("visit_date").aggregate(lines=sales.count()).order_by("visit_date").execute()
    lines = days.set_index(pd.to_datetime(days["visit_date"]))["lines"]
    last = lines.index[-1]
    found = []
    gaps = closed_days(lines)
    if len(gaps):
        run = (gaps.diff() != 1).cumsum()
        longest = gaps[run == run.value_counts().idxmax()]
        if len(longest) >= _GAP_DAYS:
            since = f"{len(longest)} in a row from {longest.index[0]:%Y-%m-%d}"
            what = f"no visit on days on which the clinic is usually open, {since}"
            fix = "If it was not closed then, lines are missing: export them again."
            found.append(Problem(file, what, fix, len(gaps), "days_without_visits", "shown", "days"))
    if (pd.Timestamp(as_of) - last).days > _LATE_DAYS:
        fix = "If the clinic was open after it, export the month to its end."
        found.append(
            Problem(file, f"the last visit is of {last:%Y-%m-%d}, before the month ends", fix, 1, "ends_early", "shown")
        )
    months = lines.groupby(lines.index.to_period("M")).sum()
    month = pd.Period(as_of, "M")
    before = months.reindex(pd.period_range(month - _USUAL_MONTHS, month - 1), fill_value=0)
    if months.index[0] <= before.index[0] and months.get(month, 0) < _HALF * before.median():
        what = f"{int(months.get(month, 0))} lines in the month, where {before.median():.0f} are usual"
        fix = "If that is not so, lines are missing: export them again."
        found.append(Problem(file, what, fix, 1, "half_volume", "shown"))
    return found


def closed_days(lines: pd.Series) -> pd.Series:
    """Days without a line on weekdays on which a clinic is open, each with its place among the open days.

    Parameters
    ----------
    lines : pandas.Series
        Lines by day, for the days that have some.
    """
    every = pd.date_range(lines.index[0], lines.index[-1])
    there = pd.Series(every.isin(lines.index), index=every)
    usual = there.groupby(every.day_of_week).mean()
    expected = there[usual.reindex(every.day_of_week).to_numpy() >= _OPEN_SHARE]
    places = pd.Series(range(len(expected)), index=expected.index)
    return places[~expected.to_numpy()]
