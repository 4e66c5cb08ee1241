"""Whether anybody can meet a rule: each of its columns on its own, and the cells of the score cube."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rfmkit.analysis.rules import Column, Comparison, Every, Not, Rule, Some, comparisons, opposite
from rfmkit.analysis.segments import INACTIVE, Scheme

#: Columns that a patient's cell of the score cube decides.
OF_THE_CELL = ("segment", "rfm_score", "recency_score", "frequency_score", "monetary_score")
#: A rule with more alternatives than this is not examined to the end.
_MOST = 4096


@dataclass(frozen=True)
class _Wanted:
    """A comparison that must hold, or, as the opposite of another, may be of an unknown value."""

    comparison: Comparison
    or_missing: bool = False


class _Cells:
    """One patient in each cell of a scheme, and one without a visit in the window."""

    def __init__(self, scheme: Scheme):
        cells = list(scheme.segment_of)
        scores = {name: [*(int(cell[at]) for cell in cells), np.nan] for at, name in enumerate(OF_THE_CELL[2:])}
        self._frame = pd.DataFrame(
            {"segment": [*scheme.segment_of.values(), INACTIVE], "rfm_score": [*cells, None], **scores}
        )

    def __len__(self) -> int:
        return len(self._frame)

    def of(self, column: str) -> np.ndarray:
        return self._frame[column].to_numpy(dtype=object if column in OF_THE_CELL[:2] else float)


def impossible(rule: Rule, columns: Mapping[str, Column], scheme: Scheme) -> str | None:
    """What in a rule nobody can meet, in words; None where somebody may.

    A single condition that nobody can meet counts wherever it stands. What is unknown of a patient (a value without a
    model, a consent that is not told) meets no comparison, so the opposite of one may always be met.

    Parameters
    ----------
    rule : Rule
    columns : mapping
        What is known of each column.
    scheme : Scheme
        Which scores make which segment.
    """
    cells = _Cells(scheme)
    for one in comparisons(rule):
        if not _possible([_Wanted(one)], columns, cells):
            return str(one)
    alternatives = list(itertools.islice(_alternatives(rule, columns, wanted=True), _MOST + 1))
    if len(alternatives) > _MOST or any(_possible(each, columns, cells) for each in alternatives):
        return None
    # Each alternative is as impossible as the others; the first is told.
    return " and ".join(dict.fromkeys(str(one.comparison) for one in alternatives[0]))


def _alternatives(rule: Rule, columns: Mapping[str, Column], *, wanted: bool) -> Iterable[list[_Wanted]]:
    """The ways to meet a rule (or, where it is not wanted, not to): comparisons that must hold together."""
    match rule:
        case Comparison():
            if wanted:
                yield [_Wanted(rule)]
            else:
                yield [_Wanted(opposite(rule), or_missing=columns[rule.column].missing)]
        case Not(inner):
            yield from _alternatives(inner, columns, wanted=not wanted)
        case Every(rules) | Some(rules):
            if isinstance(rule, Every) == wanted:
                ways = [list(itertools.islice(_alternatives(one, columns, wanted=wanted), _MOST + 1)) for one in rules]
                for chosen in itertools.product(*ways):
                    yield list(itertools.chain.from_iterable(chosen))
            else:
                for one in rules:
                    yield from _alternatives(one, columns, wanted=wanted)


def _possible(together: list[_Wanted], columns: Mapping[str, Column], cells: _Cells) -> bool:
    by_column = defaultdict(list)
    for one in together:
        asked = one.comparison
        by_column[asked.column, asked.value if asked.kind == "bought" else None].append(one)
    for (name, _), some in by_column.items():
        unknown = all(one.or_missing for one in some)
        if not unknown and not _column_possible([one.comparison for one in some], columns[name]):
            return False
    of_cell = [_met(one, cells) for one in together if one.comparison.column in OF_THE_CELL]
    return not of_cell or bool(np.logical_and.reduce(of_cell).any())


def _met(one: _Wanted, cells: _Cells) -> np.ndarray:
    met = one.comparison.met(cells)
    return met | pd.isna(cells.of(one.comparison.column)) if one.or_missing else met


def _column_possible(some: list[Comparison], column: Column) -> bool:
    if column.kind in {"whole", "number", "day"}:
        return _range_possible(some, column)
    must = {one.value for one in some if one.sign == "="}
    must_not = {one.value for one in some if one.sign == "!="}
    if len(must) > 1 or must & must_not:
        return column.kind == "bought" and not must & must_not
    known = (True, False) if column.kind == "yes_no" else column.values
    return bool(must) or known is None or bool(set(known) - must_not)


def _range_possible(some: list[Comparison], column: Column) -> bool:
    """Whether a number lies between all the limits; of whole numbers, a whole one."""
    limits = [(one.sign, _as_number(one.value)) for one in some]
    low = [limit for sign, limit in limits if sign in {">", ">=", "="}]
    high = [limit for sign, limit in limits if sign in {"<", "<=", "="}]
    least = max([*low, -math.inf if column.low is None else column.low])
    most = min([*high, math.inf if column.high is None else column.high])
    if column.kind != "number":
        least = _next_whole(least, after=(">", least) in limits)
        most = -_next_whole(-most, after=("<", most) in limits)
    elif {(">", least), ("<", most)} & set(limits) and least == most:
        return False
    excluded = {limit for sign, limit in limits if sign == "!="}
    if least == most or (column.kind != "number" and most - least < len(excluded)):
        return any(least + step not in excluded for step in range(int(most - least) + 1))
    return least <= most


def _next_whole(number: float, *, after: bool) -> float:
    """The least whole number that is not below `number`, or lies `after` it."""
    if not math.isfinite(number):
        return number
    return math.floor(number) + 1 if after else math.ceil(number)


def _as_number(value: object) -> float:
    return float(value.toordinal()) if hasattr(value, "toordinal") else value
