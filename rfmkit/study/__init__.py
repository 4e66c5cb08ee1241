"""A study: one clinic at the end of one month, every table of it computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.errors import NotEnoughData
from rfmkit.intake import Intake
from rfmkit.period import Period

if TYPE_CHECKING:
    from rfmkit.analysis.clv import ClvModel
    from rfmkit.analysis.explanation import Explanation
    from rfmkit.analysis.holdout import Holdout
    from rfmkit.analysis.loyalty import Loyalty, Retention
    from rfmkit.analysis.scores import RfmCuts
    from rfmkit.analysis.segments import Scheme

#: The parts of a study that data can be too few for, and the table that tells.
_PARTS = {
    "segments": "segments",
    "recommendations": "recommendations",
    "clv": "patient_values",
    "holdout": "holdout",
    "loyalty": "loyalty",
    "crr": "retention",
}
_VALUES = ["probability_alive", "expected_visits", "expected_visit_value", "clv", "value_at_risk"]
_YEAR = 12
_SCORES = ["recency_score", "frequency_score", "monetary_score"]


@dataclass(frozen=True)
class Part:
    """Whether a part of a study stands: `status` is ``ok``, or that of the `reason`."""

    status: str
    reason: NotEnoughData | None = None

    @property
    def ok(self) -> bool:
        """Whether the part stands."""
        return self.status == "ok"


class Study(Intake):
    """One clinic at the end of one month; open it with `rfmkit.open_study`.

    Every attribute is computed when it is first asked for. Where the data are too few, asking raises `NotEnoughData`;
    `part` tells beforehand. Its rows are those of its `Intake`.
    """

    def __repr__(self) -> str:
        return f"<Study of {self.clinic.key}, {self.month}: {', '.join(name for name in dir(self) if name[0] != '_')}>"

    def part(self, name: str) -> Part:
        """Whether a part stands: one of ``segments, recommendations, clv, holdout, loyalty, crr``."""
        try:
            getattr(self, _PARTS[name])
        except NotEnoughData as reason:
            return Part(reason.status, reason)
        return Part("ok")

    @property
    def parts(self) -> dict[str, Part]:
        """Every part and whether it stands."""
        return {name: self.part(name) for name in _PARTS}

    def compute(self) -> None:
        """Compute every table now, so that whoever opens the same study finds them."""
        for name in dir(type(self)):
            if not name.startswith("_") and isinstance(getattr(type(self), name), cached_property):
                try:
                    getattr(self, name)
                except NotEnoughData:
                    continue

    # People

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

        months, own = self.clinic.rfm.window_months, self.clinic.rfm.windows.model_dump(exclude_none=True)
        return rfm_table(self.visits, self.as_of, months, refunds=self.refunds, windows=own)

    @cached_property
    def cuts(self) -> RfmCuts:
        """The values at which scores begin."""
        from rfmkit.analysis.scores import find_cuts

        terms, have = self.clinic.rfm, len(self.rfm)
        if have < terms.min_patients:
            raise NotEnoughData("few_patients", have=have, need=terms.min_patients)
        return find_cuts(self.rfm, terms.scoring, bins=terms.bins, thresholds=dict(terms.thresholds or ()))

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

        return score_bands(self.scored)

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

    # Lifetime value

    @kept
    def known(self) -> pd.Series:
        """Whether each patient's first visit is known, or lies before the export."""
        from rfmkit.analysis.clv import known_from_start

        return known_from_start(self.summary, self.as_of, self.clinic.transactions.complete_history)

    @kept
    def clv(self) -> ClvModel:
        """The fitted model of lifetime value."""
        from rfmkit.analysis.clv import fit_clv

        model = fit_clv(self.summary[self.known], self.clinic.clv.model)
        return replace(model, left_out=int((~self.known).sum()))

    @kept
    def patient_values(self) -> pd.DataFrame:
        """What the model says of each patient, in the rows of `summary`.

        Where the holdout can be held and the model comes no closer to it than the patients' own last year, the model is
        not used.
        """
        from rfmkit.analysis.clv import patient_values
        from rfmkit.analysis.holdout import check_beats_history

        if self.part("holdout").ok:
            check_beats_history(self.holdout)
        terms = self.clinic.clv
        return patient_values(self.clv, self.summary, terms.horizon_months, terms.annual_discount_rate, terms.margin)

    @property
    def clv_summary(self) -> pd.DataFrame:
        """One row: what all patients promise over the horizon, on which terms, and what the last twelve months brought.

        ``expected_visits, total`` (clv), ``value_at_risk, horizon_months, annual_discount_rate, margin,
        historical_12_months`` (revenue, before the margin).
        """
        terms, values = self.clinic.clv, self.patient_values
        row = {
            "expected_visits": values["expected_visits"].sum(),
            "total": values["clv"].sum(),
            "value_at_risk": values["value_at_risk"].sum(),
            "horizon_months": terms.horizon_months,
            "annual_discount_rate": terms.annual_discount_rate,
            "margin": terms.margin,
            "historical_12_months": self.historical_value["revenue"].iloc[0],
        }
        return pd.DataFrame([row])

    @kept
    def historical_value(self) -> pd.DataFrame:
        """One row: what patients brought in the last twelve months, which needs no model.

        ``months, patients, visits, revenue, revenue_per_patient``.
        """
        from rfmkit.analysis.loyalty import period_figures

        year = period_figures(self.visits, self.refunds, Period.trailing(self.as_of, _YEAR))
        row = {
            "months": _YEAR,
            "patients": year.patients,
            "visits": year.visits,
            "revenue": year.revenue,
            "revenue_per_patient": year.revenue / max(year.patients, 1),
        }
        return pd.DataFrame([row])

    @property
    def clv_gates(self) -> pd.DataFrame:
        """What the model had to pass: ``gate, value, limit, passed``."""
        from rfmkit.analysis.clv import model_gates

        return model_gates(self.clv)

    @property
    def alive_grid(self) -> pd.DataFrame:
        """Mean probability alive by number of visits and months since the last."""
        from rfmkit.analysis.clv import alive_grid

        _ = self.patient_values  # raises where no model stands
        return alive_grid(self.patients)

    @kept
    def holdout(self) -> Holdout:
        """What the model, fitted on the past, said of the months that followed."""
        from rfmkit.analysis.holdout import evaluate_holdout, holdout_start
        from rfmkit.data.patients import calibration_holdout, rfm_table

        first = (pd.Timestamp(self.as_of) - pd.Timedelta(days=int(self.summary["T"].max()))).date()
        end = holdout_start(first, self.as_of, self.clinic.clv.horizon_months)
        known = set(self.summary["patient_id"][self.known])
        summary = calibration_holdout(self.visits, end, self.as_of)
        summary = summary[summary["patient_id"].isin(known)].reset_index(drop=True)
        year = rfm_table(self.visits, end, _YEAR).set_index("patient_id")["visit_count"]
        last_year = summary["patient_id"].map(year).fillna(0)
        return evaluate_holdout(summary, last_year, self.clinic.clv.model, end, self.as_of)

    # Loyalty

    @kept
    def loyalty(self) -> Loyalty:
        """RPR, AOV and CRR of the trailing period, and the month alone."""
        from rfmkit.analysis.loyalty import Loyalty, average_order_value, period_figures, repeat_purchase_rate

        return Loyalty(
            rpr=repeat_purchase_rate(self.visits, self.period),
            aov=average_order_value(self.visits, self.period),
            crr=self.retention if self.part("crr").ok else None,
            month=period_figures(self.visits, self.refunds, self.month_period),
        )

    @kept
    def retention(self) -> Retention:
        """CRR of the trailing period, and its bridge."""
        from rfmkit.analysis.loyalty import customer_retention_rate

        return customer_retention_rate(self.visits, self.period, self.clinic.active_months)

    @kept
    def loyalty_history(self) -> pd.DataFrame:
        """Revenue, visits, active patients and the trailing rates over the last 24 months."""
        from rfmkit.analysis.loyalty import loyalty_history

        return loyalty_history(
            self.visits,
            self.refunds,
            self.as_of,
            period_months=self.clinic.loyalty.period_months,
            active_months=self.clinic.active_months,
        )

    @property
    def headline(self) -> pd.DataFrame:
        """The five headline numbers, with last month's and last year's."""
        from rfmkit.analysis.loyalty import headline

        return headline(self.loyalty_history)

    # What the data can say

    @property
    def findings(self) -> pd.DataFrame:
        """What the checks of the export found, the serious first: ``check, count, where, done, serious``."""
        from rfmkit.analysis.quality import findings

        return findings(self.problems)

    @property
    def history_reach(self) -> pd.DataFrame:
        """One row: how far the export reaches, and of how many patients the first visit is known."""
        from rfmkit.analysis.quality import history_reach

        months = {"period_months": self.clinic.loyalty.period_months, "active_months": self.clinic.active_months}
        complete = self.clinic.transactions.complete_history
        return history_reach(self.summary, self.known, self.as_of, complete_history=complete, **months)

    @kept
    def visit_volume(self) -> pd.DataFrame:
        """Visits, and open days without any, by month: ``month, visits, days_without_visits``."""
        from rfmkit.analysis.quality import visit_volume, visits_by_day
        from rfmkit.data.doubts import closed_days

        by_day = visits_by_day(self.visits)
        return visit_volume(by_day, closed_days(by_day).index, self.as_of)

    @kept
    def coverage(self) -> pd.DataFrame:
        """Which columns the export has and how full they are: ``part, column, mapped, filled``, missing ones first."""
        from rfmkit.analysis.quality import coverage

        return coverage(self.transactions, self.people, self.summary["patient_id"])

    @property
    def provenance(self) -> dict:
        """Where the numbers come from."""
        from rfmkit import __version__

        return {
            "version": __version__,
            "clinic": self.clinic.key,
            "name": self.clinic.name,
            "month": self.month,
            "as_of": self.as_of,
            "first_day": self.patients["first_visit"].min().date(),
            "rows": self.rows,
            "patients": len(self.patients),
            "input_digest": self.input_digest,
        }

    def _or_missing(self, table: str, **shape) -> pd.DataFrame:
        try:
            return getattr(self, table)
        except NotEnoughData:
            return pd.DataFrame(float("nan"), **shape)
