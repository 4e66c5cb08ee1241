"""Figures: an aggregated frame in, axes out; nothing is counted, joined or fitted here.

Each function takes ``ax`` (a new figure without it) and ``reader``, draws, and returns the axes with ``alt_text`` set:
the numbers that matter, in words. `figure` shows such axes.
"""

from __future__ import annotations

from rfmkit.present.plots.canvas import Figure, figure
from rfmkit.present.plots.flows import movement_flows
from rfmkit.present.plots.groups import cohorts, score_distribution, score_heatmap, segment_sizes
from rfmkit.present.plots.loyalty import loyalty_history, revenue_history
from rfmkit.present.plots.movement import group_history, transition_matrix
from rfmkit.present.plots.quality import visit_volume
from rfmkit.present.plots.value import holdout, probability_alive

__all__ = [
    "Figure",
    "cohorts",
    "figure",
    "group_history",
    "holdout",
    "loyalty_history",
    "movement_flows",
    "probability_alive",
    "revenue_history",
    "score_distribution",
    "score_heatmap",
    "segment_sizes",
    "transition_matrix",
    "visit_volume",
]
