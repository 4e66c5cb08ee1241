"""Phones and e-mail addresses are read as clinics write them, or it is said why a cell holds none."""

from __future__ import annotations

import pandas as pd
import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rfmkit.data.contacts import read_email, read_emails, read_phone, read_phones

# Phones. The Russian plan: +7 and ten digits, of which 9xx are mobile and 495 is Moscow; 8 stands for +7 inside.


PHONES = {
    "8 (916) 123-45-67": "+79161234567",
    "+7 916 123 45 67": "+79161234567",
    "79161234567": "+79161234567",
    "9161234567": "+79161234567",
    "8-916-123-45-67": "+79161234567",
    "8.916.123.45.67": "+79161234567",
    "８（９１６）１２３－４５－６７": "+79161234567",
    "8‑916‑123‑45‑67": "+79161234567",
    "\u202a+7 916 123-45-67\u202c": "+79161234567",
    "8\u00a0916\u00a0123\u00a045\u00a067": "+79161234567",
    "'+79161234567": "+79161234567",
    "тел. 8-916-123-45-67 (мама)": "+79161234567",
    "007 916 123 45 67": "+79161234567",
    # as pandas and spreadsheets leave numbers
    "79161234567.0": "+79161234567",
    "79161234567,00": "+79161234567",
    "89161234567.0": "+79161234567",
    "79 161 234 567.00": "+79161234567",
    "7.9161234567E+10": "+79161234567",
    # of other countries
    "+49 30 1234567": "+49301234567",
    "0049 30 1234567": "+49301234567",
    "8 10 49 30 1234567": "+49301234567",
    "+86 139 1234 5678": "+8613912345678",
}


@pytest.mark.parametrize(("text", "phone"), PHONES.items())
def test_a_phone_in_any_writing(text, phone):
    result = read_phone(text, "RU")
    assert (result.phone, result.phone_fault, result.phone_count) == (phone, None, 1)
    assert result.phone_key == phone


@pytest.mark.parametrize(
    ("text", "country", "phone", "kind"),
    [
        ("8 495 123-45-67", "RU", "+74951234567", "fixed_line"),
        ("8 916 123-45-67", "RU", "+79161234567", "mobile"),
        ("8 800 555-35-35", "RU", "+78005553535", "toll_free"),
        ("8 701 123-45-67", "KZ", "+77011234567", "mobile"),
        ("139 1234 5678", "CN", "+8613912345678", "mobile"),
        ("010-12345678", "CN", "+861012345678", "fixed_line"),
        ("030/1234567", "DE", "+49301234567", "fixed_line"),
        ("(201) 555-0123", "US", "+12015550123", "fixed_line_or_mobile"),
        ("07400 123456", "GB", "+447400123456", "mobile"),
        ("06 1234 5678", "IT", "+390612345678", "fixed_line"),
    ],
)
def test_the_clinics_country_and_the_kind_of_number(text, country, phone, kind):
    assert read_phone(text, country)[:3] == (phone, kind, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ("нет", "empty"),
        ("无", "empty"),
        ("позвонить маме", "not_a_number"),
        ("8916О234567", "not_a_number"),  # the letter, not the digit
        ("891612345б7", "not_a_number"),
        ("123-45-67", "too_short"),
        ("8 916 123 45 6", "not_a_valid_number"),  # ten digits, but no area begins with 891
        ("+7 916 123 45 6", "too_short"),
        ("+7 916 123 45 67 8", "too_long"),
        ("8 916 123-45-67-89", "too_long"),
        ("9" * 300, "too_long"),
        ("+7 (000) 123-45-67", "not_a_valid_number"),
        ("+999 123 456 789", "not_a_valid_number"),
        ("7.91612E+10", "rounded_by_a_spreadsheet"),
        ("7,91612E+10", "rounded_by_a_spreadsheet"),
        ("7.916123456E+10", "rounded_by_a_spreadsheet"),  # ten digits where the eleventh may be any
        ("8E+10", "rounded_by_a_spreadsheet"),
    ],
)
def test_why_a_cell_holds_no_phone(text, fault):
    result = read_phone(text, "RU")
    assert (result.phone, result.phone_fault, result.phone_count) == (None, fault, 0)


@pytest.mark.parametrize(
    ("text", "phone", "count"),
    [
        ("+7 916 123-45-67, +7 903 765-43-21", "+79161234567", 2),
        ("8 495 123-45-67/8 916 123-45-67", "+74951234567", 2),
        ("89161234567; 89161234567", "+79161234567", 1),
        ("89161234567 89037654321", "+79161234567", 2),
        ("дом. 2-12-34, моб. 8 916 123 45 67", "+79161234567", 1),
        ("8 916 123 45 67\n8 903 765 43 21", "+79161234567", 2),
        ("+7 916 123 45, 8 903 765 43 21", "+79037654321", 1),
    ],
)
def test_several_phones_in_a_cell_give_the_first_valid_one(text, phone, count):
    result = read_phone(text, "RU")
    assert (result.phone, result.phone_count) == (phone, count)


@pytest.mark.parametrize(
    ("text", "country", "phone", "extension"),
    [
        ("8 495 123-45-67 доб. 12", "RU", "+74951234567", "12"),
        ("8 495 123-45-67 (доб.0012)", "RU", "+74951234567", "0012"),
        ("8 495 123-45-67, вн. 7", "RU", "+74951234567", "7"),
        ("+1 201 555 0123 x45", "US", "+12015550123", "45"),
        ("010-12345678转801", "CN", "+861012345678", "801"),
    ],
)
def test_an_extension_is_no_part_of_the_number(text, country, phone, extension):
    result = read_phone(text, country)
    assert (result.phone, result.phone_extension) == (phone, extension)


def test_without_a_country_only_international_numbers_are_read():
    texts = pd.Series(["89161234567", "+79161234567", "0079161234567", "7.9E+10", None])
    for country in (None, "ZZ"):
        phones = read_phones(texts, country)
        assert phones["phone"].fillna("").tolist() == ["", "+79161234567", "+79161234567", "", ""]
        assert phones["phone_fault"].fillna("").tolist() == [
            "no_country",
            "",
            "",
            "rounded_by_a_spreadsheet",
            "empty",
        ]


def test_a_number_that_no_network_has_still_tells_who_shares_it():
    assert read_phone("8 (000) 123-45-67", "RU").phone_key == "+70001234567"
    # but one digit repeated is what is written where there is none
    assert read_phone("+7 999 999-99-99", "RU").phone_key is None
    assert read_phone("0000000000", "RU").phone_key is None


#: For each country: its code, what a number begins with inside, and how long its numbers are.
PLANS = {"RU": ("7", "8", (10,)), "CN": ("86", "0", (10, 11)), "GB": ("44", "0", (10,)), "DE": ("49", "0", (9, 10, 11))}
BETWEEN = st.sampled_from(["", "", "", " ", "-", ".", ") ", "\u00a0", "‑"])


@st.composite
def written_numbers(draw):
    """A valid number, and a way in which people write it."""
    country = draw(st.sampled_from(sorted(PLANS)))
    code, trunk, lengths = PLANS[country]
    length = draw(st.sampled_from(lengths))
    national = str(draw(st.integers(10 ** (length - 1), 10**length - 1)))
    assume(phonenumbers.is_valid_number(phonenumbers.parse(f"+{code}{national}")))
    start = draw(st.sampled_from([f"+{code}", f"00{code}", f"+ {code} (", trunk]))
    assume(start != trunk or phonenumbers.parse(trunk + national, country).national_number == int(national))
    written = start + "".join(digit + draw(BETWEEN) for digit in national)
    return country, f"+{code}{national}", written


@given(written_numbers(), st.sampled_from(["", ".0", " (жена)", ", ", " доб. 5"]))
def test_every_digit_of_an_accepted_phone_survives(number, more):
    country, phone, written = number
    if more == ".0":
        assume(written.removeprefix("+").isdigit())
    result = read_phone(written + more, country)
    assert (result.phone, result.phone_fault) == (phone, None)


@given(
    st.text("0123456789+-() .,/;доб№xE\u202a\u00a0８九", max_size=40), st.sampled_from([None, "RU", "CN", "US", "DE"])
)
def test_no_digit_is_invented(text, country):
    result = read_phone(text, country)
    assert (result.phone is None) == (result.phone_fault is not None)
    if result.phone:
        digits = "".join(str(int(sign)) for sign in text if sign.isdigit())
        number = phonenumbers.parse(result.phone)
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.national_significant_number(number) in digits.replace(".", "")


@given(st.text(max_size=60))
def test_no_text_is_too_strange(text):
    phone, email = read_phone(text, "RU"), read_email(text)
    assert (phone.phone is None) == (phone.phone_fault is not None)
    assert (email.email is None) == (email.email_fault is not None)


def test_each_distinct_text_is_read_once(monkeypatch):
    calls = []
    parse = phonenumbers.parse
    monkeypatch.setattr(phonenumbers, "parse", lambda *given: calls.append(given) or parse(*given))
    phones = read_phones(pd.Series(["89161234567", "89037654321"] * 500, index=range(1000, 2000)), "RU")
    assert len(calls) == 2
    assert phones.index.tolist() == list(range(1000, 2000))
    assert phones["phone"].tolist() == ["+79161234567", "+79037654321"] * 500


# E-mails


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ivan.Petrov@Mail.RU", "ivan.petrov@mail.ru"),
        (" a+b@x-y.co.uk. ", "a+b@x-y.co.uk"),
        ("Иван <ivan@mail.ru>", "ivan@mail.ru"),
        ("mailto:a@x.ru", "a@x.ru"),
        ("a@x.ru, b@x.ru", "a@x.ru"),
        ("a@x.ru b@x.ru", "a@x.ru"),
        ("нет@, b@x.ru", "b@x.ru"),
        ("ａ＠ｘ．ｒｕ", "a@x.ru"),
        ("\u200ba@x.ru", "a@x.ru"),
        ("info@клиника.рф", "info@xn--80apagcdp.xn--p1ai"),
        ("a" * 64 + "@x.ru", "a" * 64 + "@x.ru"),
    ],
)
def test_an_address(text, email):
    read = read_email(text)
    assert (read.email, read.email_fault) == (email, None)
    assert read.email_all.split()[0] == email


NO_ADDRESS = [
    "a",
    "a@",
    "@x.ru",
    "a@b",
    "a@@x.ru",
    "a b@x.ru",
    "a..b@x.ru",
    ".a@x.ru",
    "a.@x.ru",
    "a@-x.ru",
    "a@x_y.ru",
]
NO_ADDRESS += [
    "a@x.r",
    "a@1.2.3.4",
    "a@x..ru",
    "сергей@mail.ru",
    "ivan@mаil.ru",
    "a" * 65 + "@x.ru",
    "a@" + "x." * 130 + "ru",
]


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_no_address(text):
    assert read_email(text) == (None, "not_an_address", None)


def test_no_address_at_all():
    assert read_emails(pd.Series(["", None, "-", "нет", "n/a"]))["email_fault"].tolist() == ["empty"] * 5
