"""What patients have bought, and since when."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from rfmkit.rows import Rows, as_table


def names_sold(transactions: Rows, column: str) -> list[str]:
    """The services or categories that there are lines of.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
    column : {"service", "category"}
    """
    lines = as_table(transactions, "amount", column)
    names = lines.filter(lines.amount >= 0).select(column).distinct().execute()[column]
    return sorted(names.dropna())


def first_bought(transactions: Rows, names: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Find the day on which each patient first bought something.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount`` and the columns asked for.
    names : mapping
        "service" or "category" → the names that are looked for.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, column, name, first_day`` (datetime64); refunds buy nothing.
    """
    lines = as_table(transactions, "patient_id", "visit_date", "amount")
    frames = []
    for column, wanted in names.items():
        found = lines.filter((lines.amount >= 0) & lines[column].isin(sorted(wanted)))
        days = found.group_by(["patient_id", column]).aggregate(first_day=found.visit_date.min()).execute()
        frames.append(days.rename(columns={column: "name"}).assign(column=column))
    if not frames:
        return pd.DataFrame(columns=["patient_id", "column", "name", "first_day"])
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(first_day=pd.to_datetime(frame["first_day"]))
