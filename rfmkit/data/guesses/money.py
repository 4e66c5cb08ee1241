"""Which column is the money received, and how it is written: headings, and arithmetic on every line."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import ibis.expr.types as ir
import pandas as pd

from rfmkit.data import cells
from rfmkit.data.guesses.evidence import Evidence, Guess, Guesses, ranked, times_of
from rfmkit.data.guesses.headings import meanings

#: Currencies whose signs are looked for, those of a shared sign in the order in which it is read.
_CURRENCIES = ("RUB", "CNY", "USD", "EUR", "GBP", "CHF", "KZT", "BYN", "UAH", "PLN", "HKD")
_OF_LANGUAGE = {"ru": "RUB", "zh": "CNY"}
#: Below this a heading does not say that it is the money received.
_WEAK = 0.55
_NEARLY = 0.85
#: Columns whose headings say less are a price or another part of the sum.
_TOLD = 0.4
#: A rule of arithmetic holds if so many of its lines obey it, to the rounding of a cent.
_HOLDS = 0.95
_CENT = 0.011
#: Lines a receipt, on average, from which on receipts have several.
_SEVERAL = 1.2


def choose_amount(evidence: Evidence, found: Guesses, today: dt.date | None) -> tuple[int | None, Guess]:
    """Choose the column of the money received after discounts; the currency is put among the keys found."""
    lines = found.lines if found.lines is not None else evidence.table
    free = [at for at in evidence.columns if at not in found.places.values()]
    scores = {at: evidence.says(at, "transactions.amount") * _like_money(evidence, at) for at in free}
    best = [at for at in ranked(scores) if scores[at] > 0.2]
    by_cells = not best
    if by_cells:
        best = [at for at in free if _like_money(evidence, at) > 0.9 and _unnamed(evidence, at)]
        best.sort(key=lambda at: -evidence.profiles[at].cents)
    found.keys["currency"] = guess_currency(evidence, best[:2])
    if not best:
        return None, Guess(None, unsure=_why_none(evidence, free))
    at, guess = best[0], Guess(evidence.layout.headings[best[0]])
    if by_cells:
        others = f"; {evidence.named(best[1:])} look alike" if best[1:] else ""
        guess.unsure = f"its cells look like it, no heading says so{others}"
        return at, guess
    told = [one for one in best[:4] if one == at or scores[one] > _TOLD]
    sums = _Sums(evidence, found, lines, told)
    if sums.discount is not None:
        at, guess.note, guess.unsure = sums.after_discount(told, sure=scores[at] > 0.9)
        guess.value = evidence.layout.headings[at]
    rivals = [] if guess.note else [other for other in told if other != at and scores[other] > _NEARLY * scores[at]]
    rivals = [other for other in rivals if not sums.equal(at, sums.frame[f"c{other}"])]
    if rivals and not guess.unsure:
        guess.unsure = f"the money received, or is it {evidence.named(rivals)}?"
    elif scores[at] < _WEAK and not guess.unsure:
        also = f"; there is {evidence.named(best[1:])} too" if best[1:] else ""
        guess.unsure = f"no heading says that it is the money received after discounts{also}"
    return at, guess


def _like_money(evidence: Evidence, at: int) -> float:
    look, kind = evidence.profiles[at], evidence.cell(at).type()
    if kind.is_temporal() or kind.is_boolean() or look.day > 0.5 or look.time > 0.5 or look.phone > 0.5:
        return 0.0
    return float(look.number > 0.9) * min(1.0, 1.1 * look.filled)


def _unnamed(evidence: Evidence, at: int) -> bool:
    """Whether a column has decimals, or may have, and a heading that says nothing else."""
    heading = evidence.layout.headings[at]
    named = evidence.layout.header and max(meanings(heading).values(), default=0.0) > 0.5
    return not named and (evidence.profiles[at].cents > 0.1 or evidence.cell(at).type().is_decimal())


def _why_none(evidence: Evidence, free: list[int]) -> str:
    twice = [one for one in evidence.layout.doubled if meanings(one).get("transactions.amount", 0) > 0.5]
    if twice:
        return f": «{twice[0]}» stands twice"
    called = [at for at in free if evidence.says(at, "transactions.amount") > 0.5]
    if called:
        return f": {evidence.named(called[:1])} holds no amounts that can be read"
    parts = [at for at in free if evidence.says(at, "other.part_of_payment") > 0.8]
    return f": {evidence.named(parts)} is only a part of it" if parts else ""


class _Sums:
    """Columns of money and what they have to do with one another."""

    def __init__(self, evidence: Evidence, found: Guesses, lines: ir.Table, amounts: list[int]):
        self.evidence = evidence
        taken = [*found.places.values(), *amounts]
        self.price, self.quantity, self.gross, self.discount, self.redeemed = (
            _clearest(evidence, meaning, taken)
            for meaning in (
                "other.price", "transactions.quantity", "other.gross", "transactions.discount",
                "transactions.bonus_redeemed",
            )
        )  # fmt: skip
        beside = [at for at in (self.price, self.quantity, self.gross, self.discount, self.redeemed) if at is not None]
        currency = found.keys["currency"].value
        decimal = guess_decimal(evidence, lines, amounts[:1], currency).value or "."
        self.frame = evidence.numbers(lines, sorted({*amounts, *beside}), decimal, currency)
        if self.discount is not None and not self.taken_off.ne(0).any():
            self.discount = None

    @property
    def taken_off(self) -> pd.Series:
        return self.frame[f"c{self.discount}"].fillna(0).abs()

    def equal(self, at: int, other: pd.Series, among: pd.Series | None = None) -> bool:
        """Whether a column is another on nearly all lines, or on nearly all of some."""
        same = (self.frame[f"c{at}"] - other).abs().le(_CENT)
        same = same if among is None else same[among]
        return len(same) > 0 and bool(same.mean() >= _HOLDS)

    def before(self, amounts: list[int]) -> Iterator[tuple[str, pd.Series, tuple[int, ...]]]:
        """What a line costs before its discount, in words and numbers, and the columns that say so."""
        if self.price is not None:
            price = self.frame[f"c{self.price}"]
            if self.quantity is not None:
                words = f"{self.evidence.named([self.price])} × {self.evidence.named([self.quantity])}"
                yield words, price * self.frame[f"c{self.quantity}"], (self.price, self.quantity)
            yield self.evidence.named([self.price]), price, (self.price,)
        for at in dict.fromkeys(([self.gross] if self.gross is not None else []) + amounts):
            yield self.evidence.named([at]), self.frame[f"c{at}"], (at,)

    def after_discount(self, amounts: list[int], *, sure: bool) -> tuple[int, str, str]:
        """The column from which the discount is taken off already: its place, what shows it, and why it is unsure."""
        discount, some = self.evidence.named([self.discount]), self.taken_off.ne(0)
        bases = list(self.before(amounts))
        for at in amounts:
            for words, base, columns in bases:
                if at not in columns and self.equal(at, base - self.taken_off, some):
                    return at, f"{words} − {discount}", ""
        first = amounts[0]
        if any(
            first not in columns and self.equal(first, base * (1 - self.taken_off / 100), some)
            for _, base, columns in bases
        ):
            return first, "", ""  # the discount is a percentage
        for words, base, columns in bases:
            if first not in columns and columns[0] not in amounts and self.equal(first, base, some):
                return first, "", f"it is {words}, before {discount}: is there a column of the money received?"
        if sure:
            return first, "", ""
        return first, "", f"nothing shows whether {discount} is taken off it already"


def doubt_receipts(evidence: Evidence, found: Guesses) -> None:
    """Mark an amount that is the same on all lines of a receipt: it may be the receipt's and count many times."""
    if "receipt_id" not in found.places or found.columns["amount"].unsure:
        return
    receipt, amount = found.places["receipt_id"], found.places["amount"]
    numbered = found.lines.filter(cells.text(evidence.cell(receipt, found.lines)).notnull())
    receipts, sums = evidence.distinct(numbered, (receipt,), (receipt, amount))
    if sums == receipts and int(numbered.count().execute()) > _SEVERAL * receipts:
        what = "the same on every line of a receipt: is it the receipt's, and counts once for each line?"
        found.columns["amount"].unsure = what


def guess_bonus(evidence: Evidence, found: Guesses) -> Guess | None:
    """Propose whether amounts count what was paid with bonuses; None where no column says so."""
    at = found.places.get("bonus_redeemed")
    if at is None:
        return None
    amount = found.places["amount"]
    sums = _Sums(evidence, Guesses(keys=found.keys), found.lines, [amount])
    used = sums.frame[f"c{at}"].fillna(0).abs() if f"c{at}" in sums.frame else pd.Series(dtype="float64")
    off = sums.taken_off if sums.discount is not None else 0.0
    for words, base, columns in sums.before([]) if used.ne(0).any() else ():
        if amount in columns:
            continue
        for counts, value in ((True, base - off), (False, base - off - used)):
            if sums.equal(amount, value, used.ne(0)):
                less = "" if counts else f" − {evidence.named([at])}"
                return Guess(counts, f"{evidence.named([amount])} is {words}{less}")
    what = f"does {evidence.named([amount])} count what was paid with {evidence.named([at])}?"
    return Guess(False, unsure=f"{what} Then true")


def _clearest(evidence: Evidence, meaning: str, taken: list[int]) -> int | None:
    scores = {
        at: evidence.says(at, meaning) * (evidence.profiles[at].number > 0.9 and evidence.profiles[at].day < 0.5)
        for at in range(len(evidence.layout.headings))
        if at not in taken
    }
    best = [at for at in ranked(scores) if scores[at] > _WEAK]
    return best[0] if best else None


def guess_decimal(evidence: Evidence, lines: ir.Table, places: list[int], currency: str | None) -> Guess:
    """Propose the decimal sign of some columns of money; unsure where both fit every cell and differ."""
    texts = [at for at in places if not evidence.typed(at)]
    if not texts:
        return Guess(None, "the amounts are numbers")
    row = dict.fromkeys(("point", "comma", "differ", "commas"), 0)
    for at in texts:
        values = evidence.values(at, lines)
        cell = evidence.cell(at, values)
        both = values.select(
            "times",
            commas=cell.contains(","),
            point=cells.number_text(cell, ".", currency),
            comma=cells.number_text(cell, ",", currency),
        )
        conditions = {
            "point": both.point.notnull() & both.comma.isnull(),
            "comma": both.point.isnull() & both.comma.notnull(),
            "differ": both.point != both.comma,
            "commas": (both.point != both.comma) & both.commas,
        }
        counts = both.aggregate(**{name: times_of(both, one) for name, one in conditions.items()}).execute().iloc[0]
        row = {name: count + int(counts[name]) for name, count in row.items()}
    if not row["point"] and not row["comma"]:
        if not row["differ"]:
            return Guess(None, "no amount has decimals")
        sign = "." if row["commas"] * 2 >= row["differ"] else ","
        other = "," if sign == "." else "."
        return Guess(sign, unsure=f'every amount can be read with decimal = "{other}" as well')
    if evidence.layout.kind == "Excel":
        # Cells that are numbers were staged with a point; what was typed as text decides.
        return Guess("," if row["comma"] else "." if _typed_as_text(evidence, texts) else None, "")
    sign, other = (",", "point") if row["comma"] > row["point"] else (".", "comma")
    few = int(row[other])
    return Guess(sign, unsure=f"{few} of the amounts fit only the other sign" if few else "")


def _typed_as_text(evidence: Evidence, texts: list[int]) -> bool:
    """Whether cells of a workbook hold what no number is staged as."""
    return any(not evidence.texts[f"c{at}"].str.fullmatch(r"-?\d*([.]\d+)?").all() for at in texts)


def guess_currency(evidence: Evidence, places: list[int]) -> Guess:
    """Propose the currency, by signs in cells and headings, a column that names it, or the language."""
    named = [at for at in range(len(evidence.layout.headings)) if evidence.says(at, "other.currency") > 0.8]
    for at in named:
        said = evidence.texts[f"c{at}"]
        codes = [code for code in said[said != ""].str.upper().value_counts().index if _currency_of(code)]
        if codes:
            several = f"lines are in {', '.join(codes[:4])}: a report is of one currency" if len(codes) > 1 else ""
            return Guess(_currency_of(codes[0]), f"{evidence.named([at])} says so", several)
    for at in places:
        said = evidence.texts[f"c{at}"].str.replace(r"[\d.,'’()\s+−–‐-]", "", regex=True)
        for sign in said[said != ""].value_counts().index[:3]:
            if code := _currency_of(sign):
                unsure = 'dollars, but whose? "CAD", "AUD" … have the same sign' if sign == "$" else ""
                return Guess(code, f"«{sign}» stands in {evidence.named([at])}", unsure)
    for at in places:
        for sign in re.findall(r"[^\W\d_]+[.]?|[$€£¥₽₸₴]", evidence.layout.headings[at]):
            if code := _currency_of(sign, least=2 if sign.isalpha() and sign.isascii() else 1):
                return Guess(code, f"{evidence.named([at])} says so")
    code = next((_OF_LANGUAGE[spoken] for spoken in evidence.spoken if spoken in _OF_LANGUAGE), None)
    if code:
        return Guess(code, unsure="no amount has a sign; it is that of the language")
    return Guess("EUR" if evidence.layout.delimiter == ";" else "USD", unsure="no amount has a sign")


def _currency_of(sign: str, least: int = 1) -> str | None:
    from babel.numbers import list_currencies

    if len(sign) < least:
        return None
    if sign.isascii() and len(sign) == 3 and sign.isupper() and sign in list_currencies():
        return sign
    return next((code for code in _CURRENCIES if sign in cells.currency_signs(code)), None)
