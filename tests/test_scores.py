"""Scores are decided by cuts alone: equal values are scored equally, whoever else there is."""

import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmkit import rfm_cuts, score_rfm
from rfmkit.analysis.scores import (
    MEASURES,
    SCORES,
    average_cuts,
    cuts_as_thresholds,
    score_bands,
    score_grid,
    threshold_cuts,
)


def table(recency, count, spend) -> pd.DataFrame:
    return pd.DataFrame({"recency_days": recency, "visit_count": count, "total_spend": spend})


patients = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 6), st.integers(0, 30).map(float)), min_size=1, max_size=60
).map(lambda rows: table(*zip(*rows, strict=True)))


def naive_scores(values: list[float], bins: int) -> list[int]:
    """The rule of the cuts, word for word, for values of which more is better."""
    if len(set(values)) == 1:
        return [(bins + 1) // 2] * len(values)
    cuts = []
    for score in range(2, bins + 1):
        reached = [v for v in values if bins * sum(w < v for w in values) >= (score - 1) * len(values)]
        if reached:
            cuts.append(min(reached))
    return [1 + sum(value >= cut for cut in cuts) for value in values]


@pytest.mark.parametrize("bins", range(2, 10))
@given(rfm=patients)
def test_scores_follow_the_rule_word_for_word(rfm, bins):
    scored = score_rfm(rfm, bins)
    assert scored["recency_score"].tolist() == naive_scores([-v for v in rfm["recency_days"]], bins)
    assert scored["monetary_score"].tolist() == naive_scores(rfm["total_spend"].tolist(), bins)


def test_frequency_of_a_usual_clinic():
    # 70, 18, 7, 3 and 2 of 100 patients came 1, 2, 3, 4 and 5 times.
    counts = np.repeat([1, 2, 3, 4, 5], [70, 18, 7, 3, 2])
    scored = score_rfm(table(np.arange(100), counts, np.arange(100.0)))
    assert scored.groupby("visit_count")["frequency_score"].unique().map(list).to_dict() == {
        1: [1],
        2: [2],
        3: [4],
        4: [5],
        5: [5],
    }


@given(rfm=patients, bins=st.integers(2, 9))
def test_equal_values_score_equally_and_better_ones_never_less(rfm, bins):
    scored = score_rfm(rfm, bins)
    for measure, less_is_better in MEASURES.items():
        by_value = scored.groupby(measure)[SCORES[measure]]
        assert (by_value.nunique() == 1).all()
        steps = by_value.first().diff().dropna()
        assert (steps <= 0).all() if less_is_better else (steps >= 0).all()
        assert scored[SCORES[measure]].between(1, bins).all()


@given(rfm=patients, bins=st.integers(2, 9), seed=st.integers(0, 9))
def test_the_order_of_rows_does_not_matter(rfm, bins, seed):
    shuffled = rfm.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(score_rfm(rfm, bins), score_rfm(shuffled, bins).sort_index())


@given(rfm=patients, others=patients)
def test_frozen_cuts_score_a_patient_alone(rfm, others):
    cuts = rfm_cuts(rfm)
    together = pd.concat([rfm, others], ignore_index=True)
    pd.testing.assert_frame_equal(score_rfm(together, cuts=cuts).head(len(rfm)), score_rfm(rfm))


@given(rfm=patients)
def test_the_input_is_left_as_it_was(rfm):
    before = rfm.copy()
    score_rfm(rfm)
    pd.testing.assert_frame_equal(rfm, before)


@pytest.mark.parametrize(("bins", "middle"), [(2, 1), (3, 2), (5, 3), (9, 5)])
def test_one_distinct_value_gives_everybody_the_middle_score(bins, middle):
    scored = score_rfm(table([7] * 60, [1] * 60, [50.0] * 60), bins)
    assert scored["rfm_score"].unique().tolist() == [str(middle) * 3]


@pytest.mark.parametrize("bins", [1, 10])
def test_bins_are_two_to_nine(bins):
    with pytest.raises(ValueError, match="2 to 9"):
        rfm_cuts(table([1, 2], [1, 2], [1.0, 2.0]), bins)


@given(rfm=patients)
def test_bands_and_grid_count_everybody_once(rfm):
    scored = score_rfm(rfm)
    assert (score_bands(scored).groupby("measure")["patients"].sum() == len(rfm)).all()
    grid = score_grid(scored, 5)
    assert len(grid) == 25
    assert grid["patients"].sum() == len(rfm)
    assert grid["revenue"].sum() == pytest.approx(rfm["total_spend"].sum())


# --- the clinic's own numbers, and averages

CLASS_A = {"recency_days": [7], "visit_count": [4], "total_spend": [20_000]}


@pytest.mark.parametrize(
    ("recency", "count", "spend", "score"),
    [
        (7, 5, 20_000.01, "222"),  # within 7 days, more than 4 visits, more than 20,000
        (8, 5, 20_000.01, "122"),
        (7, 4, 20_000.01, "212"),
        (7, 5, 20_000.00, "221"),
        (0, 99, 1e9, "222"),
        (400, 1, -50.0, "111"),
    ],
)
def test_thresholds_are_read_as_they_are_said(recency, count, spend, score):
    scored = score_rfm(table([recency], [count], [spend]), cuts=threshold_cuts(CLASS_A))
    assert scored["rfm_score"].tolist() == [score]


@pytest.mark.parametrize("bins", [2, 5, 9])
@given(rfm=patients, other=patients)
def test_frozen_cuts_score_as_the_cuts_they_were(bins, rfm, other):
    cuts = rfm_cuts(rfm, bins)
    frozen = threshold_cuts(cuts_as_thresholds(cuts))
    for people in (rfm, other):
        assert score_rfm(people, cuts=frozen).equals(score_rfm(people, cuts=cuts))


@given(rfm=patients, other=patients)
def test_under_frozen_cuts_others_move_nobody(rfm, other):
    frozen = threshold_cuts(cuts_as_thresholds(rfm_cuts(rfm)))
    together = score_rfm(pd.concat([rfm, other], ignore_index=True), cuts=frozen)
    assert together.iloc[: len(rfm)].equals(score_rfm(rfm, cuts=frozen))


@pytest.mark.parametrize("average", ["mean", "median"])
@given(rfm=patients)
def test_high_is_above_the_average(average, rfm):
    scored = score_rfm(rfm, cuts=average_cuts(rfm, average))
    for measure in MEASURES:
        values = [Fraction(value) for value in rfm[measure]]
        middle = statistics.mean(values) if average == "mean" else statistics.median(values)
        high = [value <= middle if measure == "recency_days" else value > middle for value in values]
        assert (scored[SCORES[measure]] == 2).tolist() == high


def test_a_mean_of_cents_is_exact():
    # 0.10 + 0.20 + 0.30 is 0.60: the patient in the middle spent the mean, no more.
    rfm = table([1, 1, 1], [1, 1, 1], [0.1, 0.2, 0.3])
    assert average_cuts(rfm, "mean").total_spend == (0.21,)
    assert score_rfm(rfm, cuts=average_cuts(rfm, "mean"))["monetary_score"].tolist() == [1, 1, 2]
