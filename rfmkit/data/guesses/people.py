"""What the columns of a file of patients are for, and from which country its phones are."""

from __future__ import annotations

import datetime as dt
import re

import pandas as pd

from rfmkit.clinic import PatientColumns
from rfmkit.data.answers import CONSENTED, NO_SEX, NOT_CONSENTED, NOT_OPTED_OUT, OPTED_OUT, SEXES, folded
from rfmkit.data.guesses.evidence import Evidence, Guess, Guesses
from rfmkit.data.guesses.payments import guess_days
from rfmkit.errors import ExportError, Problem

_OPTIONAL = tuple(name for name in PatientColumns.model_fields if name != "patient_id")
_DAYS = ("birth_date", "member_since")
_CONSENTS = ("consent_sms", "consent_email", "consent_phone", "consent_ads")
_WEAK = 0.5
#: So many of the payments' patients stand in the file that it is theirs.
_THEIRS = 0.5
_MOST = 0.9
_PREFIXES = {
    "RU": r"(\+?7|8)\d{10}", "KZ": r"(\+?7|8)7\d{9}", "CN": r"(\+?86)?1[3-9]\d{9}", "US": r"\+?1?[2-9]\d{9}",
    "GB": r"(\+44|0)\d{9,10}", "DE": r"(\+49|0)1[567]\d{8,9}", "IE": r"\+353\d{8,9}", "UA": r"\+?380\d{9}",
    "BY": r"\+?375\d{9}", "CH": r"\+41\d{9}", "HK": r"\+852\d{8}", "PL": r"\+48\d{9}",
}  # fmt: skip
_OF_CURRENCY = {
    "RUB": "RU", "CNY": "CN", "USD": "US", "GBP": "GB", "KZT": "KZ", "BYN": "BY", "UAH": "UA", "CHF": "CH", "PLN": "PL",
    "HKD": "HK",
}  # fmt: skip


def guess_patients(evidence: Evidence, ids: set[str], today: dt.date | None) -> Guesses:
    """Propose what the columns of a file of patients are for.

    Parameters
    ----------
    evidence : Evidence
        Of the file of patients.
    ids : set of str
        The patients of the payments: the column that holds them is `patient_id`.
    today : datetime.date or None

    Raises
    ------
    ExportError
        If no column holds the payments' patients.
    """
    found = Guesses(lines=evidence.table)
    at, guess = _choose_patient(evidence, ids)
    if at is None:
        seen = ", ".join(evidence.named([one]) for one in evidence.columns) if evidence.headed else ""
        fix = "Export the code that the payments have." + (f" Its headings are {seen}." if seen else "")
        raise ExportError(Problem(evidence.source, "has no column with the patients of the payments", fix))
    found.places["patient_id"], found.columns["patient_id"] = at, guess
    scores = {
        (name, place): evidence.says(place, f"patients.{name}") * _like(evidence, name, place)
        for name in _OPTIONAL
        for place in evidence.columns
        if place != at
    }
    for name, place in sorted(
        (pair for pair, score in scores.items() if score > _WEAK), key=lambda pair: -scores[pair]
    ):
        if name in found.places or place in found.places.values():
            continue
        near = [
            one for one in evidence.columns if one != place and scores.get((name, one), 0) > _MOST * scores[name, place]
        ]
        unsure = f"or is it {evidence.named(near)}?" if near else _unanswered(evidence, name, place)
        found.places[name], found.columns[name] = place, Guess(evidence.layout.headings[place], unsure=unsure)
    days = [found.places[name] for name in (*_DAYS, "opted_out", *_CONSENTS) if name in found.places]
    days = [place for place in days if evidence.profiles[place].day]
    found.keys["date_format"] = guess_days(evidence, days, today) if days else Guess(None, "no column has days")
    return found


def _choose_patient(evidence: Evidence, ids: set[str]) -> tuple[int | None, Guess]:
    shares = {}
    for at in evidence.columns:
        look = evidence.profiles[at]
        if look.day < 0.5 and look.email < 0.5 and look.words < 0.5:
            shares[at] = len(ids & evidence.ids(at)) / max(len(ids), 1)
    best = sorted(shares, key=lambda at: (-round(shares[at], 2), -evidence.says(at, "transactions.patient_id")))
    if not best or not shares[best[0]]:
        return None, Guess(None)
    at = best[0]
    guess = Guess(evidence.layout.headings[at], "the same code as in the payments")
    if shares[at] < _THEIRS:
        guess.unsure = f"only {shares[at]:.0%} of the patients who paid stand here"
    return at, guess


def _like(evidence: Evidence, name: str, at: int) -> float:
    look = evidence.profiles[at]
    if not look.filled:
        return 0.9
    match name:
        case "name" | "consent_source":
            return float(look.digit < 0.3 and look.email < 0.3)
        case "phone":
            said = evidence.texts[f"c{at}"]
            digits = said[said != ""].str.count(r"\d")
            return float(look.day < 0.5 and (digits >= 7).mean() > 0.5)
        case "email":
            return float(look.email > 0.5)
        case "birth_date" | "member_since":
            return float(look.day > 0.5)
        case "sex":
            return float(look.distinct <= 12)
        case "referred_by":
            return float(look.day < 0.5)
        case _:
            return float(look.distinct <= 12 or look.day > 0.5)


def _unanswered(evidence: Evidence, name: str, at: int) -> str:
    """That a column of answers has some that rfmkit does not know."""
    known = {
        "sex": set(SEXES) | NO_SEX,
        "opted_out": OPTED_OUT | NOT_OPTED_OUT,
        **dict.fromkeys(_CONSENTS, CONSENTED | NOT_CONSENTED),
    }.get(name)
    said = evidence.texts[f"c{at}"]
    if known is None or evidence.profiles[at].day > 0.5 or evidence.typed(at):
        return ""
    said = folded(said[said != ""])
    if len(said) and said.isin(known).mean() < _MOST:
        return "its answers are not all words that rfmkit knows"
    return ""


def guess_country(phones: list[tuple[Evidence, int]], currency: Guess) -> Guess:
    """Propose the country of the phones without a country code: by their shape, else by the currency."""
    by_currency = _OF_CURRENCY.get(str(currency.value))
    said = pd.concat([evidence.texts[f"c{at}"] for evidence, at in phones]) if phones else pd.Series(dtype="str")
    digits = said[said != ""].str.replace(r"[^\d+]", "", regex=True)
    shares = (
        {code: float(digits.str.fullmatch(shape).mean()) for code, shape in _PREFIXES.items()} if len(digits) else {}
    )
    best = max(shares, key=lambda code: (shares[code], code == by_currency), default=None)
    if best and shares[best] > _THEIRS:
        agree = best == by_currency or bool(re.match(r"\\\+", _PREFIXES[best]))
        return Guess(best, "whose phones they look like", "" if agree else "by the shape of the phones alone")
    if not phones or by_currency is None:
        return Guess(None, unsure="" if not phones else "whose are the phones without a country code?")
    return Guess(by_currency, unsure="that of the currency; the phones do not tell")
