"""A cell as text, in one way for all kinds of workbooks: numbers, days, times, and what XML wraps text in."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from rfmkit.data.workbook_child import damaged

#: Excel keeps fifteen digits of a number: larger whole numbers have lost some.
_DIGITS = 15
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: Numbers that are written already as this module would write them.
_PLAIN = r"^(0|-?[1-9][0-9]{0,14}|-?(0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9])$"
_PLAIN_NUMBER = re.compile(_PLAIN.removesuffix("$") + r"\Z")

_REFERENCE = re.compile(r"&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);|&")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
#: How Excel writes signs that XML cannot hold, and the underscore that would look like the start of one.
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")

#: The last day of Excel's calendar, 31 December 9999, as it counts.
_LAST_DAY = 2_958_465
_DAY = 86_400
_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?)?")


def mapped(values: pa.Array, function: Callable[[str], str]) -> pa.Array:
    """Texts through a function that is called once for each distinct one."""
    distinct = values.dictionary_encode()
    return pa.array([function(value) for value in distinct.dictionary.to_pylist()], pa.string()).take(distinct.indices)


def replaced(values: pa.Array, where: pa.Array, function: Callable[[str], str]) -> pa.Array:
    """Texts of which those at `where` go through a function."""
    if not pc.any(where).as_py():
        return values
    return pc.replace_with_mask(values, where, mapped(values.filter(where), function))


def plain(values: pa.Array) -> pa.Array:
    """Bytes between XML's tags as the text that they stand for."""
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid:
        raise damaged("text is not UTF-8") from None
    return replaced(texts, pc.match_substring_regex(texts, "[&\r]|_x"), plain_text)


def plain_text(text: str) -> str:
    """One text, without XML's and Excel's ways of writing signs."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "&" in text:
        text = _REFERENCE.sub(_referred, text)
    return _ESCAPED.sub(_unescaped, text) if "_x" in text else text


def _referred(found: re.Match) -> str:
    name = found[1] or ""
    if name in _NAMED:
        return _NAMED[name]
    code = int(name[2:], 16) if name.startswith("#x") else int(name[1:]) if name.startswith("#") else 0
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        raise damaged("text refers to a sign that there is not")
    return chr(code)


def _unescaped(found: re.Match) -> str:
    code = int(found[1], 16)
    return chr(code) if 0 < code < 0xD800 or code > 0xDFFF else found[0]


def numbers(values: pa.Array, decimal: str) -> pa.Array:
    """Numbers, as the file writes them, in the one way that `number_text` says."""
    texts = replaced(values, pc.invert(pc.match_substring_regex(values, _PLAIN)), number_text)
    return texts if decimal == "." else pc.replace_substring(texts, ".", decimal)


def number_text(text: str) -> str:
    """One number with a decimal point: without an exponent, and without the noise that floats carry.

    Whole numbers have no decimals. From 10¹⁵ on digits are lost, and the number is written with its exponent to tell.
    What is no number stays as it is.
    """
    if _PLAIN_NUMBER.match(text):
        return text
    if not _NUMBER.fullmatch(text.strip()) or len(text) > 400:
        return text
    sure = f"{float(text):.{_DIGITS - 1}E}"
    mantissa, _, exponent = sure.partition("E")
    if "INF" in sure or int(exponent) >= _DIGITS:
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}" if exponent else text
    digits = format(Decimal(sure), "f")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


class Days:
    """Excel's days and times as text.

    Parameters
    ----------
    date_format : str
        strptime's letters, for days; a time behind the day is added unless they have one.
    since_1904 : bool
        Whether days are counted from 1 January 1904, as on old Macintoshes, or from 1 January 1900.
    """

    def __init__(self, date_format: str, since_1904: bool = False):
        self._format = date_format
        self._timed = date_format if re.search("%[HIMSTXRcrp]", date_format) else f"{date_format} %H:%M:%S"
        self._since_1904 = since_1904
        self._known: dict[int, str] = {}

    def day(self, number: str) -> str:
        """A number of days since the epoch; below one it is a time, unless days are counted from nought."""
        serial, seconds = self._parted(number)
        if serial is None:
            return number_text(number)
        return self._moment(serial, seconds) if serial or self._since_1904 else _clock(seconds)

    def time(self, number: str) -> str:
        """A number that is shown as a time of the day; from one on it has a day, which is told too."""
        serial, seconds = self._parted(number)
        if serial is None:
            return number_text(number)
        return self._moment(serial, seconds) if serial else _clock(seconds)

    def iso(self, text: str) -> str:
        """A day or moment in ISO 8601; the text itself if it is none."""
        try:
            moment = dt.datetime.fromisoformat(text.strip())
        except ValueError:
            return text
        moment = moment.replace(tzinfo=None)
        if moment.microsecond:
            moment = (moment + dt.timedelta(milliseconds=500)).replace(microsecond=0)
        return self.moment(moment)

    def moment(self, moment: dt.datetime) -> str:
        """A day, with its time unless that is midnight."""
        written = self._timed if moment.time() != dt.time() else self._format
        # Systems write years such as 0001 for no date, which strftime does not pad everywhere.
        return moment.strftime(written if moment.year >= 1000 else written.replace("%Y", f"{moment.year:04}"))

    def _parted(self, number: str) -> tuple[int | None, int]:
        """Whole days and seconds; no day where Excel's calendar has none."""
        try:
            value = float(number)
        except ValueError:
            return None, 0
        if not 0 <= value < _LAST_DAY + 1:
            return None, 0
        # Times are kept as fractions of a day, so the second they mean is the nearest one.
        whole = int(value)
        days, seconds = divmod(whole * _DAY + round((value - whole) * _DAY), _DAY)
        return (days, seconds) if days <= _LAST_DAY else (None, 0)

    def _moment(self, serial: int, seconds: int) -> str:
        """A day of Excel's calendar, and seconds of it; an export has few days and many times."""
        if seconds:
            return self._written(serial, seconds)
        if serial not in self._known:
            self._known[serial] = self._written(serial, 0)
        return self._known[serial]

    def _written(self, serial: int, seconds: int) -> str:
        if self._since_1904:
            first = dt.datetime(1904, 1, 1)  # noqa: DTZ001 - a workbook's days have no zone
        elif serial == 60:
            return str(serial)  # 29 February 1900, which Excel alone has
        else:
            # Excel has that day before 1 March 1900, so that earlier days are counted from one day later.
            first = dt.datetime(1899, 12, 31 if serial < 60 else 30)  # noqa: DTZ001
        try:
            return self.moment(first + dt.timedelta(days=serial, seconds=seconds))
        except OverflowError:
            return str(serial)


def duration(number: str) -> str:
    """A number of days that is shown as hours, minutes and seconds without end: ``26:30:00``."""
    try:
        seconds = round(float(number) * _DAY)
    except (ValueError, OverflowError):
        return number_text(number)
    return "-" * (seconds < 0) + _clock(abs(seconds))


def iso_duration(text: str) -> str:
    """OpenDocument's times and durations, ``PT10H30M00S``, as ``10:30:00``; the text itself if it is none."""
    found = _DURATION.fullmatch(text)
    if not found:
        return text
    sign, days, hours, minutes, seconds, fraction = found.groups(default="0")
    rounded = int(seconds) + (fraction[0] >= "5")
    whole = int(days) * _DAY + int(hours) * 3600 + int(minutes) * 60 + rounded
    return "-" * (sign == "-") + _clock(whole)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


#: What the letters of a format may stand behind: quoted words, escaped signs, spaces, colours and currencies.
_ASIDE = re.compile(r'"[^"]*"|\\.|[_*].|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE | re.DOTALL)
_BUILT_IN = (
    dict.fromkeys([14, 15, 16, 17, 22, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58], "day")
    | dict.fromkeys([18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56], "time")
    | {46: "duration"}
)


def kind_of_format(number: int, code: str | None) -> str:
    """What a number format shows: "number", "day" (perhaps with a time), "time" or "duration".

    Parameters
    ----------
    number : int
        The format's number; those below 164 are built in, some of them for Chinese, Japanese and Korean.
    code : str or None
        The format as the workbook writes it.
    """
    if code is None:
        return _BUILT_IN.get(number, "number")
    letters = _ASIDE.sub("", code).partition(";")[0].lower()
    if "general" in letters or "standard" in letters:
        return "number"
    if "[" in letters:
        return "duration"
    clock = "h" in letters or "s" in letters
    if "y" in letters or "d" in letters or ("m" in letters and not clock):
        return "day"
    return "time" if clock or "am/pm" in letters else "number"
