"""Groups too small to be shown: who they join, and what of a matrix stays hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: Attributes of which every patient has exactly one, so that those of a group add up to it.
ONE_EACH = ("cohort", "branch", "weekday", "hour")


def join_small_groups(
    frame: pd.DataFrame,
    *,
    group: str,
    min_count: int,
    count: str = "patients",
    sums: Sequence[str] = (),
    means: Sequence[str] = (),
    alone: Sequence[str] = (),
    other: str = "other",
) -> pd.DataFrame:
    """Join the groups of fewer than `min_count` patients into one that is large enough.

    The joined group takes the next smallest group until it reaches `min_count`, so that no small group follows by
    subtraction from a total. It stands last, and every total is kept.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a group.
    group : str
        The column with the groups' keys.
    min_count : int
        The smallest number of patients that may be shown.
    count : str, default "patients"
        The column with the number of patients. Groups of nobody have nobody to protect and stay.
    sums, means : sequence of str
        Further columns to keep: those that add up, and those that are averages over patients.
    alone : sequence of str
        Further columns to keep of the groups that stay: those that cannot be joined, like a median.
    other : str, default "other"
        The key of the joined group; a group that has it already is joined.

    Returns
    -------
    pandas.DataFrame
        The columns `group`, `count`, `sums`, `means`, `alone`. If `frame` holds fewer than `min_count` patients in all,
        one group is left: a total is no secret.

    Examples
    --------
    >>> import pandas as pd
    >>> branches = pd.DataFrame({"branch": ["North", "South", "Kiosk"], "patients": [40, 12, 2]})
    >>> join_small_groups(branches, group="branch", min_count=5)
      branch  patients
    0  North        40
    1  other        14
    """
    import pandas as pd

    kept = frame[[group, count, *sums, *means, *alone]].reset_index(drop=True)
    small = kept[count].between(1, min_count - 1)
    if not small.any():
        return kept
    joining = small | kept[group].eq(other)
    for row in kept[~joining & kept[count].gt(0)].sort_values(count, kind="stable").index:
        if kept.loc[joining, count].sum() >= min_count:
            break
        joining[row] = True
    joined = kept[joining]
    total = joined[count].sum()
    row = {group: other, count: total}
    row |= {column: joined[column].sum() for column in sums}
    # A group of nobody has no mean, and none is missed.
    some = joined[joined[count] > 0]
    row |= {column: (some[column] * some[count]).sum(skipna=False) / total for column in means}
    row |= dict.fromkeys(alone, float("nan"))
    return pd.concat([kept[~joining], pd.DataFrame([row])], ignore_index=True)[list(kept.columns)]


def mask_small_cells(
    frame: pd.DataFrame, *, columns: Sequence[str], min_count: int, count: str = "patients"
) -> pd.DataFrame:
    """Empty the `columns` of rows that stand for fewer than `min_count` patients, though for some.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a cell of a matrix.
    columns : sequence of str
        What may not be shown of a small cell; `count` itself may be among them.
    min_count : int
        The smallest number of patients that may be shown.
    count : str, default "patients"
        The column with the number of patients.

    Returns
    -------
    pandas.DataFrame
        The same rows, with NaN where a value is not shown.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"recency_score": [1, 2], "patients": [3, 12], "probability_alive": [0.2, 0.7]})
    >>> mask_small_cells(cells, columns=["probability_alive"], min_count=5)
       recency_score  patients  probability_alive
    0              1         3                NaN
    1              2        12                0.7
    """
    small = frame[count].between(1, min_count - 1)
    return frame.assign(**{column: frame[column].where(~small) for column in columns})


def shown_portraits(portraits: pd.DataFrame, *, group: str, min_count: int) -> pd.DataFrame:
    """What of portraits may be shown.

    The size of a segment is no secret, what its patients are like is: of fewer than `min_count` it is emptied. A cohort
    is itself an attribute: cohorts below `min_count` join "other". A median shows nothing of fewer patients either.

    Parameters
    ----------
    portraits : pandas.DataFrame
        One row a group, as `study.portraits` or `study.cohorts`.
    group : str
        "segment" or "cohort".
    min_count : int
        The smallest number of patients that may be shown.
    """
    medians = {"ages_known": "median_age", "returned": "median_days_between_visits"}
    means = ["mean_total_spend", "mean_clv"]
    if group == "segment":
        columns = [*means, *medians, *medians.values()]
        shown = mask_small_cells(portraits, columns=columns, min_count=min_count)
    else:
        sums, alone = ["patients_share", "revenue", "revenue_share"], [*medians, *medians.values()]
        shown = join_small_groups(portraits, group=group, min_count=min_count, sums=sums, means=means, alone=alone)
    for count, median in medians.items():
        shown = mask_small_cells(shown, columns=[median, count], min_count=min_count, count=count)
    return shown


def shown_traits(traits: pd.DataFrame, *, min_count: int) -> pd.DataFrame:
    """The claims among traits that may be shown.

    Neither those who have a trait nor those who have not may be few, in the group or among the others. What follows by
    subtraction is guarded too: where the patients beside the groups shown would be few, what the others have is
    emptied; of an attribute of which everybody has one, the smallest claim is left out, until in every group and of
    every value those not shown are none or enough.

    Parameters
    ----------
    traits : pandas.DataFrame
        One row a group and trait, as `study.portrait_traits`.
    min_count : int
        The smallest number of patients that may be shown.

    Returns
    -------
    pandas.DataFrame
        The rows of `traits` that are claimed and may be shown; ``others, others_share, times`` missing where these may
        not.
    """
    without = traits["of"] - traits["patients"]
    shown = traits["over"] & (traits["patients"] >= min_count) & ~without.between(1, min_count - 1)
    shown &= ~(traits["others_of"] - traits["others"]).between(1, min_count - 1)
    one_each = traits["kind"].isin(ONE_EACH)
    by_item, by_group = [traits["kind"], traits["item"]], [traits["kind"], traits["group"]]
    while True:
        left = traits["patients"].where(~shown, 0)
        beside = left.groupby(by_item).transform("sum")
        few = [left.groupby(lines).transform("sum").between(1, min_count - 1) for lines in (by_item, by_group)]
        candidates = shown & one_each & (few[0] | few[1])
        if not candidates.any():
            break
        shown[traits.loc[candidates, "patients"].idxmin()] = False
    hidden = beside.between(1, min_count - 1) & ~one_each
    columns = ["others", "others_share", "times"]
    told = traits.assign(**{column: traits[column].where(~hidden) for column in columns})
    return told[shown].reset_index(drop=True)


def without_small_groups(frame: pd.DataFrame, *, min_count: int, count: str = "patients") -> pd.DataFrame:
    """Leave out the rows of fewer than `min_count` patients, of a list beside which no total stands.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a group.
    min_count : int
        The smallest number of patients that may be shown.
    count : str, default "patients"
        The column with the number of patients.

    Examples
    --------
    >>> import pandas as pd
    >>> moves = pd.DataFrame({"to_segment": ["loyal", "lost"], "patients": [12, 2], "revenue_change": [90.0, -80.0]})
    >>> without_small_groups(moves, min_count=5)
      to_segment  patients  revenue_change
    0      loyal        12            90.0
    """
    return frame[frame[count] >= min_count].reset_index(drop=True)


def mask_small_counts(
    frame: pd.DataFrame, *, columns: Sequence[str], min_count: int, of: str | None = None
) -> pd.DataFrame:
    """Empty every number of patients in `columns` that is below `min_count`, though not zero, or leaves so few over.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a group; each of `columns` counts patients of it.
    columns : sequence of str
    min_count : int
        The smallest number of patients that may be shown.
    of : str, optional
        The column with the number of whom they are part, where it stands beside them.

    Returns
    -------
    pandas.DataFrame
        The same rows, with NaN where a number is not shown. A total beside them would give a single one away.

    Examples
    --------
    >>> import pandas as pd
    >>> reach = pd.DataFrame({"patients": [40, 40, 40, 15], "sms": [0, 3, 12, 12]})
    >>> mask_small_counts(reach, columns=["sms"], min_count=5, of="patients")
       patients   sms
    0        40   0.0
    1        40   NaN
    2        40  12.0
    3        15   NaN
    """

    def few(patients: pd.Series) -> pd.Series:
        left_over = 0 if of is None else frame[of] - patients
        return (patients > 0) & ((patients < min_count) | ((left_over > 0) & (left_over < min_count)))

    return frame.assign(**{column: frame[column].where(~few(frame[column])) for column in columns})
