"""RPR, AOV and CRR by their definitions, and a bridge that always adds up."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from math import isnan

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import Period, average_order_value, customer_retention_rate, repeat_purchase_rate
from rfmkit.analysis.loyalty import headline, known_or_none, loyalty_history, period_figures
from rfmkit.errors import NotEnoughData
from rfmkit.period import month_ends

YEAR = Period(dt.date(2024, 1, 1), dt.date(2024, 12, 31))


def visits(*rows) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["patient_id", "visit_date", "amount"])
    return made.assign(visit_date=pd.to_datetime(made["visit_date"]), amount=made["amount"].astype("float64"))


def test_repeat_purchase_rate_of_four_patients():
    # a and b came twice inside the year, c once, d only before it.
    made = visits(
        ("a", "2024-01-01", 1), ("a", "2024-12-31", 1), ("b", "2024-05-01", 1), ("b", "2024-05-02", 1),
        ("c", "2023-12-31", 1), ("c", "2024-03-01", 1), ("d", "2023-05-01", 1), ("d", "2023-06-01", 1),
    )  # fmt: skip
    rate = repeat_purchase_rate(made, YEAR)
    assert (rate.value, rate.numerator, rate.denominator) == (2 / 3, 2, 3)
    assert (rate.start, rate.end) == YEAR


def test_average_order_value_leaves_free_visits_out():
    made = visits(("a", "2024-01-01", 30), ("a", "2024-02-01", 0), ("b", "2024-03-01", 50), ("b", "2024-04-01", -5))
    rate = average_order_value(made, YEAR)
    assert (rate.value, rate.numerator, rate.denominator) == ((30 + 50) / 2, 30 + 50, 2)


def test_retention_and_its_bridge():
    made = visits(
        ("kept", "2023-03-01", 1), ("kept", "2024-03-01", 1),
        ("lost", "2023-05-01", 1),
        ("back", "2022-05-01", 1), ("back", "2024-05-01", 1),
        ("new", "2024-06-01", 1),
        ("gone", "2022-01-05", 1),
    )  # fmt: skip
    retention = customer_retention_rate(made, YEAR, 12)
    assert retention.value == 1 / 2  # of kept and lost, kept
    assert retention.bridge == {"start": 2, "new": 1, "reactivated": 1, "lost": 1, "end": 3}


def test_retention_needs_history():
    made = visits(("a", "2023-02-15", 1), ("a", "2024-02-15", 1))
    with pytest.raises(NotEnoughData) as reason:
        customer_retention_rate(made, YEAR, 12)
    assert reason.value.numbers == {"first_visit": dt.date(2023, 2, 15), "needed": dt.date(2023, 1, 1)}
    # A first visit inside the month in which the window begins is history enough.
    earlier = visits(("a", "2023-01-15", 1), ("a", "2024-02-15", 1))
    assert customer_retention_rate(earlier, YEAR, 12).value == 1


def test_retention_wants_activity_to_span_the_period():
    with pytest.raises(ValueError, match="active_months must not be fewer than the period's"):
        customer_retention_rate(visits(("a", "2023-01-15", 1)), YEAR, 11)


@pytest.mark.parametrize("rate", [repeat_purchase_rate, average_order_value])
def test_a_period_without_visits_has_no_rate(rate):
    with pytest.raises(NotEnoughData, match="between 2024-01-01 and 2024-12-31"):
        rate(visits(("a", "2023-02-15", 1)), YEAR)


histories = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 1095), st.integers(0, 90)), min_size=1, max_size=40
).map(
    lambda rows: visits(
        *{(who, day): (who, dt.date(2022, 1, 1) + dt.timedelta(days=day), sum_) for who, day, sum_ in rows}.values()
    )
)


@settings(max_examples=20)
@given(made=histories, extra=st.sampled_from([12, 13, 18]))
def test_rates_equal_a_naive_computation_and_the_bridge_adds_up(made, extra):
    days = defaultdict(list)
    for row in made.itertuples():
        days[row.patient_id].append(row.visit_date.date())
    try:
        retention = customer_retention_rate(made, YEAR, extra)
    except NotEnoughData as reason:
        assert reason.code in {"history_starts_late", "no_patients_at_start"}
    else:
        before, until = Period.trailing(YEAR.eve, extra), Period.trailing(YEAR.end, extra)
        start = {who for who, own in days.items() if any(before.start <= day <= before.end for day in own)}
        end = {who for who, own in days.items() if any(until.start <= day <= until.end for day in own)}
        assert retention.value == len(start & end) / len(start)
        bridge = retention.bridge
        assert bridge["end"] == bridge["start"] + bridge["new"] + bridge["reactivated"] - bridge["lost"] == len(end)
        assert bridge["new"] == sum(YEAR.start <= min(days[who]) for who in end - start)
    inside = {who: [day for day in own if YEAR.start <= day <= YEAR.end] for who, own in days.items()}
    came = [own for own in inside.values() if own]
    if came:
        assert repeat_purchase_rate(made, YEAR).value == sum(len(own) > 1 for own in came) / len(came)


def naive_month(came, back, end: dt.date, period_months: int, active_months: int, last: bool) -> dict:
    """One line of the history by its definitions; `came` and `back` are (patient, day, kopecks) up to the last day."""
    begin = min((day for _, day, _ in came), default=None)
    begin = begin.replace(day=1) if begin else (end if last else dt.date.max)
    period, month, active = (Period.trailing(end, months) for months in (period_months, 1, active_months))

    def inside(rows, window) -> list:
        return [row for row in rows if window.start <= row[1] <= window.end]

    def who(window) -> set:
        return {name for name, _, _ in inside(came, window)}

    line = dict.fromkeys(["revenue", "visits", "active_patients", "rpr", "aov", "crr"])
    if begin <= end:
        line["visits"] = len(inside(came, month))
        line["revenue"] = sum(kopecks for _, _, kopecks in inside(came, month) + inside(back, month)) / 100
        before = Period.trailing(period.eve, active_months)
        if begin <= before.start and who(before):
            line["crr"] = len(who(before) & who(active)) / len(who(before))
    if begin <= active.start or last:
        line["active_patients"] = len(who(active))
    if begin <= period.start or last:
        rows = inside(came, period)
        paid = [Decimal(kopecks) / 100 for _, _, kopecks in rows if kopecks > 0]
        days = [sum(row[0] == name for row in rows) for name in who(period)]
        line["rpr"] = sum(count > 1 for count in days) / len(days) if days else None
        line["aov"] = float(sum(paid)) / len(paid) if paid else None
    return line


kopecks_of_days = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 1095), st.sampled_from([0, 0, 1, 90, 4_999, 100_000, -300])),
    max_size=40,
).map(lambda rows: {(who, day): (who, dt.date(2022, 1, 1) + dt.timedelta(day), sum_) for who, day, sum_ in rows})


@settings(max_examples=12)
@given(
    came=kopecks_of_days,
    back=kopecks_of_days,
    as_of=st.one_of(
        st.sampled_from([dt.date(2024, 12, 31), dt.date(2024, 2, 29)]), st.dates(dt.date(2022, 1, 1), YEAR.end)
    ),
    period_months=st.sampled_from([1, 2, 6, 12]),
    more=st.sampled_from([0, 0, 1, 6]),
)
def test_history_equals_a_naive_computation(came, back, as_of, period_months, more):
    came, back = list(came.values()), [(who, day, -abs(sum_)) for who, day, sum_ in back.values()]
    frames = [visits(*[(who, day, sum_ / 100) for who, day, sum_ in rows]) for rows in (came, back)]
    came, back = ([row for row in rows if row[1] <= as_of] for rows in (came, back))
    terms = {"period_months": period_months, "active_months": period_months + more}
    history = loyalty_history(*frames, as_of, **terms, months=15).set_index("month")
    assert len(history) == 15
    for end in month_ends(as_of, 15):
        found = {name: None if isnan(value) else value for name, value in history.loc[f"{end:%Y-%m}"].items()}
        assert found == naive_month(came, back, end, last=end == as_of, **terms)
    period = Period.trailing(as_of, period_months)
    last = naive_month(came, back, as_of, last=True, **terms)
    alone = {"rpr": repeat_purchase_rate, "aov": average_order_value}
    for name, rate in alone.items():
        assert getattr(known_or_none(rate, frames[0], period), "value", None) == last[name]
    retention = known_or_none(customer_retention_rate, frames[0], period, period_months + more)
    assert getattr(retention, "value", None) == last["crr"]


def test_cdnow_over_78_weeks(cdnow_visits):
    period = Period(dt.date(1997, 1, 1), dt.date(1998, 6, 30))
    rate = repeat_purchase_rate(cdnow_visits, period)
    assert (rate.numerator, rate.denominator) == (1139, 2357)
    assert rate.value == pytest.approx(0.48324, abs=5e-6)
    assert average_order_value(cdnow_visits, period).value == pytest.approx(36.4970, abs=5e-5)


def test_a_month_alone_counts_refunds_of_other_days():
    made = visits(("a", "2024-05-01", 10), ("b", "2024-05-02", 20), ("a", "2024-06-01", 5))
    refunds = visits(("a", "2024-05-20", -4))
    may = period_figures(made, refunds, Period(dt.date(2024, 5, 1), dt.date(2024, 5, 31)))
    assert (may.visits, may.revenue, may.rpr.value, may.aov.value) == (2, 10 + 20 - 4, 0 / 2, 30 / 2)
    july = period_figures(made, refunds, Period(dt.date(2024, 7, 1), dt.date(2024, 7, 31)))
    assert (july.visits, july.revenue, july.rpr, july.aov) == (0, 0.0, None, None)


def test_history_shows_no_rise_before_the_data_reach_back():
    rows = [("a", dt.date(2024, month, 10), 10) for month in range(1, 13)]
    history = loyalty_history(visits(*rows), visits(), YEAR.end, period_months=6, active_months=6, months=24)
    assert history["month"].iloc[[0, -1]].tolist() == ["2023-01", "2024-12"]
    assert history["revenue"].sum() == 120
    assert history.set_index("month")["revenue"].first_valid_index() == "2024-01"  # not zeros before the export
    known = history.set_index("month")["rpr"].dropna()
    assert known.index[0] == "2024-06"  # the first month with six months behind it
    assert history.set_index("month")["crr"].dropna().index[0] == "2024-12"
    numbers = headline(history).set_index("metric")
    assert numbers.loc["revenue"].tolist()[:2] == [10, 10]
    assert numbers.loc["active_patients", "value"] == 1
    assert pd.isna(numbers.loc["rpr", "last_year"])
