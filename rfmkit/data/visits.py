"""Lines become visits: what a patient did on one day."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.rows import Rows, as_table


def visits_from(transactions: Rows) -> ir.Table | pd.DataFrame:
    """Join a patient's lines of one day to one visit.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount`` and, where known, ``receipt_id``.

    Returns
    -------
    pandas.DataFrame, or ibis.Table for an Ibis table
        ``patient_id, visit_date, amount``: one row a patient-day with at least one line that is no refund; `amount` is
        the day's sum (money). A refund whose receipt an earlier sale of the same patient has is taken off that sale's
        day. Days with refunds alone are no visits: see `refunds_from`.
    """
    days = _patient_days(_on_their_days(as_table(transactions, "patient_id", "visit_date", "amount")))
    return _as_given(days.filter(days.sold).drop("sold"), transactions)


def refunds_from(transactions: Rows) -> ir.Table | pd.DataFrame:
    """Sum the refunds of days on which the patient had nothing else.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount`` and, where known, ``receipt_id``.

    Returns
    -------
    pandas.DataFrame, or ibis.Table for an Ibis table
        ``patient_id, visit_date, amount``: one row a patient-day with refunds alone; with the visits of `visits_from`
        these are all the money of the lines.
    """
    lines = _on_their_days(as_table(transactions, "patient_id", "visit_date", "amount"))
    # Few days have a refund: only their lines are summed.
    days = _patient_days(lines.semi_join(lines.filter(lines.amount < 0), ["patient_id", "visit_date"]))
    return _as_given(days.filter(~days.sold).drop("sold"), transactions)


def _patient_days(lines: ir.Table) -> ir.Table:
    return lines.group_by(["patient_id", "visit_date"]).aggregate(
        amount=lines.amount.sum().cast("decimal(18, 2)"), sold=(lines.amount >= 0).any()
    )


def _on_their_days(lines: ir.Table) -> ir.Table:
    """Move each refund to the latest day, not after its own, on which the patient bought on its receipt."""
    if "receipt_id" not in lines.columns:
        return lines.select("patient_id", "visit_date", "amount")
    lines = lines.select("patient_id", "visit_date", "amount", "receipt_id")
    refund = ((lines.amount < 0) & lines.receipt_id.notnull()).fill_null(False)
    refunds = lines.filter(refund)
    # Only the few sales on a refund's receipt are looked at, and each day once: a receipt id may stand on any number.
    asked = refunds.select("patient_id", "receipt_id", "visit_date").distinct()
    sales = lines.filter(lines.amount >= 0).semi_join(asked, ["patient_id", "receipt_id"])
    sales = sales.select("patient_id", "receipt_id", sale_date="visit_date").distinct()
    pairs = asked.join(sales, ["patient_id", "receipt_id"]).filter(lambda pair: pair.sale_date <= pair.visit_date)
    days = pairs.group_by(["patient_id", "receipt_id", "visit_date"]).aggregate(sale_date=pairs.sale_date.max())
    moved = refunds.left_join(days, ["patient_id", "receipt_id", "visit_date"]).select(
        patient_id=refunds.patient_id,
        visit_date=ibis.coalesce(days.sale_date, refunds.visit_date),
        amount=refunds.amount,
    )
    return ibis.union(lines.filter(~refund).drop("receipt_id"), moved)


def _as_given(table: ir.Table, rows: Rows) -> ir.Table | pd.DataFrame:
    """Ibis tables stay expressions; frames and paths come out as frames."""
    if isinstance(rows, ibis.Table):
        return table
    return table.mutate(amount=table.amount.cast("float64")).order_by(["patient_id", "visit_date"]).execute()
