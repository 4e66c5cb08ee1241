"""Figures of the lifetime value model: who is still a patient, and how well it foretold what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.disclosure import mask_small_cells
from rfmkit.present.plots.canvas import (
    LINE,
    MUTED,
    PALE,
    TEXT,
    draw_cell,
    drawing,
    frame_matrix,
    line_colour,
    name_mark,
    new_axes,
    shade,
)
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def probability_alive(alive_grid: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """The mean probability of still being a patient, by number of visits and time since the last.

    Parameters
    ----------
    alive_grid : pandas.DataFrame
        One row a cell, in the order of the bands: `visit_count_band`, `recency_band` (in months), `patients`,
        `probability_alive`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        Cells of fewer patients than its `min_count` read "< min_count".

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    shown = mask_small_cells(alive_grid, columns=["probability_alive"], min_count=reader.min_count)
    visits, recency = (list(dict.fromkeys(alive_grid[name])) for name in ["visit_count_band", "recency_band"])
    with drawing():
        if ax is None:
            ax = new_axes(0.55 * len(visits) + 0.7, left=0.8, right=0.1, top=0.05, bottom=0.6)
        for cell in shown.to_dict("records"):
            x, y = recency.index(cell["recency_band"]), visits.index(cell["visit_count_band"])
            probability = cell["probability_alive"]
            if not cell["patients"]:
                draw_cell(ax, x, y, "white", "")
            elif probability == probability:
                note = reader.plural("{n} patient", "{n} patients", int(cell["patients"]))
                draw_cell(ax, x, y, shade(reader.colour, probability), reader.percent(probability, 0), note)
            else:
                draw_cell(ax, x, y, PALE, reader.count(cell["patients"]))
        frame_matrix(
            ax,
            [_band(band) for band in recency],
            [_band(band) for band in visits],
            xlabel=reader.say("Months since the last visit"),
            ylabel=reader.say("Visits so far"),
        )
    ax.alt_text = _alive_in_words(shown, reader)
    return ax


def _band(band: str) -> str:
    return band.replace("-", "\N{EN DASH}")


def _alive_in_words(shown: pd.DataFrame, reader: Reader) -> str:
    known = shown[shown["patients"] > 0].dropna(subset="probability_alive")
    if not len(known):
        return reader.say("There are no patients to show.")
    high, low = (known.loc[row] for row in (known["probability_alive"].idxmax(), known["probability_alive"].idxmin()))
    return reader.say(
        "The probability of still being a patient is highest, {high}, where visits so far are {high_visits} and months "
        "since the last are {high_months}; it is lowest, {low}, where they are {low_visits} and {low_months}.",
        high=reader.percent(high["probability_alive"], 0),
        high_visits=_band(high["visit_count_band"]),
        high_months=_band(high["recency_band"]),
        low=reader.percent(low["probability_alive"], 0),
        low_visits=_band(low["visit_count_band"]),
        low_months=_band(low["recency_band"]),
    )


def holdout(by_frequency: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """Visits in the test period, foretold and actual, by earlier repeat visits.

    Parameters
    ----------
    by_frequency : pandas.DataFrame
        One row a number of repeat visits, in order: `frequency`, `patients`, `predicted`, `actual` (mean visits).
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        Points of fewer patients than its `min_count` are not drawn.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    shown = mask_small_cells(by_frequency, columns=["predicted", "actual"], min_count=reader.min_count)
    lines = (
        ("actual", TEXT, "-", "o", reader.say("Actual")),
        ("predicted", line_colour(reader.colour), "--", "D", reader.say("Predicted")),
    )
    with drawing():
        if ax is None:
            ax = new_axes(3.0, left=0.65, right=0.2, top=0.4, bottom=0.85)
        places = range(len(shown))
        for offset, (column, colour, style, marker, label) in zip((0, 130), lines, strict=True):
            ax.plot(places, shown[column], style, marker=marker, markersize=5, color=colour, label=label)
            name_mark(ax, marker, colour, label, offset=offset)
        ax.set_xticks(places, list(shown["frequency"]))
        for place, patients in zip(places, shown["patients"], strict=True):
            ax.annotate(
                reader.count(patients),
                (place, 0),
                (0, -24),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="center",
                color=MUTED,
                fontsize=8,
                annotation_clip=False,
            )
        ax.set(
            xlabel=reader.say("Repeat visits before the test period; under them, the number of patients"),
            ylabel=reader.say("Visits per patient"),
            ylim=(0, 1.1 * max(shown[["predicted", "actual"]].fillna(0).max().max(), 1)),
        )
        ax.xaxis.labelpad = 18
        ax.locator_params(axis="y", nbins=5)
        ax.yaxis.set_major_formatter(lambda value, _: reader.number(value, 0 if value == int(value) else 1))
        ax.tick_params(length=0)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.set_axisbelow(True)
    ax.alt_text = _holdout_in_words(shown, reader)
    return ax


def _holdout_in_words(shown: pd.DataFrame, reader: Reader) -> str:
    known = shown.dropna(subset=["predicted", "actual"])
    if not len(known):
        return reader.say("There are no patients to show.")
    return " ".join(
        reader.say(
            "Repeat visits {frequency}: predicted {predicted}, actual {actual} visits per patient.",
            frequency=row["frequency"],
            predicted=reader.number(row["predicted"], 2),
            actual=reader.number(row["actual"], 2),
        )
        for row in (known.iloc[0], known.iloc[-1])
    )
