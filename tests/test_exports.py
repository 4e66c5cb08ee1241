"""Exports as clinics' systems write them, each with the table that it holds: a folder more is a test more.

``tests/exports/<name>/`` holds the export, ``clinic.toml`` (the least that reads it; ``source`` names the export),
``expected.csv`` (the kept lines in their order, in rfmkit's names) and, where more is to be held, ``expected.json``:

``rows``
    Lines by what becomes of them; without it every line is kept.
``checks``
    Lines by the check that tells of them; a check of `COUNTED` that is not named must not tell of any.
``rejects``
    The places of all faulty cells, ``file:row «column»``.
``month``
    Another month than October 2026.
``error``, ``says``, ``never``
    The exit code of an export that must be refused, parts of the message, and what no message may hold.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from conftest import open_one

from rfmkit.errors import ClinicFileError, ExportError, RfmkitError

EXPORTS = sorted(path.parent for path in (Path(__file__).parent / "exports").glob("*/clinic.toml"))
AT_LEAST = 30
FATES = ("read", "kept", "rejected", "duplicates", "after_as_of")
MONEY = {"amount", "discount", "bonus_accrued", "bonus_redeemed"}
NUMBERS = {"quantity", "days_supply"}
#: Checks that count lines of the export: what is expected of them is expected in full.
COUNTED = {
    "titles", "totals", "copies", "equal_lines", "test_patients", "likely_test_patients", "after_as_of", "empty",
    "not_a_number", "not_a_date", "more_than_two_decimals", "before_1900", "after_today", "broken_lines", "rounded_ids",
}  # fmt: skip


def more_of(folder: Path) -> dict:
    """What is held of an export beyond its lines."""
    path = folder / "expected.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


READ = [folder for folder in EXPORTS if "error" not in more_of(folder)]
REFUSED = [folder for folder in EXPORTS if "error" in more_of(folder)]


def expected_lines(folder: Path) -> tuple[list[str], list[list]]:
    """The columns of an export in rfmkit's names, and its lines with their values."""
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as stream:
        columns, *lines = csv.reader(stream)
    return columns, [[_value(name, cell) for name, cell in zip(columns, line, strict=True)] for line in lines]


def kept_lines(study, columns: list[str]) -> list[list]:
    """The kept lines of a study in the order of its files, as `expected_lines` writes them."""
    frame = study.transactions.order_by(["_file", "_row"]).execute()
    texts = frame[columns].map(lambda value: "" if pd.isna(value) else str(value))
    return [
        [_value(name, cell) for name, cell in zip(columns, line, strict=True)]
        for line in texts.itertuples(index=False, name=None)
    ]


def _value(name: str, cell: str):
    if name == "visit_date":
        return cell[:10]
    if not cell or name not in MONEY | NUMBERS:
        return cell
    return Decimal(cell).quantize(Decimal("0.01")) if name in MONEY else float(cell)


def places_of(study) -> Counter[str]:
    """Where the faulty cells of a study are; totals and headings that are kept aside with them are none."""
    rejects = study.rejects[~study.rejects["reason"].str.contains("no payment")]
    return Counter(
        f"{file}:{row}" + (f" «{column}»" if column else "")
        for file, row, column in zip(rejects["file"], rejects["row"], rejects["column"], strict=True)
    )


def test_there_are_enough_exports():
    assert len(READ) >= AT_LEAST
    assert {path.name for path in EXPORTS} == {path.name for path in EXPORTS[0].parent.iterdir() if path.is_dir()}


def test_there_is_an_export_of_every_kind():
    kinds = {path.suffix for folder in READ for path in folder.iterdir() if not path.name.startswith("expected")}
    assert kinds >= {".csv", ".txt", ".xlsx", ".xls", ".ods", ".parquet"}


@pytest.mark.parametrize("folder", READ, ids=lambda folder: folder.name)
def test_an_export_is_read_exactly(folder):
    more = more_of(folder)
    columns, lines = expected_lines(folder)
    study = open_one(folder / "clinic.toml", month=more.get("month", "2026-10"))
    kept = kept_lines(study, columns)
    different = [number for number, (got, want) in enumerate(zip(kept, lines, strict=False)) if got != want]
    assert not different, [(number, kept[number], lines[number]) for number in different[:3]]
    assert len(kept) == len(lines)

    nothing_lost = {"read": len(lines), "kept": len(lines), "rejected": 0, "duplicates": 0, "after_as_of": 0}
    assert {fate: study.rows[fate] for fate in FATES} == more.get("rows", nothing_lost)
    at = columns.index("amount")
    assert study.rows["money_kept"] == sum(line[at] for line in lines)

    assert {name: count for name, count in told(study).items() if name in COUNTED | set(more.get("checks", {}))} == (
        more.get("checks", {})
    )
    assert places_of(study) == Counter(more.get("rejects", []))


def told(study) -> Counter[str]:
    """How many lines each check tells of."""
    counts = Counter()
    for problem in study.problems:
        counts[problem.check] += problem.count
    return counts


@pytest.mark.parametrize("folder", REFUSED, ids=lambda folder: folder.name)
def test_an_export_that_must_change_is_refused_with_its_place(folder):
    more = more_of(folder)
    assert not (folder / "expected.csv").exists(), "an export that is refused holds no table"
    with pytest.raises(RfmkitError) as refused:
        _ = open_one(folder / "clinic.toml").rows
    message = str(refused.value)
    assert refused.value.exit_code == more["error"], message
    assert more["error"] in {ClinicFileError.exit_code, ExportError.exit_code}
    assert [part for part in more["says"] if part not in message] == [], message
    assert [part for part in more.get("never", []) if part in message] == [], message
