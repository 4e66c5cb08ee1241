"""The sheets about movement: from which group to which, who came and went, what it did to revenue, month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.present.disclosure import without_small_groups
from rfmkit.present.tables.movement import FLOWS
from rfmkit.publish.workbook.book import Column, Sheet
from rfmkit.publish.workbook.forms import count_of

if TYPE_CHECKING:
    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

_MONTH, _YEAR = 1, 12
_STEPS = {"movement": ("month_movement", _MONTH), "movement_year": ("year_movement", _YEAR)}
#: Of a month, and of a year, no more moves are told: the rest changed little.
_MOST = 10
_NOT_YET = "not_yet"


def moves(study: Study) -> list[Sheet]:
    """How many went from which group to which, within a month and within a year."""
    say = study.reader.say
    called = {
        _MONTH: (say("Moves in a month"), say("From group to group in a month")),
        _YEAR: (say("Moves in a year"), say("From group to group in a year")),
    }
    return [_matrix(*called[months], movement, study.reader) for movement, months in _movements(study)]


def _matrix(title: str, heading: str, movement, reader: Reader) -> Sheet:
    """A row a group of then, a column a group of now; who had not come yet last."""
    cells = movement.transitions
    # Where nobody went the cell is empty, as on the page: among zeros nobody would find the moves.
    shown = cells["patients"].astype(object).map(lambda n: count_of(n, None, reader) or None)
    table = cells.assign(shown=shown).pivot(index="from_segment", columns="to_segment", values="shown")
    rows, columns = _states(cells, "from_segment"), _states(cells, "to_segment")
    table = table.loc[rows, columns].reset_index()
    table["from_segment"] = [reader.name("segment", state) for state in rows]
    explained = reader.say(
        "Down: the group on {start}. Across: the group on {end}. On the diagonal are those who stayed.",
        start=reader.date(movement.start),
        end=reader.date(movement.end),
    )
    shown_columns = [Column(state, reader.name("segment", state), "count") for state in columns]
    return Sheet(
        title,
        table,
        [Column("from_segment", reader.say("Group")), *shown_columns],
        above=[heading, explained],
        marked={(place, state) for place, state in enumerate(rows)},
    )


def _states(transitions: pd.DataFrame, side: str) -> list[str]:
    there = transitions.groupby(side, sort=False)["patients"].sum()
    return sorted(there.index[there > 0], key=lambda state: state == _NOT_YET)


def came_and_went(study: Study) -> list[Sheet]:
    """How each group came from its size then to that of now, within a month and within a year."""
    reader = study.reader
    tables = []
    for movement, months in _movements(study):
        flows = movement.flows
        # As on the page. It hides no secret: the sizes of groups and all moves between them are none.
        shown = {name: flows[name].astype(object).map(lambda n: count_of(n, None, reader)) for name in FLOWS}
        tables.append(flows.assign(**shown, within=reader.months(months)))
    if not tables:
        return []
    frame = pd.concat(tables, ignore_index=True)
    frame["segment"] = [reader.name("segment", key) for key in frame["segment"]]
    shown = [
        Column("segment", reader.say("Group")),
        Column("within", reader.say("Within")),
        Column("start", reader.say("Patients then"), "count"),
        *(Column(name, reader.name("column", name), "count") for name in FLOWS),
        Column("end", reader.say("Patients now"), "count"),
    ]
    return [Sheet(reader.say("Who came and went"), frame, shown)]


def moves_and_revenue(study: Study) -> list[Sheet]:
    """The moves that changed revenue most, within a month and within a year."""
    reader = study.reader
    tables, periods = [], []
    for movement, months in _movements(study):
        moves = without_small_groups(movement.moves, min_count=reader.min_count)
        moves = moves[moves["revenue_change"] != 0].head(_MOST)
        tables.append(moves.assign(within=reader.months(months)))
        paid = {"before": reader.period(*movement.before), "now": reader.period(*movement.after)}
        periods.append((reader.months(months), reader.say("Before: {before}. Now: {now}.", **paid)))
    if not sum(map(len, tables)):
        return []
    frame = pd.concat(tables, ignore_index=True)
    for side in ("from_segment", "to_segment"):
        frame[side] = [reader.name("segment", key) for key in frame[side]]
    shown = [
        Column("from_segment", reader.say("From")),
        Column("to_segment", reader.say("To")),
        Column("within", reader.say("Within")),
        Column("patients", reader.say("Patients"), "count"),
        Column("revenue_before", reader.say("Paid before"), "sum"),
        Column("revenue_after", reader.say("Paid now"), "sum"),
        Column("revenue_change", reader.say("Change"), "gain"),
    ]
    above = [reader.say("The moves that changed revenue most")]
    return [Sheet(reader.say("Moves and revenue"), frame, shown, above=above, below=periods)]


def _movements(study: Study) -> list[tuple]:
    """The movements that the data carry, each with the months that it is over."""
    return [
        (getattr(study, name), months) for part, (name, months) in _STEPS.items() if study.part(part).status == "ok"
    ]


def groups_by_month(study: Study) -> list[Sheet]:
    """The patients of each group at each month end, a row a month."""
    if study.part("movement").status != "ok":
        return []
    reader, history = study.reader, study.group_history
    groups = list(history["segment"].unique())
    sizes = history.pivot(index="month", columns="segment", values="patients")[groups].reset_index()
    groups = [group for group in groups if sizes[group].any()]
    sizes["month"] = [reader.month(month) for month in sizes["month"]]
    shown = [
        Column("month", reader.name("column", "month")),
        *(Column(group, reader.name("segment", group), "count") for group in groups),
    ]
    return [Sheet(reader.say("The groups month by month"), sizes, shown)]
