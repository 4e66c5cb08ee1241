"""Damaged exports end as the table that they now hold, or as an error that names the file; never as another table."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from decimal import Decimal

import ibis
import naive
import pandas as pd
import pytest
from mutations import DAYS, NUMBERS, case_of, damaged_cells, finished

from rfmkit.data import cells

CASES = int(os.environ.get("RFMKIT_MUTATIONS", "500"))
BATCH = 50


@pytest.mark.parametrize("first", range(0, CASES, BATCH))
def test_a_damaged_export_is_read_exactly_or_refused_by_its_place(first):
    ends, failures = Counter(), []
    for seed in range(first, min(first + BATCH, CASES)):
        case = case_of(seed)
        end = finished(case)
        ends[end if end in {"exact", "located"} else "wrong"] += 1
        if end not in {"exact", "located"}:
            failures.append(f"seed {seed}: {case.base} {' + '.join(case.done)} {case.options}: {end}")
    assert not failures, "\n".join(failures)
    if ends.total() == BATCH:
        assert ends["exact"]
        assert ends["located"]


def test_a_seed_makes_the_same_case_everywhere():
    assert [case_of(seed) for seed in range(20)] == [case_of(seed) for seed in range(20)]


@pytest.mark.parametrize("currency", ["RUB", "CNY"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_damaged_number_is_read_as_by_hand_or_not_at_all(decimal, currency):
    texts = damaged_cells(NUMBERS, 1, CASES * 8)
    table = ibis.memtable({"text": texts})
    read = table.select("text", value=cells.number_text(table["text"], decimal, currency)).execute().dropna()
    assert len(read) * 10 > len(texts)
    values = [Decimal(value) for value in read["value"]]
    assert [
        (text, value)
        for text, value in zip(read["text"], values, strict=True)
        if naive.number_of(text, decimal, currency) != value
    ] == []


@pytest.mark.parametrize("order", naive.ORDERS)
def test_a_damaged_day_is_read_as_by_hand_or_not_at_all(order):
    texts = damaged_cells((*DAYS, dt.date(2026, 10, 31).strftime(order)), 2, CASES * 4)
    table = ibis.memtable({"text": texts})
    read = table.select("text", value=cells.day(table["text"], order, None)[0]).execute().dropna()
    assert len(read)
    days = pd.to_datetime(read["value"]).dt.date
    assert [(text, day) for text, day in zip(read["text"], days, strict=True) if naive.day_of(text, order) != day] == []
