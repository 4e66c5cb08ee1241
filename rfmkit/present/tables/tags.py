"""Tables of the tags that a clinic's rules put on patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.tables.build import Table, table
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd

#: How many months before the last are shown beside it.
_BACK = (1, 3, 6, 12)


def tags(tag_counts: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """How many patients have each tag, and had it at the ends of past months.

    Parameters
    ----------
    tag_counts : pandas.DataFrame
        One row a tag and month, as `study.tag_counts`: `tag`, `month`, `patients`, `put_on`, `taken_off`.
    reader : Reader, optional
        Fewer patients than its `min_count` read "< min_count".
    """
    reader = reader or Reader()
    months = sorted(tag_counts["month"].unique())
    before = [months[-1 - back] for back in _BACK if back < len(months)]
    by_month = tag_counts.pivot(index="tag", columns="month", values="patients")
    last = tag_counts[tag_counts["month"] == months[-1]]
    return table(
        reader.say("The clinic's tags"),
        [
            reader.say("Tag"),
            reader.say("Patients"),
            reader.say("Put on this month"),
            reader.say("Taken off this month"),
            *(reader.short_month(month) for month in before),
        ],
        [
            [
                reader.name("tag", row["tag"]),
                *(reader.count(row[name]) for name in ("patients", "put_on", "taken_off")),
                *(reader.count(by_month.loc[row["tag"], month]) for month in before),
            ]
            for row in last.to_dict("records")
        ],
        notes=[
            reader.say(
                "Past months are counted anew, by today's rules and cuts. What has no history, such as consents and"
                " lifetime value, is taken as it stands today."
            )
        ],
    )
