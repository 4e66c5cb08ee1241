"""Lines become visits without losing a cent; visits become the inputs of RFM and of the models."""

import datetime as dt
from collections import defaultdict
from itertools import pairwise
from math import log

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import btyd_summary, calibration_holdout, refunds_from, rfm_table, visits_from
from rfmkit.errors import ExportError

DAY = dt.date(2024, 1, 1)


def frame(rows) -> pd.DataFrame:
    lines = pd.DataFrame(rows, columns=["patient_id", "visit_date", "amount", "receipt_id"])
    return lines.assign(visit_date=pd.to_datetime(lines["visit_date"]), amount=lines["amount"].astype("float64"))


# patient, day, amount, receipt → the visits (patient, day, sum) and the refunds of days without one
CASES = {
    "several lines of a day are one visit": (
        [("a", "2024-01-01", 10, "1"), ("a", "2024-01-01", 5.5, "2")],
        [("a", "2024-01-01", 10 + 5.5)],
        [],
    ),
    "a refund joins the day of its receipt": (
        [("a", "2024-01-01", 10, "1"), ("a", "2024-02-01", -4, "1")],
        [("a", "2024-01-01", 10 - 4)],
        [],
    ),
    "of two days with the receipt the later one": (
        [("a", "2023-01-01", 10, "1"), ("a", "2024-01-01", 10, "1"), ("a", "2024-02-01", -4, "1")],
        [("a", "2023-01-01", 10), ("a", "2024-01-01", 10 - 4)],
        [],
    ),
    "a receipt of somebody else is no match": (
        [("a", "2024-01-01", 10, "1"), ("b", "2024-02-01", -4, "1")],
        [("a", "2024-01-01", 10)],
        [("b", "2024-02-01", -4)],
    ),
    "a sale after the refund is no match": (
        [("a", "2024-03-01", 10, "1"), ("a", "2024-02-01", -4, "1")],
        [("a", "2024-03-01", 10)],
        [("a", "2024-02-01", -4)],
    ),
    "a refund without a receipt stays on its day": (
        [("a", "2024-01-01", 10, None), ("a", "2024-01-01", -3, None), ("a", "2024-01-05", -2, None)],
        [("a", "2024-01-01", 10 - 3)],
        [("a", "2024-01-05", -2)],
    ),
    "a free check-up is a visit": ([("a", "2024-01-01", 0, "1")], [("a", "2024-01-01", 0)], []),
}


@pytest.mark.parametrize(("lines", "visits", "refunds"), CASES.values(), ids=CASES.keys())
def test_visits_and_refunds(lines, visits, refunds):
    for made, expected in [(visits_from(frame(lines)), visits), (refunds_from(frame(lines)), refunds)]:
        rows = zip(made["patient_id"], made["visit_date"].dt.strftime("%Y-%m-%d"), made["amount"], strict=True)
        assert list(rows) == expected


lines_of_a_clinic = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 700).map(lambda days: DAY + dt.timedelta(days=days)),
        st.integers(-500, 2000).map(lambda cents: cents / 100),
        st.sampled_from(["1", "2", "3", None]),
    ),
    min_size=1,
    max_size=40,
).map(frame)


@settings(max_examples=15)
@given(lines=lines_of_a_clinic)
def test_no_money_is_lost_between_lines_and_days(lines):
    money = visits_from(lines)["amount"].sum() + refunds_from(lines)["amount"].sum()
    assert money == pytest.approx(lines["amount"].sum(), abs=1e-9)


@settings(max_examples=15)
@given(lines=lines_of_a_clinic, back=st.integers(0, 400), window=st.sampled_from([0, 3, 12]))
def test_rfm_and_btyd_equal_a_naive_computation(lines, back, window):
    visits = visits_from(lines)
    as_of = DAY + dt.timedelta(days=700 - back)
    start = (as_of + dt.timedelta(days=1) - pd.DateOffset(months=window)).date() if window else dt.date.min
    days = defaultdict(list)
    for row in visits.itertuples():
        if row.visit_date.date() <= as_of:
            days[row.patient_id].append((row.visit_date.date(), row.amount))

    rfm = rfm_table(visits, as_of, window).set_index("patient_id")
    inside = {who: [one for one in all_ if one[0] >= start] for who, all_ in days.items()}
    assert set(rfm.index) == {who for who, kept in inside.items() if kept}
    for who, row in rfm.iterrows():
        assert row["recency_days"] == (as_of - max(day for day, _ in inside[who])).days
        assert row["visit_count"] == len(inside[who])
        assert row["total_spend"] == pytest.approx(sum(amount for _, amount in inside[who]), abs=1e-9)

    summary = btyd_summary(visits, as_of).set_index("patient_id")
    assert set(summary.index) == set(days)
    for who, row in summary.iterrows():
        history = sorted(days[who])
        gaps = [(after[0] - before[0]).days for before, after in pairwise(history)]
        repeat = [amount for _, amount in history[1:]]
        assert row["frequency"] == len(repeat)
        assert row["recency"] == sum(gaps)
        assert row["T"] == (as_of - history[0][0]).days
        assert row["monetary_value"] == pytest.approx(sum(repeat) / len(repeat) if repeat else 0, abs=1e-9)
        # Each logarithm is rounded to a billionth.
        assert row["log_intervals"] == pytest.approx(sum(log(gap) for gap in gaps), abs=0.6e-9 * len(gaps) + 1e-12)


@settings(max_examples=15)
@given(lines=lines_of_a_clinic, calibration=st.integers(0, 700))
def test_every_visit_is_first_repeat_or_held_out(lines, calibration):
    visits = visits_from(lines)
    end = DAY + dt.timedelta(days=calibration)
    summary = calibration_holdout(visits, end, DAY + dt.timedelta(days=700))
    known = visits[visits["patient_id"].isin(summary["patient_id"])]
    assert len(known) == len(summary) + summary["frequency"].sum() + summary["frequency_holdout"].sum()
    held = known[known["visit_date"] > pd.Timestamp(end)]
    money = (summary["frequency_holdout"] * summary["monetary_value_holdout"]).sum()
    assert money == pytest.approx(held["amount"].sum(), abs=1e-9)
    assert (summary["duration_holdout"] == 700 - calibration).all()


def test_a_window_is_whole_calendar_months():
    visits = frame([("in", "2024-09-01", 1, None), ("out", "2024-08-31", 1, None)]).drop(columns="receipt_id")
    assert rfm_table(visits, dt.date(2024, 10, 31), 2)["patient_id"].tolist() == ["in"]


def test_refunds_without_a_visit_reduce_what_a_patient_spent():
    lines = frame([("a", "2024-01-01", 10, None), ("a", "2024-01-05", -2, None)])
    rfm = rfm_table(visits_from(lines), dt.date(2024, 1, 31), refunds=refunds_from(lines))
    assert rfm["total_spend"].tolist() == [10 - 2]


def test_equal_sums_are_equal_values_whatever_they_are_made_of():
    lines = frame(
        [("a", "2024-01-01", 100.10, None), ("a", "2024-01-05", -0.20, None), ("b", "2024-01-02", 99.90, None)]
    )
    rfm = rfm_table(visits_from(lines), dt.date(2024, 1, 31), refunds=refunds_from(lines))
    assert rfm["total_spend"].nunique() == 1


def test_a_frame_with_holes_is_refused():
    lines = frame([("a", "2024-01-01", float("nan"), None), ("b", "2024-01-02", 5, None)])
    with pytest.raises(ExportError, match=r"column amount: has missing values\."):
        visits_from(lines)


def test_cdnow_counts(cdnow_visits):
    summary = calibration_holdout(cdnow_visits, dt.date(1997, 9, 30), dt.date(1998, 6, 30))
    assert len(summary) == 2357
    assert summary["frequency"].sum() == 2457
    assert (summary["frequency"] > 0).sum() == 946
    assert summary["frequency_holdout"].sum() == 1882
    assert len(cdnow_visits) == 6696
    assert cdnow_visits["amount"].sum() == pytest.approx(244_091.94)
    assert (cdnow_visits["amount"] == 0).sum() == 8


def test_rows_may_be_a_path_or_an_ibis_table(tmp_path):
    import ibis

    lines = frame([("007", "2024-01-01", 10, "1"), ("007", "2024-01-02", 5, "2")])
    lines.to_parquet(tmp_path / "lines.parquet")
    expected = btyd_summary(visits_from(lines), dt.date(2024, 1, 31))
    for rows in [tmp_path / "lines.parquet", ibis.memtable(lines)]:
        pd.testing.assert_frame_equal(btyd_summary(visits_from(rows), dt.date(2024, 1, 31)), expected)
    assert expected["patient_id"].tolist() == ["007"]
