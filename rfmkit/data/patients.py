"""Visits become patients: the inputs of RFM and of the models of lifetime value, one row a patient."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data.recall import main_services
from rfmkit.period import Period, as_day
from rfmkit.rows import Rows, as_table

#: Logarithms are summed in whole billionths: a sum of floats depends on the order in which threads deliver them; and no
#: finer, because engines differ in a logarithm's last digit, which of 1 to 50,000 days never turns such a billionth.
_LOG_UNIT = 1e9


def rfm_table(
    visits: Rows,
    as_of: dt.date,
    window_months: int = 0,
    *,
    refunds: Rows | None = None,
    windows: Mapping[str, int] | None = None,
    treatments: ir.Table | None = None,
) -> pd.DataFrame:
    """Compute recency, frequency and money of every patient who came inside the RFM window.

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount``, one row a visit.
    as_of : datetime.date
        Last observed day, inclusive; later visits are left out.
    window_months : int, default 0
        Whole calendar months up to `as_of`; 0 is the whole history.
    refunds : optional
        Refunds on days without a visit, as `refunds_from` gives them.
    windows : mapping, optional
        Months of ``visit_count`` or ``total_spend`` alone, where they differ from `window_months`.
    treatments : ibis.Table, optional
        What each line was for, as `rfmkit.data.recall.treatments_from` gives it.

    Returns
    -------
    pandas.DataFrame
        ``patient_id``, ``recency_days`` (days from the last visit to `as_of`), ``visit_count``, ``total_spend`` (net
        sum, money), in the order of the ids; with `treatments` also ``main_service, recall_days, days_overdue``, as
        `rfmkit.data.recall.main_services` gives them.
    """
    as_of = as_day(as_of)
    if window_months < 0:
        raise ValueError("window_months must be 0 (the whole history) or more")
    inside = _until(as_table(visits, "patient_id", "visit_date", "amount"), as_of, window_months)
    days = inside.select("patient_id", "amount", came="visit_date")
    if refunds is not None:
        back = _until(as_table(refunds, "patient_id", "visit_date", "amount"), as_of, window_months)
        days = ibis.union(days, back.select("patient_id", "amount", came=ibis.null("date")))
    people = days.group_by("patient_id").aggregate(
        last=days.came.max(),
        visit_count=days.came.count(),
        # Summed as DECIMAL: equal sums are equal values, whatever they are made of.
        total_spend=days.amount.sum().cast("float64"),
    )
    people = people.filter(people.visit_count > 0).select(
        "patient_id",
        recency_days=ibis.literal(as_of).delta(people.last, unit="day"),
        visit_count=people.visit_count,
        total_spend=people.total_spend,
    )
    rfm = people.order_by("patient_id").execute()
    for measure, months in (windows or {}).items():
        other = rfm_table(visits, as_of, months, refunds=refunds).set_index("patient_id")[measure]
        rfm[measure] = other.reindex(rfm["patient_id"], fill_value=0).to_numpy()
    if treatments is not None:
        mains = main_services(treatments, as_of, window_months).reindex(rfm["patient_id"])
        rfm = rfm.assign(**{name: mains[name].array for name in mains})
    return rfm


def history_table(summary: pd.DataFrame, as_of: dt.date, revenue: pd.Series) -> pd.DataFrame:
    """Say when each patient first and last came, how often, and what they brought, over the whole history.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `btyd_summary` gives it.
    as_of : datetime.date
        Its last observed day.
    revenue : pandas.Series
        Net sum of all kept lines, by patient.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, first_visit, last_visit`` (datetime64), ``visits, revenue`` (money), ``recency_days``.
    """
    first_visit = pd.Timestamp(as_of) - pd.to_timedelta(summary["T"], unit="D")
    return pd.DataFrame(
        {
            "patient_id": summary["patient_id"],
            "first_visit": first_visit,
            "last_visit": first_visit + pd.to_timedelta(summary["recency"], unit="D"),
            "visits": summary["frequency"] + 1,
            "revenue": revenue.reindex(summary["patient_id"]).fillna(0.0).to_numpy(),
            "recency_days": summary["T"] - summary["recency"],
        }
    )


def _until(rows: ir.Table, as_of: dt.date, window_months: int) -> ir.Table:
    rows = rows.filter(rows.visit_date <= as_of)
    if window_months:
        rows = rows.filter(rows.visit_date >= Period.trailing(as_of, window_months).start)
    return rows


def btyd_summary(visits: Rows, as_of: dt.date) -> pd.DataFrame:
    """Summarise each patient's history for the buy-till-you-die models.

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount``, one row a visit.
    as_of : datetime.date
        Last observed day, inclusive.

    Returns
    -------
    pandas.DataFrame
        One row a patient, in the order of the ids: ``patient_id``; ``frequency`` (x: repeat visits); ``recency`` (t_x:
        days from first to last visit); ``T`` (days from first visit to `as_of`); ``monetary_value`` (net amount of the
        repeat visits ÷ repeat visits, free ones included; 0 without any); ``log_intervals`` (Σ ln of the days between
        consecutive visits; 0 without any).

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005). "Counting Your Customers" the Easy Way. Marketing Science
    24(2), for x, t_x and T.
    """
    as_of = as_day(as_of)
    return _summary(_until(as_table(visits, "patient_id", "visit_date", "amount"), as_of, 0), as_of)


def calibration_holdout(visits: Rows, calibration_end: dt.date, as_of: dt.date) -> pd.DataFrame:
    """Summarise histories up to `calibration_end` and count what came after, up to `as_of`.

    Parameters
    ----------
    visits : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount``, one row a visit.
    calibration_end, as_of : datetime.date
        Last day of the histories, and of what is counted after them.

    Returns
    -------
    pandas.DataFrame
        The columns of `btyd_summary` at `calibration_end`, for the patients known by then, and
        ``frequency_holdout`` (visits after it), ``monetary_value_holdout`` (their net amount ÷ their number, 0 without
        any), ``duration_holdout`` (days).
    """
    calibration_end, as_of = as_day(calibration_end), as_day(as_of)
    rows = _until(as_table(visits, "patient_id", "visit_date", "amount"), as_of, 0)
    later = rows.filter(rows.visit_date > calibration_end)
    after = (
        later.group_by("patient_id")
        .aggregate(frequency_holdout=later.count(), spent=later.amount.sum().cast("float64"))
        .execute()
        .set_index("patient_id")
    )
    summary = _summary(rows.filter(rows.visit_date <= calibration_end), calibration_end)
    known = after.reindex(summary["patient_id"]).fillna(0.0)
    visits_after = known["frequency_holdout"].to_numpy()
    return summary.assign(
        frequency_holdout=visits_after.astype("int64"),
        monetary_value_holdout=known["spent"].to_numpy() / visits_after.clip(min=1),
        duration_holdout=(as_of - calibration_end).days,
    )


def _summary(rows: ir.Table, as_of: dt.date) -> pd.DataFrame:
    # There is one visit a day, so the amount decides nothing; but to sort is cheaper than to carry along.
    by_day = ibis.window(group_by="patient_id", order_by=["visit_date", "amount"])
    rows = rows.select("patient_id", "visit_date", "amount")
    rows = rows.mutate(before=rows.visit_date.lag().over(by_day))
    gap = rows.visit_date.delta(rows.before, unit="day")
    repeat = rows.before.notnull()
    people = rows.group_by("patient_id").aggregate(
        first=rows.visit_date.min(),
        last=rows.visit_date.max(),
        frequency=rows.count() - 1,
        spent=rows.amount.sum(where=repeat).cast("float64").fill_null(0.0),
        log_intervals=(gap.cast("float64").ln() * _LOG_UNIT).round().cast("int64").sum().fill_null(0),
    )
    frame = people.select(
        "patient_id",
        "frequency",
        recency=people.last.delta(people.first, unit="day"),
        T=ibis.literal(as_of).delta(people.first, unit="day"),
        monetary_value=people.spent / ibis.greatest(people.frequency, 1),
        log_intervals=people.log_intervals / _LOG_UNIT,
    )
    return frame.order_by("patient_id").execute()
