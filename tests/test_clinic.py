"""A clinic file is checked as a whole: every mistake at once, each with what to do."""

from pathlib import Path

import pytest

from rfmkit import load_clinic
from rfmkit.errors import ClinicFileError

REPOSITORY = Path(__file__).parent.parent

WHOLE = """
name = "Dental North"
locale = "ru"
country = "RU"
currency = "RUB"

[transactions]
source = "payments.csv"
encoding = "cp1251"
delimiter = ";"
decimal = ","
date_format = "%d.%m.%Y"
[transactions.columns]
patient_id = "Код пациента"
visit_date = "Дата"
amount = "Сумма"

[clv]
margin = 1
annual_discount_rate = 0

[loyalty]
period_months = 12
"""


@pytest.fixture
def said(tmp_path):
    """What is wrong with a clinic file of this text."""

    def check(text: str) -> list[str]:
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ClinicFileError) as refused:
            load_clinic(path)
        return [str(problem) for problem in refused.value.problems]

    return check


def test_a_whole_clinic_file(tmp_path):
    path = tmp_path / "north.toml"
    path.write_text(WHOLE, encoding="utf-8")
    clinic = load_clinic(path)
    assert (clinic.key, clinic.locale, clinic.rfm.bins, clinic.active_months) == ("north", "ru", 5, 12)
    assert clinic.transactions.encoding == "cp1251"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "clinics").glob("*.toml")), ids=lambda path: path.stem)
def test_the_demo_clinics_files_are_right(path):
    assert load_clinic(path).key == path.stem


CASES = [
    ('locale = "ru"', 'lokale = "ru"', "own.toml lokale: unknown key. Did you mean locale?"),
    ('locale = "ru"', 'locale = "fr"', "own.toml locale: must be one of en, ru, zh."),
    ('currency = "RUB"', 'currency = "RBU"', "own.toml currency: must be a currency's three letters"),
    ('currency = "RUB"', "", "own.toml currency: is missing. Add it."),
    ("margin = 1", "margin = 1.5", "own.toml [clv] margin: should be less than or equal to 1."),
    ("margin = 1", 'model = "bgnbd"', "own.toml [clv] model: must be 'bg_nbd', 'mbg_nbd' or 'pareto_nbd'."),
    ("period_months = 12", "active_months = 6", "own.toml loyalty: active_months must not be less than period_months."),
    ('encoding = "cp1251"', 'encoding = "cp12511"', "own.toml [transactions] encoding: is no encoding"),
    ('"%d.%m.%Y"', '"%d.%m"', "own.toml [transactions] date_format: must hold day, month and year"),
    ('amount = "Сумма"', "", "own.toml [transactions.columns] amount: is missing. Add it."),
    (
        'amount = "Сумма"',
        'amount = "Сумма"\namont = "x"',
        "[transactions.columns] amont: unknown key. Did you mean amount?",
    ),
    ("[loyalty]", "[campaigns]", "own.toml campaigns: unknown key. Known here: name, locale, country, currency"),
    ("[clv]", '[rfm]\nscheme = "twelve"\n[clv]', "own.toml [rfm] scheme: no such scheme. Schemes are: eight, "),
    (
        "[clv]",
        '[rfm]\nscoring = "mean"\n[clv]',
        'own.toml rfm: scoring = "mean" tells high from low: it needs bins = 2',
    ),
    ("[clv]", '[rfm]\nscoring = "threshold"\n[clv]', "and the part [rfm.thresholds] need each other"),
    (
        "[clv]",
        "[rfm.thresholds]\nrecency_days = [30, 7]\nvisit_count = [1]\ntotal_spend = [1]\n[clv]",
        "own.toml [rfm.thresholds] recency_days: must be in ascending order",
    ),
    ("[clv]", '[rfm]\nrecency_by = "recall"\n[clv]', 'recency_by = "recall" needs the part [recall]'),
    (
        "[clv]",
        '[rfm]\nrecency_by = "recall"\n[recall]\ndefault = 180\n[clv]',
        'recency_by = "recall" needs the column service or category',
    ),
    ("[clv]", "[recall]\ndefault = 9\ncategory = {a = 5}\n[clv]", "[recall.category] needs the column category"),
    ("[clv]", "[recall]\ndefault = 0\n[clv]", "own.toml [recall] default: should be greater than or equal to 1."),
    (
        "[clv]",
        '[rfm]\nscoring = "threshold"\n[rfm.thresholds]\ndays_overdue = [7]\nvisit_count = []\ntotal_spend = []\n[clv]',
        'own.toml rfm: recency_by = "visit" needs thresholds of recency_days, and of no other',
    ),
    (
        "[clv]",
        '[report]\nlogo = "../../logo.png"\n[clv]',
        "own.toml [report] logo: lies outside the clinic file's folder.",
    ),
    ("[clv]", '[report]\nlogo = "logo.png"\n[clv]', "own.toml [report] logo: no such file."),
    ("[clv]", '[report]\ncolour = "red"\n[clv]', "own.toml [report] colour: "),
    ('name = "Dental North"', "name = Dental", "own.toml: is not TOML: "),
]


@pytest.mark.parametrize(("line", "instead", "expected"), CASES, ids=[case[1][:24] for case in CASES])
def test_a_mistake_is_named_with_its_remedy(said, line, instead, expected):
    assert line in WHOLE
    lines = said(WHOLE.replace(line, instead))
    assert len(lines) == 1
    assert expected in lines[0]


def test_every_mistake_is_told_at_once(said):
    text = (
        WHOLE.replace("locale", "lokale").replace("margin = 1", "margin = -1").replace('decimal = ","', 'decimal = ";"')
    )
    text += '[report]\nlogo = "../logo.png"\n'
    assert len(said(text)) == 4


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ClinicFileError, match=r"none\.toml: no such clinic file"):
        load_clinic(tmp_path / "none.toml")
