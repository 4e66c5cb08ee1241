"""Small exports of real systems, damaged by a seed: each must be read as it now stands, or be refused by its place."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import math
import random
import tempfile
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import naive
import pyarrow as pa
import pyarrow.parquet
from conftest import TODAY

from rfmkit.clinic import Transactions
from rfmkit.data.checks import check_lines
from rfmkit.data.inputs import input_files
from rfmkit.data.sources import read_export
from rfmkit.errors import RfmkitError

EXPORTS = Path(__file__).parent / "exports"
AS_OF = dt.date(2026, 10, 31)
#: The exports that are damaged, with the encodings of the text files.
TEXTS = {
    "1c-report-cp1251": "cp1251",
    "infodent-cp1251": "cp1251",
    "line-breaks-in-cells": "cp1251",
    "aesthetic-zh-gb18030": "gb18030",
    "excel-zh-gbk-csv": "gbk",
    "excel-unicode-text": "utf-16",
    "minus-four-ways": "utf-8",
    "utf8-bom-quoted": "utf-8-sig",
    "opendental-query": "utf-8",
    "no-headings": None,
}
PARQUETS = ("parquet-typed", "parquet-text-polars")
WORKBOOKS = ("ident-xlsx", "aesthetic-zh-xlsx", "xlsx-1904-epoch")
#: How many of a hundred cases are of which kind; a workbook starts a process of its own.
KINDS = (("text", 84), ("parquet", 12), ("workbook", 4))
LINES = 44
OPTIONS = {
    "encoding": (None, "utf-8", "utf-16", "cp1251", "gb18030", "koi8-r", "cp866", "latin-1"),
    "delimiter": (";", ",", "\t", "|"),
    "decimal": (None, ".", ","),
    "date_format": (None, "%Y-%m-%d", "%d.%m.%Y", "%m.%d.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%y"),
    "header": (True, False),
}
#: What people type in place of what was there.
CELLS = (
    *("", " ", "0", "-0", "1,5", "1.5", "1,234", "1.234", "12,34,56", "1 234", "1'234.50", "(10)", "5-", "1e3", "0x10"),
    *("١٢", "１２", "½", "NaN", "-", "—", "N/A", "Итого", "合计", "Total", "01.02.2026", "2026-02-01", "29.02.2026"),
    *("31.12.2026", "01.01.0001", "00.00.0000", "=A1", "#REF!", "x" * 300, "\u202e12", "12\u200b", "\ufeff5", "5 $"),
    *("99999999999999999", "0.001", "1E+05", "TRUE", "\x025", "\x1a", "\x0b1", "\u20285", '5"', "\x85", "\x1f"),
)


@dataclass(frozen=True)
class Case:
    """One damaged export: what it is called, its bytes, what the clinic file says of it, and what was done to it."""

    seed: int
    base: str
    name: str
    content: bytes
    options: dict
    currency: str
    done: tuple[str, ...]


@functools.cache
def base_of(name: str) -> tuple[str, bytes, dict, str]:
    """An export's file name, its first lines, what its clinic file says of it, and its currency."""
    clinic = tomllib.loads((EXPORTS / name / "clinic.toml").read_text(encoding="utf-8"))
    options = clinic["transactions"]
    path = EXPORTS / name / options.pop("source")
    content = path.read_bytes()
    if name in TEXTS:
        encoding = TEXTS[name] or options.get("encoding") or "utf-8"
        text = content.decode(encoding)
        stream = io.StringIO(text, newline="")
        reader = csv.reader(stream, delimiter=options.get("delimiter", ","))
        for _ in zip(range(LINES), reader, strict=False):
            pass
        content = "".join(text.splitlines(keepends=True)[: reader.line_num]).encode(encoding)
    return path.name, content, options, clinic["currency"]


def case_of(seed: int) -> Case:
    """The case of a seed: the same on every machine."""
    dice = random.Random(seed)
    kind = dice.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])[0]
    base = dice.choice({"text": list(TEXTS), "parquet": PARQUETS, "workbook": WORKBOOKS}[kind])
    name, content, options, currency = base_of(base)
    options, done = dict(options), []
    if kind == "text" and dice.random() < 0.5:
        # Half of the clinics declare how their system writes, and the rest let it be found.
        options |= declared_of(base)
    for _ in range(dice.choice((1, 1, 1, 2))):
        change = dice.choice((*BYTES, *TABLES, *TABLES, wrong_option)) if kind == "text" else dice.choice(BYTES)
        done.append(change.__name__)
        if change is wrong_option:
            options = wrong_option(options, dice)
        elif change in TABLES:
            content = _table_changed(content, base, options, change, dice)
        else:
            content = change(content, dice)
    return Case(seed, base, name, content, options, currency, tuple(done))


@functools.cache
def declared_of(base: str) -> dict:
    """The date order and decimal sign in which an export is written."""
    name, content, options, currency = base_of(base)
    spec = Transactions(source=name, **options)
    headings, rows = naive.read_text(content, spec)
    mapped = spec.columns.model_dump()
    day, amount = headings.index(mapped["visit_date"]), headings.index(mapped["amount"])
    whole = [cells for _, cells in rows if len(cells) == len(headings)]
    return {
        "date_format": naive.the_reading([[cells[day] for cells in whole]], naive.ORDERS, naive.day_of),
        "decimal": naive.the_reading(
            [[cells[amount] for cells in whole]], [".", ","], lambda cell, sign: naive.number_of(cell, sign, currency)
        ),
    }


def flip_bits(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def delete_bytes(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + content[at + dice.choice((1, 1, 2, 7, 100)) :]


def insert_bytes(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    more = dice.choice(
        (dice.randbytes(1), dice.randbytes(2), b'"', b"\r", b"\n", b";", b",", b"\x00", content[at:][:9])
    )
    return content[:at] + more + content[at:]


def truncate(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(1, len(content))]


def overwrite(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes(dice.choice((1, 4, 16))) + content[at + 16 :]


def swap_cells(rows: list[list[str]], dice: random.Random) -> None:
    one, other = dice.choice(rows), dice.choice(rows)
    if one and other:
        here, there = dice.randrange(len(one)), dice.randrange(len(other))
        one[here], other[there] = other[there], one[here]


def swap_beside(rows: list[list[str]], dice: random.Random) -> None:
    row = dice.choice(rows)
    if len(row) > 1:
        here = dice.randrange(len(row) - 1)
        row[here], row[here + 1] = row[here + 1], row[here]


def swap_columns(rows: list[list[str]], dice: random.Random) -> None:
    """With their headings, which changes nothing, or without."""
    width = max(map(len, rows))
    here, there = dice.randrange(width), dice.randrange(width)
    for row in rows[dice.choice((0, len(rows) - LINES // 2)) :]:
        if max(here, there) < len(row):
            row[here], row[there] = row[there], row[here]


def double_line(rows: list[list[str]], dice: random.Random) -> None:
    rows.insert(dice.randrange(len(rows)), list(dice.choice(rows)))


def drop_line(rows: list[list[str]], dice: random.Random) -> None:
    del rows[dice.randrange(len(rows))]


def move_line(rows: list[list[str]], dice: random.Random) -> None:
    rows.insert(dice.randrange(len(rows)), rows.pop(dice.randrange(len(rows))))


def other_cell(rows: list[list[str]], dice: random.Random) -> None:
    row = dice.choice(rows)
    if row:
        row[dice.randrange(len(row))] = dice.choice(CELLS)


def drop_cell(rows: list[list[str]], dice: random.Random) -> None:
    row = dice.choice(rows)
    if row:
        del row[dice.randrange(len(row))]


def _table_changed(content: bytes, base: str, options: dict, change, dice: random.Random) -> bytes:
    """The rows of a text file with a change, written again; a file that is no longer text stays as it is."""
    encoding = TEXTS[base] or options.get("encoding") or "utf-8"
    delimiter = base_of(base)[2].get("delimiter", ",")
    try:
        rows = list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))
    except (UnicodeError, csv.Error):
        return content
    if not rows:
        return content
    change(rows, dice)
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return stream.getvalue().encode(encoding, errors="replace")


def wrong_option(options: dict, dice: random.Random) -> dict:
    key = dice.choice(list(OPTIONS))
    changed = options | {key: dice.choice(OPTIONS[key])}
    return {name: value for name, value in changed.items() if value is not None}


BYTES = (flip_bits, flip_bits, delete_bytes, insert_bytes, truncate, overwrite)
TABLES = (swap_cells, swap_beside, swap_columns, double_line, drop_line, move_line, other_cell, other_cell, drop_cell)


def outcome(case: Case) -> str:
    """How a case ends: ``exact``, ``located``, or else what is wrong."""
    spec = Transactions(source=case.name, **case.options)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / case.name).write_bytes(case.content)
        (folder / "scratch").mkdir()
        try:
            got = rfmkit_reading(folder, spec, case.currency)
        except RfmkitError as error:
            lost = [str(one) for one in error.problems if not str(one.where).startswith(case.name)]
            return f"an error without its place: {lost}" if lost or not error.problems else "located"
        expected = naive_readings(folder / case.name, spec, case)
    if any(same(got, reading) for reading in expected if isinstance(reading, naive.Reading)):
        return "exact"
    return difference(got, expected[0])


def rfmkit_reading(folder: Path, spec: Transactions, currency: str) -> naive.Reading:
    """What rfmkit reads of a file."""
    export = read_export(input_files(spec.source, folder, ""), spec, folder / "scratch")
    try:
        lines = check_lines(export, spec, AS_OF, TODAY, currency=currency)
        kept = lines.kept.order_by("_row").to_pyarrow().to_pylist()
    finally:
        export.cells.get_backend().disconnect()
    values = [(line.pop("_row"), line) for line in kept]
    for _, line in values:
        line.pop("_file")
    return naive.Reading(values, {fate: lines.rows[fate] for fate in naive.FATES})


def naive_readings(path: Path, spec: Transactions, case: Case) -> list:
    """The readings that are exact: by the rules; of a Parquet file, or a workbook, also that of the undamaged file."""
    if case.base in WORKBOOKS:
        return [_as_expected(case.base)]
    if case.base in TEXTS:
        return [_or_refused(lambda: naive.read_text(case.content, spec), spec, case.currency)]
    undamaged = EXPORTS / case.base / path.name
    return [_or_refused(lambda file=file: _parquet(file), spec, case.currency) for file in (path, undamaged)]


def _or_refused(read, spec: Transactions, currency: str) -> naive.Reading | naive.Refused:
    try:
        headings, rows = read()
        return naive.read_lines(headings, rows, spec, AS_OF, TODAY, currency)
    except naive.Refused as refused:
        return refused


def _parquet(path: Path) -> tuple[list[str], list[tuple[int, list]]]:
    try:
        table = pyarrow.parquet.ParquetFile(path).read()
        table.validate(full=True)
        columns = [_values(column) for column in table.columns]
    except (pa.ArrowException, OSError, UnicodeError, ValueError, OverflowError):
        raise naive.Refused("damaged") from None
    headings = [name.strip() for name in table.column_names]
    return headings, [(row, list(cells)) for row, cells in enumerate(zip(*columns, strict=True), 1)]


def _values(column: pa.ChunkedArray) -> list:
    """The values of a column; a day that no calendar has is a cell that is none."""
    if not pa.types.is_date32(column.type):
        return column.to_pylist()
    first, last = (day.toordinal() for day in (dt.date.min, dt.date.max))
    since = dt.date(1970, 1, 1).toordinal()
    numbers = column.cast(pa.int32()).to_pylist()
    return [
        day if day is None else dt.date.fromordinal(day + since) if first <= day + since <= last else "no day"
        for day in numbers
    ]


@functools.cache
def _as_expected(base: str) -> naive.Reading:
    """The table that the undamaged workbook holds; its rows have no numbers."""
    with (EXPORTS / base / "expected.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    return naive.Reading([(None, line) for line in lines], {"kept": len(lines)})


def same(got: naive.Reading, expected: naive.Reading) -> bool:
    """Whether two readings are of the same lines."""
    return difference(got, expected) == ""


def difference(got: naive.Reading, expected: naive.Reading | naive.Refused) -> str:
    """What tells two readings apart; nothing where they are the same."""
    if isinstance(expected, naive.Refused):
        return f"read {got.rows['kept']} lines of a file that the rules refuse: {expected}"
    rows = {fate: got.rows[fate] for fate in expected.rows}
    if rows != expected.rows:
        return f"fates {rows}, expected {expected.rows}"
    for (row, line), (number, wanted) in zip(got.kept, expected.kept, strict=True):
        if number is not None and row != number:
            return f"row {row}, expected {number}"
        for name, value in wanted.items():
            if not _equal(line[name], value):
                return f"row {row} {name}: {line[name]!r}, expected {value!r}"
    return ""


def _equal(value, expected) -> bool:
    if isinstance(expected, str) and not isinstance(value, str):
        # As the expected tables write them.
        if value is None:
            return expected == ""
        if isinstance(value, dt.date):
            return value.isoformat() == expected[:10]
        return Decimal(str(value)) == Decimal(expected or "NaN")
    if isinstance(value, float) and isinstance(expected, float):
        return math.isclose(value, expected)
    return value == expected


def finished(case: Case) -> str:
    """The outcome of a case; an exception that is none of rfmkit's is told with its class."""
    try:
        return outcome(case)
    except Exception as error:  # whatever it is, it is told with the seed
        return f"{type(error).__name__}: {str(error)[:300]}"


NUMBERS = (
    *("1 234,50 ₽", "(500)", "-500", "1'234.50", "1,234.56", "１２３４．５", "¥ 1,200", "−3", "12 500,00 руб.", "- 5"),
    *("5-", "(5)", "+7", "1.234.567,89", "$5", "5 р.", "RUB 12", "0", "00012,10", "\u00a07.00\u00a0"),
)
DAYS = (
    *("2026-10-31", "31.10.2026", "10/31/2026", "1.2.2026 0:00", "2026-10-31T10:11:12.5", "31.10.2026 14:05:06"),
    *("10/31/2026 2:05 PM", "2026年10月31日", "2026/1/2 上午 9:30", "20261031", "31 Oct 2026", "31-Oct-2026"),
    *("31.10.26", "29.02.2024", "29.02.2025", "31.04.2026", "01.01.1900", "26-10-31"),
)
SIGNS = "0123456789.,' ()-+−₽р.¥$€/:TAPMOct年日\t\u00a0\u202f\u3000\ufeff０１，．RUB’٣½"


def damaged_cells(cells: tuple[str, ...], seed: int, count: int) -> list[str]:
    """Cells with up to three signs put in, left out or replaced."""
    dice = random.Random(seed)
    made = set(cells)
    for _ in range(count):
        signs = list(dice.choice(cells))
        for _ in range(dice.choice((1, 1, 2, 3))):
            at, width = dice.randrange(len(signs) + 1), dice.choice((0, 1))
            signs[at : at + width] = dice.choice(([], [dice.choice(SIGNS)]))
        made.add("".join(signs))
    return sorted(made)
