"""Tags: which patients meet a clinic's rules, since when, and on whom they were put or taken off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rfmkit.analysis.rules import Column, Rule
from rfmkit.analysis.scores import scores_of
from rfmkit.analysis.segments import INACTIVE, Scheme

#: What is known at every month end, all visits until then being known.
_FROM_VISITS = {
    "recency_days": Column("whole", low=0),
    "visits": Column("whole", low=1),
    "revenue": Column("number"),
    "visit_count": Column("whole", low=0),
    "total_spend": Column("number"),
    "first_visit": Column("day"),
    "last_visit": Column("day"),
    "frequency": Column("whole", low=0),
    "recency": Column("whole", low=0),
    "T": Column("whole", low=0),
}
_OF_THE_RECALL = {
    "recall_days": Column("whole", low=1, missing=True),
    "days_overdue": Column("whole", missing=True),
}
_SCORES = ("recency_score", "frequency_score", "monetary_score")
#: What has no history: every month end is given the value of the last.
_AS_IT_STANDS = {
    "monetary_value": Column("number"),
    "log_intervals": Column("number", low=0),
    "probability_alive": Column("number", low=0, high=1, missing=True),
    "expected_visits": Column("number", low=0, missing=True),
    "expected_visit_value": Column("number", low=0, missing=True),
    "clv": Column("number", low=0, missing=True),
    "value_at_risk": Column("number", low=0, missing=True),
}
_OF_PEOPLE = {
    "sex": Column("text", values=("female", "male"), missing=True),
    **dict.fromkeys(
        ("opted_out", "consent_sms", "consent_email", "consent_phone", "consent_ads"), Column("yes_no", missing=True)
    ),
}


def rule_columns(scheme: Scheme, *, by_recall: bool, of_people: Collection[str], bought: Collection[str]) -> dict:
    """What the rules of a clinic may ask.

    Parameters
    ----------
    scheme : Scheme
    by_recall : bool
        Whether recency is scored by the recall.
    of_people, bought : collection of str
        The columns that the files of patients and of transactions have.

    Returns
    -------
    dict of str to Column
    """
    scores = dict.fromkeys(_SCORES, Column("whole", low=1, high=scheme.bins, missing=True))
    recall = {"main_service": Column("text", missing=True), **_OF_THE_RECALL} if by_recall else {}
    return {
        **_FROM_VISITS,
        **recall,
        **scores,
        "rfm_score": Column("text", values=tuple(scheme.segment_of), missing=True),
        "segment": Column("text", values=tuple(scheme.segments)),
        **_AS_IT_STANDS,
        **{name: column for name, column in _OF_PEOPLE.items() if name in of_people},
        **{name: Column("bought") for name in ("category", "service") if name in bought},
    }


class MonthEnd:
    """The patients who had come by the end of a month, as they stood then.

    Parameters
    ----------
    end : datetime.date
    rows : pandas.DataFrame
        The rows of `rfm_history` for everybody at `end`.
    standing : pandas.DataFrame
        What has no history, a row for each category of ``patient_id``, in their order.
    first_bought : mapping
        (column, name) → the day on which each of them first bought it, or NaT.
    cuts : callable
        Gives the cuts of the scores; asked only where a rule needs them.
    scheme : Scheme
    """

    def __init__(self, end: dt.date, rows: pd.DataFrame, standing, first_bought, cuts, scheme: Scheme):
        self._end, self._cuts, self._scheme = np.datetime64(end), cuts, scheme
        self._rows, self._standing, self._first_bought = rows, standing, first_bought
        self.codes = rows["patient_id"].cat.codes.to_numpy()
        self._inside = rows["inside"].to_numpy()
        self._made: dict[str, np.ndarray | pd.Categorical] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def bought(self, column: str, name: str) -> np.ndarray:
        """Whether each had bought it by then."""
        return self._first_bought[column, name][self.codes] <= self._end

    def of(self, column: str) -> np.ndarray | pd.Categorical:
        """The values of a column as they were then, or, where it has no history, as they stand."""
        if column not in self._made:
            self._made[column] = self._of(column)
        return self._made[column]

    def _of(self, column: str) -> np.ndarray | pd.Categorical:
        match column:
            case "recency_days" | "visits" | "revenue":
                return self._rows[column].to_numpy()
            case "visit_count" | "total_spend":
                return np.where(self._inside, self._rows[column], 0)
            case "recall_days" | "days_overdue":
                return np.where(self._inside, self._rows[column], np.nan)
            case "last_visit":
                return self._end.astype("datetime64[D]") - self.of("recency_days").astype("timedelta64[D]")
            case "frequency":
                return self.of("visits") - 1
            case "T":
                return _days(self._end - self.of("first_visit"))
            case "recency":
                return _days(self.of("last_visit") - self.of("first_visit"))
            case "segment":
                return self._of_cell(self._scheme.segment_of, INACTIVE)
            case "rfm_score":
                return self._of_cell({cell: cell for cell in self._scheme.segment_of}, None)
            case _ if column in _SCORES:
                measure = list(self._cuts().levels)[_SCORES.index(column)]
                scores = scores_of(self._rows[measure], measure, self._cuts())
                return np.where(self._inside, scores, np.nan)
        return self._standing[column].to_numpy()[self.codes]

    def _of_cell(self, told: Mapping[str, str], outside: str | None) -> pd.Categorical:
        """What is told of each patient's cell of the score cube, and of those outside the window; texts by numbers."""
        cell = sum(self.of(score) * 10**digit for digit, score in zip((2, 1, 0), _SCORES, strict=True))
        texts = list(dict.fromkeys([*told.values(), *([outside] if outside else [])]))
        found = np.full(1000, texts.index(outside) if outside else -1, dtype="int16")
        found[[int(key) for key in told]] = [texts.index(text) for text in told.values()]
        return pd.Categorical.from_codes(found[np.where(self._inside, cell, 0).astype("int64")], texts)


def _days(span: np.ndarray) -> np.ndarray:
    return span.astype("timedelta64[D]").astype("int64")


@dataclass(frozen=True)
class TagHistory:
    """Who had which tag at the ends of past months.

    Attributes
    ----------
    ends : tuple of datetime.date
        Month ends, oldest first.
    patients : pandas.Index
        The ids.
    held : dict of str to numpy.ndarray
        Tag → whether each patient had it: a row a month end, a column a patient.
    """

    ends: tuple[dt.date, ...]
    patients: pd.Index
    held: dict[str, np.ndarray]

    def of(self, tag: str) -> pd.Index:
        """The patients who have a tag at the last month end."""
        return self.patients[self.held[tag][-1]]


def tag_history(rules: Mapping[str, Rule], states: Iterable[MonthEnd], ends, patients: pd.Index) -> TagHistory:
    """Evaluate every rule at every month end.

    Parameters
    ----------
    rules : mapping
        Tag → its rule.
    states : iterable of MonthEnd
        One for each of `ends`.
    ends : sequence of datetime.date
    patients : pandas.Index
        The categories that the states' codes count.
    """
    held = {tag: np.zeros((len(ends), len(patients)), bool) for tag in rules}
    for month, state in enumerate(states):
        for tag, rule in rules.items():
            held[tag][month, state.codes] = rule.met(state)
    return TagHistory(tuple(ends), patients, held)


def tag_counts(history: TagHistory) -> pd.DataFrame:
    """Count who had each tag at each month end but the first.

    Returns
    -------
    pandas.DataFrame
        ``tag, month`` (``YYYY-MM``), ``patients``, ``put_on`` and ``taken_off`` (since the month end before): the tags
        in their order, the months oldest first.
    """
    months = [f"{end:%Y-%m}" for end in history.ends[1:]]
    frames = [
        pd.DataFrame(
            {
                "tag": tag,
                "month": months,
                "patients": held[1:].sum(axis=1),
                "put_on": (held[1:] & ~held[:-1]).sum(axis=1),
                "taken_off": (held[:-1] & ~held[1:]).sum(axis=1),
            }
        )
        for tag, held in history.held.items()
    ]
    return pd.concat(frames, ignore_index=True)


def current_tags(history: TagHistory) -> pd.DataFrame:
    """Who has which tag now, and who had one a month ago.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, tag``; ``since`` (datetime64): the first month end from which on the patient has had it without a
        break (or had it until last month), the oldest that is known if it is older; ``put_on_this_month,
        taken_off_this_month``. In the order of the tags and the ids.
    """
    ends = pd.DatetimeIndex(pd.to_datetime(list(history.ends)))
    frames = []
    for tag, held in history.held.items():
        now, before = held[-1], held[-2]
        for who, until in ((now, held), (before & ~now, held[:-1])):
            months = until[:, who]
            # From the end back to the last month without it.
            run = np.where(months.all(axis=0), len(months), np.argmin(months[::-1], axis=0))
            frames.append(
                pd.DataFrame(
                    {
                        "patient_id": history.patients[who],
                        "tag": tag,
                        "since": ends[len(months) - run],
                        "put_on_this_month": (now & ~before)[who],
                        "taken_off_this_month": (before & ~now)[who],
                    }
                )
            )
    frame = pd.concat(frames, ignore_index=True)
    order = frame["tag"].map({tag: at for at, tag in enumerate(history.held)})
    frame = frame.assign(order=order).sort_values(["order", "patient_id"], kind="stable", ignore_index=True)
    return frame.drop(columns="order")
