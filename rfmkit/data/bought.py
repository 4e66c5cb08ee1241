"""What patients have bought, and since when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.errors import Problem
from rfmkit.rows import Rows, as_table

if TYPE_CHECKING:
    import ibis.expr.types as ir


def sales_of(transactions: Rows) -> ir.Table:
    """The lines that are no refunds, with the columns that tell what was sold, where and when.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``patient_id, visit_date, amount`` and, where known, ``service, category, branch, visit_time``.
    """
    lines = as_table(transactions, "patient_id", "visit_date", "amount").filter(lambda line: line.amount >= 0)
    told = [name for name in ("service", "category", "branch", "visit_time") if name in lines.columns]
    return lines.select("patient_id", "visit_date", *told)


def names_in(sales: ir.Table) -> dict[str, pd.Index]:
    """The services, categories and branches that lines name, in the order in which they may be numbered."""
    columns = [name for name in ("service", "category", "branch") if name in sales.columns]
    found = {name: sales.filter(sales[name].notnull()).select(name).distinct().execute()[name] for name in columns}
    return {name: pd.Index(sorted(those), dtype="str") for name, those in found.items()}


def never_sold(transactions: Rows, column: str, names: Collection[str], where: str) -> list[Problem]:
    """Find the services or categories of a clinic file that no line names: most likely they are misspelt.

    Parameters
    ----------
    transactions : pandas.DataFrame, path or ibis.Table
        ``amount`` and the column.
    column : {"service", "category"}
    names : collection of str
        As the clinic file has them.
    where : str
        Where it does. What the export has in their place is a value of it, and is not told.
    """
    if not names:
        return []
    lines = as_table(transactions, "amount", column)
    found = lines.filter((lines.amount >= 0) & lines[column].isin(sorted(names))).select(column).distinct()
    unknown = sorted(set(names) - set(found.execute()[column]))
    return [
        Problem(f"{where} {name}", f"no line has this {column}", "Write it as the export does.") for name in unknown
    ]


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
