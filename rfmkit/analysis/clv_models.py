"""The models of lifetime value as lifetimes fits them: the only door to that library."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pandas as pd

from rfmkit.errors import NotEnoughData

#: The visit models, and the names of their parameters in the literature; times are in days.
VISIT_MODELS = {
    "bg_nbd": ("r", "alpha", "a", "b"),
    "mbg_nbd": ("r", "alpha", "a", "b"),
    "pareto_nbd": ("r", "alpha", "s", "beta"),
}
SPEND_PARAMETERS = ("p", "q", "v")

#: Parameters that are lengths of time.
_TIMES = {"bg_nbd": {"alpha"}, "mbg_nbd": {"alpha"}, "pareto_nbd": {"alpha", "beta"}}
#: Days are counted in a unit in which the longest history is so long, as lifetimes does when it fits: over some hundred
#: visits its hypergeometric functions overflow in days.
_LONGEST = 10.0
_FITTERS = {"bg_nbd": "BetaGeoFitter", "mbg_nbd": "ModifiedBetaGeoFitter", "pareto_nbd": "ParetoNBDFitter"}


@contextlib.contextmanager
def _lifetimes() -> Iterator[ModuleType]:
    """lifetimes, with its side effects undone: it sets a pandas option, filters warnings and prints failed fits."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        before = pd.get_option("mode.chained_assignment")
        try:
            import lifetimes

            yield lifetimes
        finally:
            pd.set_option("mode.chained_assignment", before)


def fit_visits(summary: pd.DataFrame, model: str) -> tuple[dict[str, float], float]:
    """Fit a model of when patients come and when they leave for good.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``frequency, recency, T`` in days, one row a patient.
    model : {"bg_nbd", "mbg_nbd", "pareto_nbd"}
        BG/NBD (Fader, Hardie & Lee 2005), MBG/NBD (Batislam, Denizel & Filiztekin 2007), Pareto/NBD (Schmittlein,
        Morrison & Colombo 1987).

    Returns
    -------
    parameters : dict
        By their names in the literature, per day.
    log_likelihood : float
        Of the data, in days: Σ over patients.

    Raises
    ------
    NotEnoughData
        If the fit does not converge to finite parameters.
    """
    # Equal rows are fitted once, weighted: the sum of the likelihood is the same.
    columns = ["frequency", "recency", "T"]
    rows = summary.groupby(columns, sort=True).size().rename("weights").reset_index().astype("float64")
    with _lifetimes() as lifetimes:
        fitter = getattr(lifetimes, _FITTERS[model])()
        try:
            # A start that is written down: lifetimes would draw Pareto/NBD's from the global random state.
            start = {"initial_params": np.ones(len(VISIT_MODELS[model]))} if model == "pareto_nbd" else {}
            fitter.fit(rows["frequency"], rows["recency"], rows["T"], weights=rows["weights"], **start)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError):
            raise NotEnoughData("model_not_converged", model=model) from None
        parameters = {name: float(fitter.params_[name]) for name in VISIT_MODELS[model]}
        log_likelihood = _log_likelihood(fitter, model, parameters, rows)
    if not np.isfinite([*parameters.values(), log_likelihood]).all() or min(parameters.values()) <= 0:
        raise NotEnoughData("model_not_converged", model=model)
    return parameters, log_likelihood


def _log_likelihood(fitter, model: str, parameters: dict[str, float], rows: pd.DataFrame) -> float:
    """Σ ln L over patients in days, of what lifetimes states as a mean (or, for Pareto/NBD, a sum by mean weight)."""
    unit = _unit(rows)
    data = _history(rows, unit)
    weights = rows["weights"].to_numpy()
    values = list(_in_unit(model, parameters, unit).values())
    if model == "pareto_nbd":
        total = float(fitter._conditional_log_likelihood(values, *data) @ weights)
    else:
        total = -float(fitter._negative_log_likelihood(np.log(values), *data, weights, 0) * weights.sum())
    # A density per unit is one per day times the days in a unit, once for each repeat visit.
    return total - float(weights @ data[0]) * np.log(unit)


def fit_spend(summary: pd.DataFrame) -> tuple[dict[str, float], float]:
    """Fit the Gamma-Gamma model of spend per visit (Fader, Hardie & Lee 2005, RFM and CLV).

    Parameters
    ----------
    summary : pandas.DataFrame
        ``frequency, monetary_value`` of patients with at least one repeat visit and a positive value.

    Returns
    -------
    parameters : dict
        ``p, q, v``.
    log_likelihood : float
        Of the patients' mean spends.

    Raises
    ------
    NotEnoughData
        If the fit does not converge to finite parameters.
    """
    frequency, value = summary["frequency"].astype("float64"), summary["monetary_value"].astype("float64")
    # The search starts at spends of about one; v is the only parameter in money.
    unit = float(value.mean())
    with _lifetimes() as lifetimes:
        fitter = lifetimes.GammaGammaFitter()
        try:
            fitter.fit(frequency, value / unit)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError):
            raise NotEnoughData("model_not_converged", model="gamma_gamma") from None
        parameters = {name: float(fitter.params_[name]) for name in SPEND_PARAMETERS}
        parameters["v"] *= unit
        logs = np.log([parameters[name] for name in SPEND_PARAMETERS])
        mean = fitter._negative_log_likelihood(logs, frequency.to_numpy(), value.to_numpy(), np.ones(len(value)), 0)
        log_likelihood = -float(mean) * len(value)
    if not np.isfinite([*parameters.values(), log_likelihood]).all():
        raise NotEnoughData("model_not_converged", model="gamma_gamma")
    return parameters, log_likelihood


def probability_alive(summary: pd.DataFrame, model: str, parameters: dict[str, float]) -> np.ndarray:
    """Probability that each patient has not left for good, at the end of T."""
    unit = _unit(summary)
    with _fitter(model, _in_unit(model, parameters, unit)) as fitter:
        values = fitter.conditional_probability_alive(*_history(summary, unit))
    return np.asarray(values, dtype=float).reshape(len(summary))


def expected_visits(summary: pd.DataFrame, horizon_days: float, model: str, parameters: dict[str, float]) -> np.ndarray:
    """Number of visits to expect of each patient in the `horizon_days` after T."""
    unit = _unit(summary)
    with _fitter(model, _in_unit(model, parameters, unit)) as fitter:
        expect = fitter.conditional_expected_number_of_purchases_up_to_time
        values = expect(horizon_days / unit, *_history(summary, unit))
    return np.asarray(values, dtype=float).reshape(len(summary))


@contextlib.contextmanager
def _fitter(model: str, parameters: dict[str, float]):
    with _lifetimes() as lifetimes:
        fitter = getattr(lifetimes, _FITTERS[model])()
        fitter.params_ = pd.Series(parameters)
        yield fitter


def _unit(summary: pd.DataFrame) -> float:
    """Days in a unit of time."""
    return max(float(summary["T"].max()), 1.0) / _LONGEST if len(summary) else 1.0


def _in_unit(model: str, parameters: dict[str, float], unit: float) -> dict[str, float]:
    times = _TIMES[model]
    return {name: value / unit if name in times else value for name, value in parameters.items()}


def _history(summary: pd.DataFrame, unit: float) -> tuple[np.ndarray, ...]:
    x, t_x, age = (summary[name].to_numpy(dtype=float) for name in ["frequency", "recency", "T"])
    return x, t_x / unit, age / unit
