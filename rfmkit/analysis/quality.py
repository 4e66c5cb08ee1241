"""What the data can say and what they cannot: what was found, how far they reach, which columns are missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.errors import Problem
from rfmkit.period import Period, add_months
from rfmkit.rows import Rows, as_table

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: Findings that cast doubt on the whole export, and those after which lines may be missing from it.
_OF_ANOTHER = ("same_file", "other_ids", "fewer_visits")
_LINES_MISSING = ("half_volume", "ends_early", "days_without_visits")
#: What is as it should be, and only must be known.
_IN_ORDER = (
    *("copies", "totals", "titles", "after_as_of", "test_patients", "refunds_matched", "prepaid", "several_phones"),
    "family_phone",
)
#: Findings on an export as a whole: there is nothing to count.
_UNCOUNTED = (*_OF_ANOTHER, "half_volume", "ends_early")

#: The columns that a section of the report rests on, those that most sections need first.
LINE_COLUMNS = ("receipt_id", "category", "service", "branch", "doctor", "days_supply")
PATIENT_COLUMNS = (
    *("phone", "email", "consent_sms", "consent_phone", "consent_email", "consent_ads", "opted_out"),
    *("birth_date", "sex"),
)
#: Those that only a loyalty programme needs.
LINE_PROGRAMME_COLUMNS = ("bonus_accrued", "bonus_redeemed", "discount")
PATIENT_PROGRAMME_COLUMNS = ("member_since", "referred_by")
#: Stands for the columns of patients where there is no file of them.
PATIENTS_FILE = "patients_file"


def findings(problems: Iterable[Problem]) -> pd.DataFrame:
    """Put what the checks found in the order in which to look into it.

    Parameters
    ----------
    problems : iterable of Problem
        Those without a key in ``check`` are left out.

    Returns
    -------
    pandas.DataFrame
        One row a finding: ``check``; ``count`` (Int64, missing where it is on the export as a whole); ``where``, the
        first place; ``done``; ``serious`` (whether it can change the numbers of a report). First what casts doubt on
        the whole export, then rejected lines, then what hints at missing ones; last what is as it should be. Among
        their like, the most frequent first.
    """
    rows = [(problem.check, problem.count, problem.where, problem.done) for problem in problems if problem.check]
    frame = pd.DataFrame(rows, columns=["check", "count", "where", "done"]).astype({"count": "Int64"})
    check, fault = frame["check"], frame["done"] == "rejected"
    rank = pd.Series(3, index=frame.index)
    rank = rank.mask(check.isin(_IN_ORDER) | (frame["done"] == "merged"), 4)
    rank = rank.mask(check.isin(_LINES_MISSING), 2).mask(fault & ~check.isin(_IN_ORDER), 1)
    rank = rank.mask(check.isin(_OF_ANOTHER), 0)
    frame = frame.assign(count=frame["count"].mask(check.isin(_UNCOUNTED)), serious=rank < 3, rank=rank)
    ordered = frame.sort_values(["rank", "count"], ascending=[True, False], kind="stable", ignore_index=True)
    return ordered.drop(columns="rank")


def history_reach(
    summary: pd.DataFrame,
    known: pd.Series,
    as_of: dt.date,
    *,
    period_months: int,
    active_months: int,
    complete_history: bool | None = None,
) -> pd.DataFrame:
    """Say how far an export reaches, and what it is too short for.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `btyd_summary` gives it at `as_of`.
    known : pandas.Series of bool
        Whether each patient's first visit is known, as `known_from_start` says.
    as_of : datetime.date
    period_months, active_months : int
        Months of the trailing rates; months with a visit that make a patient active.
    complete_history : bool, optional
        What the clinic says of its export; None where `known` rests on an estimate.

    Returns
    -------
    pandas.DataFrame
        One row: ``first_day, last_day`` (with a visit); ``months`` (calendar months from the first day's to that of
        `as_of`); ``patients``, of whom the first visit is ``known`` or ``unknown``; ``complete_history``;
        ``retention_months`` and ``retention_start`` (how many months, and from which day on, the retention rate looks
        back on); ``retention_reached`` (whether the export does reach back so far); ``retention_month`` ("2026-10", of
        the first report for which it does).
    """
    end = pd.Timestamp(as_of)
    first = (end - pd.Timedelta(days=int(summary["T"].max()))).date()
    last = (end - pd.Timedelta(days=int((summary["T"] - summary["recency"]).min()))).date()
    begin = first.replace(day=1)
    retention = period_months + active_months
    needed = Period.trailing(as_of, retention).start
    row = {
        "first_day": first,
        "last_day": last,
        "months": (as_of.year - begin.year) * 12 + as_of.month - begin.month + 1,
        "patients": len(summary),
        "known": int(known.sum()),
        "unknown": int((~known).sum()),
        "complete_history": complete_history,
        "retention_months": retention,
        "retention_start": needed,
        "retention_reached": begin <= needed,
        "retention_month": f"{add_months(begin, retention - 1):%Y-%m}",
    }
    return pd.DataFrame([row])


def visits_by_day(visits: Rows) -> pd.Series:
    """Count the visits of each day that has some.

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date``, one row a visit.

    Returns
    -------
    pandas.Series
        By day (Timestamp), in order.
    """
    rows = as_table(visits, "patient_id", "visit_date")
    days = rows.group_by("visit_date").aggregate(visits=rows.count()).order_by("visit_date").execute()
    return days.set_index(pd.to_datetime(days["visit_date"]))["visits"]


def visit_volume(by_day: pd.Series, closed_days: pd.DatetimeIndex, as_of: dt.date) -> pd.DataFrame:
    """Count visits, and open days without any, by month.

    Parameters
    ----------
    by_day : pandas.Series
        Visits by day, as `visits_by_day` counts them.
    closed_days : pandas.DatetimeIndex
        Days without a visit on which one was to be expected.
    as_of : datetime.date
        Last day of the last month.

    Returns
    -------
    pandas.DataFrame
        One row a month, from that of the first visit to that of `as_of`: ``month`` ("2026-10"), ``visits``,
        ``days_without_visits``. A month without a line in `by_day` has 0 visits.
    """
    months = pd.period_range(by_day.index.min(), pd.Timestamp(as_of), freq="M")
    counted = {
        "visits": by_day.groupby(by_day.index.to_period("M")).sum(),
        "days_without_visits": closed_days.to_period("M").value_counts(),
    }
    counts = {name: series.reindex(months, fill_value=0).astype("int64").to_numpy() for name, series in counted.items()}
    return pd.DataFrame({"month": months.strftime("%Y-%m"), **counts})


def coverage(lines: ir.Table, people: pd.DataFrame | None, patients: pd.Series) -> pd.DataFrame:
    """Say which columns an export has and how many of their cells hold something.

    Parameters
    ----------
    lines : ibis.Table
        The kept lines; columns that the clinic file does not map are absent.
    people : pandas.DataFrame or None
        One row a person of the file of patients; None where there is no such file.
    patients : pandas.Series
        The ids of the patients who came, of whom `people` tells.

    Returns
    -------
    pandas.DataFrame
        One row a column that a section of the report rests on: ``part`` ("transactions", "patients"), ``column``,
        ``mapped``, ``filled`` (share of the lines, or of the patients who came, with a value, of a phone or an address
        with a valid one; a consent that was not given is a value; missing where not mapped). Missing columns come
        first, those that only a programme needs last among them, then those of fewer values. Without a file of
        patients one row, "patients_file", stands for all its columns.
    """
    parts = [_filled_lines(lines, LINE_COLUMNS)]
    if people is None:
        parts.append(pd.DataFrame({"part": ["patients"], "column": [PATIENTS_FILE], "filled": [float("nan")]}))
    else:
        parts.append(_filled_people(people, patients, PATIENT_COLUMNS))
    parts.append(_filled_lines(lines, LINE_PROGRAMME_COLUMNS))
    if people is not None:
        parts.append(_filled_people(people, patients, PATIENT_PROGRAMME_COLUMNS))
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(2, "mapped", frame["filled"].notna())
    return frame.sort_values("filled", kind="stable", na_position="first", ignore_index=True)


def _filled_lines(lines: ir.Table, columns: tuple[str, ...]) -> pd.DataFrame:
    there = [name for name in columns if name in lines.columns]
    counts = {f"cells_{place}": lines[name].count() for place, name in enumerate(there)}
    row = lines.aggregate(lines=lines.count(), **counts).execute().iloc[0]
    shares = pd.Series([row[name] / row["lines"] for name in counts], index=there, dtype="float64")
    return _part("transactions", shares, columns)


def _filled_people(people: pd.DataFrame, patients: pd.Series, columns: tuple[str, ...]) -> pd.DataFrame:
    cells = people.set_index("patient_id")[[name for name in columns if name in people.columns]]
    there = cells.notna().reindex(patients, fill_value=False)
    return _part("patients", there.astype("float64").mean(), columns)


def _part(part: str, shares: pd.Series, columns: tuple[str, ...]) -> pd.DataFrame:
    filled = shares.reindex(list(columns)).astype("float64").to_numpy()
    return pd.DataFrame({"part": part, "column": list(columns), "filled": filled})
