"""What a cell says: days, money and numbers as people and systems write them, read alike by every engine."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import lru_cache

import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir

#: Systems write their empty date as 0001 or 1899; no clinic's payments are so old.
FIRST_YEAR = 1900

MONEY = "decimal(18, 2)"
#: Amounts of more digits than these are no clinic's.
_LARGEST = 10**15
#: Full-width signs, and the minus, spaces and apostrophes that stand for their plain kin.
#: In front of what a workbook keeps as a number or a day: it is read as such, whatever the clinic file says of text.
TYPED = "\x02"
BLANKS = "\x02 \t\r\n\u00a0\u2009\u202f\u3000\ufeff"
_FROM = "０１２３４５６７８９，．－＋（）￥／：−‐‑–\u00a0\u2007\u2009\u202f\u3000’ʼ"
_TO = "0123456789,.-+()¥/:----     ''"
#: What a date may be followed by: a time, which says nothing about the day.
_TIME = "([ T] ?(上午|下午|AM|PM)? ?[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?([AaPp][.]?[Mm][.]?)?)?"
#: Where a workbook's days have their year, month and day, behind the mark.
_ISO = {"Y": (1, 4), "m": (6, 2), "d": (9, 2)}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: A number, as engines write it, of at most two decimals that say something.
_EXACT = r"^[^.]*([.][0-9]{1,2}0*)?$"
_NOTHING = ("NULL", "null", "None", "none", "N/A", "n/a", "NaN", "nan", "-", "–", "—")
#: How people write money of a currency, besides the signs that the locales of a report have for it.
_SIGNS = {
    "RUB": ("₽", "руб.", "руб", "рублей", "р.", "р", "RUR"),
    "CNY": ("¥", "元", "RMB", "人民币"),
    "USD": ("$", "US$"),
    "EUR": ("€",),
    "GBP": ("£",),
    "KZT": ("₸", "тг.", "тг", "тенге"),
    "BYN": ("Br", "руб.", "руб"),
    "UAH": ("₴", "грн.", "грн"),
    "CHF": ("Fr.", "SFr."),
    **{
        code: ("$", sign)
        for code, sign in {
            **{"CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "SGD": "S$", "HKD": "HK$", "TWD": "NT$", "MXN": "MX$"},
            **{"ARS": "AR$", "CLP": "CLP$", "COP": "COL$"},
        }.items()
    },
    "JPY": ("¥", "円"),
    "PLN": ("zł",),
}


def text(cell: ir.Column) -> ir.StringColumn:
    """A cell as text without the blanks around it; missing where nothing is left."""
    words = cell if cell.type().is_string() else cell.cast(str)
    if cell.type().is_floating():
        # An id that was kept as a number has no decimals.
        whole = (cell == cell.round()) & (cell.abs() < _LARGEST)
        words = ibis.cases(
            (cell.isnan() | cell.isnull(), ibis.null(str)), (whole, cell.round().cast("int64").cast(str)), else_=words
        )
    # Few cells have any, and to look is cheaper than to replace.
    blank = words.re_search(f"^[{BLANKS}]|[{BLANKS}]$")
    return ibis.cases(
        (words == "", ibis.null(str)),
        (blank, words.re_replace(f"^[{BLANKS}]+|[{BLANKS}]+$", "").nullif("")),
        else_=words,
    )


def as_written(cell: ir.Column) -> ir.StringColumn:
    """A cell as its export shows it."""
    return cell.cast(str).fill_null("").replace(TYPED, "")


def unpadded(cell: ir.StringColumn) -> ir.StringColumn:
    """As `text`, of a column that is known to have no blanks at the ends of its cells."""
    return cell.nullif("")


def day(cell: ir.Column, date_format: str, today: dt.date | None) -> tuple[ir.DateColumn, ir.StringColumn]:
    """Read a day.

    Parameters
    ----------
    cell : ibis Column
        Text, or a date or timestamp, whose day is taken as it is.
    date_format : str
        strptime's letters; a time behind the date is passed over.
    today : datetime.date or None
        Later days are faults.

    Returns
    -------
    value : ibis DateColumn
        Missing where there is a fault other than "before 1900" and "after today".
    fault : ibis StringColumn
        "empty", "not a date", "before 1900", "after today", or missing.
    """
    value = day_of(cell, day_parts(cell, date_format))
    return value, day_fault(cell, value, today)


def day_parts(cell: ir.Column, date_format: str) -> dict[str, ir.IntegerColumn]:
    """The year, month and day of the month that a cell's text says; none where it is a date already."""
    if cell.type().is_temporal():
        return {}
    words = cell if cell.type().is_string() else cell.cast(str)
    # Dates with Chinese signs may come in full-width digits.
    words = words if date_format.isascii() else words.translate(_FROM, _TO)
    pattern, places = date_pattern(date_format)
    letters = {"year": "Yy", "month": "mbB", "day": "d"}
    return {name: _part(words, date_format, pattern, places, some) for name, some in letters.items()}


def day_of(cell: ir.Column, parts: Mapping[str, ir.IntegerColumn]) -> ir.DateColumn:
    """The day that `day_parts` of a cell make, where there is such a day."""
    if not parts:
        return cell.cast("date")
    year, month, number = parts["year"], parts["month"], parts["day"]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = ibis.cases((month.isin([4, 6, 9, 11]), 30), ((month == 2) & leap, 29), (month == 2, 28), else_=31)
    good = (year >= 1) & month.between(1, 12) & (number >= 1) & (number <= longest)
    return ibis.date(good.ifelse(year, ibis.null("int32")), month, number)


def day_fault(cell: ir.Column, value: ir.DateColumn, today: dt.date | None) -> ir.StringColumn:
    """Why a cell is no day; see `day`."""
    late = (value > today) if today else ibis.literal(False)
    return ibis.cases(
        ((value >= dt.date(FIRST_YEAR, 1, 1)) & ~late, ibis.null(str)),
        (cell.isnull() if cell.type().is_temporal() else text(cell).isnull(), "empty"),
        (value.isnull(), "not a date"),
        (late, "after today"),
        else_=f"before {FIRST_YEAR}",
    )


def _part(
    words: ir.StringColumn, date_format: str, pattern: str, places: dict[str, int], letters: str
) -> ir.IntegerColumn:
    letter = next(one for one in letters if one in places)
    found = words.re_extract(pattern, places[letter])
    shape, offsets = _fixed_width(date_format)
    if letter in offsets:
        # Most cells are as wide as their format: cutting them is cheaper than searching.
        found = ibis.cases((words.re_search(shape), words.substr(*offsets[letter])), else_=found)
    if letter in _ISO:
        found = ibis.cases((words.startswith(TYPED), words.substr(*_ISO[letter])), else_=found)
    found = found.nullif("")
    if letter in "bB":
        start = found.substr(0, 3).lower()
        return ibis.cases(
            *[(start == name, number) for number, name in enumerate(_MONTHS, 1)], else_=ibis.null("int32")
        )
    value = found.cast("int32")
    # Two-digit years as POSIX reads them: 69 to 99 are of the twentieth century.
    if letter == "y":
        return ibis.cases((value >= 100, value), (value >= 69, value + 1900), else_=value + 2000)
    return value


@lru_cache
def _fixed_width(date_format: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """The shape of days with all their zeros, and where in it each letter's digits begin and how many they are."""
    widths, shape, offsets, at = {"Y": 4, "y": 2, "m": 2, "d": 2}, "", {}, 0
    for piece in re.findall(r"%.|[^%]", date_format):
        if piece[0] != "%":
            shape, at = shape + (piece if ord(piece) > 127 else f"[{piece}]"), at + 1
            continue
        if piece[1] not in widths:
            return "", {}
        width = widths[piece[1]]
        shape, offsets[piece[1]], at = f"{shape}[0-9]{{{width}}}", (at, width), at + width
    return f"^{shape}$", offsets


@lru_cache
def date_pattern(date_format: str) -> tuple[str, dict[str, int]]:
    """The regular expression of a format of strptime's, and which of its groups each letter is."""
    known = {"Y": "[0-9]{4}", "y": "[0-9]{2}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]+"}
    known |= dict.fromkeys("dmHMSI", "[0-9]{1,2}") | {"f": "[0-9]+", "p": "[AaPp][Mm]", "%": "%"}
    pattern, places = "", {}
    pieces = re.findall(r"%.|[^%]+", date_format)
    for number, piece in enumerate(pieces):
        if piece[0] != "%":
            pattern += "".join(
                sign if sign.isalnum() or sign == " " or ord(sign) > 127 else f"[{sign}]" for sign in piece
            )
            continue
        # Without a sign between them, numbers are told apart by their width alone.
        beside = [pieces[at] for at in (number - 1, number + 1) if 0 <= at < len(pieces)]
        tight = any(other[0] == "%" and other != "%%" for other in beside)
        shape = known[piece[1]]
        pattern += f"({shape.replace('{1,2}', '{2}') if tight else shape})"
        places[piece[1]] = len(places) + 1
    return f"^[{BLANKS}]*{pattern}{'' if 'H' in places or 'I' in places else _TIME}[{BLANKS}]*$", places


def money(
    cell: ir.Column, decimal: str, *, needed: bool, currency: str | None = None
) -> tuple[ir.DecimalColumn, ir.StringColumn]:
    """Read an amount of money.

    Parameters
    ----------
    cell : ibis Column
        Text, or a number.
    decimal : str
        The decimal sign of text; the other sign, spaces and apostrophes may part thousands.
    needed : bool
        Whether an empty cell is a fault.
    currency : str, optional
        Three letters: its signs and code may stand at either end. Those of other currencies are a fault.

    Returns
    -------
    value : ibis DecimalColumn
        DECIMAL(18,2).
    fault : ibis StringColumn
        "empty", "not a number", "another currency", "more than two decimals", or missing.
    """
    number = digits(cell, decimal, currency)
    value = money_of(number)
    return value, money_fault(cell, number, value, needed=needed)


def digits(cell: ir.Column, decimal: str, currency: str | None = None) -> ir.Column:
    """The number that a cell holds, as a decimal or as text in the way engines write one; missing where it is none."""
    return _typed(cell) if cell.type().is_numeric() else number_text(cell, decimal, currency)


def money_of(number: ir.Column) -> ir.DecimalColumn:
    """The money that the `digits` of a cell make; missing where these say more than two decimals."""
    if number.type().is_string():
        # Most have two decimals; to look for the point is cheaper than to search.
        exact = ibis.cases((number.like("%.__"), True), else_=number.re_search(_EXACT))
        return exact.ifelse(number, ibis.null(str)).cast(MONEY)
    exact = number == number.cast(MONEY).cast(number.type())
    return exact.ifelse(number.cast(MONEY), ibis.null(MONEY))


def money_fault(cell: ir.Column, number: ir.Column, value: ir.DecimalColumn, *, needed: bool) -> ir.StringColumn:
    """Why the `digits` of a cell make no money; see `money`."""
    wrong = [(number.isnull(), "not a number")]
    if number.type().is_string():
        wrong.insert(0, (number.isnull() & _foreign(cell), "another currency"))
    return ibis.cases(
        (value.notnull(), ibis.null(str)),
        (_blank(cell, needed=needed), "empty" if needed else ibis.null(str)),
        *wrong,
        else_="more than two decimals",
    )


def _blank(cell: ir.Column, *, needed: bool = False) -> ir.BooleanColumn:
    """Whether a cell says nothing; where nothing need be said, systems write a word for it."""
    if cell.type().is_numeric():
        return cell.isnull() | cell.isnan() if cell.type().is_floating() else cell.isnull()
    words = text(cell)
    return words.isnull() if needed else words.isnull() | words.isin(_NOTHING)


def number_fault(cell: ir.Column, number: ir.Column) -> ir.StringColumn:
    """Why a cell that may be empty has no `digits`: "not a number", or missing."""
    return (number.isnull() & ~_blank(cell)).ifelse("not a number", ibis.null(str))


def _typed(cell: ir.NumericColumn) -> ir.DecimalColumn:
    """A typed number as a decimal; missing where it is too large or no number at all."""
    kind = cell.type()
    if kind.is_floating():
        # Floats carry noise behind their last sure decimal.
        scale = 2 if isinstance(kind, dtypes.Float32) else 6
        finite = ~(cell.isnan() | cell.isinf()) & (cell.abs() < _LARGEST)
        return finite.ifelse(cell, ibis.null(kind)).cast(f"decimal(30, {scale})")
    value = (cell.abs() < _LARGEST).ifelse(cell, ibis.null(kind))
    return value.cast("decimal(30, 6)") if kind.is_integer() else value


def number_text(cell: ir.Column, decimal: str, currency: str | None = None) -> ir.StringColumn:
    """The number that a cell's text holds, as engines write numbers (``-1234.50``); missing where it holds none."""
    words = cell if cell.type().is_string() else cell.cast(str)
    plain = words.re_search(f"^-?[0-9]{{1,15}}([{decimal}][0-9]+)?$")
    # What is plain is most of a column; the rest is looked at closely.
    return ibis.cases(
        (plain, words.replace(decimal, ".")),
        (words.re_search(f"^{TYPED}-?[0-9]{{1,15}}([.][0-9]+)?$"), words.substr(1)),
        else_=_careful_number(words, decimal, currency),
    )


def _careful_number(words: ir.StringColumn, decimal: str, currency: str | None) -> ir.StringColumn:
    words = words.translate(_FROM, _TO).strip()
    other = "." if decimal == "," else ","
    signs = "|".join(_escaped(sign) for sign in currency_signs(currency))
    sign = f"(?:{signs})?" if signs else ""
    grouped = "|".join(f"[0-9]{{1,3}}(?:[{part}][0-9]{{3}}){{1,4}}" for part in (" ", "'", other))
    amount = f"(?:{grouped}|[0-9]{{1,15}})(?:[{decimal}][0-9]*)?|[{decimal}][0-9]+"
    # Each look at a cell is a copy of its words in the query: as few as will do.
    found = words.re_extract(f"^[(]? *[-+]? *{sign} *[-+]? *({amount}) *{sign} *[-]? *[)]?$", 1)
    one_mark = words.re_search("^([^-+()]*[-+]?[^-+()]*|[(][^-+()]*[)])$")
    bare = found.re_replace(f"[ '{other}]|[{decimal}]$", "").replace(decimal, ".").nullif("")
    return one_mark.ifelse(words.re_search("[-(]").ifelse("-", "") + bare, ibis.null(str))


def _foreign(cell: ir.Column) -> ir.BooleanColumn:
    words = cell if cell.type().is_string() else cell.cast(str)
    return words.re_search("[$€£¥￥₽₸₴₹₩₺]|[A-Z]{3}|руб|元") & words.re_search("[0-9]")


@lru_cache
def currency_signs(currency: str | None) -> tuple[str, ...]:
    """How amounts of a currency are marked: its code and signs, the longest first."""
    if not currency:
        return ()
    from babel.numbers import get_currency_symbol

    signs = {currency, *_SIGNS.get(currency, ())}
    signs |= {get_currency_symbol(currency, locale) for locale in ("en", "ru", "zh")}
    return tuple(
        sorted((sign.translate(str.maketrans(_FROM, _TO)) for sign in signs), key=lambda sign: (-len(sign), sign))
    )


def _escaped(sign: str) -> str:
    return "".join(one if one.isalnum() or ord(one) > 127 else f"[{one}]" for one in sign)
