"""Whether patients come back: repeat purchase rate, average order value, retention and its bridge."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rfmkit.errors import NotEnoughData
from rfmkit.period import Period, month_ends
from rfmkit.rows import Rows, as_table

if TYPE_CHECKING:
    import ibis.expr.types as ir

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Rate:
    """A ratio with what it was made of.

    Attributes
    ----------
    value : float
        `numerator` ÷ `denominator`.
    numerator : int or float
    denominator : int
    start, end : datetime.date
        First and last day of the period.
    """

    value: float
    numerator: float
    denominator: int
    start: dt.date
    end: dt.date


@dataclass(frozen=True)
class Retention(Rate):
    """The retention rate and the bridge from the patients active at the start to those active at the end.

    Attributes
    ----------
    bridge : dict of str to int
        ``start, new, reactivated, lost, end``; end = start + new + reactivated − lost.
    """

    bridge: dict[str, int]


@dataclass(frozen=True)
class PeriodFigures:
    """What a period brought; a rate is None where it has nothing to divide by."""

    patients: int
    visits: int
    revenue: float
    rpr: Rate | None
    aov: Rate | None


@dataclass(frozen=True)
class Loyalty:
    """Whether a clinic's patients come back, over its trailing period and in the last month.

    `crr` and `bridge` are None where the export does not reach back far enough.
    """

    rpr: Rate
    aov: Rate
    crr: Retention | None
    month: PeriodFigures

    @property
    def bridge(self) -> dict[str, int] | None:
        """From the patients active at the start of the period to those active at its end."""
        return self.crr.bridge if self.crr else None


def repeat_purchase_rate(visits: Rows, period: Period) -> Rate:
    """Share of the period's patients who came at least twice in it (RPR).

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount``, one row a visit.
    period : Period

    Returns
    -------
    Rate
        Patients with ≥ 2 visits in the period ÷ patients with ≥ 1.

    Raises
    ------
    NotEnoughData
        If nobody came in the period.
    """
    rows = as_table(visits, "patient_id", "visit_date").select("patient_id", "visit_date")
    return _rpr(_count(_inside(rows, period), [period]), period)


def average_order_value(visits: Rows, period: Period) -> Rate:
    """Average sum of a paid visit of the period (AOV, money).

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount``, one row a visit.
    period : Period

    Returns
    -------
    Rate
        Σ sums of paid visits ÷ paid visits; a paid visit is one whose sum is > 0.

    Raises
    ------
    NotEnoughData
        If there was no paid visit in the period.
    """
    rows = as_table(visits, "patient_id", "visit_date", "amount")
    return _aov(_count(_inside(rows, period), [period]), period)


def customer_retention_rate(visits: Rows, period: Period, active_months: int) -> Retention:
    """Share of the patients active when the period began who are active at its end (CRR).

    S are the patients active on the day before the period, E those active on its last day; active is who has a visit
    in the `active_months` whole months that end on the day. CRR = |S ∩ E| ÷ |S|. New are those of E∖S whose first
    visit ever lies in the period, reactivated the rest of E∖S, lost S∖E.

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        All visits ever, one row a visit.
    period : Period
    active_months : int
        Not less than the period's months.

    Returns
    -------
    Retention

    Raises
    ------
    NotEnoughData
        If the visits begin later than the month in which the activity of S begins, or nobody was active then.
    ValueError
        If `active_months` are fewer than the period's.
    """
    rows = as_table(visits, "patient_id", "visit_date").select("patient_id", "visit_date")
    return _crr(_count(rows, _crr_windows(period, active_months)), period, active_months)


def period_figures(visits: Rows, refunds: Rows, period: Period) -> PeriodFigures:
    """Patients, visits, revenue, RPR and AOV of one period; `refunds` are those of days without a visit."""
    rows, back = (as_table(table, "patient_id", "visit_date", "amount") for table in (visits, refunds))
    return _figures(_count(_inside(rows, period), [period], _inside(back, period)), period)


def loyalty_history(
    visits: Rows, refunds: Rows, as_of: dt.date, *, period_months: int, active_months: int, months: int = 24
) -> pd.DataFrame:
    """Follow revenue and the trailing rates from month to month.

    Parameters
    ----------
    visits, refunds : pandas.DataFrame, path or ibis.Table
        All visits, and the refunds of days without one.
    as_of : datetime.date
        Last day of the last month.
    period_months, active_months : int
        Months of the trailing rates; months with a visit that make a patient active.
    months : int, default 24

    Returns
    -------
    pandas.DataFrame
        One row a month, oldest first: ``month`` ("2026-10"), ``revenue`` and ``visits`` (of the month alone),
        ``active_patients`` (at its end), ``rpr``, ``aov``, ``crr`` (trailing; missing where not known, and before the
        data reach back far enough).
    """
    rows, back = (as_table(table, "patient_id", "visit_date", "amount") for table in (visits, refunds))
    ends = month_ends(as_of, months)
    windows = [Period.trailing(end, 1) for end in ends]
    for end in ends:
        windows += _crr_windows(Period.trailing(end, period_months), active_months)
    counted = _count(rows, windows, back)
    # Of the months before the export nothing is known, and a window that begins before it would show a rise that is
    # none; the last month is shown as it is.
    begin = counted.first.replace(day=1) if counted.first else as_of
    records = []
    for end in ends:
        period, active = Period.trailing(end, period_months), Period.trailing(end, active_months)
        record = {"month": f"{end:%Y-%m}"}
        if begin <= end:
            figures = _figures(counted, Period.trailing(end, 1))
            record |= {"revenue": figures.revenue, "visits": figures.visits}
            record["crr"] = _value(known_or_none(_crr, counted, period, active_months))
        if begin <= active.start or end == as_of:
            record["active_patients"] = counted.patients(active)
        if begin <= period.start or end == as_of:
            record["rpr"] = _value(known_or_none(_rpr, counted, period))
            record["aov"] = _value(known_or_none(_aov, counted, period))
        records.append(record)
    columns = ["month", "revenue", "visits", "active_patients", "rpr", "aov", "crr"]
    return pd.DataFrame.from_records(records).reindex(columns=columns)


def headline(history: pd.DataFrame) -> pd.DataFrame:
    """Compare the five headline numbers with last month and with the same month of last year.

    Returns
    -------
    pandas.DataFrame
        ``metric`` (active_patients, revenue, rpr, aov, crr), ``value, last_month, last_year``; missing where unknown.
    """
    metrics = ["active_patients", "revenue", "rpr", "aov", "crr"]
    numbers = history[metrics].astype("float64")
    return pd.DataFrame(
        {
            "metric": metrics,
            "value": numbers.iloc[-1].to_numpy(),
            "last_month": numbers.iloc[-2].to_numpy(),
            "last_year": numbers.iloc[-13].to_numpy(),
        }
    )


def known_or_none(rate, *arguments) -> Rate | None:
    """The rate, or None where the data do not carry it."""
    try:
        return rate(*arguments)
    except NotEnoughData:
        return None


def _inside(rows: ir.Table, period: Period) -> ir.Table:
    return rows.filter(rows.visit_date.between(*period))


def _rpr(counted: _Counted, period: Period) -> Rate:
    return _rate("no_visits", counted.patients_twice(period), counted.patients(period), period)


def _aov(counted: _Counted, period: Period) -> Rate:
    return _rate("no_paid_visits", float(counted.sum("paid_money", period)), int(counted.sum("paid", period)), period)


def _crr_windows(period: Period, active_months: int) -> tuple[Period, Period, Period]:
    """The period, and the days in which those of S came, and those of E."""
    return period, Period.trailing(period.eve, active_months), Period.trailing(period.end, active_months)


def _crr(counted: _Counted, period: Period, active_months: int) -> Retention:
    _, before, until = _crr_windows(period, active_months)
    if until.start > period.start:
        raise ValueError("active_months must not be fewer than the period's")
    if counted.first is None:
        raise NotEnoughData("no_visits", start=period.start, end=period.end)
    if counted.first.replace(day=1) > before.start:
        raise NotEnoughData("history_starts_late", first_visit=counted.first, needed=before.start)
    start, end = counted.patients(before), counted.patients(until)
    if not start:
        raise NotEnoughData("no_patients_at_start", day=period.eve)
    # Between the days of S and those of E there are none, so S ∪ E are those who came in the one or the other.
    kept = start + end - counted.patients(Period(before.start, until.end))
    # Whoever came for the first time ever in the period is in E, and was not in S.
    new = counted.patients_new(period)
    bridge = {"start": start, "new": new, "reactivated": end - kept - new, "lost": start - kept, "end": end}
    return Retention(kept / start, kept, start, period.start, period.end, bridge)


def _figures(counted: _Counted, period: Period) -> PeriodFigures:
    return PeriodFigures(
        patients=counted.patients(period),
        visits=int(counted.sum("visits", period)),
        revenue=float(counted.sum("money", period) + counted.sum("returned", period)),
        rpr=known_or_none(_rpr, counted, period),
        aov=known_or_none(_aov, counted, period),
    )


def _rate(reason: str, numerator: float, denominator: int, period: Period) -> Rate:
    if not denominator:
        raise NotEnoughData(reason, start=period.start, end=period.end)
    return Rate(numerator / denominator, numerator, denominator, period.start, period.end)


def _value(rate: Rate | None) -> float:
    return rate.value if rate else float("nan")


@dataclass(frozen=True)
class _Counted:
    """Visits, patients and money of windows of days, from one reading of the visits.

    The days on which a window begins or has ended cut time into slots; a day's slot is the number of these cuts that it
    has reached. A patient came in a window if one of their visits is the last one in it: it lies inside, and the visit
    that follows does not. So patients are counted by counting visits, which three slots tell enough of.
    """

    cuts: list[dt.date]
    #: How many visits there are by three slots: of the same patient's visit before, 1 added so that 0 is none; of the
    #: visit itself; and of the visit after, above all slots where there is none.
    comings: np.ndarray
    #: By slot: ``visits``; and, where the rows have an amount, ``money, paid, paid_money``; ``returned`` of refunds.
    sums: pd.DataFrame
    first: dt.date | None

    def patients(self, window: Period) -> int:
        """Patients who came in the window."""
        low, high = self._slots(window)
        return self.comings[:, low : high + 1, high + 1 :].sum().item()

    def patients_twice(self, window: Period) -> int:
        """Patients who came at least twice: the visit before the last one of the window lies in it too."""
        low, high = self._slots(window)
        return self.comings[low + 1 :, low : high + 1, high + 1 :].sum().item()

    def patients_new(self, window: Period) -> int:
        """Patients whose first visit ever lies in the window."""
        low, high = self._slots(window)
        return self.comings[0, low : high + 1].sum().item()

    def sum(self, measure: str, window: Period) -> int | Decimal:
        """The sum of a measure over the window."""
        low, high = self._slots(window)
        return self.sums[measure].loc[low:high].sum()

    def _slots(self, window: Period) -> tuple[int, int]:
        """The first and the last slot of a window."""
        return bisect_left(self.cuts, window.start) + 1, bisect_left(self.cuts, window.end + _DAY)


def _count(visits: ir.Table, windows: Iterable[Period], refunds: ir.Table | None = None) -> _Counted:
    """Count all windows at once; whoever is to be known as new needs all visits before the windows too."""
    import ibis

    cuts = sorted({day for window in windows for day in (window.start, window.end + _DAY)})
    rows = visits.filter(visits.visit_date < cuts[-1])
    rows = rows.mutate(slot=_slot(rows.visit_date, cuts))
    measures = {"visits": rows.count(), "first": rows.visit_date.min()}
    if "amount" in rows.columns:
        paid = rows.amount > 0
        measures |= {"money": rows.amount.sum(), "paid": paid.sum(), "paid_money": rows.amount.sum(where=paid)}
    sums = rows.group_by("slot").aggregate(**measures).execute().set_index("slot").sort_index()
    days = sums.pop("first")
    if refunds is not None:
        back = refunds.filter(refunds.visit_date < cuts[-1])
        back = back.group_by(slot=_slot(back.visit_date, cuts)).aggregate(returned=back.amount.sum()).execute()
        sums = sums.join(back.set_index("slot"), how="outer").sort_index()
    # By patient nothing but slots is sorted: to carry days and money along would take most of the time.
    came = rows.select("patient_id", "slot")
    own = ibis.window(group_by="patient_id", order_by="slot")
    none_before, none_after = 0, len(cuts) + 1
    came = came.select(
        "slot",
        previous=(came.slot + 1).lag(default=none_before).over(own),
        following=came.slot.lead(default=none_after).over(own),
    )
    counts = came.group_by("previous", "slot", "following").aggregate(visits=came.count()).execute()
    comings = np.zeros((len(cuts) + 2,) * 3, "int64")
    comings[counts["previous"], counts["slot"], counts["following"]] = counts["visits"]
    return _Counted(cuts, comings, sums.fillna(0), None if days.empty else pd.Timestamp(days.min()).date())


def _slot(day: ir.DateValue, cuts: list[dt.date], reached: int = 0) -> ir.IntegerValue:
    """How many of the cuts a day has reached, by halving them: a few comparisons a row instead of one for each cut."""
    import ibis

    if not cuts:
        return ibis.literal(reached, "int16")
    half = len(cuts) // 2
    later = _slot(day, cuts[half + 1 :], reached + half + 1)
    return (day < cuts[half]).ifelse(_slot(day, cuts[:half], reached), later)
