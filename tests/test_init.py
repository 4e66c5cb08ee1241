"""`rfmkit init`: what it proposes reads every export of the tests as it must be read, but where it is unsure.

``tests/exports/`` says what each export holds; here its clinic file is what `init` proposes instead.
"""

from __future__ import annotations

import datetime as dt
import random
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY, TODAY, open_one
from test_exports import READ, REFUSED, expected_lines, kept_lines, more_of

from rfmkit import cli, demo, load_clinic
from rfmkit.data.guesses.encodings import guess_encoding
from rfmkit.data.guesses.headings import language, meanings
from rfmkit.errors import ExportError, RfmkitError
from rfmkit.proposal import UNSURE, propose

NEEDED = ["patient_id", "visit_date", "amount"]
#: Which unsure keys may change a column, or which lines are kept.
MAY_CHANGE = {
    "patient_id": {"patient_id"},
    "visit_date": {"visit_date", "date_format"},
    "amount": {"amount", "decimal", "amount_includes_bonus"},
}
#: Exports of which something cannot be told from the export.
DIFFER = {
    "bonuses-in-the-amount": "amount",  # whether it counts bonuses stands nowhere
    "test-patients-by-rule": "lines",  # who is a test patient is the clinic's to say
}


def proposed(folder: Path, tmp_path: Path, **options):
    """The clinic file that `init` proposes for a folder of `tests/exports`: its path, and its unsure keys."""
    source = tomllib.loads((folder / "clinic.toml").read_text(encoding="utf-8"))["transactions"]["source"]
    return written(propose([str(folder / source)], tmp_path / "clinic.toml", today=TODAY, **options), tmp_path)


def written(proposal, tmp_path: Path) -> tuple[Path, set[str]]:
    """The clinic file of a proposal, and the keys that it is unsure of."""
    path = tmp_path / "clinic.toml"
    path.write_text(proposal.text, encoding="utf-8")
    marked = [line for line in proposal.text.splitlines() if UNSURE in line]
    assert len(marked) == len(proposal.unsure)
    return path, {line.removeprefix("# ").partition(" ")[0] for line in marked}


@pytest.mark.parametrize("folder", READ, ids=lambda folder: folder.name)
def test_what_is_proposed_reads_the_export(folder, tmp_path):
    path, unsure = proposed(folder, tmp_path)
    columns, lines = expected_lines(folder)
    study = open_one(path, month=more_of(folder).get("month", "2026-10"))
    kept, places = kept_lines(study, NEEDED), [columns.index(name) for name in NEEDED]
    wanted = [[line[place] for place in places] for line in lines]
    if folder.name not in DIFFER:
        assert kept == wanted
    elif DIFFER[folder.name] == "lines":
        assert "test_patients" in unsure
        rules = load_clinic(folder / "clinic.toml").transactions.test_patients
        prefixes = tuple(rule.rstrip("*") for rule in rules)
        assert [line for line in kept if not line[0].startswith(prefixes)] == wanted
    else:
        at = NEEDED.index(DIFFER[folder.name])
        assert unsure & MAY_CHANGE[NEEDED[at]]
        assert [line[:at] + line[at + 1 :] for line in kept] == [line[:at] + line[at + 1 :] for line in wanted]


@pytest.mark.parametrize("folder", REFUSED, ids=lambda folder: folder.name)
def test_an_export_that_must_change_is_no_fault_of_ours(folder, tmp_path):
    try:
        path, _ = proposed(folder, tmp_path)
    except RfmkitError as error:
        assert error.exit_code in {10, 11}
        assert [part for part in more_of(folder).get("never", []) if part in str(error)] == []
    else:
        load_clinic(path)


@pytest.mark.parametrize("clinic", demo.CLINICS)
def test_the_demo_clinics_are_described_again(clinic, tmp_path):
    """What people wrote in `clinics/` is found anew, from the exports alone."""
    demo.write_export(clinic, tmp_path / "data", "2025-12")
    exports = {part: str(tmp_path / "data" / f"{part}.csv") for part in ("payments", "patients")}
    proposal = propose([exports["payments"]], tmp_path / "clinic.toml", patients=exports["patients"], today=TODAY)
    path, unsure = written(proposal, tmp_path)
    found, wanted = load_clinic(path), load_clinic(REPOSITORY / "clinics" / f"{clinic}.toml")
    assert found.locale == wanted.locale
    assert found.currency == wanted.currency or "currency" in unsure
    assert found.country == wanted.country or "country" in unsure
    for got, want in ((found.transactions, wanted.transactions), (found.patients, wanted.patients)):
        keys = ("encoding", "delimiter", "date_format", "header")
        assert {key: getattr(got, key) for key in keys} == {key: getattr(want, key) for key in keys}
        assert got.columns == want.columns
    assert found.transactions.decimal == wanted.transactions.decimal
    assert found.transactions.amount_includes_bonus == wanted.transactions.amount_includes_bonus


# By hand


@pytest.fixture
def look_at(tmp_path):
    """What is proposed for a text: a clinic, its unsure keys, and the text of the file."""

    def look(text: str, encoding: str = "utf-8", **options):
        (tmp_path / "export.csv").write_bytes(text.encode(encoding))
        proposal = propose([str(tmp_path / "export.csv")], tmp_path / "clinic.toml", today=TODAY, **options)
        path, unsure = written(proposal, tmp_path)
        return load_clinic(path), unsure, proposal.text

    return look


def lines(headings: str, line, count: int = 60) -> str:
    """A header and lines made by a function of their number."""
    return "\n".join([headings, *(line(number) for number in range(count)), ""])


def day(number: int, form: str = "%d.%m.%Y") -> str:
    return (dt.date(2026, 5, 1) + dt.timedelta(days=3 * number // 2)).strftime(form)


def marked(text: str, key: str) -> str:
    """What a line is unsure of."""
    return next(
        line.partition(UNSURE)[2] for line in text.splitlines() if line.removeprefix("# ").startswith(f"{key} =")
    )


@pytest.mark.parametrize(
    ("form", "other"), [("%d/%m/%Y", "%m/%d/%Y"), ("%m/%d/%Y", "%d/%m/%Y"), ("%d.%m.%Y", "%m.%d.%Y")]
)
def test_both_orders_of_a_date_are_named_and_that_in_which_lines_follow_is_taken(look_at, form, other):
    # One line a day of the first twelve of each month: no day is above 12, and read so they follow one another.
    days = [dt.date(2025, 1 + number // 12, 1 + number % 12).strftime(form) for number in range(60)]
    clinic, unsure, text = look_at(lines("Patient ID,Date,Amount", lambda number: f"{number % 9},{days[number]},10.50"))
    assert clinic.transactions.date_format == form
    assert "date_format" in unsure
    assert f'"{other}"' in marked(text, "date_format")


def test_days_to_come_are_no_reading(look_at):
    # 06.05.26 may be the sixth of May 2026 or the 26th of May 2006; 29.10.26 cannot be October 2029.
    clinic, unsure, _ = look_at(
        lines("Карта;Дата;Сумма", lambda number: f"{number % 9};{day(number, '%d.%m.%y')};10,50")
    )
    assert clinic.transactions.date_format == "%d.%m.%y"
    assert "date_format" not in unsure


@pytest.mark.parametrize(("amount", "decimal", "other"), [("1,234", ".", ","), ("1.234", ",", ".")])
def test_thousands_are_taken_for_thousands_and_it_is_said(look_at, amount, decimal, other):
    text = lines("Patient ID;Date;Amount", lambda number: f"{number % 9};{day(number)};{amount}")
    clinic, unsure, said = look_at(text)
    assert clinic.transactions.decimal == decimal
    assert "decimal" in unsure
    assert f'"{other}"' in marked(said, "decimal")


#: price, how many, discount → before it, after it: 1200 × 2 = 2400, 2400 − 240 = 2160.
SOLD = [("500,00", 1, "0,00", "500,00", "500,00"), ("1200,00", 2, "240,00", "2400,00", "2160,00")]


def sold(number: int, places: str) -> str:
    price, count, discount, before, after = SOLD[number % 2]
    cells = {"p": price, "n": str(count), "d": discount, "b": before, "a": after}
    return ";".join([str(number % 9), day(number), *(cells[place] for place in places)])


@pytest.mark.parametrize(
    ("headings", "places", "amount", "unsure"),
    [
        ("Сумма;Сумма скидки;Итого к оплате;Оплачено", "bdaa", "Оплачено", False),
        ("Сумма;Сумма скидки;Итого к оплате", "bda", "Итого к оплате", False),
        ("Сумма;Скидка;Итого", "bda", "Итого", False),
        ("Итого;Скидка;Сумма", "bda", "Сумма", False),
        ("Цена;Кол-во;Скидка;Сумма", "pnda", "Сумма", False),
        ("Цена;Кол-во;Скидка;Сумма", "pndb", "Сумма", True),  # what was paid stands nowhere
        ("Скидка;Сумма", "da", "Сумма", True),
        ("Скидка;Оплачено", "da", "Оплачено", False),
        ("Стоимость;Оплачено", "ba", "Оплачено", False),
        ("Стоимость", "b", "Стоимость", True),
        ("Сумма;Всего", "ba", "Сумма", True),
    ],
)
def test_the_money_received_is_told_by_words_and_arithmetic(look_at, headings, places, amount, unsure):
    clinic, keys, _ = look_at(lines(f"Карта;Дата;{headings}", lambda number: sold(number, places)))
    assert clinic.transactions.columns.amount == amount
    assert ("amount" in keys) == unsure


def test_what_bonuses_paid_is_told_by_arithmetic(look_at):
    def line(number: int, amount: str) -> str:
        paid, used = (amount, "100,00") if number % 3 else ("2000,00", "")
        return f"{number % 9};{day(number)};1000,00;2;{paid};{used}"

    for amount, includes in (("2000,00", True), ("1900,00", False)):
        text = lines("Карта;Дата;Цена;Кол-во;Сумма;Списано бонусов", lambda number, amount=amount: line(number, amount))
        clinic, unsure, _ = look_at(text)
        assert clinic.transactions.amount_includes_bonus is includes
        assert "amount_includes_bonus" not in unsure


def test_a_discount_in_per_cent_is_no_money(look_at):
    text = lines("Карта;Дата;Цена;Скидка;Сумма", lambda number: f"{number % 9};{day(number)};1000,00;10;900,00")
    clinic, unsure, _ = look_at(text)
    assert clinic.transactions.columns.discount is None
    assert "discount" in unsure


def test_the_sum_of_a_receipt_on_each_of_its_lines_is_doubted(look_at):
    def line(number: int, amount: int) -> str:
        return f"{number // 3 % 9};{day(number // 3)};{number // 3};{amount},50"

    text = lines("Карта;Дата;Чек;Сумма чека", lambda number: line(number, number // 3))
    assert "amount" in look_at(text)[1]
    text = lines("Карта;Дата;Чек;Сумма", lambda number: line(number, number))
    assert "amount" not in look_at(text)[1]


def test_a_second_way_of_writing_days_is_told(look_at):
    text = lines(
        "Карта;Дата;Сумма",
        lambda number: f"{number % 9};{day(number, '%d.%m.%Y' if number % 10 else '%Y-%m-%d')};10,50",
    )
    clinic, _, said = look_at(text)
    assert clinic.transactions.date_format == "%d.%m.%Y"
    assert marked(said, "date_format").strip() == '6 days are written as "%Y-%m-%d"'  # of 60 lines, every tenth


NAMES = ["Орлова Анна", "Ветров Олег", "Ким Вера", "Лосев Пётр", "Гусева Яна"]


@pytest.mark.parametrize(
    ("heading", "cell"),
    [("ФИО", lambda number: NAMES[number % 5]), ("Клиент", lambda number: NAMES[number % 5])],
    ids=["ФИО", "Клиент"],
)
def test_a_name_is_no_id_and_a_phone_is_none(look_at, tmp_path, heading, cell):
    text = lines(
        f"Дата;{heading};Телефон;Сумма",
        lambda number: f"{day(number)};{cell(number)};+7 900 000-00-0{number % 5};100,50",
    )
    with pytest.raises(ExportError) as refused:
        look_at(text)
    said = str(refused.value)
    assert f"«{heading}» holds names" in said
    assert "«Телефон» holds phones" in said
    assert not any(name in said for name in NAMES)
    assert not (tmp_path / "clinic.toml").exists()


def test_everything_that_is_missing_is_told_at_once(look_at):
    with pytest.raises(ExportError) as refused:
        look_at(lines("ФИО;Услуга", lambda number: f"{NAMES[number % 5]};Чистка"))
    assert [problem.what.split(":")[0] for problem in refused.value.problems] == [
        "has no column for visit_date",
        "has no column for amount",
        "has no column for patient_id",
    ]


def test_one_heading_over_ids_here_and_names_there(look_at):
    clinic, _, _ = look_at(lines("Клиент;Дата;Сумма", lambda number: f"К-{number % 9};{day(number)};10,50"))
    assert clinic.transactions.columns.patient_id == "Клиент"
    text = lines("Клиент;Код;Дата;Сумма", lambda number: f"{NAMES[number % 5]};{number % 5};{day(number)};10,50")
    clinic, unsure, _ = look_at(text)
    assert clinic.transactions.columns.patient_id == "Код"
    assert "patient_id" not in unsure  # every code has one name


def test_titles_stand_above_the_header_and_sums_below(look_at):
    text = lines("Карта;Дата;Сумма", lambda number: f"{number % 9};{day(number)};10,50")
    clinic, unsure, _ = look_at(f"Касса;;\nПериод: 01.05.2026 - 31.10.2026;;\n;;\n{text}Итого;;630,00\n", "cp1251")
    assert clinic.transactions.columns.model_dump(exclude_none=True) == {
        "patient_id": "Карта", "visit_date": "Дата", "amount": "Сумма",
    }  # fmt: skip
    assert unsure == {"name", "currency", "complete_history"}


def test_names_of_patients_are_never_groups_of_a_report(look_at):
    text = lines(
        "Карта;Дата;Филиал / Пациент;Сумма",
        lambda number: f"{number % 40};{day(number)};Орлова {number % 40};10,50",
        120,
    )
    clinic, unsure, _ = look_at(text)
    assert clinic.transactions.columns.branch is None
    assert "branch" in unsure


# Encodings


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("卡号,日期,金额\n1,2026-05-04,10.50\n", "gb18030"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "cp1251"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "koi8-r"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "cp866"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "mac_cyrillic"),
        ("Karte;Datum;Behandlung;Betrag\n1;04.05.2026;Füllung groß;10,50\n", "cp1252"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "utf-8"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "utf-8-sig"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "utf-16"),
        ("Карта;Дата;Сумма\n1;04.05.2026;10,50\n", "utf-16-le"),
    ],
)
def test_a_few_words_tell_an_encoding(tmp_path, text, encoding):
    (tmp_path / "export.csv").write_bytes(text.encode(encoding))
    found = guess_encoding([tmp_path / "export.csv"])
    assert (tmp_path / "export.csv").read_bytes().decode(found.encoding).removeprefix("\ufeff") == text


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866", "mac_cyrillic", "gb18030", "big5", "cp1252"])
def test_an_encoding_is_found_or_the_doubt_is_told(tmp_path, encoding):
    """A hundred short texts in an encoding: never another one without doubt."""
    words = {
        "gb18030": "卡号 日期 金额 姓名 项目 洗牙 种植 张伟 王芳 李静 刘洋 光子嫩肤 会员 门店 北京 实收金额",
        "big5": "卡號 日期 金額 姓名 項目 洗牙 張偉 王芳 會員 門店 醫師 診療 收費",
        "cp1252": "Füllung groß Möhring café Zürich über naïve señor Gebühr Prüfung Zähne",
    }
    russian = "Карта Дата Сумма Услуга Пациент Чистка лица Пломба Осмотр Орлова Анна Ветров Олег Удаление зуба Оплачено"
    chosen, dice = words.get(encoding, russian).split(), random.Random(20261031)
    path = tmp_path / "export.csv"
    found = 0
    for _ in range(100):
        text = ";".join(dice.choices(chosen, k=dice.randrange(1, 12))) + ";1;10,50\n"
        path.write_bytes(text.encode(encoding))
        reading = guess_encoding([path])
        right = path.read_bytes().decode(reading.encoding) == text
        assert right or not reading.sure, (text, reading)
        found += right
    assert found >= 90


# Headings, as systems write them


@pytest.mark.parametrize(
    ("meaning", "headings"),
    [
        ("transactions.patient_id", "Код пациента;№ карты;Карта №;Клиент.Код;ID клиента;№ амб. карты;История болезни"),
        ("transactions.patient_id", "PatNum;Patient ID;Patient Number;client_guid;customerId;MRN;Chart #;Loyalty card"),
        ("transactions.patient_id", "会员卡号;客户编号;病历号;患者ID;档案号;顾客编号"),
        ("transactions.visit_date", "Дата приёма;Дата визита;Дата;Дата и время;Дата оплаты"),
        ("transactions.visit_date", "ProcDate;Date of Service;visit_date;Payment Date;Posted At;Entry Date;DT"),
        ("transactions.visit_date", "消费时间;就诊日期;收费时间;日期"),
        ("transactions.amount", "Оплачено, ₽;Сумма, руб.;Сумма со скидкой;Итого к оплате;Выручка;Оплачено (руб.)"),
        ("transactions.amount", "Amount;Amount Paid;SplitAmt;Net Sales;Collected;Payment;Item Total;TOTAL_AMOUNT"),
        ("transactions.amount", "实收金额(元);实收;实付金额;支付金额;金额（元）"),
        ("transactions.discount", "Сумма скидки;Скидка, руб.;Discount Amount;优惠金额"),
        ("other.percent", "Скидка, %;% скидки;Discount %;折扣率"),
        ("transactions.receipt_id", "№ чека;№ счёта;Регистратор;Invoice #;Transaction ID;消费单号;订单编号"),
        ("transactions.service", "Услуга;Номенклатура;Оказанные услуги;Item Name;Procedure;SKU_NAME;项目名称;收费项目"),
        ("transactions.branch", "Филиал;Клиника;Location;Branch Name;门店"),
        ("transactions.doctor", "Врач;Мастер;Лечащий врач;ProvAbbr;Staff Member;Practitioner;操作医生"),
        ("transactions.quantity", "Кол-во;Количество, шт;Qty;QTY;数量"),
        ("transactions.bonus_redeemed", "Списано бонусов;Оплачено бонусами;Points Redeemed;抵扣积分"),
        ("patients.phone", "Телефон;Моб. телефон;Мобильный;Phone Number;mobile;手机号;联系电话"),
        ("patients.email", "E-mail;Email;Эл. почта;Customer Email;邮箱"),
        ("patients.birth_date", "Дата рождения;Birth Date;DOB;date_of_birth;出生日期"),
        ("patients.opted_out", "Отказ от рассылок;do_not_contact;Unsubscribed;拒绝联系"),
        ("patients.consent_email", "Согласие на e-mail;email_consent;同意邮件"),
        ("other.taken_off", "Amount Refunded;Сумма возврата;Tax;НДС;退款金额"),
        ("other.card_digits", "Card Last4"),
    ],
)  # fmt: skip
def test_headings_of_real_systems_are_understood(meaning, headings):
    said = {heading: meanings(heading) for heading in headings.split(";")}
    assert {heading: max(scores, key=scores.get) for heading, scores in said.items()} == dict.fromkeys(said, meaning)


def test_the_language_is_that_of_the_headings():
    assert language(["Код пациента", "Дата", "E-mail"]) == "ru"
    assert language(["会员号", "日期", "SMS"]) == "zh"
    assert language(["Patient ID", "Date"]) == "en"
    assert language(["1", "2"]) is None


# The command


@pytest.fixture
def export(tmp_path, monkeypatch):
    """An export in the folder one stands in, whose last complete month is October 2026."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_today", lambda: TODAY)
    (tmp_path / "exports").mkdir()
    (tmp_path / "clinics").mkdir()
    for month in (8, 9, 10):
        text = lines(
            "Карта;Дата;Сумма", lambda number, month=month: f"{number % 9};{1 + number % 28:02d}.{month:02d}.2026;10,50"
        )
        (tmp_path / "exports" / f"pay-{month:02d}.csv").write_text(
            text + f"1;01.{month:02d}.2026;{month},00\n", "cp1251"
        )
    return tmp_path


def test_the_command_writes_a_file_that_check_accepts(rfmkit_cli, export):
    answer = rfmkit_cli("init", "exports/pay-10.csv", "--name", "Dental North", "--out", "clinics/north.toml")
    assert answer.code == 0, answer.err
    first, *said, last = answer.out.splitlines()
    assert first == "clinics/north.toml"
    assert last == "Next: rfmkit check clinics/north.toml"
    text = (export / "clinics" / "north.toml").read_text("utf-8")
    assert said[0] == f"Lines to look at, marked UNSURE in the file: {text.count(UNSURE)}"
    assert len(said) - 1 == text.count(UNSURE) > 0
    clinic = load_clinic(export / "clinics" / "north.toml")
    assert (clinic.name, clinic.transactions.source) == ("Dental North", "../exports/pay-10.csv")
    assert rfmkit_cli("check", "clinics/north.toml").code == 0


@pytest.mark.parametrize(
    "given", [["exports/pay-*.csv"], ["exports/pay-08.csv", "exports/pay-09.csv", "exports/pay-10.csv"]]
)
def test_monthly_files_become_a_pattern(rfmkit_cli, export, given):
    answer = rfmkit_cli("init", *given, "--out", "clinics/north.toml")
    assert answer.code == 0, answer.err
    source = load_clinic(export / "clinics" / "north.toml").transactions.source
    assert len(list((export / "clinics").glob(source))) == 3


def test_some_files_of_a_folder_are_no_pattern(rfmkit_cli, export):
    (export / "exports" / "pay-old.csv").write_text("Карта;Дата;Сумма\n", "cp1251")
    answer = rfmkit_cli("init", *(f"exports/pay-{month}.csv" for month in ("08", "09", "10")))
    assert answer.code == 2
    assert "pay-*.csv" in answer.err


def test_a_clinic_file_is_never_overwritten(rfmkit_cli, export):
    (export / "north.toml").write_text("mine", "utf-8")
    answer = rfmkit_cli("init", "exports/pay-10.csv", "--out", "north.toml")
    assert (answer.code, (export / "north.toml").read_text("utf-8")) == (2, "mine")
    assert "is there already" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exports/nothing.csv"], "no such file"),
        (["exports/pay-08.csv", "exports/nothing.csv"], "no such file"),
        (["exports/pay-10.csv", "--patients", "nobody.csv"], "no such file"),
        (["exports/pay-10.csv", "--table", "payments"], "no database"),
    ],
)
def test_what_the_command_line_must_change(rfmkit_cli, export, arguments, said):
    answer = rfmkit_cli("init", *arguments)
    assert answer.code == 2, answer.err
    assert said in answer.err
    assert list(export.glob("*.toml")) == []


def test_nothing_is_written_for_an_export_without_a_patient(rfmkit_cli, export):
    (export / "exports" / "names.csv").write_text(
        lines("ФИО;Дата;Сумма", lambda number: f"Орлова Анна;{day(number)};10,50"), "utf-8"
    )
    answer = rfmkit_cli("init", "exports/names.csv", "--out", "clinics/north.toml")
    assert answer.code == 11
    assert "Орлова" not in answer.err
    assert list((export / "clinics").iterdir()) == []


def test_a_table_of_duckdb(rfmkit_cli, export):
    import duckdb

    frame = pd.DataFrame(
        {"card": ["K1", "K2", "K1"], "paid_on": pd.to_datetime(["2026-10-01", "2026-10-02", "2026-10-03"])}
    )
    frame["amount"] = [1.5, 2.5, 3.5]
    with duckdb.connect(str(export / "exports" / "clinic.duckdb")) as connection:
        connection.execute("CREATE TABLE payments AS SELECT * FROM frame")
    assert rfmkit_cli("init", "exports/clinic.duckdb").code == 2
    answer = rfmkit_cli("init", "exports/clinic.duckdb", "--table", "payments", "--out", "clinics/north.toml")
    assert answer.code == 0, answer.err
    assert rfmkit_cli("check", "clinics/north.toml").code == 0
