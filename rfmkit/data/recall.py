"""What each patient mainly comes for, and how far past its recall interval they are."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.period import Period
from rfmkit.rows import Rows, as_table

if TYPE_CHECKING:
    from rfmkit.clinic import Recall

#: A line that names no service.
NO_SERVICE = ""


def treatments_from(transactions: Rows, recall: Recall) -> ir.Table:
    """Say for what each line was, and after how many days that is due again.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount`` and ``service``, ``category`` or both.
    recall : rfmkit.clinic.Recall
        The recall intervals.

    Returns
    -------
    ibis.Table
        ``patient_id, visit_date, treatment, recall_days``, one row a line that is no refund. The treatment is the
        service where the clinic gives it an interval of its own; else the category, and where there is none, the
        service. Its interval is the service's, else the category's, else the default.
    """
    lines = as_table(transactions, "patient_id", "visit_date", "amount")
    lines = lines.filter(lines.amount >= 0)
    nothing = ibis.null("string")
    service = lines.service if "service" in lines.columns else nothing
    category = lines.category if "category" in lines.columns else nothing
    of_service, of_category = _days(service, recall.service), _days(category, recall.category)
    named = of_service.notnull().ifelse(service, nothing)
    return lines.select(
        "patient_id",
        "visit_date",
        treatment=ibis.coalesce(named, category, service, ibis.literal(NO_SERVICE)),
        recall_days=ibis.coalesce(of_service, of_category, ibis.literal(recall.default, "int64")),
    )


def _days(name: ir.StringValue, intervals: dict[str, int]) -> ir.IntegerValue:
    if not intervals:
        return ibis.null("int64")
    return name.cases(
        *((key, ibis.literal(days, "int64")) for key, days in intervals.items()), else_=ibis.null("int64")
    )


def main_services(treatments: ir.Table, as_of: dt.date, window_months: int = 0) -> pd.DataFrame:
    """Find what each patient mainly came for, and how long it is overdue.

    The main service is that of most visit-days inside the window; of those with equally many that of the latest day,
    then the first by name.

    Parameters
    ----------
    treatments : ibis.Table
        As `treatments_from` gives it.
    as_of : datetime.date
        Last observed day, inclusive.
    window_months : int, default 0
        Whole calendar months up to `as_of`; 0 is the whole history.

    Returns
    -------
    pandas.DataFrame
        By ``patient_id``: ``main_service`` (missing where no line names one), ``recall_days``, ``days_overdue`` (days
        from the last visit for the main service to `as_of`, less `recall_days`; negative before it is due again).
    """
    rows = treatments.filter(treatments.visit_date <= as_of)
    if window_months:
        rows = rows.filter(rows.visit_date >= Period.trailing(as_of, window_months).start)
    each = rows.group_by(["patient_id", "treatment", "recall_days"]).aggregate(
        days=rows.visit_date.nunique(), last=rows.visit_date.max()
    )
    unnamed = (each.treatment == NO_SERVICE).cast("int8")
    order = [each.days.desc(), each["last"].desc(), unnamed, each.treatment, each.recall_days]
    each = each.mutate(place=ibis.row_number().over(ibis.window(group_by="patient_id", order_by=order)))
    mains = each.filter(each.place == 0)
    frame = mains.select(
        "patient_id",
        "recall_days",
        main_service=mains.treatment.nullif(NO_SERVICE),
        days_overdue=ibis.literal(as_of).delta(mains["last"], unit="day") - mains.recall_days,
    ).execute()
    return frame.set_index("patient_id")[["main_service", "recall_days", "days_overdue"]]
