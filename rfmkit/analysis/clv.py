"""What patients are worth: visits to expect × what a visit brings, and whether the data carry it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rfmkit.analysis import clv_models
from rfmkit.errors import NotEnoughData
from rfmkit.period import add_months

MONTH_DAYS = 365.25 / 12
#: A model needs this many patients who came back.
LEAST_REPEAT_PATIENTS = 50
#: Gamma-Gamma assumes that frequency and spend are unrelated; beyond this correlation a report warns.
MOST_CORRELATION = 0.3
#: Whose history before the export is unknown: first seen in its first months.
UNKNOWN_MONTHS = 3
#: An export begins in mid-life when its first months show this many times the newcomers of a usual month.
_NEWCOMERS_RATIO = 1.5


@dataclass(frozen=True)
class ClvModel:
    """A fitted model of lifetime value.

    Attributes
    ----------
    model : str
        ``bg_nbd``, ``mbg_nbd`` or ``pareto_nbd``.
    parameters : dict of str to float
        By their names in the literature, per day.
    log_likelihood : float
        Of the visits, in days, comparable across models.
    spend_parameters : dict of str to float
        Gamma-Gamma's ``p, q, v``.
    spend_log_likelihood : float
    patients, repeat_patients : int
        Whom the fit rests on.
    left_out : int
        Patients who were not given to the fit, their history before the export being unknown.
    unpaid : int
        Repeat patients whose repeat visits brought nothing: not in the spend model.
    correlation : float
        Of frequency and monetary value among those the spend model rests on; Gamma-Gamma assumes 0.
    """

    model: str
    parameters: dict[str, float]
    log_likelihood: float
    spend_parameters: dict[str, float]
    spend_log_likelihood: float
    patients: int
    repeat_patients: int
    left_out: int
    unpaid: int
    correlation: float

    def _repr_html_(self) -> str:
        rows = {**self.parameters, "log-likelihood": self.log_likelihood, **self.spend_parameters}
        frame = pd.DataFrame({"value": rows}).round(4)
        return frame.rename_axis(f"{self.model}: {self.patients} patients, {self.repeat_patients} came back").to_html()

    @property
    def aic(self) -> float:
        """Akaike's criterion of the visit model: 2k − 2 log-likelihood."""
        return 2 * len(self.parameters) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion of the visit model: k ln n − 2 log-likelihood."""
        return len(self.parameters) * np.log(self.patients) - 2 * self.log_likelihood

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Probability that each patient has not left for good, at the end of T.

        Parameters
        ----------
        summary : pandas.DataFrame
            As `btyd_summary` gives it.

        Returns
        -------
        pandas.Series
            0 to 1, in the rows of `summary`.

        Notes
        -----
        MBG/NBD: equation (5) in the appendix of Batislam, Denizel and Filiztekin (2007). BG/NBD: Fader, Hardie and Lee
        (2008), Computing P(alive) Using the BG/NBD Model; 1 for a single visit. Pareto/NBD: equation (11) of
        Schmittlein, Morrison and Colombo (1987).
        """
        values = clv_models.probability_alive(summary, self.model, self.parameters)
        return pd.Series(values, index=summary.index, name="probability_alive")

    def expected_visits(self, summary: pd.DataFrame, horizon_days: float) -> pd.Series:
        """Visits to expect of each patient in the `horizon_days` after T.

        Parameters
        ----------
        summary : pandas.DataFrame
            As `btyd_summary` gives it.
        horizon_days : float

        Returns
        -------
        pandas.Series
            Not negative, in the rows of `summary`.

        Notes
        -----
        BG/NBD: equation (10) of Fader, Hardie and Lee (2005). MBG/NBD: Wagner and Hoppe (2008). Pareto/NBD: equation
        (22) of Schmittlein, Morrison and Colombo (1987).
        """
        values = clv_models.expected_visits(summary, horizon_days, self.model, self.parameters)
        # A long history can cancel to a number a rounding below zero.
        return pd.Series(np.clip(values, 0, None), index=summary.index, name="expected_visits")

    def expected_visit_value(self, summary: pd.DataFrame) -> pd.Series:
        """Money that a visit of each patient brings on average.

        Parameters
        ----------
        summary : pandas.DataFrame
            As `btyd_summary` gives it.

        Returns
        -------
        pandas.Series
            Money, in the rows of `summary`.

        Notes
        -----
        E(M | p, q, v, x, m) = p (v + x m) / (p x + q − 1): equation (5) of Fader and Hardie, The Gamma-Gamma Model of
        Monetary Value (2013). Without repeat visits it is the mean of all, p v / (q − 1). Patients whose refunds exceed
        their payments count as having paid nothing.
        """
        p, q, v = (self.spend_parameters[name] for name in clv_models.SPEND_PARAMETERS)
        x = summary["frequency"].astype("float64")
        value = p * (v + x * summary["monetary_value"].clip(lower=0)) / (p * x + q - 1)
        return value.rename("expected_visit_value")

    def clv(
        self,
        summary: pd.DataFrame,
        horizon_months: int = 12,
        annual_discount_rate: float = 0.0,
        margin: float = 1.0,
    ) -> pd.Series:
        """Discounted value of each patient's visits over the horizon.

        Parameters
        ----------
        summary : pandas.DataFrame
            As `btyd_summary` gives it.
        horizon_months : int, default 12
        annual_discount_rate : float, default 0
        margin : float, default 1
            Share of the money that stays with the clinic.

        Returns
        -------
        pandas.Series
            Money, in the rows of `summary`.

        Notes
        -----
        margin × Σ over months m of the horizon: expected visits in m × expected visit value / (1 + monthly)^m, with
        monthly = (1 + annual)^(1/12) − 1 and months of 365.25/12 days.
        """
        if horizon_months < 1 or not 0 <= annual_discount_rate < 10 or not 0 < margin <= 1:
            raise ValueError("horizon_months is 1 or more, annual_discount_rate 0 to 10 (0.12 is 12 %), margin up to 1")
        monthly = (1 + annual_discount_rate) ** (1 / 12) - 1
        until = [self.expected_visits(summary, month * MONTH_DAYS).to_numpy() for month in range(1, horizon_months + 1)]
        in_month = np.diff(np.vstack([np.zeros(len(summary)), *until]), axis=0)
        factors = (1 + monthly) ** -np.arange(1.0, horizon_months + 1)
        values = margin * (factors @ in_month) * self.expected_visit_value(summary).to_numpy()
        return pd.Series(values, index=summary.index, name="clv")


def fit_clv(summary: pd.DataFrame, model: str = "mbg_nbd") -> ClvModel:
    """Fit a visit model and the Gamma-Gamma model of spend.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `btyd_summary` gives it.
    model : {"mbg_nbd", "bg_nbd", "pareto_nbd"}
        BG/NBD believes every patient with a single visit alive; MBG/NBD does not.

    Returns
    -------
    ClvModel

    Raises
    ------
    NotEnoughData
        If fewer than 50 patients came back, or paid when they did; if a fit does not converge to finite parameters; or
        if q ≤ 1 (no mean spend).
    """
    if model not in clv_models.VISIT_MODELS:
        raise ValueError(f"model must be one of {', '.join(clv_models.VISIT_MODELS)}")
    repeat = summary["frequency"] > 0
    _need("few_repeat_patients", int(repeat.sum()))
    # Sums of floats depend on their order; the fit may not depend on that of the rows.
    paying = summary[repeat & (summary["monetary_value"] > 0)].sort_values(["frequency", "monetary_value"])
    _need("few_paying_patients", len(paying))
    parameters, log_likelihood = clv_models.fit_visits(summary, model)
    spend_parameters, spend_log_likelihood = clv_models.fit_spend(paying)
    if spend_parameters["q"] <= 1:
        raise NotEnoughData("no_mean_spend", q=spend_parameters["q"])
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(paying["frequency"], paying["monetary_value"])[0, 1])
    return ClvModel(
        model=model,
        parameters=parameters,
        log_likelihood=log_likelihood,
        spend_parameters=spend_parameters,
        spend_log_likelihood=spend_log_likelihood,
        patients=len(summary),
        repeat_patients=int(repeat.sum()),
        left_out=0,
        unpaid=int(repeat.sum()) - len(paying),
        correlation=correlation if np.isfinite(correlation) else 0.0,
    )


def _need(code: str, have: int) -> None:
    if have < LEAST_REPEAT_PATIENTS:
        raise NotEnoughData(code, have=have, need=LEAST_REPEAT_PATIENTS)


def model_gates(model: ClvModel) -> pd.DataFrame:
    """What a model had to pass, or is warned of.

    Returns
    -------
    pandas.DataFrame
        ``gate`` (repeat_patients, mean_spend: q of Gamma-Gamma, correlation: of frequency and spend), ``value``,
        ``limit``, ``passed``. Only the last may fail in a fitted model: it is a warning.
    """
    q = model.spend_parameters["q"]
    gates = [
        ("repeat_patients", model.repeat_patients, LEAST_REPEAT_PATIENTS, True),
        ("mean_spend", q, 1, True),
        ("correlation", model.correlation, MOST_CORRELATION, abs(model.correlation) <= MOST_CORRELATION),
    ]
    return pd.DataFrame(gates, columns=["gate", "value", "limit", "passed"])


def value_at_risk(clv: pd.Series, probability_alive: pd.Series) -> pd.Series:
    """Value that would be there if the patient were surely alive, times the chance that they are not (money)."""
    return (clv * (1 - probability_alive) / probability_alive).rename("value_at_risk")


def patient_values(
    model: ClvModel, summary: pd.DataFrame, horizon_months: int, annual_discount_rate: float, margin: float
) -> pd.DataFrame:
    """All that a fitted model says of each patient.

    Returns
    -------
    pandas.DataFrame
        ``probability_alive, expected_visits, expected_visit_value, clv, value_at_risk``, in the rows of `summary`.

    Raises
    ------
    NotEnoughData
        If any of it is not finite.
    """
    alive = model.probability_alive(summary)
    clv = model.clv(summary, horizon_months, annual_discount_rate, margin)
    values = pd.DataFrame(
        {
            "probability_alive": alive,
            "expected_visits": model.expected_visits(summary, horizon_months * MONTH_DAYS),
            "expected_visit_value": model.expected_visit_value(summary),
            "clv": clv,
            "value_at_risk": value_at_risk(clv, alive),
        }
    )
    if not np.isfinite(values.to_numpy()).all():
        raise NotEnoughData("model_not_converged", model=model.model)
    return values


def known_from_start(summary: pd.DataFrame, as_of: dt.date, complete_history: bool | None = None) -> pd.Series:
    """Say of each patient whether the first visit is known.

    An export that begins in the middle of the clinic's life shows its old patients as newcomers. Unless
    `complete_history` says how it is, it is taken to begin so when its first three months have more than 1.5 times the
    newcomers of a usual month later (the median); with no later newcomers at all it is a cohort, and complete.

    Returns
    -------
    pandas.Series of bool
        False for those first seen in the first three calendar months of an export that begins in mid-life.
    """
    first_visit = pd.Timestamp(as_of) - pd.to_timedelta(summary["T"], unit="D")
    begin = first_visit.min().date().replace(day=1)
    early = first_visit < pd.Timestamp(add_months(begin, UNKNOWN_MONTHS))
    if complete_history is None:
        months = (as_of.year - begin.year) * 12 + as_of.month - begin.month + 1
        later = first_visit[~early].dt.to_period("M").value_counts()
        idle = max(months - UNKNOWN_MONTHS - len(later), 0)
        usual = float(np.median([*later, *[0] * idle])) if len(later) else 0.0
        complete_history = not usual or early.sum() / UNKNOWN_MONTHS <= _NEWCOMERS_RATIO * usual
    return ~early | complete_history


_VISIT_BANDS = ([0, 1, 2, 3, 5, 9, np.inf], ["1", "2", "3", "4-5", "6-9", "10+"])
#: Whole months.
_MONTH_BANDS = ([0, 1, 3, 6, 12, 24, np.inf], ["< 1", "1-2", "3-5", "6-11", "12-23", "24+"])


def alive_grid(patients: pd.DataFrame) -> pd.DataFrame:
    """Mean probability alive by how often patients came and how long ago.

    Parameters
    ----------
    patients : pandas.DataFrame
        ``frequency, recency, T, probability_alive``.

    Returns
    -------
    pandas.DataFrame
        ``visit_count_band`` (visits in the whole history), ``recency_band`` (months since the last one), ``patients``,
        ``probability_alive``; all cells, empty ones without a probability.
    """
    visit_band = pd.cut(patients["frequency"] + 1, _VISIT_BANDS[0], labels=_VISIT_BANDS[1])
    months = (patients["T"] - patients["recency"]) / MONTH_DAYS
    recency_band = pd.cut(months, _MONTH_BANDS[0], labels=_MONTH_BANDS[1], right=False)
    groups = patients.groupby(
        [visit_band.rename("visit_count_band"), recency_band.rename("recency_band")], observed=False
    )
    grid = groups["probability_alive"].agg(patients="size", probability_alive="mean").reset_index()
    return grid.astype({"visit_count_band": "str", "recency_band": "str"})
