"""How well a model foretells: fitted on the past, held against the months that followed and against mere habit."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rfmkit.analysis import clv_models
from rfmkit.analysis.clv import LEAST_REPEAT_PATIENTS
from rfmkit.errors import NotEnoughData
from rfmkit.period import add_months

LEAST_CALIBRATION_MONTHS = 12


@dataclass(frozen=True)
class Holdout:
    """What a model fitted on the past said of the months that followed, and what happened.

    Attributes
    ----------
    calibration_end, end : datetime.date
    predicted : float
        Visits expected of the patients known at `calibration_end`.
    actual : int
        Visits they made.
    mae : float
        Mean absolute error of a patient's number of visits.
    naive_predicted, naive_mae : float
        The same when every patient goes on as in their last year before `calibration_end`.
    by_frequency : pandas.DataFrame
        ``frequency`` (repeat visits by then: "0" … "6", "7+"), ``patients``, ``predicted``, ``actual`` (mean visits).
    """

    calibration_end: dt.date
    end: dt.date
    predicted: float
    actual: int
    mae: float
    naive_predicted: float
    naive_mae: float
    by_frequency: pd.DataFrame


def holdout_start(first_visit: dt.date, as_of: dt.date, horizon_months: int) -> dt.date:
    """Last day of the calibration: what is held out is the last min(horizon, a third of the history), in whole months.

    Raises
    ------
    NotEnoughData
        If less than 12 months remain to calibrate on.
    """
    history = (as_of.year - first_visit.year) * 12 + as_of.month - first_visit.month + 1
    held_out = min(horizon_months, history // 3)
    if not held_out or history - held_out < LEAST_CALIBRATION_MONTHS:
        raise NotEnoughData("short_history", have_months=history - held_out, need_months=LEAST_CALIBRATION_MONTHS)
    return add_months(as_of + dt.timedelta(days=1), -held_out) - dt.timedelta(days=1)


def evaluate_holdout(
    summary: pd.DataFrame, last_year_visits: pd.Series, model: str, calibration_end: dt.date, as_of: dt.date
) -> Holdout:
    """Fit a model on the calibration and compare its visits with those of the holdout.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `calibration_holdout` gives it.
    last_year_visits : pandas.Series
        Each patient's visits in the year before `calibration_end`, in the rows of `summary`.
    model : str
    calibration_end, as_of : datetime.date

    Raises
    ------
    NotEnoughData
        If fewer than 50 patients had come back by `calibration_end`, or the fit does not converge.
    """
    have = int((summary["frequency"] > 0).sum())
    if have < LEAST_REPEAT_PATIENTS:
        raise NotEnoughData("few_calibration_patients", have=have, need=LEAST_REPEAT_PATIENTS)
    days = (as_of - calibration_end).days
    parameters, _ = clv_models.fit_visits(summary, model)
    predicted = np.clip(clv_models.expected_visits(summary, days, model, parameters), 0, None)
    if not np.isfinite(predicted).all():
        raise NotEnoughData("model_not_converged", model=model)
    actual = summary["frequency_holdout"].to_numpy(dtype=float)
    naive = last_year_visits.to_numpy(dtype=float) * days / 365
    bands = summary["frequency"].clip(upper=7).astype("int64").astype("str").replace("7", "7+")
    by_frequency = (
        pd.DataFrame({"frequency": bands, "predicted": predicted, "actual": actual})
        .groupby("frequency")
        .agg(patients=("actual", "size"), predicted=("predicted", "mean"), actual=("actual", "mean"))
        .reset_index()
    )
    return Holdout(
        calibration_end=calibration_end,
        end=as_of,
        predicted=float(predicted.sum()),
        actual=int(actual.sum()),
        mae=float(np.abs(predicted - actual).mean()),
        naive_predicted=float(naive.sum()),
        naive_mae=float(np.abs(naive - actual).mean()),
        by_frequency=by_frequency,
    )


def check_beats_history(holdout: Holdout) -> None:
    """Hold that a model foretold the holdout better than repeating each patient's last year.

    Raises
    ------
    NotEnoughData
        ``no_model_beats_history``, if its mean absolute error is not the smaller one.
    """
    if holdout.mae >= holdout.naive_mae:
        raise NotEnoughData("no_model_beats_history", mae=holdout.mae, naive_mae=holdout.naive_mae)
