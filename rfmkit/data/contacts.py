"""How a patient can be reached: phones in E.164, e-mail addresses, or why a cell holds neither."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pandas as pd
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

#: Zero-width signs, marks of direction and control characters: they come along when text is copied, and say nothing.
INVISIBLE = "[\x00-\x08\x0e-\x1f\x7f\x80-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"

#: What people write where there is nothing to write.
_NOTHING = {"нет", "не указан", "не указано", "отсутствует", "no", "none", "null", "nan", "n/a", "na", "无", "没有"}
_KINDS = {
    number: name.lower() for name, number in vars(PhoneNumberType).items() if isinstance(number, int) and number < 99
}
_PARSE_FAULTS = {
    NumberParseException.NOT_A_NUMBER: "too_short",  # it has digits, so it is a number of one digit
    NumberParseException.TOO_SHORT_AFTER_IDD: "too_short",
    NumberParseException.TOO_SHORT_NSN: "too_short",
    NumberParseException.TOO_LONG: "too_long",
}
_LENGTH_FAULTS = {
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "too_short",  # it lacks its area code
    ValidationResult.TOO_LONG: "too_long",
}
_INVISIBLE = re.compile(INVISIBLE)
_BLANKS = re.compile(r"[ \t]+")
_DIGIT, _NO_DIGITS = re.compile(r"\d"), re.compile(r"\D+")
_DASHES = re.compile("[\u2010-\u2015\u2212\u2043]|\ufe63|\uff0d")
_SCIENTIFIC = re.compile(r"[+']?(\d+)(?:[.,](\d*))?[eEеЕ]\+?(\d{1,2})")
_FLOAT = re.compile(r"(\+?\d{5,}|\d{1,3}(?: \d{3}){2,})[.,]0{1,2}")
#: A letter or two inside digits is a slip for a digit, not a word: nobody knows for which.
_SLIP = re.compile(r"\d(?!x\d|вн\d)[a-zа-яё]{1,2}\d", re.IGNORECASE)
_EXTENSION = r"(?:[ ,;(]*(?:доб(?:авочный)?|вн(?:утр)?|ext(?:ension)?|x|#|转|分机)[. :]*(?P<extension>\d{1,7}))?"
_PARTED = re.compile(r"(?P<number>\+*[ (]*\d[\d ().-]*)" + _EXTENSION, re.IGNORECASE)
#: A slash stands inside a number as well as between two: the longer reading is tried first.
_WHOLE = re.compile(r"(?P<number>\+*[ (]*\d[\d ()./\\-]*)" + _EXTENSION, re.IGNORECASE)
#: Whole numbers with nothing but a blank between them.
_APART = re.compile(r"\d{10,15}(?: \d{10,15})+")
_RUN = re.compile(r"(?P<number>\d+)(?P<extension>)?")
_LONGEST = 250

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LAST_LABEL = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{2,59}")


class Phone(NamedTuple):
    """What a cell says of a phone.

    Attributes
    ----------
    phone : str or None
        E.164, if the number is valid.
    phone_kind : str or None
        ``mobile``, ``fixed_line``, ``fixed_line_or_mobile``, ``toll_free`` …: an SMS needs one of the first and third.
    phone_fault : str or None
        Why there is none: ``empty``, ``not_a_number``, ``too_short``, ``too_long``, ``not_a_valid_number``,
        ``rounded_by_a_spreadsheet``, ``no_country``.
    phone_extension : str or None
        Digits to dial once connected.
    phone_count : int
        How many valid numbers the cell holds; the first of them is `phone`.
    phone_key : str or None
        E.164 of the valid number, or else of one that has a possible length. It tells who shares a phone, and is not
        to be called. A number of one digit repeated is nobody's and has no key.
    phone_all : str or None
        Every valid number of the cell, parted by blanks: whoever opts out opts out with all of them.
    """

    phone: str | None = None
    phone_kind: str | None = None
    phone_fault: str | None = None
    phone_extension: str | None = None
    phone_count: int = 0
    phone_key: str | None = None
    phone_all: str | None = None


class Email(NamedTuple):
    """What a cell says of an e-mail address: the first and all of them, or ``empty`` or ``not_an_address``."""

    email: str | None = None
    email_fault: str | None = None
    email_all: str | None = None


def read_phones(texts: pd.Series, country: str | None) -> pd.DataFrame:
    """Read phones, each distinct text once.

    Parameters
    ----------
    texts : pandas.Series
        Text, or missing.
    country : str or None
        Two letters: whose numbers those without ``+`` or ``00`` are. Without it they are not read.

    Returns
    -------
    pandas.DataFrame
        The attributes of `Phone` as columns, in the order and with the index of `texts`.
    """
    known = country if country in phonenumbers.SUPPORTED_REGIONS else None
    return _each(texts, partial(read_phone, country=known), Phone())


def read_emails(texts: pd.Series) -> pd.DataFrame:
    """Read e-mail addresses, each distinct text once: the attributes of `Email`."""
    return _each(texts, read_email, Email())


def _each(texts: pd.Series, read: Callable[[str], Phone | Email], like: Phone | Email) -> pd.DataFrame:
    codes, uniques = pd.factorize(texts)
    # Missing cells have the code -1, which takes the last of the results.
    results = pd.DataFrame([*map(read, uniques), read("")], columns=like._fields)
    kinds = {name: "int64" if isinstance(value, int) else "str" for name, value in like._asdict().items()}
    return results.astype(kinds).take(codes).set_axis(texts.index)


def read_phone(text: str, country: str | None) -> Phone:
    """Read the phone in a cell: the first valid number in it.

    Digits that a spreadsheet rounded away are not guessed. Words beside a number are passed over; a letter amid its
    digits is not.

    Parameters
    ----------
    text : str
    country : str or None
        Two letters.
    """
    text = _plain(text)
    if not _DIGIT.search(text):
        return Phone(phone_fault="empty" if _says_nothing(text) else "not_a_number")
    if scientific := _SCIENTIFIC.fullmatch(text):
        whole, fraction, power = scientific[1], scientific[2] or "", int(scientific[3])
        if len(whole) != 1 or len(fraction) != power:
            return Phone(phone_fault="rounded_by_a_spreadsheet")
        text = whole + fraction  # every digit is there, only written apart
    elif number := _FLOAT.fullmatch(text):
        text = number[1]
    if len(text) > _LONGEST:
        return Phone(phone_fault="too_long")
    if _SLIP.search(text):
        return Phone(phone_fault="not_a_number")
    found = [_number(match, country) for match in _WHOLE.finditer(text)]
    if "/" in text or "\\" in text:
        found = [one for one in found if one.phone] or [_number(match, country) for match in _PARTED.finditer(text)]
    if all(one.phone_fault == "too_long" for one in found) and _APART.fullmatch(text):
        found = [_number(match, country) for match in _RUN.finditer(text)]
    valid = list(dict.fromkeys(one.phone for one in found if one.phone))
    if valid:
        return next(one for one in found if one.phone)._replace(phone_count=len(valid), phone_all=" ".join(valid))
    # A house number or an hour beside a bad phone is not what the fault is about.
    return max(found, key=lambda one: (one.phone_key is not None, one.phone_fault != "too_short"))


def _plain(text: str) -> str:
    if not text.isascii():
        text = _DASHES.sub("-", unicodedata.normalize("NFKC", text))
    return _BLANKS.sub(" ", _INVISIBLE.sub("", text)).strip().lstrip("'’`")


def _says_nothing(text: str) -> bool:
    return not any(map(str.isalpha, text)) or text.casefold().rstrip(".") in _NOTHING


def _number(match: re.Match, country: str | None) -> Phone:
    """A run of digits as a number of the country, or of the world if it begins so."""
    digits = _NO_DIGITS.sub("", match["number"])
    international = match["number"].lstrip(" (").startswith("+")
    if not international and not country:
        if not digits.startswith("00"):
            return Phone(phone_fault="no_country")
        digits, international = digits[2:], True
    result = _read_digits(digits, None if international else country)
    if not international and digits.startswith("00") and not result.phone:
        # 00 leads abroad from most countries, and people write it in the others too.
        abroad = _read_digits(digits[2:], None)
        result = abroad if abroad.phone else result
    return result._replace(phone_extension=match["extension"] or None)


def _read_digits(digits: str, country: str | None) -> Phone:
    try:
        number = phonenumbers.parse(digits if country else f"+{digits}", country)
    except NumberParseException as error:
        return Phone(phone_fault=_PARSE_FAULTS.get(error.error_type, "not_a_valid_number"))
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    kind = phonenumbers.number_type(number)
    if kind != PhoneNumberType.UNKNOWN:  # which says, as `is_valid_number` would, that no network has it
        return Phone(written, _KINDS[kind], phone_count=1, phone_key=_key(number, written))
    length = phonenumbers.is_possible_number_with_reason(number)
    key = _key(number, written) if length == ValidationResult.IS_POSSIBLE else None
    return Phone(phone_fault=_LENGTH_FAULTS.get(length) or _other_fault(number, length), phone_key=key)


def _other_fault(number: PhoneNumber, length: int) -> str:
    """A length between the shortest and the longest of a country is judged by its mobile numbers."""
    if length != ValidationResult.INVALID_LENGTH:
        return "not_a_valid_number"
    region = phonenumbers.region_code_for_country_code(number.country_code)
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None:
        return "not_a_valid_number"
    digits = len(phonenumbers.national_significant_number(number))
    return "too_long" if digits > len(phonenumbers.national_significant_number(example)) else "too_short"


def _key(number: PhoneNumber, written: str) -> str | None:
    return written if len(set(phonenumbers.national_significant_number(number))) > 1 else None


def read_email(text: str) -> Email:
    """Read the e-mail address in a cell: the first valid one in it, in small letters.

    The rule is what mail systems deliver to, which is less than RFC 5322 allows: one ``@``; before it at most 64 ASCII
    letters, digits and ``!#$%&'*+/=?^_`{|}~-`` with single dots between; after it a domain of two labels or more, each
    of letters, digits and inner hyphens, the last without digits; at most 254 signs. A domain in other letters is
    written as the mail system sees it (``xn--…``), unless a label mixes them with Latin ones: that is a slip or a trap.
    """
    text = _plain(text).casefold()
    if not any(map(str.isalnum, text)) or text.rstrip(".") in _NOTHING:
        return Email(email_fault="empty")
    found = []
    for piece in re.split(r"[,;<>()\[\]\"|\n\r]+|/(?=\S+@)", text):
        words = piece.split()
        if len(words) > 1 and not all("@" in word for word in words):
            continue  # an address with a blank inside is not the address behind the blank
        addresses = [_address(word.removeprefix("mailto:").rstrip(".")) for word in words]
        found += [address for address in addresses if address]
    return Email(found[0], email_all=" ".join(found)) if found else Email(email_fault="not_an_address")


def _address(word: str) -> str | None:
    local, at, domain = word.rpartition("@")
    labels = domain.split(".")
    if not at or any(not label.isascii() and re.search("[a-z]", label) for label in labels):
        return None
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            return None
        labels = domain.split(".")
    good = (
        len(local) <= 64
        and len(local) + 1 + len(domain) <= 254
        and _LOCAL.fullmatch(local)
        and len(labels) > 1
        and all(map(_LABEL.fullmatch, labels))
        and _LAST_LABEL.fullmatch(labels[-1])
    )
    return f"{local}@{domain}" if good else None
