"""Figures of movement: from which group to which, in a matrix and as flows, and the groups month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.disclosure import mask_small_cells
from rfmkit.present.plots.canvas import LINE, MUTED, PALE, draw_cell, drawing, frame_matrix, new_axes, shade
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from matplotlib.axes import Axes

_NOT_YET = "not_yet"
_MONTHS_BETWEEN_TICKS = 6
#: A name longer than this runs off the sheet; a Chinese character counts twice.
_LONGEST_NAME = 24


def transition_matrix(
    transitions: pd.DataFrame,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    ax: Axes | None = None,
    reader: Reader | None = None,
) -> Axes:
    """How many patients went from which group to which; who stayed stands on the diagonal and has no tint.

    Parameters
    ----------
    transitions : pandas.DataFrame
        One row a pair of groups: `from_segment` ("not_yet" for who had not come yet), `to_segment`, `patients`.
    start, end : datetime.date, optional
        The two days.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        Cells of fewer patients than its `min_count` read "< min_count" and have no tint.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    moved = transitions["patients"].where(transitions["from_segment"] != transitions["to_segment"], 0)
    shown = mask_small_cells(transitions.assign(tint=moved), columns=["tint"], min_count=reader.min_count)
    rows, columns = _states(shown, "from_segment"), _states(shown, "to_segment")
    most = shown["tint"].max()
    with drawing():
        if ax is None:
            ax = new_axes(0.3 * len(rows) + 2.05, left=2.15, right=0.05, top=2.0, bottom=0.05)
        for cell in shown.to_dict("records"):
            if cell["from_segment"] not in rows or cell["to_segment"] not in columns:
                continue
            x, y = columns.index(cell["to_segment"]), len(rows) - 1 - rows.index(cell["from_segment"])
            colour = shade(reader.colour, cell["tint"] / most) if cell["tint"] > 0 else PALE
            draw_cell(ax, x, y, colour, reader.count(cell["patients"]) if cell["patients"] else "", size=8)
        names = [name_of_state(state, reader) for state in columns]
        frame_matrix(
            ax,
            names,
            [name_of_state(state, reader) for state in reversed(rows)],
            xlabel=on_day(reader.say("Group"), end, reader),
            ylabel=on_day(reader.say("Group"), start, reader),
        )
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.set_xticks(range(len(columns)), names, rotation=90, rotation_mode="anchor", ha="left", va="center")
        ax.tick_params(length=0)
    ax.alt_text = _transitions_in_words(shown, reader)
    return ax


def _states(transitions: pd.DataFrame, side: str) -> list[str]:
    """The states of a side in which somebody was, in the scheme's order; who had not come yet last."""
    there = transitions.groupby(side, sort=False)["patients"].sum()
    states = [state for state in there.index if there[state] > 0 or not there.any()]
    return sorted(states, key=lambda state: state == _NOT_YET)


def name_of_state(state: str, reader: Reader) -> str:
    """The name of a group, or of those who have none, cut where it would run off the sheet."""
    name, width = reader.name("segment", state), 0
    for place, sign in enumerate(name):
        width += 2 if ord(sign) > 0x2E7F else 1
        if width > _LONGEST_NAME:
            return name[: place - 1].rstrip() + "…"
    return name


def on_day(word: str, day: dt.date | None, reader: Reader) -> str:
    """A word and the day on which it was so, where there is one."""
    return word if day is None else reader.say("{what}, {date}", what=word, date=reader.date(day))


def _transitions_in_words(shown: pd.DataFrame, reader: Reader) -> str:
    if not shown["patients"].sum():
        return reader.say("There are no patients to show.")
    moves = shown[shown["tint"] > 0].sort_values("tint", ascending=False, kind="stable").head(3)
    stayed = shown["patients"][shown["from_segment"] == shown["to_segment"]].sum()
    known = shown["patients"][shown["from_segment"] != _NOT_YET].sum()
    text = reader.say(
        "{stayed} of {known} patients stayed in their group.",
        stayed=reader.number(stayed),
        known=reader.number(known),
    )
    if len(moves):
        listed = "; ".join(
            reader.say(
                "“{was}” → “{now}”, {patients}",
                was=reader.name("segment", row["from_segment"]),
                now=reader.name("segment", row["to_segment"]),
                patients=reader.plural("{n} patient", "{n} patients", row["patients"]),
            )
            for row in moves.to_dict("records")
        )
        text += " " + reader.say("The largest moves: {moves}.", moves=listed)
    return text


def group_history(history: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """How many patients each group had, month by month, one upon the other.

    Parameters
    ----------
    history : pandas.DataFrame
        One row a month and group, oldest month first: `month` ("2026-10"), `segment`, `colour`, `patients`.
    ax : matplotlib.axes.Axes, optional
        A new figure by default.
    reader : Reader, optional
        English and plain numbers by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    sizes = history.pivot(index="month", columns="segment", values="patients")
    groups = [segment for segment in history["segment"].unique() if sizes[segment].any()]
    colours = dict(zip(history["segment"], history["colour"], strict=True))
    months = list(sizes.index)
    with drawing():
        if ax is None:
            ax = new_axes(3.7, left=0.75, right=2.55, top=0.15, bottom=0.3)
        places = range(len(months))
        layers = [sizes[segment].to_numpy() for segment in groups]
        if layers:
            ax.stackplot(
                places, *layers, colors=[colours[one] for one in groups], edgecolor="white", linewidth=0.6, zorder=2
            )
        ax.set_xlim(0, max(len(months) - 1, 1))
        ax.margins(y=0.02)
        ticks = range(len(months) - 1, -1, -_MONTHS_BETWEEN_TICKS)
        ax.set_xticks(ticks, [reader.short_month(months[tick]) for tick in ticks])
        ax.locator_params(axis="y", nbins=5)
        ax.yaxis.set_major_formatter(lambda value, _: reader.number(value))
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
        ax.spines["left"].set_visible(False)
        # The groups stand beside the layers in their order, from the top.
        for row, segment in enumerate(reversed(groups)):
            at = 1 - (row + 0.5) / max(len(groups), 1)
            ax.plot(1.05, at, marker="s", markersize=7, color=colours[segment], transform=ax.transAxes, clip_on=False)
            label = f"{name_of_state(segment, reader)} · {reader.number(sizes[segment].iloc[-1])}"
            ax.text(1.085, at, label, transform=ax.transAxes, va="center", fontsize=8.5)
    ax.alt_text = _history_in_words(sizes, groups, reader)
    return ax


def _history_in_words(sizes: pd.DataFrame, groups: list[str], reader: Reader) -> str:
    if not groups:
        return reader.say("There are no patients to show.")
    first, last = sizes.index[0], sizes.index[-1]
    listed = "; ".join(
        reader.say(
            "“{name}”, from {before} to {now}",
            name=reader.name("segment", segment),
            before=reader.number(sizes[segment][first]),
            now=reader.number(sizes[segment][last]),
        )
        for segment in groups
    )
    return reader.say(
        "Groups from {first} to {last}: {groups}.",
        first=reader.month(first),
        last=reader.month(last),
        groups=listed,
    )
