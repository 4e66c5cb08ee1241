"""Figures of the groups: how large they are, and the scores that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.disclosure import mask_small_cells, shown_portraits
from rfmkit.present.plots.canvas import (
    GREY,
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

_BAR = 0.36


def segment_sizes(segments: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """Each group's share of the patients beside its share of the revenue.

    Parameters
    ----------
    segments : pandas.DataFrame
        One row a group: `segment`, `patients`, `patients_share`, `revenue`, `revenue_share`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        English and plain numbers by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    names = [reader.name("segment", key) for key in segments["segment"]]
    ax = _draw_shares(segments, names, ax, reader)
    ax.alt_text = _sizes_in_words(segments, names, reader)
    return ax


def cohorts(cohorts: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """Each cohort's share of the patients beside its share of the revenue.

    Parameters
    ----------
    cohorts : pandas.DataFrame
        One row a cohort, as `study.cohorts`. Cohorts below the reader's `min_count` are joined.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        English and plain numbers by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    shown = shown_portraits(cohorts[cohorts["patients"] > 0], group="cohort", min_count=reader.min_count)
    names = [reader.cohort(key) for key in shown["cohort"]]
    ax = _draw_shares(shown, names, ax, reader)
    ax.alt_text = _sizes_in_words(shown, names, reader)
    return ax


def _draw_shares(groups: pd.DataFrame, names: list[str], ax: Axes | None, reader: Reader) -> Axes:
    """Two bars a group: its share of the patients, and of the revenue."""
    accent = line_colour(reader.colour)
    rows = list(reversed(groups.to_dict("records")))
    with drawing():
        if ax is None:
            ax = new_axes(0.42 * len(rows) + 0.5, left=1.85, right=1.3, top=0.4, bottom=0.05)
        for y, row in enumerate(rows):
            bars = (
                (y + _BAR / 2, row["patients_share"], GREY, reader.number(row["patients"])),
                (y - _BAR / 2, row["revenue_share"], accent, reader.short_money(row["revenue"])),
            )
            for at, share, colour, amount in bars:
                ax.barh(at, share, height=_BAR, color=colour)
                label = f"{reader.percent(share)} · {amount}"
                ax.annotate(
                    label, (max(share, 0), at), (5, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8
                )
        ax.set_yticks(range(len(rows)), names[::-1])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[["bottom"]].set_visible(False)
        name_mark(ax, "s", GREY, reader.say("Share of patients"), offset=0)
        name_mark(ax, "s", accent, reader.say("Share of revenue"), offset=150)
    return ax


def _sizes_in_words(groups: pd.DataFrame, names: list[str], reader: Reader) -> str:
    if not len(groups):
        return reader.say("There are no patients to show.")
    most, richest = (int(groups[column].to_numpy().argmax()) for column in ("patients", "revenue"))
    return reader.say(
        "The largest group is “{largest}”: {patients} of the patients. "
        "Most revenue comes from “{richest}”: {revenue}, paid by {payers} of the patients.",
        largest=names[most],
        patients=reader.percent(groups["patients_share"].iloc[most]),
        richest=names[richest],
        revenue=reader.percent(groups["revenue_share"].iloc[richest]),
        payers=reader.percent(groups["patients_share"].iloc[richest]),
    )


def score_heatmap(score_grid: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """How many patients have each pair of recency and frequency scores.

    Parameters
    ----------
    score_grid : pandas.DataFrame
        One row a cell: `recency_score`, `frequency_score`, `patients`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        Cells of fewer patients than its `min_count` read "< min_count" and have no tint.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    shown = mask_small_cells(
        score_grid.assign(tint=score_grid["patients"]), columns=["tint"], min_count=reader.min_count
    )
    recency = sorted(score_grid["recency_score"].unique())
    frequency = sorted(score_grid["frequency_score"].unique())
    most = shown["tint"].max()
    with drawing():
        if ax is None:
            ax = new_axes(0.55 * len(recency) + 0.65, left=1.0, right=1.0, top=0.05, bottom=0.6)
        for cell in shown.to_dict("records"):
            share = cell["tint"] / most if cell["tint"] > 0 else 0
            colour = shade(reader.colour, share) if share else PALE
            x, y = frequency.index(cell["frequency_score"]), recency.index(cell["recency_score"])
            draw_cell(ax, x, y, colour, reader.count(cell["patients"]))
        frame_matrix(
            ax,
            [reader.number(score) for score in frequency],
            [reader.number(score) for score in recency],
            xlabel=reader.say("Frequency score"),
            ylabel=reader.say("Recency score"),
        )
    ax.alt_text = _grid_in_words(shown, reader)
    return ax


def _grid_in_words(shown: pd.DataFrame, reader: Reader) -> str:
    if not shown["tint"].max() > 0:
        return reader.say("There are no patients to show.")
    cell = shown.loc[shown["tint"].idxmax()]
    return reader.say(
        "Most patients, {patients} ({share}), have recency score {recency} and frequency score {frequency}.",
        patients=reader.number(cell["patients"]),
        share=reader.percent(cell["patients"] / shown["patients"].sum()),
        recency=reader.number(cell["recency_score"]),
        frequency=reader.number(cell["frequency_score"]),
    )


def score_distribution(score_bands: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """How many patients have each score, a panel a measure.

    Parameters
    ----------
    score_bands : pandas.DataFrame
        One row a score of a measure: `measure`, `score`, `patients`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; it is divided into panels. A new figure by default.
    reader : Reader, optional
        Bars of fewer patients than its `min_count` read "< min_count" and have no height.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    shown = mask_small_cells(
        score_bands.assign(height=score_bands["patients"]), columns=["height"], min_count=reader.min_count
    )
    measures = list(score_bands["measure"].unique())
    with drawing():
        if ax is None:
            ax = new_axes(2.1, left=0.1, right=0.1, top=0.3, bottom=0.45)
        ax.set_axis_off()
        width = 1 / len(measures)
        for place, measure in enumerate(measures):
            panel = ax.inset_axes((width * (place + 0.04), 0, width * 0.92, 1))
            bands = shown[shown["measure"] == measure].sort_values("score")
            heights = bands["height"].fillna(0)
            panel.bar(bands["score"], heights, width=0.8, color=line_colour(reader.colour))
            for score, height, patients in zip(bands["score"], heights, bands["patients"], strict=True):
                panel.annotate(
                    reader.count(patients), (score, height), (0, 3), textcoords="offset points", ha="center", fontsize=8
                )
            panel.set(xticks=list(bands["score"]), yticks=[], ylim=(0, 1.15 * max(shown["height"].fillna(0).max(), 1)))
            panel.set_xticklabels([reader.number(score) for score in bands["score"]])
            panel.tick_params(length=0)
            panel.spines["left"].set_visible(False)
            panel.spines["bottom"].set_color(LINE)
            panel.set_title(reader.name("measure", measure), fontsize=9, color=TEXT, pad=8)
            panel.set_xlabel(reader.say("Score"))
    ax.alt_text = " ".join(_bands_in_words(shown, measure, reader) for measure in measures)
    return ax


def _bands_in_words(shown: pd.DataFrame, measure: str, reader: Reader) -> str:
    bands = shown[shown["measure"] == measure].sort_values("score")
    return reader.say(
        "{measure}. Patients by score: {counts}.",
        measure=reader.name("measure", measure),
        counts="; ".join(
            f"{reader.number(score)}: {reader.count(patients)}"
            for score, patients in zip(bands["score"], bands["patients"], strict=True)
        ),
    )
