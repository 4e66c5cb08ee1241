"""What to do about each group, in the order of what is at stake."""

from __future__ import annotations

import pandas as pd

from rfmkit.analysis.segments import INACTIVE

COLUMNS = [
    "segment",
    "colour",
    "patients",
    "revenue",
    "clv",
    "value_at_risk",
    "mean_probability_alive",
    "median_recency_days",
]


def rank_recommendations(segments: pd.DataFrame) -> pd.DataFrame:
    """Order the groups that have patients by what a clinic stands to lose in them.

    Parameters
    ----------
    segments : pandas.DataFrame
        As `segment_table` gives it.

    Returns
    -------
    pandas.DataFrame
        ``segment, colour, patients, revenue, clv, value_at_risk, probability_alive, recency_days``, the group with the
        most value at risk first; by revenue where no model says what is at risk. `inactive` is no group of the scheme
        but everybody whom it does not score: it comes last.
    """
    stake = "value_at_risk" if segments["value_at_risk"].notna().any() else "revenue"
    ranked = segments[segments["patients"] > 0].sort_values(stake, ascending=False, kind="stable")
    outside = ranked["segment"] == INACTIVE
    return pd.concat([ranked[~outside], ranked[outside]], ignore_index=True)[COLUMNS]
