"""Why a patient is in a segment, and what would move them to a better one. For the analyst; never in a report."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pandas as pd

from rfmkit.analysis.scores import OVERDUE, RfmCuts, score_of
from rfmkit.analysis.segments import INACTIVE, Scheme

#: How a value is told, and how the one that a better segment needs.
_LINES = {
    "recency_days": ("{:.0f} days since the last visit", "a visit within {:.0f} days"),
    "days_overdue": ("{:.0f} days overdue", "at most {:.0f} days overdue"),
    "visit_count": ("{:.0f} visits", "{:.0f} visits"),
    "total_spend": ("{:.2f} spent", "{:.2f} spent"),
}
_RECALL = ("main_service", "recall_days", "recency_days")
_NOT_YET = ("due again in {:.0f} days", "due again in {:.0f} days or later")


def _told(measure: str, value: float, *, needed: bool = False) -> str:
    if measure == OVERDUE and value < 0:
        return _NOT_YET[needed].format(-value)
    return _LINES[measure][needed].format(value)


@dataclass(frozen=True)
class Explanation:
    """Why a patient is in a segment.

    Attributes
    ----------
    patient_id, segment : str
    rfm_score : str or None
        The cell of the scheme; None for a patient without a visit in the window.
    measures : pandas.DataFrame
        ``measure, value, score``; ``cut`` is the value that earned the score, and ``next_cut`` the one that earns the
        next higher; missing for the lowest and the highest score.
    better : pandas.DataFrame
        The segments before this one in the scheme's order, the nearest first, each with the fewest scores that lead to
        it: ``segment, steps`` (scores to gain) and, where a measure has to change, its value:
        ``recency_days`` (or ``days_overdue``), ``visit_count, total_spend``.
    recall : dict
        Where recency is scored by the recall: ``main_service, recall_days, recency_days`` (since the last visit for
        whatever it was).
    """

    patient_id: str
    segment: str
    rfm_score: str | None
    measures: pd.DataFrame
    better: pd.DataFrame
    recall: dict = field(default_factory=dict)

    def __str__(self) -> str:
        if self.rfm_score is None:
            return f"Patient {self.patient_id} is {self.segment}: no visit in the window."
        told = [f"Patient {self.patient_id} is in {self.segment}, by the score {self.rfm_score}:"]
        for row in self.measures.itertuples():
            told.append(f"  {_told(row.measure, row.value)}: {score_of(row.measure).replace('_', ' ')} {row.score}")
        if self.recall:
            service, days = self.recall["main_service"], self.recall["recall_days"]
            whose = "" if pd.isna(service) else f"main service {service}, "
            told.append(f"  {whose}due again after {days} days; {_told('recency_days', self.recall['recency_days'])}")
        for row in self.better.to_dict("records"):
            changed = [name for name in self.measures["measure"] if pd.notna(row[name])]
            needed = [_told(name, row[name], needed=True) for name in changed]
            told.append(f"  to {row['segment']}: {', '.join(needed)}")
        return "\n".join(told)


def explain_segment(patients: pd.DataFrame, patient_id: str, cuts: RfmCuts, scheme: Scheme) -> Explanation:
    """Say why a patient is in a segment, and what would move them to a better one.

    Parameters
    ----------
    patients : pandas.DataFrame
        As `score_rfm` gives it; a missing ``rfm_score`` is a patient without a visit in the window.
    patient_id : str
    cuts : RfmCuts
        The cuts that made the scores.
    scheme : Scheme

    Returns
    -------
    Explanation

    Raises
    ------
    KeyError
        If there is no such patient.
    """
    patient = patients.loc[patients["patient_id"] == patient_id]
    if patient.empty:
        raise KeyError(f"no patient {patient_id!r}")
    patient = patient.iloc[0]
    if pd.isna(patient["rfm_score"]):
        none = pd.DataFrame(columns=["measure", "value", "score", "cut", "next_cut"])
        return Explanation(patient_id, INACTIVE, None, none, _nearest([], cuts))
    levels = cuts.levels
    scores = {measure: int(patient[score_of(measure)]) for measure in levels}
    measures = pd.DataFrame(
        {
            "measure": measure,
            "value": patient[measure],
            "score": score,
            "cut": levels[measure][score - 2] if score > 1 else None,
            "next_cut": levels[measure][score - 1] if score <= len(levels[measure]) else None,
        }
        for measure, score in scores.items()
    )
    here = scheme.segment_of[patient["rfm_score"]]
    better = set(scheme.segments[: scheme.segments.index(here)])
    moves = []
    for reached in itertools.product(*[range(score, len(levels[name]) + 2) for name, score in scores.items()]):
        segment = scheme.segment_of["".join(map(str, reached))]
        if segment in better:
            gained = {
                name: levels[name][now - 2]
                for (name, before), now in zip(scores.items(), reached, strict=True)
                if now > before
            }
            moves.append({"segment": segment, "steps": sum(reached) - sum(scores.values()), **gained})
    recall = {name: patient[name] for name in _RECALL} if cuts.recency == OVERDUE else {}
    return Explanation(patient_id, here, patient["rfm_score"], measures, _nearest(moves, cuts), recall)


def _nearest(moves: list[dict], cuts: RfmCuts) -> pd.DataFrame:
    """The shortest move to each segment, the shortest of all first; of equal ones the first found."""
    frame = pd.DataFrame(moves, columns=["segment", "steps", *cuts.levels]).sort_values("steps", kind="stable")
    return frame.drop_duplicates("segment", ignore_index=True)
