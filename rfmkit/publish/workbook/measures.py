"""How much room a text takes in a sheet: in signs of the usual width, and in lines."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from rfmkit.publish.columnwise import texts_of

if TYPE_CHECKING:
    import pandas as pd

#: The height of a line, in points: Chinese type needs more than the usual 15.
LINE = 16.5
#: Excel draws a filter's button over the end of a heading: numbers' headings end so many signs before it.
BUTTON = 2
_BOLD, _PLAIN = 1.15, 1.1
_NARROWEST = 11
_BEFORE_CHINESE, _CHINESE = 0x2E7F, r"[\x{2e80}-\x{10ffff}]"
#: A Chinese line breaks at any sign, others between words.
_WORDS = re.compile(r"[^\s\u2e80-\uffff]+|[\u2e80-\uffff]")


def width(text: str) -> int:
    """Columns a text takes: a Chinese character takes two."""
    return sum(2 if ord(sign) > _BEFORE_CHINESE else 1 for sign in text)


def widest(texts: pd.Series) -> int:
    """Columns that the widest text of many takes."""
    import pyarrow.compute as pc

    known = texts_of(texts)
    return pc.max(pc.add(pc.utf8_length(known), pc.count_substring_regex(known, _CHINESE))).as_py() or 0


def heading_width(heading: str) -> int:
    """Columns that a heading needs: it takes two lines or three, but no word of it is broken.

    Examples
    --------
    >>> heading_width("Group"), heading_width("Incomprehensibilities")
    (11, 28)
    """
    longest = max(map(width, _WORDS.findall(heading)), default=0)
    return max(_NARROWEST, math.ceil(width(heading) * 0.8) + BUTTON, math.ceil(longest * _BOLD) + BUTTON + 1)


def heading_lines(heading: str, room: float) -> int:
    """Lines that a heading takes in a column of so many signs."""
    return _lines(heading, room - BUTTON, _BOLD)


def lines(text: str, room: float) -> int:
    """Lines that a text takes in a column, or columns, of so many signs."""
    return _lines(text, room, _PLAIN)


def _lines(text: str, room: float, wide: float) -> int:
    count, taken = 1, 0.0
    for word in _WORDS.findall(text):
        size = width(word) * wide
        if taken and taken + size > room:
            count, taken = count + 1, 0.0
        taken += size + (ord(word[0]) <= _BEFORE_CHINESE)
    return count
