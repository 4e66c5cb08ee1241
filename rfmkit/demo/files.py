"""The two files of a demo clinic, written as its system would write them."""

from __future__ import annotations

import csv
import datetime
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rfmkit.demo.recipe import Layout

MONEY = ("amount", "discount", "bonus_accrued", "bonus_redeemed")
DATES = ("visit_date", "birth_date", "member_since")
CONSENTS = ("consent_sms", "consent_email", "consent_phone", "consent_ads")


def money_text(cents: int, decimal: str) -> str:
    """Hundredths as text with two decimals: -1234567 is "-12345,67"."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}{decimal}{abs(cents) % 100:02d}"


def _each(values: pd.Series, write: Callable) -> list[str]:
    """Every value as text, nothing as an empty cell; equal values are written once."""
    codes, uniques = pd.factorize(values)
    words = np.array([write(value) for value in uniques.tolist()] + [""], dtype=object)
    return words[codes].tolist()


def _cells(name: str, values: pd.Series, layout: Layout) -> list[str]:
    if name in MONEY:
        return _each(values, lambda value: money_text(round(value * 100), layout.decimal))
    if name == "opted_out":
        return _each(values, lambda value: layout.yes if value else layout.no)
    if name in CONSENTS and name not in layout.dated_consents:
        return [layout.yes if given else layout.no for given in values.notna()]
    if name in DATES or name in CONSENTS:
        return _each(
            values,
            lambda value: datetime.date(value.year, value.month, value.day).strftime(layout.date_format),
        )
    return _each(values, str)


def table_bytes(frame: pd.DataFrame, columns: tuple[tuple[str, str], ...], layout: Layout) -> bytes:
    """A frame as the bytes of a file: headings, then a line a row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=layout.delimiter, lineterminator=layout.newline)
    writer.writerow([heading for heading, _ in columns])
    writer.writerows(zip(*(_cells(name, frame[name], layout) for _, name in columns), strict=True))
    return text.getvalue().encode(layout.encoding)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
