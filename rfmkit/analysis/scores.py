"""How recent, how often, how much: scores of 1 to `bins`, decided by cuts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

#: Each measure and whether a smaller value is the better one.
MEASURES = {"recency_days": True, "visit_count": False, "total_spend": False}
SCORES = {"recency_days": "recency_score", "visit_count": "frequency_score", "total_spend": "monetary_score"}
#: What the recency score may be of instead: days past the recall interval, negative before it is over.
OVERDUE = "days_overdue"


@dataclass(frozen=True)
class RfmCuts:
    """The values at which a score begins.

    Attributes
    ----------
    recency_days, visit_count, total_spend, days_overdue : tuple of float
        For the scores 2, 3, … the value that earns it: a patient has the score 1 + the number of cuts that the value is
        not worse than. A tuple is shorter than bins − 1 where nobody could earn the highest scores. The recency score
        is of `recency_days` or of `days_overdue`; the other is None.
    """

    recency_days: tuple[float, ...] | None
    visit_count: tuple[float, ...]
    total_spend: tuple[float, ...]
    days_overdue: tuple[float, ...] | None = None

    @property
    def recency(self) -> str:
        """The measure that the recency score is of."""
        return "recency_days" if self.days_overdue is None else OVERDUE

    @property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """The three measures that are scored, recency first, each with its cuts."""
        return {measure: getattr(self, measure) for measure in _measures(self.recency)}


def score_of(measure: str) -> str:
    """The column that holds a measure's score."""
    return SCORES["recency_days" if measure == OVERDUE else measure]


def _measures(recency: str) -> dict[str, bool]:
    """The measures, and whether less is better, where the recency score is of the measure `recency`."""
    return {recency if name == "recency_days" else name: less for name, less in MEASURES.items()}


def _cuts(found: Mapping[str, tuple]) -> RfmCuts:
    return RfmCuts(**{"recency_days": None, **found})


def rfm_cuts(rfm: pd.DataFrame, bins: int = 5, *, recency: str = "recency_days") -> RfmCuts:
    """Find the cuts that put about equal numbers of patients in each score.

    For s = 2 … `bins`, cut s is the worst observed value v with bins × (patients strictly worse than v) ≥
    (s − 1) × patients, in integers, so that equal values have equal scores. One visit scores 1 in frequency; the rule
    with bins − 1 over the patients with two visits or more gives 2 … `bins`. A measure with one distinct value gives
    everybody the middle score.

    Parameters
    ----------
    rfm : pandas.DataFrame
        Columns ``recency_days, visit_count, total_spend``, one row a patient.
    bins : int, default 5
        2 to 9.
    recency : str, default "recency_days"
        The measure that the recency score is of; the other is "days_overdue".

    Returns
    -------
    RfmCuts
    """
    if not 2 <= bins <= 9:
        raise ValueError("bins must be 2 to 9")
    cuts = {}
    for measure, less_is_better in _measures(recency).items():
        values = rfm[measure].to_numpy()
        worst_first = -values if less_is_better else values
        found = _frequency_cuts(worst_first, bins) if measure == "visit_count" else _quantile_cuts(worst_first, bins)
        cuts[measure] = tuple(-cut if less_is_better else cut for cut in found)
    return _cuts(cuts)


def _quantile_cuts(values: np.ndarray, bins: int) -> list:
    """The cuts of values for which more is better."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return [distinct[0].item()] * ((bins + 1) // 2 - 1)
    worse = np.concatenate([[0], np.cumsum(counts)[:-1]])
    found = [distinct[bins * worse >= (score - 1) * len(values)] for score in range(2, bins + 1)]
    return [reached[0].item() for reached in found if len(reached)]


def _frequency_cuts(counts: np.ndarray, bins: int) -> list:
    distinct = np.unique(counts)
    if len(distinct) == 1:
        return _quantile_cuts(counts, bins)
    repeat = counts[counts >= 2]
    if bins == 2 or len(np.unique(repeat)) == 1:
        return [2]
    return [2, *_quantile_cuts(repeat, bins - 1)]


def find_cuts(
    rfm: pd.DataFrame,
    scoring: str,
    *,
    bins: int = 5,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    recency: str = "recency_days",
) -> RfmCuts:
    """Find the cuts of a way of scoring: "quantile", "threshold", "mean" or "median"."""
    match scoring:
        case "threshold":
            return threshold_cuts(thresholds)
        case "mean" | "median":
            return average_cuts(rfm, scoring, recency=recency)
        case _:
            return rfm_cuts(rfm, bins, recency=recency)


def threshold_cuts(thresholds: Mapping[str, Sequence[float]]) -> RfmCuts:
    """Take a clinic's own numbers as cuts: within so many days, more than so many visits, more than so much money.

    Parameters
    ----------
    thresholds : mapping
        ``recency_days`` (or ``days_overdue``), ``visit_count, total_spend``, each in ascending order, at most bins − 1
        numbers. Who came within the first number of days (or is no more days overdue) has the highest recency score;
        who spent more than the last sum the highest monetary score.

    Returns
    -------
    RfmCuts
        Visits are whole, and money has two decimals: more than 4 visits are 5 or more, more than 20,000 is 20,000.01 or
        more.

    Examples
    --------
    >>> threshold_cuts({"recency_days": [7], "visit_count": [4], "total_spend": [20_000]})
    RfmCuts(recency_days=(7,), visit_count=(5,), total_spend=(20000.01,))
    """
    recency = OVERDUE if OVERDUE in thresholds else "recency_days"
    return _cuts(
        {
            recency: tuple(math.floor(limit) for limit in reversed(thresholds[recency])),
            "visit_count": tuple(math.floor(limit) + 1 for limit in thresholds["visit_count"]),
            "total_spend": tuple((_cents_up_to(limit) + 1) / 100 for limit in thresholds["total_spend"]),
        }
    )


def cuts_as_thresholds(cuts: RfmCuts) -> dict[str, list[float]]:
    """Cuts as the numbers of a clinic file: `threshold_cuts` makes the same scores of them.

    Returns
    -------
    dict
        ``recency_days`` (within so many days) or ``days_overdue`` (no more than), ``visit_count`` and ``total_spend``
        (more than), ascending.
    """
    return {
        cuts.recency: [int(cut) for cut in reversed(cuts.levels[cuts.recency])],
        "visit_count": [int(cut) - 1 for cut in cuts.visit_count],
        "total_spend": [(_cents_up_to(cut) - 1) / 100 for cut in cuts.total_spend],
    }


def average_cuts(rfm: pd.DataFrame, average: Literal["mean", "median"], *, recency: str = "recency_days") -> RfmCuts:
    """Cut each measure in two at its mean or median.

    Parameters
    ----------
    rfm : pandas.DataFrame
        Columns ``recency_days, visit_count, total_spend``, one row a patient, at least one.
    average : {"mean", "median"}
    recency : str, default "recency_days"
        The measure that the recency score is of; the other is "days_overdue".

    Returns
    -------
    RfmCuts
        One cut a measure. High is above the average; of recency, who came within the average number of days.
    """
    # In whole days, visits and cents, so that who lies exactly on the average lies on one side everywhere.
    whole = {measure: rfm[measure].to_numpy() for measure in _measures(recency)}
    whole["total_spend"] = np.rint(whole["total_spend"] * 100)
    limits = {}
    for measure, values in whole.items():
        values = np.sort(values.astype("int64"))
        middle = values if average == "mean" else values[(len(values) - 1) // 2 : len(values) // 2 + 1]
        limits[measure] = int(middle.sum()) // len(middle)
    limits |= {"visit_count": limits["visit_count"] + 1, "total_spend": (limits["total_spend"] + 1) / 100}
    return _cuts({measure: (limit,) for measure, limit in limits.items()})


def _cents_up_to(money: float) -> int:
    """The largest whole number of cents in a sum; what only noise keeps from the next is the next."""
    return math.floor(round(money * 100, 4))


def score_rfm(rfm: pd.DataFrame, bins: int = 5, cuts: RfmCuts | None = None) -> pd.DataFrame:
    """Score every patient's recency, frequency and money.

    Parameters
    ----------
    rfm : pandas.DataFrame
        As `rfm_table` gives it.
    bins : int, default 5
        Number of scores; 2 to 9. Not used when `cuts` are given.
    cuts : RfmCuts, optional
        They say too whether the recency score is of ``recency_days`` or of ``days_overdue``.
        Cuts of another month, or a clinic's own; without them `rfm_cuts` finds them in `rfm`.

    Returns
    -------
    pandas.DataFrame
        A copy of `rfm` with ``recency_score, frequency_score, monetary_score`` (1 … bins, the highest is best) and
        ``rfm_score`` (the three digits as text).

    Examples
    --------
    >>> import pandas as pd
    >>> rfm = pd.DataFrame({"recency_days": [3, 40], "visit_count": [4, 1], "total_spend": [90.0, 20.0]})
    >>> score_rfm(rfm, bins=2)["rfm_score"].tolist()
    ['222', '111']
    """
    cuts = cuts if cuts is not None else rfm_cuts(rfm, bins) if len(rfm) else RfmCuts((), (), ())
    scored = rfm.copy()
    for measure in cuts.levels:
        scored[score_of(measure)] = scores_of(rfm[measure], measure, cuts)
    digits = [scored[column].astype("int64").astype("str") for column in SCORES.values()]
    scored["rfm_score"] = digits[0] + digits[1] + digits[2]
    return scored


def scores_of(values: pd.Series, measure: str, cuts: RfmCuts) -> np.ndarray:
    """The scores of one measure's values: 1 + the number of its cuts that a value is not worse than."""
    sign = -1 if _measures(cuts.recency)[measure] else 1
    levels = np.sort(sign * np.asarray(cuts.levels[measure], dtype=float))
    return 1 + np.searchsorted(levels, sign * values.to_numpy(dtype=float), side="right")


def score_cuts(cuts: RfmCuts) -> pd.DataFrame:
    """Say from which value a score begins.

    Returns
    -------
    pandas.DataFrame
        ``measure, score, cut``: of recency within how many days (or how many overdue at most), of the others from
        which value on.
    """
    rows = [(measure, score, cut) for measure, levels in cuts.levels.items() for score, cut in enumerate(levels, 2)]
    return pd.DataFrame(rows, columns=["measure", "score", "cut"])


def score_bands(scored: pd.DataFrame, recency: str = "recency_days") -> pd.DataFrame:
    """Say what each score means in the measure's own unit.

    Parameters
    ----------
    scored : pandas.DataFrame
        As `score_rfm` gives it.
    recency : str, default "recency_days"
        The measure that the recency score is of.

    Returns
    -------
    pandas.DataFrame
        ``measure, score, low, high`` (smallest and largest value observed with that score), ``patients``.
    """
    bands = [
        scored.groupby(score_of(measure))[measure]
        .agg(low="min", high="max", patients="size")
        .rename_axis("score")
        .reset_index()
        .assign(measure=measure)
        for measure in _measures(recency)
    ]
    return pd.concat(bands, ignore_index=True)[["measure", "score", "low", "high", "patients"]]


def score_grid(scored: pd.DataFrame, bins: int) -> pd.DataFrame:
    """Count patients and their spend in every cell of recency × frequency.

    Returns
    -------
    pandas.DataFrame
        ``recency_score, frequency_score, patients, revenue``: all ``bins × bins`` cells, empty ones as 0.
    """
    cells = pd.MultiIndex.from_product([range(1, bins + 1)] * 2, names=["recency_score", "frequency_score"])
    grid = scored.groupby(["recency_score", "frequency_score"])["total_spend"].agg(patients="size", revenue="sum")
    return grid.reindex(cells, fill_value=0).reset_index()
