"""What the reader sees in words: every sentence is in every language, and numbers are written as CLDR writes them."""

from __future__ import annotations

import ast
import datetime as dt
import itertools
import json
import re
import string
from dataclasses import FrozenInstanceError
from pathlib import Path

import jinja2
import pytest
from babel.messages.pofile import read_po
from jinja2 import nodes

from rfmkit.errors import NotEnoughData
from rfmkit.present.wording import JOINER, LOCALES, Reader, paragraphs

ROOT = Path(__file__).parent.parent
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir() if folder.is_dir())
#: The source sentences are English, so English words keys alone.
SOURCE = "en"
NBSP, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


# --- what must be translated: every literal that is said, in code, templates and notebooks


def said_in_code(source: str) -> set:
    """Sentences, (one, many) pairs and (kind, key) names in calls of a Reader's methods."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = set()
    for call in calls:
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
        texts = [node.value if isinstance(node, ast.Constant) else None for node in call.args]
        found |= _said(function, texts)
    return found


def said_in_template(source: str) -> set:
    found = set()
    for call in jinja2.Environment().parse(source).find_all(nodes.Call):
        function = getattr(call.node, "attr", getattr(call.node, "name", None))
        texts = [node.value if isinstance(node, nodes.Const) else None for node in call.args]
        found |= _said(function, texts)
    return found


def _said(function: str | None, texts: list) -> set:
    match function, texts:
        case "say", [str(sentence), *_]:
            return {sentence}
        case "plural", [str(one), str(many), *_]:
            return {(one, many)}
        case (("name" | "words"), [str(kind), str(key), *_]):
            return {(kind, key, "name")}
    return set()


def said_in_notebook(path: Path) -> set:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return {text for source in prose for _, text in paragraphs(source)}


def everything_said() -> set:
    found = set()
    for room in ("present", "publish"):
        folder = ROOT / "rfmkit" / room
        for path in folder.rglob("*.py"):
            found |= said_in_code(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.j2"):
            found |= said_in_template(path.read_text(encoding="utf-8"))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        found |= said_in_notebook(path)
    return found


def catalogue(locale: str):
    with (LOCALES / locale / "messages.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def entries(locale: str) -> list:
    return [message for message in catalogue(locale) if message.id]


def keyed(locale: str) -> dict:
    return {(message.context, _first(message)): message for message in entries(locale) if message.context}


def sentences(locale: str) -> set:
    return {
        message.id if isinstance(message.id, str) else tuple(message.id)
        for message in entries(locale)
        if not message.context
    }


def _first(message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def forms(text: str | tuple) -> tuple:
    return (text,) if isinstance(text, str) else tuple(text)


def placeholders(text: str) -> set:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


# --- the catalogues


def test_extraction_finds_what_is_said():
    code = 'reader.say("a" " b", n=1); plural("x", "xs", 3); reader.name("metric", "rpr"); reader.name("metric", key)'
    assert said_in_code(code) == {"a b", ("x", "xs"), ("metric", "rpr", "name")}
    assert said_in_template('{{ say("a") }} {% if reader.plural("x", "xs", n) %}{% endif %}') == {"a", ("x", "xs")}


def test_every_sentence_is_written_where_it_is_said():
    """A sentence in a variable would escape the extraction."""
    wording = ROOT / "rfmkit" / "present" / "wording.py"
    for path in (ROOT / "rfmkit").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", None) in {"say", "plural"} and path != wording:
                assert isinstance(call.args[0], ast.Constant), f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("locale", [locale for locale in LANGUAGES if locale != SOURCE])
def test_every_sentence_is_translated_and_none_is_stale(locale):
    wanted = {said for said in everything_said() if isinstance(said, str) or len(said) == 2}
    assert sorted(wanted - sentences(locale), key=str) == [], "missing"
    assert sorted(sentences(locale) - wanted, key=str) == [], "stale"


def test_english_words_only_keys():
    assert sentences(SOURCE) == set()


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_language_words_the_same_keys(locale):
    assert sorted(keyed(locale)) == sorted(keyed(SOURCE))
    assert {key for key, message in keyed(locale).items() if message.pluralizable} == {
        key for key, message in keyed(SOURCE).items() if message.pluralizable
    }


def test_every_key_that_is_named_is_worded():
    named = {said[:2] for said in everything_said() if isinstance(said, tuple) and len(said) == 3}
    assert sorted(named - set(keyed(SOURCE))) == []


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_text_is_whole(locale):
    """No text is empty or fuzzy, plurals have all forms of the language, and placeholders are those of the source."""
    for message in entries(locale):
        where = f"{locale}: {message.context or ''} {_first(message)!r}"
        texts = forms(message.string)
        assert all(text.strip() for text in texts), f"{where} is empty"
        assert not message.fuzzy, f"{where} is fuzzy"
        if message.pluralizable:
            assert len(texts) == catalogue(locale).num_plurals, f"{where} lacks a plural form"
        source = forms(keyed(SOURCE)[message.context, _first(message)].string if message.context else message.id)[-1]
        for text in texts:
            assert placeholders(text) == placeholders(source), f"{where} has other placeholders"
            assert text == text.strip() or not message.context, f"{where} has spaces around it"


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_catalogue_is_sorted_so_that_changes_read_well(locale):
    keys = [(message.context or "", _first(message)) for message in entries(locale)]
    assert keys == sorted(keys)
    assert len(keys) == len(set(keys))


def test_every_segment_of_every_scheme_has_words_in_every_language():
    tomllib = pytest.importorskip("tomllib")
    schemes = list((ROOT / "rfmkit" / "analysis" / "schemes").glob("*.toml"))
    segments = {"inactive"} | {
        segment["key"] for path in schemes for segment in tomllib.loads(path.read_text(encoding="utf-8"))["segments"]
    }
    for kind in ("segment", "who", "advice-what", "advice-why"):
        worded = {key for context, key in keyed(SOURCE) if context == kind}
        assert segments <= worded, kind


REASONS = [
    ("few_patients", {"have": 21, "need": 50}),
    ("few_known_cohorts", {"have": 0, "need": 50}),
    ("few_next_services", {"have": 0, "need": 50}),
    ("few_repeat_patients", {"have": 3, "need": 50}),
    ("few_paying_patients", {"have": 3, "need": 50}),
    ("no_model_beats_history", {"mae": 1.25, "naive_mae": 1.5}),
    ("model_not_converged", {"model": "mbg_nbd"}),
    ("no_mean_spend", {"q": 0.82}),
    ("short_history", {"have_months": 8, "need_months": 12}),
    ("few_calibration_patients", {"have": 0, "need": 50}),
    ("history_starts_late", {"first_visit": dt.date(2025, 3, 2), "needed": dt.date(2024, 11, 1)}),
    ("no_visits", {"start": dt.date(2025, 11, 1), "end": dt.date(2026, 10, 31)}),
    ("no_paid_visits", {"start": dt.date(2025, 11, 1), "end": dt.date(2026, 10, 31)}),
    ("no_tags", {}),
    ("no_patients_at_start", {"day": dt.date(2025, 10, 31)}),
    ("no_patients_file", {}),
    ("no_consents", {}),
]


def test_the_cases_of_reasons_are_exhaustive():
    assert {code for code, _ in REASONS} == {key for kind, key in keyed(SOURCE) if kind == "reason"}


@pytest.mark.parametrize(("code", "numbers"), REASONS, ids=[code for code, _ in REASONS])
@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_reason_is_said_in_words(locale, code, numbers):
    text = Reader(locale).reason(NotEnoughData(code, **numbers))
    assert text[-1] in ".。"
    assert not {"{", "_"} & set(text)
    assert code not in text
    for value in numbers.values():
        if isinstance(value, int):
            assert str(value) in text


def test_a_reason_nobody_worded_is_said_in_english(monkeypatch):
    error = NotEnoughData("few_patients", have=1, need=2)
    error.code = "unheard_of"
    monkeypatch.setattr(NotEnoughData, "__str__", lambda self: "as it is")
    assert Reader("ru").reason(error) == "as it is"


# --- the reader


def test_an_unknown_locale_is_refused_naming_the_known_ones():
    with pytest.raises(ValueError, match="en, ru, zh"):
        Reader("fr")


def test_a_reader_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Reader().locale = "ru"


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0 месяцев"),
        (1, "1 месяц"),
        (2, "2 месяца"),
        (5, "5 месяцев"),
        (11, "11 месяцев"),
        (21, "21 месяц"),
        (24, "24 месяца"),
    ],
)
def test_russian_has_three_plural_forms(n, words):
    assert Reader("ru").months(n).replace(NBSP, " ") == words


@pytest.mark.parametrize(("locale", "words"), [("en", ["1 day", "2 days"]), ("zh", ["1天", "2天"])])
def test_plurals_of_the_others(locale, words):
    assert [Reader(locale).days(n).replace(NBSP, " ") for n in (1, 2)] == words


@pytest.mark.parametrize(
    ("locale", "currency", "money"),
    [
        ("en", "EUR", "€1,234,568"),
        ("en", "RUB", f"RUB{NBSP}1,234,568"),
        ("ru", "RUB", f"1{NBSP}234{NBSP}568{NBSP}₽"),
        ("zh", "CNY", "¥1,234,568"),
        ("en", None, "1,234,568"),
    ],
)
def test_money_is_written_as_the_reader_writes_it(locale, currency, money):
    assert Reader(locale, currency).money(1234567.89) == money


@pytest.mark.parametrize(("locale", "short"), [("en", "€1.2M"), ("ru", f"1,2{NBSP}млн{NBSP}€"), ("zh", "€123.5万")])
def test_money_on_an_axis_is_short(locale, short):
    assert Reader(locale, "EUR").short_money(1234567.89) == short


@pytest.mark.parametrize(("locale", "text"), [("en", "45.7%"), ("ru", f"45,7{NBSP}%"), ("zh", "45.7%")])
def test_percent(locale, text):
    assert Reader(locale).percent(0.4567) == text


@pytest.mark.parametrize(
    ("value", "before", "text"),
    [(103.2, 100, "+3.2%"), (96.8, 100, "-3.2%"), (100, 100, "0.0%"), (99.99, 100, "0.0%"), (5, 0, "–")],
)
def test_change_is_signed(value, before, text):
    assert Reader().change(value, before) == text


@pytest.mark.parametrize(
    ("locale", "text"), [("en", "+1.2 pp"), ("ru", f"+1,2{NBSP}п.{NBSP}п."), ("zh", "+1.2个百分点")]
)
def test_points(locale, text):
    assert Reader(locale).points(0.512, 0.5) == text


@pytest.mark.parametrize(("value", "text"), [(1200, "+€1,200"), (-1200, "-€1,200"), (0, "€0"), (9.5, "+€9.50")])
def test_a_gain_is_signed(value, text):
    assert Reader(currency="EUR").gain(value) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_known_is_a_dash(value):
    reader = Reader(currency="EUR", min_count=5)
    written = (
        reader.number,
        reader.percent,
        reader.money,
        reader.short_money,
        reader.gain,
        reader.count,
        reader.days,
        reader.months,
    )
    assert {write(value) for write in written} == {"–"}
    assert reader.change(value, 1) == reader.change(1, value) == reader.points(value, 1) == "–"
    assert reader.date(None) == "–"


def test_pandas_own_missing_value_is_a_dash():
    assert Reader().number(pytest.importorskip("pandas").NA) == "–"


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert Reader().number(-0.3) == "0"


@pytest.mark.parametrize(("patients", "text"), [(0, "0"), (1, "< 5"), (4, "< 5"), (5, "5"), (1200, "1,200")])
def test_small_groups_are_not_counted(patients, text):
    assert Reader(min_count=5).count(patients) == text


@pytest.mark.parametrize(
    ("locale", "day", "month", "short", "period"),
    [
        ("en", "31 October 2026", "October 2026", "Oct 2026", "1 Nov 2025 – 31 Oct 2026"),
        ("ru", "31 октября 2026 г.", "октябрь 2026 г.", "окт. 2026 г.", "1 нояб. 2025 г. – 31 окт. 2026 г."),
        ("zh", "2026年10月31日", "2026年10月", "2026年10月", "2025年11月1日至2026年10月31日"),
    ],
)
def test_dates(locale, day, month, short, period):
    reader, end = Reader(locale), dt.date(2026, 10, 31)
    written = [
        reader.date(end),
        reader.month("2026-10"),
        reader.short_month("2026-10"),
        reader.period(dt.date(2025, 11, 1), end),
    ]
    assert [re.sub(r"\s", " ", text) for text in written] == [day, month, short, period]


def test_a_key_that_no_catalogue_knows_is_shown_as_it_is_written():
    assert Reader("ru").name("segment", "our_vip") == "our vip"
    assert Reader("ru").words("advice-what", "our_vip", 3) == ""


@pytest.mark.parametrize(("n", "words"), [(1, "1 пациент"), (3, "3 пациента"), (25, "25 пациентов")])
def test_plural(n, words):
    assert Reader("ru").plural("{n} patient", "{n} patients", n).replace(NBSP, " ") == words


def test_prose_is_translated_paragraph_by_paragraph():
    source = "## What the words mean\n\nA sentence that nobody translated."
    assert Reader("ru").markdown(source) == "## Что значат слова\n\nA sentence that nobody translated."
    assert Reader().markdown(source) == source


@pytest.mark.parametrize("key", ["female_18_34", "age_0_17", "male_55"])
@pytest.mark.parametrize("locale", LANGUAGES)
def test_ages_stay_on_one_line(locale, key):
    """A line may break at spaces, behind a dash, and beside every Chinese sign that no joiner holds."""
    reader, band = Reader(locale), key.partition("_")[2]
    ages = reader.cohort(f"age_{band}")
    assert ages in reader.cohort(key)
    assert " " not in ages
    for sign, following in itertools.pairwise(ages):
        breaks = {sign, following} & {"–", *"岁至及以上下"}
        assert not breaks or JOINER in {sign, following}


def test_ages_read_as_before():
    seen = [Reader(locale).cohort("female_18_34").replace(JOINER, "").replace(NBSP, " ") for locale in LANGUAGES]
    assert seen == ["Women, 18 to 34 years", "Женщины 18–34 лет", "18至34岁女性"]


def test_the_language_is_named_as_html_names_it():
    assert [Reader(locale).language for locale in ("en", "ru", "zh")] == ["en-GB", "ru", "zh-Hans-CN"]
