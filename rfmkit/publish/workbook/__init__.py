"""segments.xlsx: the ready tables for the clinic's management, in the report's language."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rfmkit.publish.workbook.book import Sheet, write_book
from rfmkit.publish.workbook.groups import each_group, groups, what_to_do
from rfmkit.publish.workbook.movement import (
    came_and_went,
    groups_by_month,
    moves,
    moves_and_revenue,
)
from rfmkit.publish.workbook.portraits import (
    portraits_of_cohorts,
    portraits_of_groups,
    what_sets_cohorts_apart,
    what_sets_groups_apart,
)
from rfmkit.publish.workbook.summary import by_month, overview, what_the_words_mean

if TYPE_CHECKING:
    from rfmkit.study import Study

#: The sheets in their order. A function here is all that a further one needs: it gives no sheet where the study does
#: not carry it.
SHEETS: tuple[Callable[[Study], list[Sheet]], ...] = (
    overview,
    groups,
    what_to_do,
    by_month,
    groups_by_month,
    moves,
    came_and_went,
    moves_and_revenue,
    portraits_of_groups,
    what_sets_groups_apart,
    portraits_of_cohorts,
    what_sets_cohorts_apart,
    each_group,
    what_the_words_mean,
)


def workbook(study: Study) -> bytes:
    """The tables of a study that its data carry.

    Parameters
    ----------
    study : Study

    Returns
    -------
    bytes
        An Excel workbook; the same study gives the same bytes.
    """
    title = f"{study.clinic.name} – {study.reader.month(study.month)}"
    return write_book([sheet for make in SHEETS for sheet in make(study)], title=title, reader=study.reader)
