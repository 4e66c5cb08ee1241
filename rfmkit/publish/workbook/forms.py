"""Which numbers are shares, sums or counts, and how a frame's columns become a sheet's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rfmkit.publish.workbook.book import Column

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.present.wording import Reader

_SHARES = {"patients_share", "revenue_share", "rpr", "crr", "mean_probability_alive"}
_WHOLE_SHARES = {"share", "others_share"}
_SUMS = {"revenue", "mean_total_spend", "aov", "clv", "value_at_risk", "mean_clv"}
_DECIMALS = {"mean_visit_count", "times"}


def form_of(name: str) -> str:
    """What the numbers under a name of the vocabulary are."""
    if name in _SHARES:
        return "share"
    if name in _WHOLE_SHARES:
        return "whole share"
    if name in _SUMS:
        return "sum"
    return "decimal" if name in _DECIMALS else "count"


def known(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The columns that hold anything: a table does not speak of what is not there."""
    return [name for name in names if name in frame.columns and frame[name].notna().any()]


def count_of(patients: int, of: int | None, reader: Reader) -> int | str:
    """A number of patients; one that may not be shown as the text that stands for it on the page."""
    shown = reader.count(patients, of)
    return patients if shown == reader.number(patients) else shown


def columns(
    names: Sequence[str], *, reader: Reader, texts: Sequence[str] = (), prose: Sequence[str] = ()
) -> list[Column]:
    """Columns of a frame with their headings: those of `texts` and of `prose` hold words, all others numbers."""
    forms = dict.fromkeys(texts, "text") | dict.fromkeys(prose, "prose")
    return [Column(name, reader.name("column", name), forms.get(name) or form_of(name)) for name in names]
