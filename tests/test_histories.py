"""What stood at the end of each month is what a study of that month would have said."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import rfm_table
from rfmkit.data.histories import rfm_history
from rfmkit.period import month_ends

AS_OF = dt.date(2026, 10, 31)
DAYS = st.dates(dt.date(2023, 1, 1), AS_OF)
ROWS = st.lists(st.tuples(st.sampled_from("abcd"), DAYS, st.integers(-500, 5000)), min_size=1, max_size=40)


def rows(lines: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=["patient_id", "visit_date", "amount"]).drop_duplicates(
        ["patient_id", "visit_date"]
    )
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]), amount=frame["amount"] / 100)


def inside(history: pd.DataFrame) -> pd.DataFrame:
    """Those who came inside the window, with what a table of its month says of them."""
    return history[history["inside"]].drop(columns=["inside", "visits", "revenue"]).reset_index(drop=True)


@settings(max_examples=30)
@given(lines=ROWS, back=ROWS, window=st.sampled_from([0, 1, 12, 24]), months=st.sampled_from([1, 3, 14]))
def test_each_month_is_as_it_was_then(lines, back, window, months):
    visits, refunds = rows(lines), rows([(who, day, -abs(amount)) for who, day, amount in back])
    windows = {"visit_count": 6, "total_spend": 0} if window == 12 else None
    history = inside(rfm_history(visits, AS_OF, months, window, refunds=refunds, windows=windows))
    for end in month_ends(AS_OF, months):
        # What comes later is not known yet.
        then = {
            name: frame[frame["visit_date"] <= pd.Timestamp(end)] for name, frame in (("v", visits), ("r", refunds))
        }
        expected = rfm_table(then["v"], end, window, refunds=then["r"], windows=windows)
        found = history[history["month_end"] == pd.Timestamp(end)].drop(columns="month_end").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_categorical=False)


@settings(max_examples=15)
@given(lines=ROWS, back=ROWS, window=st.sampled_from([0, 1, 12]))
def test_everybody_has_a_row_from_the_first_visit_on(lines, back, window):
    visits, refunds = rows(lines), rows([(who, day, -abs(amount)) for who, day, amount in back])
    everybody = rfm_history(visits, AS_OF, 3, window, refunds=refunds)
    whole = inside(rfm_history(visits, AS_OF, 3, 0, refunds=refunds))
    told = everybody[["month_end", "patient_id", "recency_days", "visits", "revenue"]]
    told = told.rename(columns={"visits": "visit_count", "revenue": "total_spend"})
    pd.testing.assert_frame_equal(told, whole)


@pytest.mark.parametrize(
    ("end", "recency_days", "visit_count", "total_spend"),
    [
        ("2026-08-31", 30, 1, 100.0),  # 1 August, and nothing before
        ("2026-09-30", 10, 2, 150.0),  # 1 August and 20 September
        ("2026-10-31", 41, 1, 50.0),  # a window of two months: August is out of it
    ],
)
def test_a_window_moves_on_by_whole_months(end, recency_days, visit_count, total_spend):
    visits = rows([("a", dt.date(2026, 8, 1), 10_000), ("a", dt.date(2026, 9, 20), 5_000)])
    history = rfm_history(visits, AS_OF, 24, 2).set_index("month_end").loc[end]
    assert history["recency_days"] == recency_days
    assert history["visit_count"] == visit_count
    assert history["total_spend"] == total_spend
