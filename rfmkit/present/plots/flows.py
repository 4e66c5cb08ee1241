"""A figure of flows: the patients who changed groups, as bands from where they were to where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.plots.canvas import GREY, MUTED, drawing, new_axes
from rfmkit.present.plots.movement import name_of_state, on_day
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from matplotlib.axes import Axes

_NOT_YET, _INACTIVE = "not_yet", "inactive"
#: The joined groups; no key of a scheme can be written so.
_OTHER = "(other)"
#: Shares of the height: the gap between two groups, and the least that a group takes, so that its name has room.
_GAP, _LEAST = 0.012, 0.045
_BAR = 0.022


def movement_flows(
    transitions: pd.DataFrame,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    most: int = 6,
    ax: Axes | None = None,
    reader: Reader | None = None,
) -> Axes:
    """The patients who changed groups, as bands from the group they were in to the one they are in.

    Parameters
    ----------
    transitions : pandas.DataFrame
        One row a pair of groups: `from_segment` ("not_yet" for who had not come yet), `to_segment`, `patients`, and the
        `colour` of `from_segment`.
    start, end : datetime.date, optional
        The two days.
    most : int, default 6
        How many groups are shown by themselves, those with the most moves; the others are joined.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    reader : Reader, optional
        Bands of fewer patients than its `min_count` are all equally wide, and such numbers read "< min_count".

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    moves = _joined(transitions, most)
    # What may not be told is not to be measured on the figure either.
    small = moves["patients"] < reader.min_count
    moves = moves.assign(width=moves["patients"].astype("float64").where(~small, reader.min_count / 2))
    colours = {**dict(zip(transitions["from_segment"], transitions["colour"], strict=True)), _OTHER: GREY}
    sides = [_order(moves, side, transitions) for side in ("from_segment", "to_segment")]
    with drawing():
        if ax is None:
            ax = new_axes(4.6, left=2.1, right=2.1, top=0.4, bottom=0.05)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.set_axis_off()
        if len(moves):
            bars = _bars(moves, sides)
            _draw_bands(ax, moves, bars, sides, colours)
            for place, (side, states) in enumerate(zip(("from_segment", "to_segment"), sides, strict=True)):
                patients = moves.groupby(side)["patients"].sum()
                for state in states:
                    _draw_bar(ax, place, bars[place][state], colours[state])
                    label = f"{_named(state, reader)} · {reader.count(patients[state])}"
                    at = ((-0.02, "right"), (1.02, "left"))[place]
                    ax.text(at[0], sum(bars[place][state]) / 2, label, ha=at[1], va="center", fontsize=8.5)
        for at, where, day in ((0, "right", start), (1, "left", end)):
            offset = {"xytext": (8 * (2 * at - 1), 12), "textcoords": "offset points", "annotation_clip": False}
            heading = on_day(reader.say("Group"), day, reader)
            ax.annotate(heading, (at, 1), ha=where, va="center", color=MUTED, **offset)
    ax.alt_text = _flows_in_words(moves, reader)
    return ax


def _joined(transitions: pd.DataFrame, most: int) -> pd.DataFrame:
    """Who changed groups, by pairs of groups, with all but the `most` moved groups as one."""
    moved = transitions[transitions["from_segment"] != transitions["to_segment"]]
    sides = ["from_segment", "to_segment"]
    volume = sum(
        moved.groupby(side)["patients"].sum().reindex(moved[sides].stack().unique(), fill_value=0) for side in sides
    )
    groups = volume.drop(index=[_NOT_YET, _INACTIVE], errors="ignore").sort_values(ascending=False, kind="stable")
    joined = list(groups.index[most:]) if len(groups) > most + 1 else []
    moves = moved.assign(**{side: moved[side].where(~moved[side].isin(joined), _OTHER) for side in sides})
    moves = moves[moves["from_segment"] != moves["to_segment"]]
    moves = moves.groupby(sides, sort=False, as_index=False)["patients"].sum()
    return moves[moves["patients"] > 0].reset_index(drop=True)


def _order(moves: pd.DataFrame, side: str, transitions: pd.DataFrame) -> list[str]:
    """The states of a side from the top: in the scheme's order, the joined ones, then who has no group."""
    scheme = list(transitions["to_segment"].unique())
    last = [_OTHER, _INACTIVE, _NOT_YET]
    order = [*(one for one in scheme if one not in last), *last]
    there = set(moves[side])
    return [state for state in order if state in there]


def _bars(moves: pd.DataFrame, sides: list[list[str]]) -> list[dict[str, tuple[float, float]]]:
    """Where the bar of each state lies, (bottom, top), on both sides in the same scale."""
    widths = [moves.groupby(side)["width"].sum() for side in ("from_segment", "to_segment")]
    scale = min(_scale([width[state] for state in states]) for width, states in zip(widths, sides, strict=True))
    placed = []
    for width, states in zip(widths, sides, strict=True):
        slots = [max(scale * width[state], _LEAST) for state in states]
        top = 1 - (1 - sum(slots) - _GAP * (len(slots) - 1)) / 2
        bars = {}
        for state, slot in zip(states, slots, strict=True):
            middle, half = top - slot / 2, scale * width[state] / 2
            bars[state] = (middle - half, middle + half)
            top -= slot + _GAP
        placed.append(bars)
    return placed


def _scale(widths: list[float]) -> float:
    """The largest scale in which bars, none lower than the least, fill the height and no more."""
    low, high = 0.0, 1 / sum(widths)
    room = 1 - _GAP * (len(widths) - 1)
    for _ in range(50):
        middle = (low + high) / 2
        fits = sum(max(middle * width, _LEAST) for width in widths) <= room
        low, high = (middle, high) if fits else (low, middle)
    return low


def _draw_bar(ax: Axes, side: int, bar: tuple[float, float], colour: str) -> None:
    from matplotlib.patches import Rectangle

    bottom, top = bar
    ax.add_patch(Rectangle((side * (1 - _BAR), bottom), _BAR, top - bottom, facecolor=colour, linewidth=0))


def _draw_bands(ax: Axes, moves: pd.DataFrame, bars: list[dict], sides: list[list[str]], colours: dict) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    widths = {(row.from_segment, row.to_segment): row.width for row in moves.itertuples()}
    total = moves["width"].sum()
    scale = sum(top - bottom for bottom, top in bars[0].values()) / total
    tops = [{state: top for state, (_, top) in side.items()} for side in bars]
    curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    for was in sides[0]:
        for now in sides[1]:
            height = scale * widths.get((was, now), 0)
            if not height:
                continue
            (y0, y1), x0, x1 = (tops[0][was], tops[1][now]), _BAR, 1 - _BAR
            tops[0][was], tops[1][now] = y0 - height, y1 - height
            upper = [(x0, y0), (0.5, y0), (0.5, y1), (x1, y1)]
            lower = [(x1, y1 - height), (0.5, y1 - height), (0.5, y0 - height), (x0, y0 - height)]
            shape = Path([*upper, *lower, upper[0]], curve)
            ax.add_patch(PathPatch(shape, facecolor=colours[was], alpha=0.45, linewidth=0))


def _named(state: str, reader: Reader) -> str:
    return reader.say("Other groups") if state == _OTHER else name_of_state(state, reader)


def _flows_in_words(moves: pd.DataFrame, reader: Reader) -> str:
    told = moves[moves["patients"] >= reader.min_count].sort_values("patients", ascending=False, kind="stable").head(5)
    if not len(told):
        return reader.say("There are no moves to show.")
    listed = "; ".join(
        reader.say(
            "“{was}” → “{now}”, {patients}",
            was=_named(row["from_segment"], reader),
            now=_named(row["to_segment"], reader),
            patients=reader.plural("{n} patient", "{n} patients", row["patients"]),
        )
        for row in told.to_dict("records")
    )
    return reader.say("The largest moves: {moves}.", moves=listed)
