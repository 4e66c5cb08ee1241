"""Recency, frequency and money as they stood at the end of each month, recomputed from the history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from rfmkit.data.recall import NO_SERVICE
from rfmkit.period import Period, as_day, month_ends
from rfmkit.rows import Rows, as_table

_YEAR = 12
#: Before every window: the day of the last visit of whoever has not come yet.
_NEVER = np.datetime64("0001-01-01", "s")
#: More days than any day lies after it.
_LATEST = 4_000_000


def rfm_history(
    visits: Rows,
    as_of: dt.date,
    months: int,
    window_months: int = 0,
    *,
    refunds: Rows | None = None,
    windows: Mapping[str, int] | None = None,
    treatments: ir.Table | None = None,
    everybody: bool = False,
) -> pd.DataFrame:
    """Compute `rfm_table` at the end of each of the last months, in one pass.

    Parameters
    ----------
    visits, window_months, refunds, windows, treatments
        As for `rfmkit.rfm_table`.
    as_of : datetime.date
        The end of the last month.
    months : int
        How many month ends, `as_of` the last.
    everybody : bool, default False
        Give a row also to whoever has come by then, but not inside the window.

    Returns
    -------
    pandas.DataFrame
        ``month_end`` (datetime64), ``patient_id`` (categorical, its categories all patients), ``recency_days,
        visit_count, total_spend``: one row a patient who came inside the window that ends there; in the order of the
        days and the ids. With `treatments` also ``recall_days, days_overdue``. For `everybody` also ``inside``
        (whether they came inside the window; where not, only their recency is told) and ``visits, revenue`` over the
        whole history until then.
    """
    as_of = as_day(as_of)
    patients, by_month = _by_month(visits, refunds, as_of)
    windows = {name: (windows or {}).get(name, window_months) for name in ("visit_count", "total_spend")}
    at = by_month["month"].to_numpy()
    sums = {name: np.zeros(len(patients), "int64") for name in windows}
    whole = {name: np.zeros(len(patients), "int64") for name in windows} if everybody else {}
    last = np.full(len(patients), _NEVER)
    before, frames, rows = 0, [], []
    mains = None if treatments is None else _MainServices(treatments, patients, as_of, window_months)
    for end in month_ends(as_of, months):
        month = _number(end)
        # What has come into the windows since the month end before, and what has dropped out of them.
        new = by_month.iloc[_between(at, before, month)]
        np.maximum.at(last, new["patient"], new["last_visit"])
        for name, window in windows.items():
            np.add.at(sums[name], new["patient"], new[name])
            if window:
                gone = by_month.iloc[_between(at, before - window, month - window)]
                np.subtract.at(sums[name], gone["patient"], gone[name])
        for name, total in whole.items():
            np.add.at(total, new["patient"], new[name])
        start = Period.trailing(end, window_months).start if window_months else dt.date(1, 1, 2)
        inside = last >= np.datetime64(start)
        here = np.flatnonzero(last > _NEVER if everybody else inside)
        rows.append(here)
        frames.append(
            pd.DataFrame(
                {
                    "month_end": pd.Timestamp(end),
                    "recency_days": (np.datetime64(end) - last[here]).astype("timedelta64[D]").astype("int64"),
                    "visit_count": sums["visit_count"][here],
                    "total_spend": sums["total_spend"][here] / 100,
                    **(mains.until(end, here) if mains else {}),
                    **(_whole_history(whole, inside, here) if everybody else {}),
                }
            )
        )
        before = month
    history = pd.concat(frames, ignore_index=True)
    # Made once for all months: to join categories of text, their texts are compared each time.
    history.insert(1, "patient_id", pd.Categorical.from_codes(np.concatenate(rows), patients))
    return history


def _whole_history(whole: dict[str, np.ndarray], inside: np.ndarray, here: np.ndarray) -> dict[str, np.ndarray]:
    visits, revenue = whole["visit_count"][here], whole["total_spend"][here] / 100
    return {"inside": inside[here], "visits": visits, "revenue": revenue}


class _MainServices:
    """What each patient mainly came for, moved on from one month end to the next as `main_services` finds it."""

    def __init__(self, treatments: ir.Table, patients: pd.Index, as_of: dt.date, window_months: int):
        rows = treatments.filter(treatments.visit_date <= as_of)
        numbers = ibis.memtable(pd.DataFrame({"patient_id": patients, "patient": np.arange(len(patients))}))
        rows = rows.inner_join(numbers, "patient_id")
        month = rows.visit_date.year() * _YEAR + rows.visit_date.month()
        each = rows.group_by(month=month, patient=rows.patient, treatment=rows.treatment, recall_days=rows.recall_days)
        each = each.aggregate(days=rows.visit_date.nunique(), last=rows.visit_date.max())
        frame = each.order_by(["month", "patient", "treatment", "recall_days"]).execute()
        # The first of the kinds is the one that a tie goes to: by name, those without one last.
        kinds = frame[["treatment", "recall_days"]].drop_duplicates()
        kinds = kinds.assign(unnamed=kinds["treatment"] == NO_SERVICE)
        kinds = kinds.sort_values(["unnamed", "treatment", "recall_days"]).reset_index(drop=True)
        place = pd.Series(kinds.index, pd.MultiIndex.from_frame(kinds[["treatment", "recall_days"]]))
        kind = place.reindex(pd.MultiIndex.from_frame(frame[["treatment", "recall_days"]])).to_numpy()
        self._recall_days, self._size = kinds["recall_days"].to_numpy(), len(kinds)
        pairs, self._pair = np.unique(frame["patient"].to_numpy() * self._size + kind, return_inverse=True)
        self._patient, self._kind = pairs // self._size, pairs % self._size
        self._month, self._days = frame["month"].to_numpy(), frame["days"].to_numpy()
        self._came = (frame["last"].astype(_NEVER.dtype).to_numpy() - _NEVER).astype("timedelta64[D]").astype("int64")
        self._window, self._before, self._patients = window_months, 0, len(patients)
        self._counts, self._last = np.zeros(len(pairs), "int64"), np.zeros(len(pairs), "int64")

    def until(self, end: dt.date, here: np.ndarray) -> dict[str, np.ndarray]:
        """Recall interval and days overdue of the patients with the numbers `here`; the ends are asked for in order."""
        month = _number(end)
        new = _between(self._month, self._before, month)
        np.add.at(self._counts, self._pair[new], self._days[new])
        np.maximum.at(self._last, self._pair[new], self._came[new])
        if self._window:
            gone = _between(self._month, self._before - self._window, month - self._window)
            np.subtract.at(self._counts, self._pair[gone], self._days[gone])
        self._before = month
        # Most days, then the latest, then the first kind: as one number, which has a maximum.
        rank = (self._counts * _LATEST + self._last) * self._size + (self._size - 1 - self._kind)
        best = np.full(self._patients, -1)
        np.maximum.at(best, self._patient, np.where(self._counts > 0, rank, -1))
        recall_days = self._recall_days[self._size - 1 - best[here] % self._size]
        since = (np.datetime64(end) - _NEVER).astype("timedelta64[D]").astype("int64") - best[
            here
        ] // self._size % _LATEST
        return {"recall_days": recall_days, "days_overdue": since - recall_days}


def _number(day: dt.date) -> int:
    """The number of a day's month."""
    return day.year * _YEAR + day.month


def _between(months: np.ndarray, after: int, until: int) -> slice:
    """Where in ordered months those after one and up to another stand."""
    return slice(*np.searchsorted(months, [after, until], side="right"))


def revenue_by_period(visits: Rows, refunds: Rows | None, periods: Mapping[str, Period]) -> pd.DataFrame:
    """Sum what each patient paid in each of some periods, refunds of days without a visit taken off.

    Parameters
    ----------
    visits, refunds
        As for `rfm_history`.
    periods : mapping
        Name → Period; they may overlap.

    Returns
    -------
    pandas.DataFrame
        By ``patient_id``, one column a period (money), of all patients who have a line in any of them.
    """
    days = as_table(visits, "patient_id", "visit_date", "amount").select("patient_id", "visit_date", "amount")
    if refunds is not None:
        back = as_table(refunds, "patient_id", "visit_date", "amount")
        days = ibis.union(days, back.select("patient_id", "visit_date", "amount"))
    days = days.filter(
        days.visit_date.between(min(one.start for one in periods.values()), max(one.end for one in periods.values()))
    )
    sums = {name: days.amount.sum(where=days.visit_date.between(*period)) for name, period in periods.items()}
    # Summed as DECIMAL, and handed over as numbers: hundreds of thousands of Decimals would take most of the time.
    sums = {name: money.cast("float64") for name, money in sums.items()}
    return days.group_by("patient_id").aggregate(**sums).execute().set_index("patient_id").fillna(0.0)


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
