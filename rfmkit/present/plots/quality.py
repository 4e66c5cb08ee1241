"""Figures of what the data can say: the visits of every month, and where some may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.plots.canvas import GREY, LINE, MUTED, TEXT, drawing, line_colour, name_mark, new_axes, tint
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Points between the two names above the figure.
_SECOND_NAME = 150
#: Numbers above the bars of more months than these would run into each other.
_MOST_NUMBERED = 72
#: Months are named every so many, by how many there are.
_NAMED_EVERY = ((24, 6), (72, 12), (180, 24))
_SELDOM_NAMED = 60


def visit_volume(volume: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """The visits of each month; months with open days without a visit stand out, with the number of such days.

    Parameters
    ----------
    volume : pandas.DataFrame
        One row a month, oldest first: `month` ("2026-10"), `visits`, `days_without_visits`.
    ax : matplotlib.axes.Axes, optional
        A new figure by default.
    reader : Reader, optional
        English by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    months = volume.reset_index(drop=True)
    marked, plain = line_colour(reader.colour), tint(GREY, 0.6)
    days = months["days_without_visits"]
    with drawing():
        if ax is None:
            ax = new_axes(2.5, left=0.6, right=0.35, top=0.45, bottom=0.3)
        ax.bar(months.index, months["visits"], width=0.72, color=[marked if count else plain for count in days])
        if len(months) <= _MOST_NUMBERED:
            for place, row in months[days > 0].iterrows():
                above = {"xytext": (0, 6), "textcoords": "offset points", "annotation_clip": False}
                number = reader.number(row["days_without_visits"])
                ax.annotate(number, (place, row["visits"]), ha="center", va="center", fontsize=8, color=TEXT, **above)
        ax.set(xlim=(-0.7, len(months) - 0.3), ylim=(0, 1.12 * max([1, *months["visits"]])))
        ax.locator_params(axis="y", nbins=4, integer=True)
        ax.yaxis.set_major_formatter(lambda value, _: reader.number(value))
        ax.set_axisbelow(True)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
        ax.spines["left"].set_visible(False)
        every = next((step for most, step in _NAMED_EVERY if len(months) <= most), _SELDOM_NAMED)
        ticks = range(len(months) - 1, -1, -every)
        ax.set_xticks(ticks, [reader.short_month(months["month"][tick]) for tick in ticks])
        name_mark(ax, "s", plain, reader.say("Visits in the month"), offset=0)
        if days.any():
            label = reader.say("with working days without a visit; above, how many such days")
            name_mark(ax, "s", marked, label, offset=_SECOND_NAME)
    ax.alt_text = _volume_in_words(months, reader)
    return ax


def _volume_in_words(months: pd.DataFrame, reader: Reader) -> str:
    if not len(months):
        return reader.say("There are no visits to show.")
    first, last = months.iloc[0], months.iloc[-1]
    text = reader.say(
        "Visits a month from {first} to {last}: {usual} in a usual month, {latest} in the last one.",
        first=reader.month(first["month"]),
        last=reader.month(last["month"]),
        usual=reader.number(months["visits"].median()),
        latest=reader.number(last["visits"]),
    )
    without = months[months["days_without_visits"] > 0]
    if not len(without):
        return f"{text} {reader.say('There are no working days without a visit.')}"
    most = without.loc[without["days_without_visits"].idxmax()]
    return f"{text} " + reader.say(
        "Working days without a visit: {days} in {months}; the most, {most}, in {month}.",
        days=reader.number(without["days_without_visits"].sum()),
        months=reader.months(len(without)),
        most=reader.number(most["days_without_visits"]),
        month=reader.month(most["month"]),
    )
