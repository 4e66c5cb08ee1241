"""Text that people have typed, made such that no spreadsheet calculates it."""

from __future__ import annotations

import re

#: What makes a spreadsheet take a cell for a formula, also in full width, and what it may look past before that.
_FORMULA, _BEFORE = "=+\\-@\t\r\n＝＋－＠", "\\s\"'`´‘’“”„«»\u200b\u200e\u200f\u2060\ufeff"
_BEGINS = re.compile(f"[{_BEFORE}]*[{_FORMULA}]")
#: A reader who takes another sign for the delimiter sees the rest of the text as a cell of its own.
_BEHIND_DELIMITER = re.compile(f"([,;|])(?=[{_BEFORE}]*[{_FORMULA}])")
_CONTROL = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_LONGEST = 500


def harmless(text: str) -> str:
    """The text with an apostrophe before it where it looks like a formula; nothing else of it changes.

    Examples
    --------
    >>> harmless("=1+1"), harmless(' "=1+1"'), harmless("Anna-Maria")
    ("'=1+1", '\\' "=1+1"', 'Anna-Maria')
    """
    text = text.replace("\0", "")
    return f"'{text}" if _BEGINS.match(text) else text


def on_one_line(text: str) -> str:
    """The text without line breaks and other control characters, and of a bounded length."""
    return _CONTROL.sub(" ", text)[:_LONGEST]


def harmless_line(text: str) -> str:
    """The text on one line, harmless as a cell and also behind whatever a reader may take for the delimiter.

    Examples
    --------
    >>> harmless_line("Smith;=1+1\tAnna")
    "Smith;'=1+1 Anna"
    """
    # Before control characters become blanks: a tab at the beginning is a sign of a formula too.
    return on_one_line(harmless(_BEHIND_DELIMITER.sub(r"\1'", text)))
