"""Why a patient is in a segment, and what would move them to a better one. For the analyst; never in a report."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd

from rfmkit.analysis.scores import MEASURES, SCORES, RfmCuts
from rfmkit.analysis.segments import INACTIVE, Scheme

_LINES = {
    "recency_days": ("{value:.0f} days since the last visit", "a visit within {limit:.0f} days"),
    "visit_count": ("{value:.0f} visits", "{limit:.0f} visits"),
    "total_spend": ("{value:.2f} spent", "{limit:.2f} spent"),
}


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
        ``recency_days, visit_count, total_spend``.
    """

    patient_id: str
    segment: str
    rfm_score: str | None
    measures: pd.DataFrame
    better: pd.DataFrame

    def __str__(self) -> str:
        if self.rfm_score is None:
            return f"Patient {self.patient_id} is {self.segment}: no visit in the window."
        told = [f"Patient {self.patient_id} is in {self.segment}, by the score {self.rfm_score}:"]
        for row in self.measures.itertuples():
            value = _LINES[row.measure][0].format(value=row.value)
            told.append(f"  {value}: {SCORES[row.measure].replace('_', ' ')} {row.score}")
        for row in self.better.to_dict("records"):
            needed = [words.format(limit=row[name]) for name, (_, words) in _LINES.items() if pd.notna(row[name])]
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
        return Explanation(patient_id, INACTIVE, None, none, _nearest([]))
    levels = {measure: getattr(cuts, measure) for measure in MEASURES}
    scores = {measure: int(patient[SCORES[measure]]) for measure in MEASURES}
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
    return Explanation(patient_id, here, patient["rfm_score"], measures, _nearest(moves))


def _nearest(moves: list[dict]) -> pd.DataFrame:
    """The shortest move to each segment, the shortest of all first; of equal ones the first found."""
    frame = pd.DataFrame(moves, columns=["segment", "steps", *MEASURES]).sort_values("steps", kind="stable")
    return frame.drop_duplicates("segment", ignore_index=True)
