"""A clinic's export by another way: the rules written out with Python's own csv, Decimal and loops, no engine.

It is slow and plain on purpose: what rfmkit reads is held against it.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import fnmatch
import io
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

MONEY = ("amount", "discount", "bonus_accrued", "bonus_redeemed")
NUMBERS = ("quantity", "days_supply")
NEEDED = ("patient_id", "visit_date", "amount")
#: Blanks that people and systems leave around a cell.
BLANKS = " \t\r\n\u00a0\u2009\u202f\u3000\ufeff"
#: Signs that stand for others in numbers.
PLAIN = dict(
    zip(
        map(ord, "０１２３４５６７８９，．－＋（）￥／：−‐‑–\u00a0\u2007\u2009\u202f\u3000’ʼ"),
        "0123456789,.-+()¥/:----     ''",
        strict=True,
    )
)
SIGNS = {
    "RUB": ["RUB", "₽", "руб.", "руб", "рублей", "р.", "р", "RUR"],
    "CNY": ["CNY", "CN¥", "¥", "元", "RMB", "人民币"],
    "USD": ["USD", "$", "US$"],
    "EUR": ["EUR", "€"],
    "GBP": ["GBP", "£"],
    "CHF": ["CHF", "Fr.", "SFr."],
}
NOTHING = {"NULL", "null", "None", "none", "N/A", "n/a", "NaN", "nan", "-", "–", "—"}
ORDERS = [
    *("%Y-%m-%d", "%d.%m.%Y", "%m.%d.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d", "%d %b %Y", "%d-%b-%Y"),
    *("%d.%m.%y", "%m.%d.%y", "%y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
]
TIME = re.compile(
    r"[ T] ?(上午|下午|AM|PM)? ?[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?([AaPp]\.?[Mm]\.?)?$",
)
TOTALS = [
    *("итого", "всего", "итог", "общий итог", "промежуточный итог", "промежуточные итоги"),
    *("total", "totals", "subtotal", "sub-total", "sub total", "grand total"),
    *("合计", "总计", "小计", "共计", "总和", "本页合计", "累计"),
]
TOTAL_ENDS = ("total", "итог", "итого", "合计", "小计", "总计")
FATES = ("read", "kept", "rejected", "duplicates", "after_as_of")


class Refused(Exception):
    """The rules give no table of this file."""


@dataclass
class Reading:
    """The kept lines, each ``(row, {column: value})``, and how many lines had which fate."""

    kept: list[tuple[int, dict]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))


class CutShort(list):
    """The cells of a last line without an end; with too few cells it is no heading."""


def read_text(content: bytes, spec) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The headings of a delimited file and the rows below them, with the numbers that a spreadsheet gives them."""
    encoding = spec.encoding
    if encoding is None:
        marks = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
        encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding, errors="strict").removeprefix("\ufeff")
    except UnicodeError:
        raise Refused("not text of its encoding") from None
    if "\0" in text:
        raise Refused("zero bytes")
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=spec.delimiter, strict=True)
        rows = list(enumerate(reader, 1))
        if rows and not text.endswith(("\n", "\r")):
            rows[-1] = rows[-1][0], CutShort(rows[-1][1])
    except csv.Error:
        raise Refused("quotation marks") from None
    if not spec.header:
        return [str(number + 1) for number in range(len(rows[0][1]) if rows else 0)], rows
    wanted = {heading for heading in spec.columns.model_dump().values() if heading is not None}
    for at, (_, cells) in enumerate(rows[:50]):
        if wanted <= {cell.strip() for cell in cells}:
            most = len(cells) - 1
            if any(
                ("\n" in cell or "\r" in cell) and cell.count(spec.delimiter) >= most for _, row in rows for cell in row
            ):
                raise Refused("lines in a cell")
            return [cell.strip() for cell in cells], rows[at + 1 :]
    raise Refused("no header")


def text_of(cell) -> str | None:
    """A cell without the blanks around it; nothing where nothing is left."""
    return None if cell is None else str(cell).strip(BLANKS) or None


def day_of(cell, order: str) -> dt.date | None:
    """The day of a cell."""
    if isinstance(cell, dt.datetime):
        return cell.date()
    if cell is None or isinstance(cell, dt.date):
        return cell
    text = str(cell).strip(BLANKS)
    if not order.isascii():
        text = text.translate(PLAIN)
    if not text.isascii() and any(sign.isdigit() and ord(sign) > 127 for sign in text):
        return None  # strptime takes the digits of any script
    hours = "%H" in order or "%I" in order
    for shown in [text] if hours else [text, TIME.sub("", text)]:
        try:
            return dt.datetime.strptime(shown, order).date()
        except ValueError:
            continue
    return None


def number_of(cell, decimal: str, currency: str | None = None) -> Decimal | None:
    """The number of a cell as people write it: ``1 234,50 ₽``, ``(500)``, ``-3``."""
    if cell is None:
        return None
    if isinstance(cell, float):
        return Decimal(repr(round(cell, 6))) if math.isfinite(cell) and abs(cell) < 10**15 else None
    if isinstance(cell, (int, Decimal)):
        return Decimal(cell)
    text = str(cell).translate(PLAIN).strip()
    negative = 0
    if text.startswith("(") or text.endswith(")"):
        if not (text.startswith("(") and text.endswith(")")):
            return None
        text, negative = text[1:-1].strip(), 1
    signs = [sign.translate(PLAIN) for sign in sorted(SIGNS.get(currency, []), key=len, reverse=True)]
    marks, front, back = "", False, False
    # A sign of the number and one of its currency at either end, in any order.
    for _ in range(3):
        for sign in signs:
            if not front and text.startswith(sign):
                text, front = text[len(sign) :].strip(), True
            elif not back and text.endswith(sign):
                text, back = text[: -len(sign)].strip(), True
        if text[:1] in {"-", "+"} and text:
            marks, text = marks + text[0], text[1:].strip()
        if text.endswith("-"):
            marks, text = marks + "-", text[:-1].strip()
    if len(marks) + negative > 1:
        return None
    whole, sign, fraction = text.partition(decimal)
    if (sign and fraction and not _digits(fraction)) or not (_digits(whole + fraction.replace(" ", "")) or whole):
        return None
    if whole and not _digits(whole):
        part = next((one for one in (" ", "'", "." if decimal == "," else ",") if one in whole), None)
        groups = whole.split(part) if part else []
        if not groups or not all(map(_digits, groups)) or not 1 <= len(groups[0]) <= 3 or len(groups) > 5:
            return None
        if any(len(group) != 3 for group in groups[1:]):
            return None
        whole = "".join(groups)
    if len(whole) > 15 or not whole + fraction:
        return None
    value = Decimal(f"{whole or 0}.{fraction or 0}")
    return -value if negative or marks == "-" else value


def _digits(text: str) -> bool:
    return bool(text) and all(sign in "0123456789" for sign in text)


def _with_digit(cell) -> bool:
    return cell is not None and any(sign in "0123456789０１２３４５６７８９" for sign in str(cell))


def the_reading(columns: list[list], known: list[str], read) -> str:
    """The one way in which cells can be read, or the one in which nearly all can; two that differ are refused."""
    filled = [cell for cells in columns for cell in cells if _with_digit(cell)]
    missed = {form: sum(read(cell, form) is None for cell in filled) for form in known}
    if not filled or min(missed.values()) == len(filled):
        return known[0]
    best = min(missed, key=missed.get)
    fitting = [form for form in known if not missed[form]] or [f for f in known if missed[f] * 100 <= len(filled)]
    fitting = fitting or ([best] if missed[best] * 2 < len(filled) else [])
    if not fitting:
        return known[0]
    for cell in filled:
        told = [read(cell, form) for form in fitting[:2]]
        if None not in told and len(set(told)) > 1:
            raise Refused("two readings")
    return fitting[0]


def _is_total(cell) -> bool:
    text = "" if cell is None else str(cell).strip(' \u00a0"').lower()
    for word in TOTALS:
        if text == word or (text.startswith(word) and text[len(word)] in ' \u00a0:：.,;|\t("'):
            return True
    parts = text.rstrip(" :").split(" ")
    return len(parts) == 2 and parts[1] in TOTAL_ENDS


def read_lines(
    headings: list[str], rows: list[tuple[int, list]], spec, as_of: dt.date, today: dt.date, currency: str | None = None
) -> Reading:
    """What becomes of each line, by the rules.

    Parameters
    ----------
    headings : list of str
    rows : list of (number, cells)
        The lines below the headings: text, or values with types.
    spec : rfmkit.clinic.Transactions
        What the clinic file says.

    Raises
    ------
    Refused
        If a heading is missing, two readings are possible, more than 1 % of the lines cannot be read, or none is left.
    """
    mapped = {name: heading for name, heading in spec.columns.model_dump().items() if heading is not None}
    if any(headings.count(heading) != 1 for heading in mapped.values()):
        raise Refused("headings")
    at = {name: headings.index(heading) for name, heading in mapped.items()}
    width = len(headings)
    if rows and len(rows[0][1]) == width + 1 and not rows[0][1][-1]:
        width += 1  # every line but the header is closed with a delimiter
    whole = [(row, cells[: len(headings)]) for row, cells in rows if len(cells) == width]
    result = Reading()
    nameless = by_rule = 0
    for _, cells in rows:
        if len(cells) == width or not any(str(cell).strip(" \u00a0\t\r\n") for cell in cells):
            continue
        filled = [cell for cell in cells if cell.strip(' \u00a0"\r\n')]
        cut = isinstance(cells, CutShort) and len(cells) < width
        if (len(filled) == 1 and not cut) or _is_total(next(iter(filled), "")):
            continue  # the heading of a group, or a sum
        result.rows["rejected"] += 1
    order = spec.date_format or the_reading(
        [[cells[at["visit_date"]] for _, cells in whole if isinstance(cells[at["visit_date"]], str)]],
        ORDERS,
        lambda cell, form: _not_later(day_of(cell, form), today if "%y" in form else None),
    )
    decimal = spec.decimal or the_reading(
        [[cells[at[name]] for _, cells in whole if isinstance(cells[at[name]], str)] for name in MONEY if name in at],
        [".", ","],
        lambda cell, sign: number_of(cell, sign, currency),
    )
    seen = set()
    for row, cells in whole:
        if all(cell is None or cell == "" for cell in cells):
            continue
        values, faults = {}, set()
        for name in mapped:
            cell = cells[at[name]]
            if name == "visit_date":
                values[name] = day_of(cell, order)
                if values[name] is None or values[name].year < 1900 or values[name] > today:
                    faults.add(name)
            elif name in MONEY:
                number = number_of(cell, decimal, currency)
                exact = number is not None and number == round(number, 2)
                values[name] = round(number, 2) if exact else None
                silent = text_of(cell) is None or (not isinstance(cell, float) and text_of(cell) in NOTHING)
                if not exact and (name == "amount" or not silent):
                    faults.add(name)
            elif name in NUMBERS:
                number = number_of(cell, decimal)
                values[name] = None if number is None else float(number)
                if number is None and text_of(cell) is not None and text_of(cell) not in NOTHING:
                    faults.add(name)
            else:
                values[name] = text_of(cell)
        if spec.amount_includes_bonus and values["amount"] is not None:
            values["amount"] -= values["bonus_redeemed"] or 0
        who = values["patient_id"]
        test = who is not None and any(fnmatch.fnmatchcase(who, pattern) for pattern in spec.test_patients)
        if who is None or test or re.fullmatch(r"[0-9]([.,][0-9]+)?E[+][0-9]+", who):
            faults.add("patient_id")
        if faults & set(NEEDED):
            filled = [cell for cell in cells if cell is not None and str(cell).strip()]
            if not filled:
                continue
            nobody = who is None or _is_total(who)
            alone = who is None and len(filled) <= 2 and "amount" not in faults and len(headings) > 4
            if values["visit_date"] is None and ((nobody and any(map(_is_total, cells))) or alone):
                continue
            again = all(str(cells[at[name]]).strip() == mapped[name] for name in NEEDED)
            if again or (len(filled) == 1 and "amount" in faults):
                continue
        if faults:
            fate = "rejected"
            nameless += who is None
            by_rule += test and faults == {"patient_id"}
        else:
            fate = "after_as_of" if values["visit_date"] > as_of else "kept"
            if values.get("receipt_id") is not None:
                fate = "duplicates" if tuple(cells) in seen else fate
                seen.add(tuple(cells))
        result.rows[fate] += 1
        if fate == "kept":
            result.kept.append((row, values))
    result.rows["read"] = sum(result.rows.values())
    if (result.rows["rejected"] - by_rule) * 100 > result.rows["read"] or nameless:
        raise Refused("lines that cannot be read")
    if not any(values["amount"] >= 0 for _, values in result.kept):
        raise Refused("no visit")
    return result


def _not_later(day: dt.date | None, today: dt.date | None) -> dt.date | None:
    return None if day and today and day > today else day


def days_of(lines: list[dict]) -> tuple[dict, dict]:
    """Visits and refunds: the money of each patient's days with a sale, and of those with refunds alone."""
    sold, money = set(), defaultdict(Decimal)
    for line in lines:
        who, day, amount, receipt = (line.get(name) for name in ("patient_id", "visit_date", "amount", "receipt_id"))
        if amount >= 0:
            sold.add((who, day))
        elif receipt is not None:
            sales = [
                other["visit_date"]
                for other in lines
                if other["amount"] >= 0
                and (other["patient_id"], other["receipt_id"]) == (who, receipt)
                and other["visit_date"] <= day
            ]
            day = max(sales, default=day)
        money[who, day] += amount
    visits = {key: amount for key, amount in money.items() if key in sold}
    return visits, {key: amount for key, amount in money.items() if key not in sold}


def rfm_of(visits: dict, refunds: dict, as_of: dt.date, since: dt.date) -> dict:
    """Days since the last visit, visits and money of each patient who came between `since` and `as_of`."""
    result = {}
    for who in {who for who, _ in visits}:
        days = [day for one, day in visits if one == who and since <= day <= as_of]
        if days:
            every = [*visits.items(), *refunds.items()]
            spent = sum(amount for (one, day), amount in every if one == who and since <= day <= as_of)
            result[who] = ((as_of - max(days)).days, len(days), float(spent))
    return result


def btyd_of(visits: dict, as_of: dt.date) -> dict:
    """Repeat visits, days from the first to the last, days from the first on, mean money, logarithms of the gaps."""
    result = {}
    for who in {who for who, day in visits if day <= as_of}:
        history = sorted((day, amount) for (one, day), amount in visits.items() if one == who and day <= as_of)
        repeat = [amount for _, amount in history[1:]]
        first, last = history[0][0], history[-1][0]
        mean = float(sum(repeat) / len(repeat)) if repeat else 0.0
        gaps = sum(math.log((after[0] - before[0]).days) for before, after in pairwise(history))
        result[who] = (len(repeat), (last - first).days, (as_of - first).days, mean, gaps)
    return result
