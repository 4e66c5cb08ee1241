"""Recency, frequency and money as they stood at the end of each month, recomputed from the history."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from rfmkit.data.recall import NO_SERVICE
from rfmkit.period import Period, as_day, month_ends
from rfmkit.rows import Rows, as_table

#: More than the number of any day: its ordinal, of which 1 is the first; 0 is the day of no visit.
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
) -> pd.DataFrame:
    """Compute `rfm_table` at the end of each of the last months in one pass, and keep whoever has come before.

    Parameters
    ----------
    visits, window_months, refunds, windows, treatments
        As for `rfmkit.rfm_table`.
    as_of : datetime.date
        The end of the last month.
    months : int
        How many month ends, `as_of` the last.

    Returns
    -------
    pandas.DataFrame
        ``month_end`` (datetime64), ``patient_id`` (categorical, its categories all patients), ``recency_days,
        visit_count, total_spend``, with `treatments` also ``recall_days, days_overdue``; ``inside``: whether they came
        inside the window that ends there (where not, only their recency is told); ``visits, revenue`` over the whole
        history until then. One row a month end and patient who has come by then, in the order of the days and the ids.
    """
    as_of = as_day(as_of)
    ends = month_ends(as_of, months)
    patients, days = _days(visits, refunds, as_of)
    windows = {name: (name, (windows or {}).get(name, window_months)) for name in ("visit_count", "total_spend")}
    whole = {"visits": ("visit_count", 0), "revenue": ("total_spend", 0)}
    sums = {
        name: _Sums(days["patient"], days[measure], len(patients), _moves(days["day"], ends, window))
        for name, (measure, window) in {**windows, **whole}.items()
    }
    mains = None if treatments is None else _MainServices(treatments, patients, ends, window_months)
    # A refund is no visit.
    who, came = days["patient"].to_numpy(), (days["day"] * days["visit_count"]).to_numpy()
    last = np.zeros(len(patients), came.dtype)
    frames, rows = [], []
    for end, (new, _) in zip(ends, _moves(days["day"], ends, 0), strict=True):
        np.maximum.at(last, who[new], came[new])
        inside = last >= (Period.trailing(end, window_months).start.toordinal() if window_months else 1)
        here = np.flatnonzero(last > 0)
        rows.append(here)
        frames.append(
            pd.DataFrame(
                {
                    "month_end": pd.Timestamp(end),
                    "recency_days": end.toordinal() - last[here],
                    **{name: total.move()[here] for name, total in sums.items()},
                    **(mains.move(end, here) if mains else {}),
                    "inside": inside[here],
                }
            )
        )
    history = pd.concat(frames, ignore_index=True)
    for name in history.columns.intersection(["total_spend", "revenue"]):
        history[name] = history[name] / 100
    # Made once for all months: to join categories of text, their texts are compared each time.
    history.insert(1, "patient_id", pd.Categorical.from_codes(np.concatenate(rows), patients))
    return history


class _Sums:
    """Sums of a measure inside a window: by patient, or whoever else is numbered."""

    def __init__(self, who: pd.Series, measure: pd.Series, size: int, moves: list[tuple[slice, slice]]):
        self._who, self._measure, self._moves = who.to_numpy(), measure.to_numpy(), iter(moves)
        self._sums = np.zeros(size, self._measure.dtype)

    def move(self) -> np.ndarray:
        """Move on to the next month end."""
        new, gone = next(self._moves)
        np.add.at(self._sums, self._who[new], self._measure[new])
        np.subtract.at(self._sums, self._who[gone], self._measure[gone])
        return self._sums


class _MainServices:
    """What each patient mainly came for, moved on from one month end to the next as `main_services` finds it."""

    def __init__(self, treatments: ir.Table, patients: pd.Index, ends: list[dt.date], window_months: int):
        rows = treatments.filter(treatments.visit_date <= ends[-1])
        if window_months:
            rows = rows.filter(rows.visit_date >= Period.trailing(ends[0], window_months).start)
        kinds = rows.select("treatment", "recall_days").distinct().execute()
        # The first of the kinds is the one that a tie goes to: by name, those without one last.
        kinds = kinds.assign(unnamed=kinds["treatment"] == NO_SERVICE)
        kinds = kinds.sort_values(["unnamed", "treatment", "recall_days"])[["treatment", "recall_days"]]
        self._recall_days, self._size = kinds["recall_days"].to_numpy("int32"), len(kinds)
        numbers = ibis.memtable(kinds.assign(kind=np.arange(self._size, dtype="int32")))
        rows = _numbered(rows, patients).inner_join(numbers, ["treatment", "recall_days"])
        days = rows.select("patient", "kind", "day").distinct().execute()
        # Pairs of a patient and a kind are numbered in their order; sorted as one number with the day, which is fast.
        pair = days["patient"].to_numpy("int64") * self._size + days["kind"].to_numpy()
        ordered = np.sort(pair * _LATEST + days["day"].to_numpy())
        pair, day = ordered // _LATEST, ordered % _LATEST
        first = np.diff(pair, prepend=-1) > 0
        days = _by_day(pd.DataFrame({"pair": np.cumsum(first) - 1, "day": day}))
        self._pair, self._day = days["pair"].to_numpy(), days["day"].to_numpy()
        self._moves = iter(_moves(days["day"], ends, window_months))
        pairs = pair[first]
        self._kind = pairs % self._size
        self._patients, self._starts = np.unique(pairs // self._size, return_index=True)
        self._counts, self._last = np.zeros(len(pairs), "int64"), np.zeros(len(pairs), "int64")
        self._best = np.full(len(patients), -1)

    def move(self, end: dt.date, here: np.ndarray) -> dict[str, np.ndarray]:
        """Move on to the next month end: recall interval and days overdue of the patients with the numbers `here`.

        Missing of whoever did not come inside the window.
        """
        new, gone = next(self._moves)
        np.add.at(self._counts, self._pair[new], 1)
        np.subtract.at(self._counts, self._pair[gone], 1)
        np.maximum.at(self._last, self._pair[new], self._day[new])
        # Most days, then the latest, then the first kind: as one number, which has a maximum.
        rank = (self._counts * _LATEST + self._last) * self._size + (self._size - 1 - self._kind)
        rank[self._counts == 0] = -1
        self._best[self._patients] = np.maximum.reduceat(rank, self._starts)
        recall_days, last = np.full((2, len(here)), np.nan)
        came = self._best[here] >= 0
        best = self._best[here][came]
        recall_days[came] = self._recall_days[self._size - 1 - best % self._size]
        last[came] = best // self._size % _LATEST
        return {"recall_days": recall_days, "days_overdue": end.toordinal() - last - recall_days}


def _moves(days: pd.Series, ends: list[dt.date], window_months: int) -> list[tuple[slice, slice]]:
    """What comes into a window up to each of its ends, and what drops out of it, as slices of days in order."""
    stops = [end.toordinal() for end in ends]
    starts = [Period.trailing(end, window_months).start.toordinal() if window_months else 0 for end in ends]
    slices = (
        [slice(*pair) for pair in itertools.pairwise([0, *np.searchsorted(days, until, side=side)])]
        for until, side in ((stops, "right"), (starts, "left"))
    )
    return list(zip(*slices, strict=True))


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


def _days(visits: Rows, refunds: Rows | None, as_of: dt.date) -> tuple[pd.Index, pd.DataFrame]:
    """All patients; and their days in order: as numbers, ``patient, day, visit_count, total_spend``.

    Money is in whole cents, so that what is added and taken away again leaves nothing.
    """
    days = as_table(visits, "patient_id", "visit_date", "amount")
    days = days.select("patient_id", "visit_date", "amount", visit_count=ibis.literal(1, "int32"))
    patients = days.select("patient_id").distinct().order_by("patient_id").execute()["patient_id"]
    if refunds is not None:
        back = as_table(refunds, "patient_id", "visit_date", "amount")
        back = back.select("patient_id", "visit_date", "amount", visit_count=ibis.literal(0, "int32"))
        days = ibis.union(days, back)
    days = _numbered(days.filter(days.visit_date <= as_of), patients)
    days = days.select("patient", "day", "visit_count", total_spend=(days.amount * 100).cast("int64"))
    return pd.Index(patients), _by_day(days.execute())


def _numbered(rows: ir.Table, patients: pd.Index) -> ir.Table:
    """Rows with a number for the patient, and one for the day, beside them.

    Numbers are grouped and handed over much faster than text and dates.
    """
    numbers = pd.DataFrame({"patient_id": patients, "patient": np.arange(len(patients), dtype="int32")})
    day = rows.visit_date.delta(ibis.literal(dt.date.min), unit="day") + 1
    return rows.mutate(day=day.cast("int32")).inner_join(ibis.memtable(numbers), "patient_id")


def _by_day(days: pd.DataFrame) -> pd.DataFrame:
    return days.iloc[np.argsort(days["day"].to_numpy(), kind="stable")]
