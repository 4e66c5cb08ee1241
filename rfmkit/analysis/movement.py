"""How patients move between segments from one month end to another, by cuts that stay where they are."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rfmkit.analysis.scores import RfmCuts, scores_of
from rfmkit.analysis.segments import INACTIVE, NOT_YET, Scheme
from rfmkit.errors import NotEnoughData
from rfmkit.period import Period, month_ends

_NOT_YET_COLOUR = "#3d444b"


def segment_history(
    rfm_history: pd.DataFrame, summary: pd.DataFrame, ends: Sequence[dt.date], cuts: RfmCuts, scheme: Scheme
) -> pd.DataFrame:
    """Say in which segment every patient was at each month end, by the same cuts for all of them.

    A patient's segment hangs on the patient's own visits and the cuts alone, so whoever changes it has come, paid or
    stayed away: nobody moves because others did.

    Parameters
    ----------
    rfm_history : pandas.DataFrame
        As `rfm_history` gives it: ``month_end, patient_id, recency_days, visit_count, total_spend, inside``.
    summary : pandas.DataFrame
        As `btyd_summary` gives it for the last of `ends`: ``patient_id``, and ``T``, the days since the first visit.
    ends : sequence of datetime.date
        The month ends that are asked for, oldest first.
    cuts : RfmCuts
    scheme : Scheme

    Returns
    -------
    pandas.DataFrame
        One row a patient (index ``patient_id``, in the order of `summary`), one column a month end (datetime64), oldest
        first. Values are categories: a segment, `inactive` (no visit in the window), or ``not_yet`` (no visit ever).
    """
    kinds = pd.CategoricalDtype([NOT_YET, *scheme.segments])
    numbers = {segment: number for number, segment in enumerate(kinds.categories)}
    ends = pd.DatetimeIndex(ends)
    patients = pd.Index(summary["patient_id"], name="patient_id")
    first_visit = (ends[-1] - pd.to_timedelta(summary["T"], unit="D")).to_numpy()
    states = np.where(first_visit[:, None] <= ends.to_numpy(), numbers[INACTIVE], numbers[NOT_YET]).astype("int8")
    rfm_history = rfm_history[rfm_history["inside"] & rfm_history["month_end"].isin(ends)]
    ids = pd.Categorical(rfm_history["patient_id"])
    row = patients.get_indexer(ids.categories)[ids.codes]
    cells = ["".join(cell) for cell in itertools.product("123456789"[: scheme.bins], repeat=len(cuts.levels))]
    segment_of_cell = np.array([numbers[scheme.segment_of[cell]] for cell in cells], "int8")
    cell = np.zeros(len(rfm_history), "int64")
    for measure in cuts.levels:
        cell = cell * scheme.bins + scores_of(rfm_history[measure], measure, cuts) - 1
    states[row, ends.get_indexer(rfm_history["month_end"])] = segment_of_cell[cell]
    columns = {end: pd.Categorical.from_codes(states[:, at], dtype=kinds) for at, end in enumerate(ends)}
    return pd.DataFrame(columns, index=patients)


@dataclass(frozen=True)
class Movement:
    """How patients moved between two month ends.

    Attributes
    ----------
    start, end : datetime.date
        The two days.
    before, after : Period
        The periods, as long as the days lie apart, that end on each; revenue is theirs.
    transitions : pandas.DataFrame
        One row a pair of states, also those between which nobody moved: ``from_segment`` (``not_yet`` first) and
        ``to_segment`` in the scheme's order, ``patients``, ``revenue_before, revenue_after`` (money of these patients
        in the two periods), ``revenue_change`` (their difference), and ``colour`` of `from_segment`.
    """

    start: dt.date
    end: dt.date
    before: Period
    after: Period
    transitions: pd.DataFrame

    @property
    def moves(self) -> pd.DataFrame:
        """The transitions from one segment to another that somebody made, the largest change of revenue first."""
        moved = self.transitions[_moved(self.transitions) & (self.transitions["patients"] > 0)]
        order = moved["revenue_change"].abs().sort_values(ascending=False, kind="stable").index
        return moved.loc[order].reset_index(drop=True)

    @property
    def flows(self) -> pd.DataFrame:
        """How each segment came from its size at the start to that at the end.

        ``segment, start, entered`` (were no patients yet), ``reactivated`` (were inactive), ``moved_in, moved_out``
        (from and to other segments), ``became_inactive, end``: start + entered + reactivated + moved_in − moved_out −
        became_inactive = end. Of `inactive` itself everybody who comes or goes has moved in or out.
        """
        rows = self.transitions
        moved = rows[_moved(rows)]
        first, back = moved["from_segment"] == NOT_YET, moved["from_segment"] == INACTIVE
        away = moved["to_segment"] == INACTIVE
        parts = {
            "start": rows.groupby("from_segment")["patients"].sum(),
            "entered": moved[first].groupby("to_segment")["patients"].sum(),
            "reactivated": moved[back].groupby("to_segment")["patients"].sum(),
            "moved_in": moved[~first & ~back].groupby("to_segment")["patients"].sum(),
            "moved_out": moved[~away].groupby("from_segment")["patients"].sum(),
            "became_inactive": moved[away].groupby("from_segment")["patients"].sum(),
            "end": rows.groupby("to_segment")["patients"].sum(),
        }
        segments = pd.Index(rows["to_segment"].unique(), name="segment")
        table = pd.DataFrame(parts).reindex(segments).fillna(0).astype("int64")
        return table.reset_index()


def _moved(transitions: pd.DataFrame) -> pd.Series:
    return transitions["from_segment"] != transitions["to_segment"]


def movement(
    segment_history: pd.DataFrame, end: dt.date, months: int, revenue: pd.DataFrame, colours: Mapping[str, str]
) -> Movement:
    """Count who moved from which segment to which, and what they paid before and after.

    Parameters
    ----------
    segment_history : pandas.DataFrame
        As `segment_history` gives it, with the two month ends among its columns.
    end : datetime.date
        The later month end.
    months : int
        How many months before it the earlier one lies: 1 or 12.
    revenue : pandas.DataFrame
        By ``patient_id``: ``before, after``, the money of the `months` months that end on each of the days.
    colours : mapping
        Segment → colour.

    Returns
    -------
    Movement
        The patients of the transitions from a segment sum to those who were in it; there are none to ``not_yet``.
    """
    before, after = step_periods(end, months)
    states = list(segment_history[pd.Timestamp(end)].cat.categories)
    are = segment_history[pd.Timestamp(after.end)].cat.codes.to_numpy().astype("int64")
    were = segment_history[pd.Timestamp(before.end)].cat.codes.to_numpy().astype("int64")
    # Whoever had no visit by the end either is no part of this.
    here = are != states.index(NOT_YET)
    cell = (were * len(states) + are)[here]
    money = revenue.reindex(segment_history.index).fillna(0.0)[here]
    size = len(states) ** 2

    def in_cells(amounts: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cell, amounts, minlength=size)

    table = pd.DataFrame(itertools.product(states, states), columns=["from_segment", "to_segment"])
    table["patients"] = in_cells()
    # Summed in whole cents: the order of the patients is not to show in a sum.
    cents = {name: in_cells(np.rint(money[name].to_numpy() * 100)) for name in ("before", "after")}
    table["revenue_before"], table["revenue_after"] = cents["before"] / 100, cents["after"] / 100
    table["revenue_change"] = (cents["after"] - cents["before"]) / 100
    table["colour"] = table["from_segment"].map({**colours, NOT_YET: _NOT_YET_COLOUR})
    table = table[table["to_segment"] != NOT_YET].reset_index(drop=True)
    return Movement(before.end, after.end, before, after, table)


def step_periods(end: dt.date, months: int) -> tuple[Period, Period]:
    """The `months` months before the last `months` months up to `end`, and these."""
    after = Period.trailing(end, months)
    return Period.trailing(after.eve, months), after


def group_history(segment_history: pd.DataFrame, colours: Mapping[str, str]) -> pd.DataFrame:
    """Count the patients of each segment at each month end.

    Parameters
    ----------
    segment_history : pandas.DataFrame
        As `segment_history` gives it.
    colours : mapping
        Segment → colour.

    Returns
    -------
    pandas.DataFrame
        ``month`` ("2026-10"), ``segment, colour, patients, patients_share`` (of all who had come by then), one row a
        segment and month, months oldest first, segments in the scheme's order.
    """
    counts = pd.DataFrame({end: states.value_counts(sort=False) for end, states in segment_history.items()})
    counts = counts.drop(index=NOT_YET).T.rename_axis(index="month_end", columns="segment")
    table = counts.stack().rename("patients").reset_index()
    known = table.groupby("month_end")["patients"].transform("sum")
    return pd.DataFrame(
        {
            "month": table["month_end"].dt.strftime("%Y-%m"),
            "segment": table["segment"].astype("str"),
            "colour": table["segment"].astype("str").map(colours),
            "patients": table["patients"].astype("int64"),
            "patients_share": table["patients"] / known.where(known > 0),
        }
    )


def known_month_ends(
    first_visit: dt.date, as_of: dt.date, months: int, window_months: int, *, complete_history: bool = False
) -> list[dt.date]:
    """The last month ends at which the data tell who was in which segment, oldest first.

    A window that begins before the export lacks what was paid in its first part: month by month groups would seem to
    grow. Of a clinic that opened with its export nothing is lacking once somebody has come.

    Parameters
    ----------
    first_visit, as_of : datetime.date
        The first visit of all, and the last day.
    months : int
        How many month ends at most, `as_of` the last.
    window_months : int
        The longest window of the measures; 0 is the whole history, which begins with the export.
    complete_history : bool, default False
        Whether the clinic opened with its export.
    """
    begin = first_visit.replace(day=1)
    if complete_history or not window_months:
        return [end for end in month_ends(as_of, months) if end >= first_visit]
    return [end for end in month_ends(as_of, months) if Period.trailing(end, window_months).start >= begin]


def check_known(end: dt.date, known: Sequence[dt.date], first_visit: dt.date, window_months: int) -> None:
    """Refuse to compare with a day of which the data do not tell who was in which segment.

    Raises
    ------
    NotEnoughData
        If nobody had come by then, or the export would have to begin earlier.
    """
    if end < first_visit:
        raise NotEnoughData("no_patients_at_start", day=end)
    if end not in known:
        needed = Period.trailing(end, window_months).start
        raise NotEnoughData("history_starts_late", first_visit=first_visit, needed=needed)
