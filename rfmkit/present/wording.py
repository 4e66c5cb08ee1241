"""Words, numbers, money and dates in the reader's own language."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import gettext
import io
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_interval, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    get_currency_precision,
    get_currency_symbol,
    get_plus_sign_symbol,
)

from rfmkit.errors import NotEnoughData

#: A folder a language; the header `Language` of its catalogue names the CLDR locale of its numbers and dates.
LOCALES = Path(__file__).parent / "locales"

#: Stands where there is no value.
MISSING = "–"
_CENTS_BELOW = 100
#: Keeps the signs beside it on one line, and is not seen.
JOINER = "\N{WORD JOINER}"
#: Where a line could break: on either side of a Chinese sign or a dash.
_BREAKS = re.compile(r"(?<=[–\u2e80-\uffff])(?=.)|(?<=.)(?=[–\u2e80-\uffff])")


@functools.cache
def _known() -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in LOCALES.iterdir() if (folder / "messages.po").is_file()))


@functools.cache
def _catalogue(locale: str) -> tuple[Locale, gettext.GNUTranslations]:
    with (LOCALES / locale / "messages.po").open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    # Compiled in memory: a compiled file beside its source would sooner or later be older than it.
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return catalogue.locale, gettext.GNUTranslations(compiled)


def paragraphs(source: str) -> list[tuple[str, str]]:
    """The paragraphs of a markdown text, each as (mark, text): the mark of a heading is no part of its words.

    Examples
    --------
    >>> paragraphs("## Who comes\\n\\nThey all do.")
    [('## ', 'Who comes'), ('', 'They all do.')]
    """
    found = []
    for block in re.split(r"\n\s*\n", source.strip()):
        heading = re.fullmatch(r"(#{1,6} +)(.+)", block.strip())
        found.append((heading[1], heading[2].strip()) if heading else ("", block.strip()))
    return found


@dataclass(frozen=True)
class Reader:
    """Who reads: language, currency, the smallest group they may see, and the accent of their figures.

    Parameters
    ----------
    locale : str, default "en"
        A folder of ``present/locales``.
    currency : str, optional
        Three letters; without it money is a plain number.
    min_count : int, default 0
        Cells of fewer patients read "< min_count"; 0 hides nothing.
    colour : str, default "#1f5f8b"
        The accent, "#rrggbb".
    own : mapping, optional
        Words of the clinic's own, before those of the catalogue: (kind, key) → text.

    Examples
    --------
    >>> Reader(currency="EUR").money(1234567)
    '€1,234,567'
    >>> Reader("zh").plural("{n} patient", "{n} patients", 21)
    '21位客户'
    """

    locale: str = "en"
    currency: str | None = None
    min_count: int = 0
    colour: str = "#1f5f8b"
    own: Mapping[tuple[str, str], str] = field(default_factory=dict, hash=False)

    def __post_init__(self):
        if self.locale not in _known():
            raise ValueError(f"unknown locale {self.locale!r}; known are {', '.join(_known())}")

    @property
    def _cldr(self) -> Locale:
        return _catalogue(self.locale)[0]

    @property
    def _texts(self) -> gettext.GNUTranslations:
        return _catalogue(self.locale)[1]

    @property
    def language(self) -> str:
        """The language as HTML and SVG name it: "en-GB", "ru", "zh-Hans-CN"."""
        return str(self._cldr).replace("_", "-")

    # Words

    def say(self, message: str, /, **values: str) -> str:
        """An English sentence in the reader's language; `values` come formatted."""
        return self._texts.gettext(message).format(**values)

    def plural(self, one: str, many: str, n: int, /, **values: str) -> str:
        """The form of a sentence that suits `n`; ``{n}`` in it is the number."""
        return self._texts.ngettext(one, many, int(n)).format(n=self.number(n), **values)

    def name(self, kind: str, key: str, /, n: int | None = None) -> str:
        """The word for a key: a segment, a column, a metric.

        A key that no catalogue knows is shown as it is written, since a clinic's own scheme brings its own keys.
        """
        return self.words(kind, key, n) or key.replace("_", " ")

    def words(self, kind: str, key: str, /, n: int | None = None) -> str:
        """The text for a key, or nothing where there is none; with `n`, in the form that suits it."""
        if (kind, key) in self.own:
            return self.own[kind, key]
        found = self._texts.npgettext(kind, key, key, int(n)) if n is not None else key
        if found == key:
            found = self._texts.pgettext(kind, key)
        if found == key:
            return ""
        return found if n is None else found.format(n=self.number(n))

    def reason(self, error: NotEnoughData) -> str:
        """Why a part cannot be computed, for the clinic's owner."""
        counts = [value for value in error.numbers.values() if isinstance(value, numbers.Integral)]
        text = self._texts.npgettext("reason", error.code, error.code, int(counts[0])) if counts else error.code
        if text == error.code:
            text = self._texts.pgettext("reason", error.code)
        if text == error.code:
            return str(error)
        return text.format(**{key: self._spoken(key, value) for key, value in error.numbers.items()})

    def _spoken(self, key: str, value: object) -> str:
        if key == "model":
            return self.name("model", str(value))
        if isinstance(value, dt.date):
            return self.date(value)
        if isinstance(value, numbers.Real):
            return self.number(value, 0 if isinstance(value, numbers.Integral) else 2)
        return str(value)

    def markdown(self, source: str) -> str:
        """A notebook's prose, paragraph by paragraph, in the reader's language."""
        return "\n\n".join(mark + self._texts.gettext(text) for mark, text in paragraphs(source))

    def cohort(self, key: str) -> str:
        """The name of a cohort, whose key says it: ``female_18_34``, ``male_55``, ``age_0_17``, ``female``.

        Its ages stay on one line.
        """
        sex, _, band = key.partition("_")
        low, _, high = band.partition("_")
        if not low.isdigit():
            return self.name("cohort", key)
        if not high:
            ages = self.say("{age} and over", age=self.number(int(low)))
        elif low == "0":
            ages = self.say("under {age}", age=self.number(int(high) + 1))
        else:
            ages = self.say("{low} to {high} years", low=self.number(int(low)), high=self.number(int(high)))
        ages = _unbroken(ages)
        return ages if sex == "age" else self.say("{sex}, {ages}", sex=self.name("cohort", sex), ages=ages)

    # Numbers

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with so many decimals."""
        return self._written(self._cldr.decimal_formats[None], value, digits)

    def percent(self, value: float | None, digits: int = 1) -> str:
        """A share, of 1."""
        return self._written(self._cldr.percent_formats[None], value, digits, shift=2)

    def money(self, value: float | None, digits: int | None = None) -> str:
        """A sum in the clinic's currency; by default with cents where they matter, as `cents` says."""
        digits = self.cents([value]) if digits is None else digits
        if self.currency is None:
            return self.number(value, digits)
        pattern = copy.copy(self._cldr.currency_formats["standard"])
        if get_currency_symbol(self.currency, self._cldr)[-1].isalpha():
            # CLDR parts letters from the number ("RUB 12"); Babel leaves that to its callers.
            pattern.prefix = tuple(re.sub("¤$", "¤\N{NO-BREAK SPACE}", prefix) for prefix in pattern.prefix)
        return self._written(pattern, value, digits)

    def cents(self, values: Iterable[float | None]) -> int:
        """How many decimals suit sums that stand together: none, or the currency's where all of them are below 100."""
        largest = max((abs(value) for value in values if not _is_missing(value)), default=0)
        if not 0 < largest < _CENTS_BELOW:
            return 0
        return get_currency_precision(self.currency) if self.currency else 2

    def short_money(self, value: float | None) -> str:
        """A sum for the axis of a figure: "€1.2M"."""
        if _is_missing(value):
            return MISSING
        digits = 0 if abs(value) < 1000 else 1
        if self.currency is None:
            return format_compact_decimal(_tidy(value, digits), locale=self._cldr, fraction_digits=digits)
        return format_compact_currency(_tidy(value, digits), self.currency, locale=self._cldr, fraction_digits=digits)

    def gain(self, value: float | None, digits: int | None = None) -> str:
        """A sum that was gained or, below 0, lost: signed."""
        if _is_missing(value):
            return MISSING
        return self._signed(value, self.money, digits=self.cents([value]) if digits is None else digits)

    def change(self, value: float | None, before: float | None) -> str:
        """How much more `value` is than `before`, as a signed share of it."""
        if _is_missing(value) or _is_missing(before) or not before:
            return MISSING
        return self._signed(value / before - 1, self.percent, digits=1, shift=2)

    def points(self, value: float | None, before: float | None) -> str:
        """How many percentage points `value` lies above `before`."""
        if _is_missing(value) or _is_missing(before):
            return MISSING
        return self.say("{number} pp", number=self._signed(100 * (value - before), self.number, digits=1))

    def count(self, patients: float | None, of: float | None = None) -> str:
        """A number of patients, or "< min_count" for a group that is too small to show.

        Beside the number `of` whom they are part, those left over are guarded too: "> 95" of 100, not 98.
        """
        if _is_missing(patients) or patients <= 0:
            return self.number(patients)
        if patients < self.min_count:
            return self.say("< {number}", number=self.number(self.min_count))
        if of is not None and 0 < of - patients < self.min_count:
            return self.say("> {number}", number=self.number(of - self.min_count))
        return self.number(patients)

    def days(self, n: float | None) -> str:
        """A length in days."""
        return MISSING if _is_missing(n) else self.plural("{n} day", "{n} days", round(n))

    def months(self, n: float | None) -> str:
        """A length in months."""
        return MISSING if _is_missing(n) else self.plural("{n} month", "{n} months", round(n))

    # Dates

    def date(self, day: dt.date | None) -> str:
        """A day, in the long form of prose."""
        return MISSING if day is None else format_date(day, "long", locale=self._cldr)

    def month(self, month: str) -> str:
        """A month written ``YYYY-MM``: "October 2026"."""
        return format_skeleton("yMMMM", dt.date.fromisoformat(f"{month}-01"), locale=self._cldr)

    def short_month(self, month: str) -> str:
        """A month for the axis of a figure: "Oct 2026"."""
        return format_skeleton("yMMM", dt.date.fromisoformat(f"{month}-01"), locale=self._cldr)

    def weekday(self, number: int) -> str:
        """A day of the week; 0 is Monday."""
        return self._cldr.days["stand-alone"]["wide"][number]

    def hour(self, number: int) -> str:
        """An hour of the day, from its beginning to its end."""
        first, last = (format_time(dt.time(hour % 24), "short", locale=self._cldr) for hour in (number, number + 1))
        return self.say("{low} to {high}", low=first, high=last)

    def period(self, start: dt.date, end: dt.date) -> str:
        """A closed period: "1 Nov 2025 – 31 Oct 2026"."""
        return format_interval(start, end, "yMMMd", locale=self._cldr)

    def _written(self, pattern, value: float | None, digits: int, *, shift: int = 0) -> str:
        if _is_missing(value):
            return MISSING
        pattern = copy.copy(pattern)
        pattern.frac_prec = (digits, digits)
        return pattern.apply(_tidy(value, digits + shift), self._cldr, currency=self.currency, currency_digits=False)

    def _signed(self, value: float, write, *, digits: int, shift: int = 0) -> str:
        sign = get_plus_sign_symbol(self._cldr) if _tidy(value, digits + shift) > 0 else ""
        return sign + write(value, digits)


def _unbroken(text: str) -> str:
    """A text that stays on one line, however narrow its place."""
    return _BREAKS.sub(JOINER, text.replace(" ", "\N{NO-BREAK SPACE}"))


def _is_missing(value: float | None) -> bool:
    try:
        return value is None or not math.isfinite(value)
    except TypeError:
        if repr(value) == "<NA>":  # pandas' own missing value is no number
            return True
        raise


def _tidy(value: float, digits: int) -> Decimal:
    """`value` rounded to `digits` decimals; a negative number that rounds to zero has no sign."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    return abs(rounded) if rounded.is_zero() else rounded
