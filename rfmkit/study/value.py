"""What the patients of a study are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.period import Period
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    from rfmkit.analysis.clv import ClvModel
    from rfmkit.analysis.holdout import Holdout

_YEAR = 12


class Value(Intake):
    """The part of a study that says what the patients are worth."""

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
