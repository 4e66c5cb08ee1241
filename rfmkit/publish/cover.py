"""What the first page of a report shows: whose it is, for which month, and the five headline numbers."""

from __future__ import annotations

import base64
import colorsys
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.present.wording import Reader

#: How a headline number is written: its digits, and whether its change is counted in percentage points.
_MONEY, _RATES = {"revenue": 0, "aov": 0}, {"rpr", "crr"}
_SMALLEST_SHOWN = 0.0005
_READABLE = 4.5


@dataclass(frozen=True)
class Change:
    """How a number moved: `direction` is "up", "down", "same" or "unknown"; `text` says how much, signed."""

    label: str
    direction: str
    text: str
    words: str


@dataclass(frozen=True)
class Card:
    """One headline number with its changes."""

    label: str
    value: str
    changes: tuple[Change, ...]


def headline_cards(headline: pd.DataFrame, *, reader: Reader) -> list[Card]:
    """Word the headline numbers.

    Parameters
    ----------
    headline : pandas.DataFrame
        ``metric, value, last_month, last_year``; NaN where a number is not known.
    reader : Reader
        For whom.
    """
    cards = []
    for row in headline.itertuples(index=False):
        changes = (
            _change(row.metric, row.value, row.last_month, reader.say("on last month"), reader),
            _change(row.metric, row.value, row.last_year, reader.say("on last year"), reader),
        )
        cards.append(Card(reader.name("metric", row.metric), _value(row.metric, row.value, reader), changes))
    return cards


def _value(metric: str, value: float, reader: Reader) -> str:
    if metric in _RATES:
        return reader.percent(value)
    return reader.money(value) if metric in _MONEY else reader.number(value)


def _change(metric: str, value: float, before: float, label: str, reader: Reader) -> Change:
    """A rate changes by percentage points, everything else by a share of what it was."""
    if not _known(value) or not _known(before) or (metric not in _RATES and before <= 0):
        return Change(label, "unknown", reader.number(None), reader.say("not known"))
    change = value - before if metric in _RATES else value / before - 1
    text = reader.points(value, before) if metric in _RATES else reader.change(value, before)
    if abs(change) < _SMALLEST_SHOWN:
        return Change(label, "same", text, reader.say("unchanged"))
    if change > 0:
        return Change(label, "up", text, reader.say("up"))
    return Change(label, "down", text, reader.say("down"))


def _known(value: float) -> bool:
    return value is not None and math.isfinite(value)


def logo_uri(path: Path) -> str:
    """A logo as a data URI, so that the page needs no second file."""
    kind = "png" if path.suffix.lower() == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def readable(colour: str) -> str:
    """The colour itself where it can be read as text on white, else the lightest darker shade of it that can.

    Parameters
    ----------
    colour : str
        ``#rrggbb``.
    """
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    while 1.05 / (_luminance(red, green, blue) + 0.05) < _READABLE:
        lightness -= 0.01
        red, green, blue = colorsys.hls_to_rgb(hue, max(lightness, 0), saturation)
    return "#" + "".join(f"{int(part * 255):02x}" for part in (red, green, blue))


def _luminance(*parts: float) -> float:
    """Relative luminance as the accessibility guidelines (WCAG 2) define it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
