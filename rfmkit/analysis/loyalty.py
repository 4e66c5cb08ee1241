"""Whether patients come back: repeat purchase rate, average order value, retention and its bridge."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.errors import NotEnoughData
from rfmkit.period import Period, month_ends
from rfmkit.rows import Rows, as_table

if TYPE_CHECKING:
    import ibis.expr.types as ir


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
    inside = _inside(as_table(visits, "patient_id", "visit_date"), period)
    counts = inside.group_by("patient_id").aggregate(visits=inside.count())
    row = counts.aggregate(twice=(counts.visits >= 2).sum(), once=counts.count()).execute().iloc[0]
    return _rate("no_visits", row["twice"], row["once"], period)


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
    inside = _inside(as_table(visits, "patient_id", "visit_date", "amount"), period)
    paid = inside.filter(inside.amount > 0)
    row = paid.aggregate(money=paid.amount.sum().cast("float64"), visits=paid.count()).execute().iloc[0]
    return _rate("no_paid_visits", row["money"], row["visits"], period)


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
    """
    rows = as_table(visits, "patient_id", "visit_date")
    before, until = Period.trailing(period.eve, active_months), Period.trailing(period.end, active_months)
    people = rows.filter(rows.visit_date <= period.end).group_by("patient_id")
    people = people.aggregate(
        first=rows.visit_date.min(),
        in_s=rows.visit_date.between(before.start, before.end).any(),
        in_e=rows.visit_date.between(until.start, until.end).any(),
    )
    came = people.in_e & ~people.in_s
    row = people.aggregate(
        first=people["first"].min(),
        start=people.in_s.sum(),
        end=people.in_e.sum(),
        kept=(people.in_s & people.in_e).sum(),
        new=(came & (people["first"] >= period.start)).sum(),
        reactivated=(came & (people["first"] < period.start)).sum(),
        lost=(people.in_s & ~people.in_e).sum(),
    )
    row = row.execute().iloc[0]
    if pd.isna(row["first"]):
        raise NotEnoughData("no_visits", start=period.start, end=period.end)
    first = pd.Timestamp(row["first"]).date()
    if first.replace(day=1) > before.start:
        raise NotEnoughData("history_starts_late", first_visit=first, needed=before.start)
    if not row["start"]:
        raise NotEnoughData("no_patients_at_start", day=period.eve)
    bridge = {name: int(row[name]) for name in ["start", "new", "reactivated", "lost", "end"]}
    kept = int(row["kept"])
    return Retention(kept / bridge["start"], kept, bridge["start"], period.start, period.end, bridge)


def period_figures(visits: Rows, refunds: Rows, period: Period) -> PeriodFigures:
    """Patients, visits, revenue, RPR and AOV of one period; `refunds` are those of days without a visit."""
    inside = _inside(as_table(visits, "patient_id", "visit_date", "amount"), period)
    back = _inside(as_table(refunds, "patient_id", "visit_date", "amount"), period)
    row = (
        inside.aggregate(patients=inside.patient_id.nunique(), visits=inside.count(), money=_money(inside))
        .execute()
        .iloc[0]
    )
    returned = float(back.aggregate(money=_money(back)).execute().iloc[0, 0])
    return PeriodFigures(
        patients=int(row["patients"]),
        visits=int(row["visits"]),
        revenue=float(row["money"]) + returned,
        rpr=known_or_none(repeat_purchase_rate, visits, period),
        aov=known_or_none(average_order_value, visits, period),
    )


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
    rows = as_table(visits, "patient_id", "visit_date", "amount")
    first = rows.visit_date.min().execute()
    # Of the months before the export nothing is known, and a window that begins before it would show a rise that is
    # none; the last month is shown as it is.
    begin = as_of if pd.isna(first) else pd.Timestamp(first).date().replace(day=1)
    records = []
    for end in month_ends(as_of, months):
        period, active = Period.trailing(end, period_months), Period.trailing(end, active_months)
        record = {"month": f"{end:%Y-%m}"}
        if begin <= end:
            figures = period_figures(rows, refunds, Period.trailing(end, 1))
            record |= {"revenue": figures.revenue, "visits": figures.visits}
            record["crr"] = _value(known_or_none(customer_retention_rate, rows, period, active_months))
        if begin <= active.start or end == as_of:
            record["active_patients"] = int(_inside(rows, active).patient_id.nunique().execute())
        if begin <= period.start or end == as_of:
            rates = {"rpr": repeat_purchase_rate, "aov": average_order_value}
            record |= {name: _value(known_or_none(rate, rows, period)) for name, rate in rates.items()}
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


def _money(rows: ir.Table) -> ir.Value:
    return rows.amount.sum().cast("float64").fill_null(0.0)


def _value(rate: Rate | None) -> float:
    return rate.value if rate else float("nan")


def _rate(reason: str, numerator, denominator, period: Period) -> Rate:
    if not denominator:
        raise NotEnoughData(reason, start=period.start, end=period.end)
    numerator = float(numerator) if isinstance(numerator, float) else int(numerator)
    return Rate(numerator / int(denominator), numerator, int(denominator), period.start, period.end)
