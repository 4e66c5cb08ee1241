"""Recency, frequency and money as they stood at the end of each month, recomputed from the history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd

from rfmkit.period import Period, as_day, month_ends
from rfmkit.rows import Rows, as_table

_YEAR = 12
#: Before every window: the day of the last visit of whoever has not come yet.
_NEVER = np.datetime64("0001-01-01", "s")


def rfm_history(
    visits: Rows,
    as_of: dt.date,
    months: int,
    window_months: int = 0,
    *,
    refunds: Rows | None = None,
    windows: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Compute `rfm_table` at the end of each of the last months, in one pass.

    Parameters
    ----------
    visits, window_months, refunds, windows
        As for `rfmkit.rfm_table`.
    as_of : datetime.date
        The end of the last month.
    months : int
        How many month ends, `as_of` the last.

    Returns
    -------
    pandas.DataFrame
        ``month_end`` (datetime64), ``patient_id`` (categorical, its categories all patients), ``recency_days,
        visit_count, total_spend``: one row a patient who came inside the window that ends there; in the order of the
        days and the ids.
    """
    as_of = as_day(as_of)
    patients, by_month = _by_month(visits, refunds, as_of)
    windows = {name: (windows or {}).get(name, window_months) for name in ("visit_count", "total_spend")}
    at = by_month["month"].to_numpy()
    sums = {name: np.zeros(len(patients), "int64") for name in windows}
    last = np.full(len(patients), _NEVER)
    before, frames = 0, []
    for end in month_ends(as_of, months):
        month = end.year * _YEAR + end.month
        # What has come into the windows since the month end before, and what has dropped out of them.
        new = by_month.iloc[slice(*np.searchsorted(at, [before, month], side="right"))]
        np.maximum.at(last, new["patient"], new["last_visit"])
        for name, window in windows.items():
            np.add.at(sums[name], new["patient"], new[name])
            if window:
                gone = by_month.iloc[slice(*np.searchsorted(at, [before - window, month - window], side="right"))]
                np.subtract.at(sums[name], gone["patient"], gone[name])
        start = Period.trailing(end, window_months).start if window_months else dt.date(1, 1, 2)
        here = np.flatnonzero(last >= np.datetime64(start))
        frames.append(
            pd.DataFrame(
                {
                    "month_end": pd.Timestamp(end),
                    "patient_id": pd.Categorical.from_codes(here, patients),
                    "recency_days": (np.datetime64(end) - last[here]).astype("timedelta64[D]").astype("int64"),
                    "visit_count": sums["visit_count"][here],
                    "total_spend": sums["total_spend"][here] / 100,
                }
            )
        )
        before = month
    return pd.concat(frames, ignore_index=True)


def _by_month(visits: Rows, refunds: Rows | None, as_of: dt.date) -> tuple[pd.Index, pd.DataFrame]:
    """All patients; and what they did in each month, in order: ``month, patient`` (a number), and the measures.

    Money is in whole cents, so that what is added and taken away again leaves nothing.
    """
    days = as_table(visits, "patient_id", "visit_date", "amount")
    days = days.select("patient_id", "visit_date", "amount", came="visit_date")
    patients = days.select("patient_id").distinct().order_by("patient_id").execute()["patient_id"]
    if refunds is not None:
        back = as_table(refunds, "patient_id", "visit_date", "amount")
        days = ibis.union(days, back.select("patient_id", "visit_date", "amount", came=ibis.null("date")))
    days = days.filter(days.visit_date <= as_of)
    # Numbers are grouped, sorted and handed over much faster than text.
    numbers = ibis.memtable(pd.DataFrame({"patient_id": patients, "patient": np.arange(len(patients))}))
    days = days.inner_join(numbers, "patient_id")
    months = days.group_by(month=days.visit_date.year() * _YEAR + days.visit_date.month(), patient=days.patient)
    measures = months.aggregate(
        last_visit=days.came.max(),
        visit_count=days.came.count(),
        total_spend=(days.amount.sum() * 100).cast("int64"),
    )
    frame = measures.order_by(["month", "patient"]).execute()
    frame["last_visit"] = frame["last_visit"].astype(_NEVER.dtype).fillna(_NEVER)
    return pd.Index(patients), frame
