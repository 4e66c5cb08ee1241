"""segments.xlsx: the ready tables for the clinic's management, in the report's language."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rfmkit.publish.workbook.book import Sheet, write_book
from rfmkit.publish.workbook.groups import each_group, groups, what_to_do
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
