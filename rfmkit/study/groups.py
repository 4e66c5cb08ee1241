"""Who the patients of a study are: their history, scores and segments."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.errors import NotEnoughData, Problem
from rfmkit.period import month_ends
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    import datetime as dt

    from rfmkit.analysis.explanation import Explanation
    from rfmkit.analysis.scores import RfmCuts
    from rfmkit.analysis.segments import Scheme

_VALUES = ["probability_alive", "expected_visits", "expected_visit_value", "clv", "value_at_risk"]
#: What is known beside recency where it is scored by the recall, and its type.
_RECALL = {"main_service": "str", "recall_days": "Int64", "days_overdue": "Int64"}
_SCORES = ["recency_score", "frequency_score", "monetary_score"]
#: Month ends that are told of: a year ago, and the year before that; one more tells what changed in the first.
_MONTHS = 24


class Groups(Intake):
    """The part of a study that says who the patients are."""

    @kept
    def summary(self) -> pd.DataFrame:
        """Every patient's history for the models: `btyd_summary` at `as_of`."""
        from rfmkit.data.patients import btyd_summary

        return btyd_summary(self.visits, self.as_of)

    @cached_property
    def scheme(self) -> Scheme:
        """The segment scheme of the clinic file."""
        from rfmkit.analysis.segments import load_scheme

        return load_scheme(self.clinic.scheme, bins=self.clinic.rfm.bins)

    @kept
    def rfm(self) -> pd.DataFrame:
        """Recency, frequency and money of the patients who came inside the RFM window."""
        from rfmkit.data.patients import rfm_table

        return rfm_table(self.visits, self.as_of, **self.rfm_terms)

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the export, or does not fit it, but did not stop the study."""
        return super().problems + self._never_sold

    @kept
    def _never_sold(self) -> list[Problem]:
        from rfmkit.data.bought import never_sold

        recall, file = self.clinic.recall, self.clinic.path.name
        named = [("service", self.clinic.next_service.leave_out, f"{file} [next_service] leave_out")]
        if recall:
            named += [(kind, getattr(recall, kind), f"{file} [recall.{kind}]") for kind in ("service", "category")]
        return [
            problem for column, names, where in named for problem in never_sold(self.transactions, column, names, where)
        ]

    @property
    def rfm_terms(self) -> dict:
        """The arguments of `rfm_table` and `rfm_history` that the clinic file decides, and their rows."""
        terms = self.clinic.rfm
        windows = terms.windows.model_dump(exclude_none=True)
        found = {"window_months": terms.window_months, "refunds": self.refunds, "windows": windows}
        if terms.recency_by == "recall":
            from rfmkit.data.recall import treatments_from

            found["treatments"] = treatments_from(self.transactions, self.clinic.recall)
        return found

    @property
    def month_ends(self) -> list[dt.date]:
        """The last 24 month ends and the one before them, oldest first."""
        return month_ends(self.as_of, _MONTHS + 1)

    @cached_property
    def _rfm_history(self) -> pd.DataFrame:
        """Recency, frequency and money of everybody at `month_ends`: who moved and who has which tag follow from it.

        Nothing of past months is stored: every month end is recomputed from the visits.
        """
        from rfmkit.data.histories import rfm_history

        return rfm_history(self.visits, self.as_of, len(self.month_ends), **self.rfm_terms)

    @cached_property
    def cuts(self) -> RfmCuts:
        """The values at which scores begin."""
        from rfmkit.analysis.scores import find_cuts

        terms, have = self.clinic.rfm, len(self.rfm)
        if have < terms.min_patients:
            raise NotEnoughData("few_patients", have=have, need=terms.min_patients)
        thresholds = terms.thresholds.limits if terms.thresholds else None
        return find_cuts(self.rfm, terms.scoring, bins=terms.bins, thresholds=thresholds, recency=terms.recency)

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The patients of the RFM window with their scores."""
        from rfmkit.analysis.scores import score_rfm

        return score_rfm(self.rfm, cuts=self.cuts)

    @property
    def score_cuts(self) -> pd.DataFrame:
        """From which value each score begins: ``measure, score, cut``."""
        from rfmkit.analysis.scores import score_cuts

        return score_cuts(self.cuts)

    @property
    def score_bands(self) -> pd.DataFrame:
        """What each score means in its measure's unit: ``measure, score, low, high, patients``."""
        from rfmkit.analysis.scores import score_bands

        return score_bands(self.scored, self.clinic.rfm.recency)

    @property
    def score_grid(self) -> pd.DataFrame:
        """Patients and spend by recency and frequency score."""
        from rfmkit.analysis.scores import score_grid

        return score_grid(self.scored, self.clinic.rfm.bins)

    @kept
    def patients(self) -> pd.DataFrame:
        """One row a patient: history, RFM, segment and value; missing where a part does not stand."""
        from rfmkit.analysis.segments import assign_segments
        from rfmkit.data.patients import history_table

        summary = self.summary
        frame = history_table(summary, self.as_of, self.revenue_by_patient)
        rfm = self.rfm.set_index("patient_id").reindex(frame["patient_id"])
        frame["visit_count"] = rfm["visit_count"].fillna(0).astype("int64").to_numpy()
        frame["total_spend"] = rfm["total_spend"].fillna(0.0).to_numpy()
        for name, kind in _RECALL.items():
            if name in rfm:
                frame[name] = rfm[name].astype(kind).array
        try:
            scored = self.scored.set_index("patient_id").reindex(frame["patient_id"])
            for score in _SCORES:
                frame[score] = scored[score].astype("Int64").array
            frame["rfm_score"] = scored["rfm_score"].array
            frame = assign_segments(frame, self.scheme)
        except NotEnoughData:
            frame = frame.assign(**dict.fromkeys(_SCORES, pd.NA), rfm_score=None, segment=None)
            frame = frame.astype({**dict.fromkeys(_SCORES, "Int64"), "rfm_score": "str", "segment": "str"})
        values = self._or_missing("patient_values", index=summary.index, columns=_VALUES)
        return pd.concat([frame, summary.drop(columns="patient_id"), values], axis=1)

    @cached_property
    def revenue_by_patient(self) -> pd.Series:
        """Net sum of all kept lines of each patient."""
        lines = self.transactions
        sums = lines.group_by("patient_id").aggregate(revenue=lines.amount.sum().cast("float64")).execute()
        return sums.set_index("patient_id")["revenue"]

    @property
    def totals(self) -> dict:
        """Whole history up to `as_of`: ``patients``, ``visits``, ``revenue``."""
        return {
            "patients": len(self.summary),
            "visits": int((self.summary["frequency"] + 1).sum()),
            "revenue": float(self.rows["money_kept"]),
        }

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row a segment, in the scheme's order, `inactive` last."""
        from rfmkit.analysis.segments import segment_table

        _ = self.cuts  # raises where there are too few patients to group
        return segment_table(self.patients, self.scheme)

    @property
    def recommendations(self) -> pd.DataFrame:
        """The groups that have patients, ordered by what is at stake."""
        from rfmkit.analysis.recommendations import rank_recommendations

        return rank_recommendations(self.segments)

    def explain(self, patient_id: str) -> Explanation:
        """Why a patient is in their segment, and what would move them to a better one. For the analyst alone."""
        from rfmkit.analysis.explanation import explain_segment

        return explain_segment(self.patients, patient_id, self.cuts, self.scheme)

    def _or_missing(self, table: str, **shape) -> pd.DataFrame:
        try:
            return getattr(self, table)
        except NotEnoughData:
            return pd.DataFrame(float("nan"), **shape)
