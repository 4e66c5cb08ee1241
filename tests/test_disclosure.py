"""Small groups: they join others until nothing about them can be told, and every total holds."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmkit.present.disclosure import join_small_groups, mask_small_cells

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=12)
LEAST = st.integers(1, 20)


def branches(counts: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "branch": [f"b{place}" for place in range(len(counts))],
            "patients": counts,
            "revenue": [100.0 * count for count in counts],
            "mean_age": [20.0 + place for place in range(len(counts))],
        }
    )


def joined(counts: list[int], least: int) -> pd.DataFrame:
    return join_small_groups(branches(counts), group="branch", min_count=least, sums=["revenue"], means=["mean_age"])


@given(COUNTS, LEAST)
def test_totals_hold(counts, least):
    before, after = branches(counts), joined(counts, least)
    assert after["patients"].sum() == before["patients"].sum()
    assert after["revenue"].sum() == pytest.approx(before["revenue"].sum())
    weighted = [(frame["mean_age"] * frame["patients"]).sum() for frame in (before, after)]
    assert weighted[1] == pytest.approx(weighted[0])


@given(COUNTS, LEAST)
def test_no_group_is_small_unless_all_patients_together_are(counts, least):
    after = joined(counts, least)
    shown = after.loc[after["patients"] > 0, "patients"]
    if sum(counts) >= least:
        assert (shown >= least).all()
    else:
        assert len(shown) <= 1


@given(COUNTS, LEAST)
def test_no_more_is_joined_than_need_be(counts, least):
    """Without its largest group "other" would be too small, or hold small groups alone."""
    after = joined(counts, least)
    gone = [count for place, count in enumerate(counts) if f"b{place}" not in set(after["branch"])]
    large = [count for count in gone if count >= least]
    assert len(large) <= 1
    if large:
        assert sum(gone) - large[0] < least


@given(COUNTS, LEAST)
def test_the_frame_given_stays_as_it_is(counts, least):
    before = branches(counts)
    kept = before.copy(deep=True)
    join_small_groups(before, group="branch", min_count=least)
    mask_small_cells(before, columns=["revenue"], min_count=least)
    pd.testing.assert_frame_equal(before, kept)


def test_other_takes_the_next_smallest():
    after = joined([40, 12, 2, 30], 5)
    assert list(after["branch"]) == ["b0", "b3", "other"]
    assert after.iloc[-1]["patients"] == 12 + 2
    assert after.iloc[-1]["mean_age"] == (21 * 12 + 22 * 2) / (12 + 2)


def test_several_small_groups_may_be_enough():
    assert list(joined([40, 3, 2], 5)["branch"]) == ["b0", "other"]


def test_a_group_called_other_is_joined():
    frame = pd.DataFrame({"branch": ["North", "other", "Kiosk"], "patients": [40, 9, 2]})
    after = join_small_groups(frame, group="branch", min_count=5)
    assert after.to_dict("list") == {"branch": ["North", "other"], "patients": [40, 11]}


def test_groups_of_nobody_stay():
    assert list(joined([40, 0], 5)["branch"]) == ["b0", "b1"]


def test_nothing_small_changes_nothing():
    before = branches([40, 5])
    pd.testing.assert_frame_equal(joined([40, 5], 5), before)


@given(COUNTS, st.integers(0, 20))
def test_small_cells_are_empty_and_only_they(counts, least):
    masked = mask_small_cells(branches(counts), columns=["revenue"], min_count=least)
    assert list(masked["revenue"].isna()) == [0 < count < least for count in counts]
    assert list(masked["patients"]) == counts
