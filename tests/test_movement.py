"""Who moves between segments: nobody is lost on the way, and nobody moves because others did."""

import datetime as dt
from collections import Counter, defaultdict
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmkit import NotEnoughData, assign_segments, btyd_summary, load_scheme
from rfmkit.analysis.movement import (
    NOT_YET,
    Movement,
    check_known,
    group_history,
    known_month_ends,
    movement,
    segment_history,
    step_periods,
)
from rfmkit.analysis.scores import RfmCuts
from rfmkit.data.histories import revenue_by_period, rfm_history
from rfmkit.period import add_months, month_ends

AS_OF = dt.date(2026, 10, 31)
EIGHT = load_scheme("eight")
#: Within 60 days, 3 visits or more, 100.00 or more.
CUTS = RfmCuts((60,), (3,), (100.0,))
DAYS = st.dates(dt.date(2024, 6, 1), AS_OF)
LINES = st.lists(st.tuples(st.sampled_from("abcdef"), DAYS, st.integers(0, 9000)), min_size=1, max_size=50)
BACK = st.lists(st.tuples(st.sampled_from("abcdef"), DAYS, st.integers(-9000, -1)), max_size=10)
STEPS = pytest.mark.parametrize("months", [1, 12])


def rows(lines: list[tuple]) -> pd.DataFrame:
    """Patient, day and kopecks as visits, one a day."""
    frame = pd.DataFrame(lines, columns=["patient_id", "visit_date", "amount"])
    frame = frame.drop_duplicates(["patient_id", "visit_date"])
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]), amount=frame["amount"].astype("float64") / 100)


def histories(visits: pd.DataFrame, back: pd.DataFrame, window: int, cuts: RfmCuts = CUTS) -> pd.DataFrame:
    history = rfm_history(visits, AS_OF, 24, window, refunds=back)
    return segment_history(history, btyd_summary(visits, AS_OF), month_ends(AS_OF, 24), cuts, EIGHT)


def moved(states: pd.DataFrame, visits: pd.DataFrame, back: pd.DataFrame, months: int) -> Movement:
    before, after = step_periods(AS_OF, months)
    revenue = revenue_by_period(visits, back, {"before": before, "after": after})
    return movement(states, AS_OF, months, revenue, EIGHT.colours)


def plainly(visits: pd.DataFrame, back: pd.DataFrame, end: dt.date, window: int) -> dict[str, str]:
    """In which state every patient was, one by one: by the visits up to a day and nothing else."""
    states = {}
    for who, own in visits.groupby("patient_id"):
        days = [day.date() for day in own["visit_date"] if day.date() <= end]
        start = add_months(end + dt.timedelta(days=1), -window) if window else dt.date.min
        inside = [day for day in days if day >= start]
        if not days:
            states[who] = NOT_YET
        elif not inside:
            states[who] = "inactive"
        else:
            money = paid(visits, who, start, end) + paid(back, who, start, end)
            scores = ((end - max(inside)).days <= 60, len(inside) >= 3, money >= 100)
            states[who] = EIGHT.segment_of["".join("12"[high] for high in scores)]
    return states


def paid(lines: pd.DataFrame, who: str, start: dt.date, end: dt.date) -> Decimal:
    return sum(
        (
            Decimal(f"{amount:.2f}")
            for patient, day, amount in lines.itertuples(index=False)
            if patient == who and start <= day.date() <= end
        ),
        Decimal(0),
    )


def cells(found: Movement) -> dict[tuple, tuple]:
    """The transitions that somebody made: patients, money before and after."""
    table = found.transitions[found.transitions["patients"] > 0]
    columns = ["from_segment", "to_segment", "patients", "revenue_before", "revenue_after"]
    return {(was, is_): tuple(rest) for was, is_, *rest in table[columns].itertuples(index=False)}


@STEPS
@settings(max_examples=12)
@given(lines=LINES, back=BACK, window=st.sampled_from([0, 6, 12]))
def test_the_transitions_are_those_of_a_plain_computation(lines, back, window, months):
    visits, refunds = rows(lines), rows(back)
    start = add_months(AS_OF + dt.timedelta(days=1), -months) - dt.timedelta(days=1)
    earlier = add_months(start + dt.timedelta(days=1), -months)
    were, are = (plainly(visits, refunds, end, window) for end in (start, AS_OF))
    expected = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    for who, state in are.items():
        cell = expected[were[who], state]
        cell[0] += 1
        for place, (first, last) in enumerate([(earlier, start), (start + dt.timedelta(days=1), AS_OF)], 1):
            cell[place] += paid(visits, who, first, last) + paid(refunds, who, first, last)
    found = moved(histories(visits, refunds, window), visits, refunds, months)
    assert (found.start, found.end) == (start, AS_OF)
    assert cells(found) == {pair: (n, *map(float, money)) for pair, (n, *money) in expected.items()}


@STEPS
@settings(max_examples=12)
@given(lines=LINES, back=BACK, window=st.sampled_from([0, 3, 12]))
def test_nobody_and_no_money_is_lost_on_the_way(lines, back, window, months):
    visits, refunds = rows(lines), rows(back)
    states = histories(visits, refunds, window)
    found = moved(states, visits, refunds, months)
    table, flows = found.transitions, found.flows.set_index("segment")
    was, is_ = (Counter(states[pd.Timestamp(end)]) for end in (found.start, found.end))
    by_row, by_column = (table.groupby(side)["patients"].sum() for side in ("from_segment", "to_segment"))
    assert by_row.to_dict() == {state: was[state] for state in [NOT_YET, *EIGHT.segments]}
    assert by_column.to_dict() == {state: is_[state] for state in EIGHT.segments}
    assert table["patients"].sum() == len(states)
    # Each segment's balance; whoever leaves one group for another arrives there.
    into = flows["entered"] + flows["reactivated"] + flows["moved_in"]
    assert (flows["start"] + into - flows["moved_out"] - flows["became_inactive"] == flows["end"]).all()
    assert (
        flows["moved_in"].sum() + flows["reactivated"].sum()
        == flows["moved_out"].sum() + flows["became_inactive"].sum()
    )
    assert flows["entered"].sum() == was[NOT_YET]
    assert flows.loc["inactive", "moved_in"] == flows["became_inactive"].sum()
    assert flows.loc["inactive", "moved_out"] == flows["reactivated"].sum()
    # What all cells brought is what their patients brought.
    for name, period in (("revenue_before", found.before), ("revenue_after", found.after)):
        lines_of = pd.concat([visits, refunds[refunds["patient_id"].isin(visits["patient_id"])]])
        inside = lines_of["visit_date"].between(*map(pd.Timestamp, period))
        assert table[name].sum() == pytest.approx(lines_of["amount"][inside].sum(), abs=0.004)
    assert (table["revenue_change"] * 100).round().tolist() == pytest.approx(
        ((table["revenue_after"] - table["revenue_before"]) * 100).round().tolist()
    )


@settings(max_examples=12)
@given(lines=LINES, others=LINES, window=st.sampled_from([0, 6, 24]))
def test_under_frozen_cuts_other_patients_move_nobody(lines, others, window):
    nothing = rows([])
    alone = histories(rows(lines), nothing, window)
    together = histories(rows(lines + [(f"other {who}", *rest) for who, *rest in others]), nothing, window)
    pd.testing.assert_frame_equal(together.loc[alone.index], alone)


@settings(max_examples=6)
@given(lines=LINES, window=st.sampled_from([0, 6]))
def test_the_order_of_the_visits_says_nothing(lines, window):
    visits, nothing = rows(lines), rows([])
    back_to_front = visits.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(histories(back_to_front, nothing, window), histories(visits, nothing, window))


@settings(max_examples=6)
@given(lines=LINES, back=BACK, window=st.sampled_from([0, 6]))
def test_the_history_of_the_groups_counts_each_month_end(lines, back, window):
    visits, refunds = rows(lines), rows(back)
    counted = group_history(histories(visits, refunds, window), EIGHT.colours)
    for end in month_ends(AS_OF, 24):
        expected = Counter(plainly(visits, refunds, end, window).values())
        month = counted[counted["month"] == f"{end:%Y-%m}"].set_index("segment")
        assert month["patients"].to_dict() == {segment: expected[segment] for segment in EIGHT.segments}
        known = sum(expected.values()) - expected[NOT_YET]
        shares = [expected[segment] / known for segment in EIGHT.segments] if known else []
        assert month["patients_share"].dropna().tolist() == shares


def day(month: int, of: int) -> dt.date:
    return dt.date(2026, month, of)


#: What happened, and where it put the patient at the ends of September and October: recent is within 60 days (1 August
#: is 60 days before 30 September, 1 September 60 before 31 October), often 3 visits, much 100.00, in 6 months.
CASES = {
    "comes for the first time, much": ([(day(10, 5), 12_000)], NOT_YET, "212"),
    "comes for the first time on the last day": ([(day(10, 31), 500)], NOT_YET, "211"),
    "had come for the first time on the day before": ([(day(9, 30), 500)], "211", "211"),
    "sixty days are still recent": ([(day(9, 1), 500)], "211", "211"),
    "sixty-one are not": ([(day(8, 31), 500)], "211", "111"),
    "the third visit": ([(day(8, 1), 10), (day(9, 1), 10), (day(10, 1), 10)], "211", "221"),
    "the hundredth": ([(day(9, 2), 9_999), (day(10, 2), 1)], "211", "212"),
    "stays away until the window ends": ([(day(4, 30), 500)], "111", "inactive"),
    "comes back": ([(dt.date(2025, 1, 9), 500), (day(10, 9), 500)], "inactive", "211"),
    "an old visit leaves the window": ([(day(4, 9), 9_000), (day(9, 9), 1_000)], "212", "211"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_moves_a_patient(case):
    happened, was, is_ = CASES[case]
    states = histories(rows([("a", *line) for line in happened]), rows([]), 6).loc["a"]
    names = [EIGHT.segment_of.get(state, state) for state in (was, is_)]
    assert states[[pd.Timestamp("2026-09-30"), pd.Timestamp("2026-10-31")]].tolist() == names


def test_a_refund_can_move_a_patient():
    visits, back = rows([("a", day(9, 5), 12_000)]), rows([("a", day(10, 2), -3_000)])
    states = histories(visits, back, 6).loc["a"]
    assert states.iloc[-2:].tolist() == [EIGHT.segment_of["212"], EIGHT.segment_of["211"]]


def test_moves_stand_in_the_order_of_the_money_they_changed():
    lines = [
        *(("new", day(10, 3), 5_000), ("also new", day(10, 4), 2_000)),  # 0 → 70.00
        ("away", day(8, 20), 30_000),  # 61 days at the end of October; 300.00 were of August: 0 → 0
        *(("less", day(9, 10), 40_000), ("less", day(10, 10), 100), ("less", day(10, 11), 100)),  # 400.00 → 2.00
        *(("stays", day(9, 1), 20_000), ("stays", day(10, 30), 90_000)),  # 200.00 → 900.00, and no move
    ]
    visits, nothing = rows(lines), rows([])
    moves = moved(histories(visits, nothing, 6), visits, nothing, 1).moves
    lapsed = (EIGHT.segment_of["212"], EIGHT.segment_of["112"])
    assert list(moves[["from_segment", "to_segment", "patients", "revenue_change"]].itertuples(index=False)) == [
        (EIGHT.segment_of["212"], EIGHT.segment_of["222"], 1, 2.0 - 400.0),
        (NOT_YET, EIGHT.segment_of["211"], 2, 50.0 + 20.0),
        (*lapsed, 1, 0.0),
    ]


@pytest.mark.parametrize(
    ("first_visit", "window", "complete", "months"),
    [
        (dt.date(2023, 11, 20), 24, False, 13),  # November 2023 to October 2025 is the first whole window
        (dt.date(2023, 12, 1), 24, False, 12),
        (dt.date(2024, 11, 5), 24, False, 1),
        (dt.date(2024, 12, 5), 24, False, 0),
        (dt.date(2024, 12, 5), 24, True, 23),  # the clinic opened: from the end of December 2024
        (dt.date(2025, 5, 5), 0, False, 18),
        (dt.date(2019, 1, 1), 24, False, 24),
    ],
)
def test_month_ends_whose_window_the_export_holds(first_visit, window, complete, months):
    known = known_month_ends(first_visit, AS_OF, 24, window, complete_history=complete)
    assert known == month_ends(AS_OF, 24)[24 - months :]


def test_a_day_of_which_nothing_is_known_is_not_compared_with():
    september, first = day(9, 30), dt.date(2025, 2, 3)
    check_known(september, [september, AS_OF], first, 12)
    with pytest.raises(NotEnoughData) as refused:
        check_known(september, [AS_OF], first, 24)
    assert refused.value.code == "history_starts_late"
    assert refused.value.numbers == {"first_visit": first, "needed": dt.date(2024, 10, 1)}
    with pytest.raises(NotEnoughData) as refused:
        check_known(september, [AS_OF], day(10, 1), 24)
    assert (refused.value.code, refused.value.numbers) == ("no_patients_at_start", {"day": september})


# --- of a study

THRESHOLDS = """
[rfm]
scoring = "threshold"
bins = 2
scheme = "eight"
min_patients = 5
window_months = 6
windows = { total_spend = 12 }
[rfm.thresholds]
recency_days = [60]
visit_count = [2]
total_spend = [99.99]
"""


@pytest.fixture
def of_months(write_clinic):
    """Studies of one clinic with cuts of its own, at the ends of months."""
    from conftest import open_one

    lines = []
    for number in range(90):
        for visit in range(1 + number % 7):
            on = dt.date(2025, 1, 1 + number % 28) + dt.timedelta(days=(number * 37 + visit * (20 + number)) % 668)
            lines.append(f"p{number},{on},{5 + number % 13 * 6}\n")
    export = "id,date,amount\n" + "".join(sorted(set(lines)))

    def of(month: str, *, transactions: str = "complete_history = true"):
        return open_one(write_clinic(export, transactions=transactions, parts=THRESHOLDS), month)

    return of


def sizes(study) -> dict[str, int]:
    """Patients of each segment as a study of that month says; `study.segments` would wait for a model."""
    assigned = Counter(assign_segments(study.scored, study.scheme)["segment"])
    assigned["inactive"] = len(study.summary) - len(study.scored)
    return {segment: assigned[segment] for segment in study.scheme.segments}


def test_the_rows_of_the_matrix_are_last_month_s_groups(of_months):
    study = of_months("2026-10")
    for found, month in ((study.month_movement, "2026-09"), (study.year_movement, "2025-10")):
        then = of_months(month)
        rows_of = found.transitions.groupby("from_segment")["patients"].sum()
        assert rows_of.drop(NOT_YET).to_dict() == sizes(then)
        assert rows_of[NOT_YET] == len(study.summary) - len(then.summary)
        assert found.flows["start"].tolist() == list(sizes(then).values())
        assert found.flows["end"].tolist() == list(sizes(study).values())


def test_the_history_of_the_groups_is_what_each_month_s_study_said(of_months):
    history = of_months("2026-10").group_history
    for month in ("2025-12", "2026-05", "2026-10"):
        assert history[history["month"] == month]["patients"].tolist() == list(sizes(of_months(month)).values())


def test_what_all_moves_brought_is_the_revenue_of_the_month(of_months):
    study = of_months("2026-10")
    assert study.month_movement.transitions["revenue_after"].sum() == pytest.approx(study.loyalty.month.revenue)
    year = study.loyalty_history["revenue"].tail(12).sum()
    assert study.year_movement.transitions["revenue_after"].sum() == pytest.approx(year)


def test_a_short_export_shows_no_movement_and_says_why(of_months):
    study = of_months("2026-01", transactions="complete_history = false")
    assert study.part("movement").ok
    assert study.group_history["month"].unique().tolist() == ["2025-12", "2026-01"]
    reason = study.part("movement_year").reason
    # The longest window has twelve months, and those up to 31 January 2025 begin there.
    assert (reason.code, reason.numbers["needed"]) == ("history_starts_late", dt.date(2024, 2, 1))


def test_few_patients_have_no_movement(write_clinic):
    from conftest import open_one

    study = open_one(write_clinic("id,date,amount\na,2026-10-01,5\nb,2026-01-01,5\n"))
    assert {study.part(name).reason.code for name in ("movement", "movement_year")} == {"few_patients"}
