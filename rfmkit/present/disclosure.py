"""Groups too small to be shown: who they join, and what of a matrix stays hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def join_small_groups(
    frame: pd.DataFrame,
    *,
    group: str,
    min_count: int,
    count: str = "patients",
    sums: Sequence[str] = (),
    means: Sequence[str] = (),
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
        Further columns to keep: those that add up, and those that are averages over patients. A column that is neither,
        like a median, cannot be joined and is left out.
    other : str, default "other"
        The key of the joined group; a group that has it already is joined.

    Returns
    -------
    pandas.DataFrame
        The columns `group`, `count`, `sums`, `means`. If `frame` holds fewer than `min_count` patients in all, one
        group is left: a total is no secret.

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

    kept = frame[[group, count, *sums, *means]].reset_index(drop=True)
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
    row |= {column: (joined[column] * joined[count]).sum(skipna=False) / total for column in means}
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
