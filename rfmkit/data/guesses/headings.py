"""What the heading of a column says that it holds."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import lru_cache
from pathlib import Path

#: How much a phrase of `headings.toml` says.
STRENGTHS = {"sure": 1.0, "likely": 0.8, "perhaps": 0.5}
#: A phrase that is the whole heading says so much more than one in a longer heading.
_WHOLE = 0.7
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
#: Written beside a heading and no part of what it says.
_UNITS = frozenset(
    {
        *("руб", "р", "рублей", "рубли", "коп", "rub", "rur", "eur", "euro", "usd", "cny", "rmb", "gbp", "chf", "kzt"),
        *("тг", "тенге", "byn", "грн", "uah", "元", "人民币", "utc", "gmt", "msk", "мск"),
    }
)
_BY_SIGN = {"№": " номер ", "#": " number ", "%": " % "}


def normalised(heading: str) -> str:
    """A heading's words in lower case, without what is written differently from system to system."""
    for sign, words in _BY_SIGN.items():
        heading = heading.replace(sign, words)
    text = unicodedata.normalize("NFKC", heading)
    text = re.sub("(?<=[a-zа-я])(?=[A-ZА-Я])", " ", text).casefold().replace("ё", "е")
    words = re.findall("%|[^\\W_]+", text)
    words = [word for word in words if word not in _UNITS] or words
    return " ".join(words).replace("e mail", "email")


def meanings(heading: str) -> dict[str, float]:
    """What a heading may mean, from 0 (exclusive) to 1.

    Parameters
    ----------
    heading : str

    Returns
    -------
    dict
        ``"transactions.amount": 0.8`` and so on; a heading may mean several things.
    """
    return _meanings(normalised(heading))


@lru_cache(maxsize=4096)
def _meanings(words: str) -> dict[str, float]:
    scores = {}
    for meaning, phrases in _vocabulary().items():
        score = max((strength * _share(pattern, words) for pattern, strength in phrases), default=0.0)
        if score:
            scores[meaning] = score
    return scores


def known(heading: str) -> bool:
    """Whether a heading is, by and large, one of a phrase's."""
    return max(meanings(heading).values(), default=0.0) >= STRENGTHS["perhaps"]


def language(headings: list[str]) -> str | None:
    """ "zh", "ru" or "en", by the letters of most headings; None where they are neither."""
    text = "".join(headings)
    han, cyrillic = len(_HAN.findall(text)), len(_CYRILLIC.findall(text))
    latin = len(re.findall("[A-Za-z]", text))
    if not han + cyrillic + latin:
        return None
    # A Chinese word has a sign or two where others have a dozen letters.
    return max((3 * han, "zh"), (cyrillic, "ru"), (latin, "en"))[1]


@lru_cache(maxsize=1)
def words_of_headings() -> frozenset[str]:
    """All words that headings are made of."""
    return frozenset(
        word.removesuffix("*") for phrases in _phrases().values() for phrase, _ in phrases for word in phrase.split()
    )


def _share(pattern: re.Pattern, words: str) -> float:
    """How much of a heading a phrase is; 0 where it does not stand there."""
    found = pattern.search(words)
    if not found:
        return 0.0
    covered = len(found[0].replace(" ", "")) / len(words.replace(" ", ""))
    return 1 - _WHOLE * (1 - covered)


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, list[tuple[re.Pattern, float]]]:
    return {
        meaning: [(_pattern(phrase), strength) for phrase, strength in phrases]
        for meaning, phrases in _phrases().items()
    }


@lru_cache(maxsize=1)
def _phrases() -> dict[str, list[tuple[str, float]]]:
    document = tomllib.loads(Path(__file__).with_name("headings.toml").read_text(encoding="utf-8"))
    return {
        f"{part}.{key}": [(phrase, STRENGTHS[name]) for name, phrases in lists.items() for phrase in phrases]
        for part, keys in document.items()
        for key, lists in keys.items()
    }


def _pattern(phrase: str) -> re.Pattern:
    """Chinese is written without blanks, so there a phrase may stand anywhere in a word."""
    body = re.escape(phrase).replace(r"\*", r"[^\W_]*").replace(r"\ ", " ")
    return re.compile(body if _HAN.search(phrase) else rf"(?<![^\W_]){body}(?![^\W_])")
