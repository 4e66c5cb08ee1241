"""Text that people have typed, made such that no spreadsheet calculates it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rfmkit.publish.columnwise import texts_of

if TYPE_CHECKING:
    import pandas as pd

#: What makes a spreadsheet take a cell for a formula, also in full width, and what it may look past before that.
_FORMULA, _BEFORE = "=+\\-@\t\r\n＝＋－＠", "\\s\"'`´‘’“”„«»\u200b\u200e\u200f\u2060\ufeff"
_BEGINS = re.compile(f"[{_BEFORE}]*[{_FORMULA}]")
#: A reader who takes another sign for the delimiter sees the rest of the text as a cell of its own.
_BEHIND_DELIMITER = re.compile(f"([,;|])(?=[{_BEFORE}]*[{_FORMULA}])")
_CONTROL = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_LONGEST = 500
#: Where the functions below may change a text, and in few other places: engines of expressions that take whole columns
#: look at nothing behind a sign, and know fewer blanks than Python does. Nothing looked past is a letter or a digit.
_SIGNS = "(^|[^\\pL\\pN._])[=+\\-@＝＋－＠]"
_MAYBE_HARMFUL = f"{_SIGNS}|[\\x00-\\x1f]"
_MAYBE_LINES = "[\\x00-\\x1f\\x7f-\\x{9f}\\x{2028}\\x{2029}]"
_E164 = "^\\+[1-9][0-9]{5,14}$"


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


def each_harmless(texts: pd.Series) -> pd.Series:
    """`harmless` of every text; what is missing stays so."""
    return _changed(texts, _MAYBE_HARMFUL, harmless)


def each_on_one_line(texts: pd.Series) -> pd.Series:
    """`on_one_line` of every text; what is missing stays so."""
    return _changed(texts, _MAYBE_LINES, on_one_line, longest=_LONGEST)


def each_harmless_line(texts: pd.Series) -> pd.Series:
    """`harmless_line` of every text but phones in E.164: a plus and digits are no formula. What is missing stays so."""
    return _changed(texts, f"{_SIGNS}|{_MAYBE_LINES}", harmless_line, longest=_LONGEST, never=_E164)


def _changed(
    texts: pd.Series, maybe: str, change: Callable[[str], str], *, longest: int | None = None, never: str | None = None
) -> pd.Series:
    """Change the few texts that may need it: of a hundred thousand, hardly any do."""
    import pyarrow.compute as pc

    texts = texts.astype("str")
    known = texts_of(texts)
    found = pc.match_substring_regex(known, maybe)
    if longest is not None:
        found = pc.or_(found, pc.greater(pc.utf8_length(known), longest))
    if never is not None:
        found = pc.and_not(found, pc.match_substring_regex(known, never))
    found = found.fill_null(False).to_numpy(zero_copy_only=False)
    if found.any():
        texts = texts.copy()
        texts[found] = texts[found].map(change)
    return texts
