"""A table written as some system would write it is read back to the kopeck, or refused; and by engine as by hand."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import naive
import pytest
from conftest import TODAY
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import btyd_summary, refunds_from, rfm_table, visits_from
from rfmkit.clinic import Transactions
from rfmkit.data.checks import check_lines
from rfmkit.data.inputs import input_files
from rfmkit.data.sources import read_export
from rfmkit.errors import RfmkitError

AS_OF = dt.date(2026, 10, 31)
EXAMPLES = int(os.environ.get("RFMKIT_EXAMPLES", "0"))
HEADINGS = {"patient_id": "Карта №", "visit_date": "Дата", "amount": "Сумма", "service": "Услуга", "receipt_id": "Чек"}

# ---------------------------------------------------------------- a table and the ways to write it

#: What any encoding of a file can hold is for it to say; signs that look like blanks at the ends are none of an id.
texts = st.text(st.sampled_from("абвЁяAz09-/_№\"';,|\t\n .您好皮肤"), max_size=8).map(str.strip)
ids = st.builds("{}{}".format, st.sampled_from(["P", "К-", "会员", "00", '"', "7;", "8,", "9\n"]), st.integers(1, 30))
amounts = st.one_of(
    st.integers(-99_999, 2_500_000), st.integers(0, 999).map(lambda number: number * 100), st.integers(10**8, 10**11)
).map(lambda kopecks: Decimal(kopecks).scaleb(-2))
days = st.dates(dt.date(2019, 1, 1), AS_OF)
tables = st.lists(st.tuples(ids, days, amounts, texts, st.integers(1, 10**6).map(str)), min_size=1, max_size=25)
ORDERS = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y年%m月%d日", "%Y%m%d", "%d.%m.%y", "%d %b %Y"]


@st.composite
def styles(draw) -> dict:
    """How a system writes, and what the clinic file says of it."""
    decimal = draw(st.sampled_from([".", ","]))
    thousands = draw(st.sampled_from(["", "", " ", "\u00a0", "\u202f", "'", "." if decimal == "," else ","]))
    return {
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1251", "gb18030", "gbk", "koi8-r"])),
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quoting": draw(st.sampled_from(["needed", "all", "texts"])),
        "newline": draw(st.sampled_from(["\n", "\r\n"])),
        "decimal": decimal,
        "thousands": thousands,
        "kopecks": draw(st.sampled_from(["always", "needed"])),
        "negative": draw(st.sampled_from(["-{}", "({})", "\u2212{}", "{}-"])),
        "money": draw(st.sampled_from(["{}", "{}", "{} ₽", "{} руб.", " {} "])),
        "order": draw(st.sampled_from(ORDERS)),
        "padded": draw(st.booleans()),
        "time": draw(st.sampled_from(["", "", " 0:00:00", " 14:05"])),
        "title": draw(st.booleans()),
        "declared": draw(st.sets(st.sampled_from(["encoding", "decimal", "date_format"]))),
    }


def written(table: list[tuple], style: dict) -> str:
    """A table as text, by the rules of delimited files alone."""
    sign, end = style["delimiter"], style["newline"]

    def cell(text: str, of_text: bool) -> str:
        must = any(one in text for one in (sign, '"', "\n", "\r"))
        if must or style["quoting"] == "all" or (style["quoting"] == "texts" and of_text):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [sign.join(cell(heading, True) for heading in HEADINGS.values())]
    if style["title"]:
        lines.insert(0, cell("Отчёт 2026", True) + sign * (len(HEADINGS) - 1))
    for who, day, amount, service, receipt in table:
        cells = [(who, True), (day_text(day, style), False), (money_text(amount, style), False)]
        lines.append(sign.join(cell(*one) for one in [*cells, (service, True), (receipt, False)]))
    return end.join(lines) + end


def day_text(day: dt.date, style: dict) -> str:
    text = style["order"]
    short = not style["padded"] and text != "%Y%m%d"
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    parts = {"%Y": f"{day.year:04}", "%y": f"{day.year % 100:02}", "%b": months[day.month - 1]}
    parts |= {"%m": f"{day.month:{'' if short else '02'}}", "%d": f"{day.day:{'' if short else '02'}}"}
    for letter, part in parts.items():
        text = text.replace(letter, part)
    return text + style["time"]


def money_text(amount: Decimal, style: dict) -> str:
    whole, _, kopecks = f"{abs(amount):.2f}".partition(".")
    groups = []
    while whole:
        whole, groups = whole[:-3], [whole[-3:], *groups]
    text = style["thousands"].join(groups)
    if style["kopecks"] == "always" or kopecks != "00":
        text += style["decimal"] + kopecks
    return style["money"].format(style["negative"].format(text) if amount < 0 else text)


def spec_of(style: dict) -> Transactions:
    told = {"encoding": style["encoding"], "decimal": style["decimal"], "date_format": style["order"]}
    told = {key: value for key, value in told.items() if key in style["declared"]}
    return Transactions(source="x.csv", delimiter=style["delimiter"], columns=HEADINGS, **told)


def read_back(content: bytes, spec: Transactions, as_of: dt.date = AS_OF):
    """The kept lines in the order of the file, as dictionaries, and the lines by what becomes of them."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "x.csv").write_bytes(content)
        export = read_export(input_files("x.csv", folder, ""), spec, folder)
        try:
            lines = check_lines(export, spec, as_of, TODAY, currency="RUB")
            return lines.kept.order_by("_row").to_pyarrow().to_pylist(), lines.rows
        finally:
            export.cells.get_backend().disconnect()


@settings(max_examples=EXAMPLES or 30)
@given(table=tables, style=styles())
def test_a_table_is_read_back_or_refused_and_never_another(table, style):
    try:
        content = written(table, style).encode(style["encoding"])
    except UnicodeEncodeError:
        return  # no system writes in an encoding what it cannot hold
    expected, seen = [], set()
    for who, day, amount, service, receipt in table:
        line = (who.strip(), day, amount, service or None, receipt)
        if line not in seen:  # a copy with its receipt is dropped
            expected.append(line)
        seen.add(line)
    try:
        kept, _ = read_back(content, spec_of(style))
    except RfmkitError as error:
        assert not certain(table, style), str(error)
        return
    assert [tuple(line[name] for name in HEADINGS) for line in kept] == expected


def certain(table: list[tuple], style: dict) -> bool:
    """Whether the clinic file says all that can be doubted: then the table has to be read."""
    known = style["encoding"] in {"utf-8", "utf-8-sig", "utf-16"} or "encoding" in style["declared"]
    told = known and {"decimal", "date_format"} <= style["declared"]
    return told and any(amount >= 0 for _, _, amount, _, _ in table)


def test_most_tables_that_are_written_are_read():
    """The property above would hold of a reader that refuses everything."""
    table = [
        ("会员1", dt.date(2026, 10, 13), Decimal("1234567.89"), "a;b", "1"),
        ("К-2", AS_OF, Decimal("-5"), "", "2"),
    ]
    for number, order in enumerate(ORDERS):
        style = {"encoding": "utf-8", "delimiter": ";", "quoting": "needed", "newline": "\n", "kopecks": "always"}
        style |= {"thousands": " ", "decimal": ".,"[number % 2], "negative": "-{}", "money": "{}", "order": order}
        style |= {"padded": True, "time": "", "title": False, "declared": set()}
        kept, rows = read_back(written(table, style).encode(), spec_of(style))
        assert [(line["visit_date"], line["amount"]) for line in kept] == [row[1:3] for row in table]
        assert rows["money_kept"] == Decimal("1234562.89")


# ---------------------------------------------------------------- the engine against loops

lines_of_a_clinic = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", " 3\u00a0", "Иванов", "TEST1"]),
        st.dates(dt.date(2025, 3, 1), dt.date(2026, 11, 20)).map(str),
        st.integers(-20_000, 90_000).map(lambda kopecks: f"{Decimal(kopecks).scaleb(-2)}"),
        st.sampled_from(["A", "B", "C", ""]),
        st.sampled_from(["", "1", "2.5", "-"]),
    ),
    min_size=1,
    max_size=12,
)
#: Faults and what is no payment, among so many good lines that one fault does not stop the run.
ODD = [
    *[("1", "2026-02-30", "5", "A", "1"), ("1", "2026-10-01", "5.5551", "A", "1"), ("1", "2027-01-01", "5", "", "")],
    *[("Total", "", "99", "", ""), ("", "", "", "", ""), ("Branch 2", "", "", "", ""), ("1", "x", "5", "A", "two")],
    *[("1", "1899-12-30", "5", "", ""), ("id", "date", "amount", "receipt", "quantity"), ("1", "2026-10-01", "5")],
]
GOOD = [(str(number % 40), f"2026-{1 + number % 10:02}-{1 + number % 28:02}", "10", "", "") for number in range(110)]


@settings(max_examples=EXAMPLES or 15)
@given(lines=lines_of_a_clinic, again=st.integers(0, 5), odd=st.lists(st.sampled_from(ODD), max_size=2), data=st.data())
def test_the_engine_equals_loops_over_lines(lines, again, odd, data):
    table = [*lines, *lines[:again], *odd, *(GOOD if odd else [])]
    table = data.draw(st.permutations(table)) if len(table) < 30 else table
    content = "id,date,amount,receipt,quantity\n" + "".join(",".join(line) + "\n" for line in table)
    columns = {"patient_id": "id", "visit_date": "date", "amount": "amount", "receipt_id": "receipt"}
    spec = Transactions(source="x.csv", columns=columns | {"quantity": "quantity"}, test_patients=["TEST*"])
    try:
        expected = naive.read_lines(*naive.read_text(content.encode(), spec), spec, AS_OF, TODAY)
    except naive.Refused:
        with pytest.raises(RfmkitError):
            read_back(content.encode(), spec)
        return
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "x.csv").write_text(content, encoding="utf-8")
        export = read_export(input_files("x.csv", folder, ""), spec, folder)
        try:
            checked = check_lines(export, spec, AS_OF, TODAY)
            kept = checked.kept.order_by("_row").to_pyarrow().to_pylist()
            assert {fate: checked.rows[fate] for fate in naive.FATES} == expected.rows
            assert [line["_row"] for line in kept] == [row for row, _ in expected.kept]
            assert [
                {name: line[name] for name in values} for line, (_, values) in zip(kept, expected.kept, strict=True)
            ] == [values for _, values in expected.kept]
            visits, refunds = visits_from(checked.kept), refunds_from(checked.kept)
            days, back = naive.days_of([values for _, values in expected.kept])
            assert days_in(visits) == days
            assert days_in(refunds) == back
            since = dt.date(2025, 11, 1)  # twelve whole months up to October 2026
            rfm = rfm_table(visits, AS_OF, 12, refunds=refunds)
            assert by_patient(rfm, "recency_days", "visit_count", "total_spend") == naive.rfm_of(
                days, back, AS_OF, since
            )
            found = by_patient(
                btyd_summary(visits, AS_OF), "frequency", "recency", "T", "monetary_value", "log_intervals"
            )
            wanted = naive.btyd_of(days, AS_OF)
            assert found.keys() == wanted.keys()
            for who, numbers in found.items():
                # Each logarithm is rounded to nine digits before it is added, for the same sum in any order.
                assert numbers == pytest.approx(wanted[who], rel=1e-12, abs=0.51e-9 * max(1, numbers[0]))
        finally:
            export.cells.get_backend().disconnect()


def days_in(table) -> dict:
    return {(line["patient_id"], line["visit_date"]): line["amount"] for line in table.to_pyarrow().to_pylist()}


def by_patient(frame, *columns: str) -> dict:
    rows = zip(frame["patient_id"], *(frame[column] for column in columns), strict=True)
    return {who: tuple(numbers) for who, *numbers in rows}


def test_the_odd_lines_are_what_they_are_meant_to_be():
    """Each odd line alone among good ones: a fault is one rejected line, the rest are no lines at all."""
    spec = Transactions(source="x.csv", columns={"patient_id": "id", "visit_date": "date", "amount": "amount"})
    rejected = Counter()
    for line in ODD:
        content = "id,date,amount,receipt,quantity\n" + "".join(",".join(one) + "\n" for one in [*GOOD, line])
        _, rows = read_back(content.encode(), spec)
        rejected[rows["rejected"]] += 1
        assert rows["kept"] == len(GOOD)
    assert rejected == {1: 6, 0: 4}
