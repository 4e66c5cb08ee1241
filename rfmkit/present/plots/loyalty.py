"""Figures of the months: what they brought, and how the three rates moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.plots.canvas import GREY, LINE, MUTED, TEXT, drawing, line_colour, new_axes, tint
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_METRICS = ("rpr", "aov", "crr")
_MONTHS_BETWEEN_TICKS = 6
_YEAR = 12
#: The least that an axis spans, as a share of the highest value: small ripples stay small.
_LEAST_SPAN = 0.2


def revenue_history(history: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """The revenue of each month; the last one and the same month a year before stand out.

    Parameters
    ----------
    history : pandas.DataFrame
        One row a month, oldest first: `month` ("2026-10"), `revenue`.
    ax : matplotlib.axes.Axes, optional
        A new figure by default.
    reader : Reader, optional
        English and plain numbers by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    values = history["revenue"].reset_index(drop=True)
    last = len(values) - 1
    named = {last: line_colour(reader.colour)}
    if last >= _YEAR:
        named[last - _YEAR] = tint(line_colour(reader.colour), 0.55)
    with drawing():
        if ax is None:
            ax = new_axes(2.3, left=0.75, right=0.85, top=0.4, bottom=0.3)
        ax.bar(values.index, values, width=0.72, color=[named.get(place, tint(GREY, 0.6)) for place in values.index])
        for place in named:
            above = {"xytext": (0, 7), "textcoords": "offset points", "annotation_clip": False}
            # A label is wider than its bar: it stands above the neighbours too.
            height = values[max(place - 1, 0) : place + 2].max()
            ax.annotate(reader.short_money(values[place]), (place, height), ha="center", va="center", **above)
        ax.set(xlim=(-0.6, last + 0.6))
        ax.locator_params(axis="y", nbins=4)
        ax.yaxis.set_major_formatter(lambda value, _: reader.short_money(value))
        ax.set_axisbelow(True)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
        ax.spines["left"].set_visible(False)
        _name_months(ax, history, reader)
        _title(ax, reader.name("metric", "revenue"))
    ax.alt_text = _revenue_in_words(history, reader)
    return ax


def _revenue_in_words(history: pd.DataFrame, reader: Reader) -> str:
    last = history.iloc[-1]
    words = {"revenue": reader.money(last["revenue"]), "month": reader.month(last["month"])}
    if len(history) <= _YEAR:
        return reader.say("Revenue: {revenue} in {month}.", **words)
    before = history.iloc[-1 - _YEAR]
    return reader.say(
        "Revenue: {revenue} in {month}, {before} a year before.", before=reader.money(before["revenue"]), **words
    )


def loyalty_history(history: pd.DataFrame, *, ax: Axes | None = None, reader: Reader | None = None) -> Axes:
    """The repeat purchase rate, the average visit and the retention rate, month by month.

    Parameters
    ----------
    history : pandas.DataFrame
        One row a month, oldest first: `month` ("2026-10"), `rpr`, `aov`, `crr`; NaN where unknown leaves a gap, and a
        rate that is never known has no panel.
    ax : matplotlib.axes.Axes, optional
        Where to draw; it is divided into panels. A new figure by default.
    reader : Reader, optional
        English and plain numbers by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    reader = reader or Reader()
    known = [metric for metric in _METRICS if history[metric].notna().any()]
    with drawing():
        if ax is None:
            ax = new_axes(1.35 * max(len(known), 1) + 0.35, left=0.75, right=0.85, top=0.05, bottom=0.3)
        ax.set_axis_off()
        for place, metric in enumerate(known):
            last = place == len(known) - 1
            panel = ax.inset_axes((0, 1 - (place + 1) / len(known), 1, 0.72 / len(known)))
            _draw_rate(panel, history, metric, reader)
            _name_months(panel, history, reader if last else None)
    ax.alt_text = " ".join(_rate_in_words(history, metric, reader) for metric in known) or reader.say(
        "There are no visits to show."
    )
    return ax


def _write(metric: str, value: float, reader: Reader, digits: int) -> str:
    return reader.money(value) if metric == "aov" else reader.percent(value, digits)


def _draw_rate(panel: Axes, history: pd.DataFrame, metric: str, reader: Reader) -> None:
    values = history[metric].reset_index(drop=True)
    colour = line_colour(reader.colour)
    panel.plot(values.index, values, color=colour)
    end = values.last_valid_index()
    panel.plot([end], [values[end]], marker="o", markersize=5, color=colour)
    panel.annotate(
        _write(metric, values[end], reader, 1),
        (end, values[end]),
        (8, 0),
        textcoords="offset points",
        va="center",
        weight="bold",
        annotation_clip=False,
    )
    middle = (values.max() + values.min()) / 2
    half = 0.62 * max(values.max() - values.min(), _LEAST_SPAN * abs(values.max()), 1e-9)
    panel.set(xlim=(-0.3, len(values) - 0.7), ylim=(middle - half, middle + half))
    panel.locator_params(axis="y", nbins=3)
    panel.yaxis.set_major_formatter(lambda value, _: _write(metric, value, reader, 0))
    panel.grid(axis="y", color=LINE, linewidth=0.8)
    panel.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    panel.spines["left"].set_visible(False)
    _title(panel, reader.name("metric", metric))


def _title(panel: Axes, text: str) -> None:
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    panel.annotate(text, (0, 1), (0, 8), va="center", color=TEXT, **place)


def _name_months(panel: Axes, history: pd.DataFrame, reader: Reader | None) -> None:
    """Ticks that count back from the last month; only the lowest panel names them."""
    months = list(history["month"])
    ticks = range(len(months) - 1, -1, -_MONTHS_BETWEEN_TICKS)
    panel.set_xticks(ticks, [reader.short_month(months[tick]) if reader else "" for tick in ticks])


def _rate_in_words(history: pd.DataFrame, metric: str, reader: Reader) -> str:
    known = history.dropna(subset=metric)
    first, last = known.iloc[0], known.iloc[-1]
    return reader.say(
        "{metric}: {first} in {first_month}, {last} in {last_month}.",
        metric=reader.name("metric", metric),
        first=_write(metric, first[metric], reader, 1),
        first_month=reader.month(first["month"]),
        last=_write(metric, last[metric], reader, 1),
        last_month=reader.month(last["month"]),
    )
