"""Tables of movement: who came to each group and left it, and which moves changed revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.disclosure import without_small_groups
from rfmkit.present.tables.build import Table, table, template
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd

_INACTIVE, _NOT_YET = "inactive", "not_yet"
#: What happens between the sizes of a group, in the order of its columns.
FLOWS = ("entered", "reactivated", "moved_in", "moved_out", "became_inactive")
_SENTENCES = """\
<p>{{ when }}</p>
<ul class="changes">
{%- for sentence in sentences %}
<li>{{ sentence }}</li>
{%- endfor %}
</ul>
"""


def segment_flows(movement, *, reader: Reader | None = None) -> Table:
    """How each group came from its size at the first day to that at the last.

    Parameters
    ----------
    movement : Movement
        ``start, end`` and ``flows``, as `study.month_movement`.
    reader : Reader, optional
        Moves of fewer patients than its `min_count` read "< min_count", as in the matrix; a single one may follow from
        the group's sizes, which are no secret.
    """
    reader = reader or Reader()
    flows = movement.flows
    sums = flows.sum(numeric_only=True)

    def cells(name: str, row: dict) -> list[str]:
        between = [reader.count(row[move]) if row[move] else "" for move in FLOWS]
        return [name, reader.number(row["start"]), *between, reader.number(row["end"])]

    return table(
        reader.say("Who came to each group and who left it"),
        [
            reader.say("Group"),
            reader.date(movement.start),
            *(reader.name("column", move) for move in FLOWS),
            reader.date(movement.end),
        ],
        [cells(reader.name("segment", row["segment"]), row) for row in flows.to_dict("records")],
        # Between the groups as many move in as out: their sums would say nothing.
        total=cells(reader.say("All patients"), {**sums, "moved_in": 0, "moved_out": 0}),
    )


def revenue_moves(movement, *, most: int = 5, reader: Reader | None = None) -> Table:
    """The moves between groups that changed revenue most.

    Parameters
    ----------
    movement : Movement
        ``before, after`` (periods) and ``moves``, as `study.month_movement`.
    most : int, default 5
        How many.
    reader : Reader, optional
        Moves of fewer patients than its `min_count` are left out.
    """
    reader = reader or Reader()
    moves = without_small_groups(movement.moves, min_count=reader.min_count).head(most)
    cents = reader.cents([*moves["revenue_before"], *moves["revenue_after"]])
    return table(
        reader.say("The moves that changed revenue most"),
        [
            reader.say("From"),
            reader.say("To"),
            reader.say("Patients"),
            reader.say("Paid before"),
            reader.say("Paid now"),
            reader.say("Change"),
        ],
        [
            [
                reader.name("segment", row["from_segment"]),
                reader.name("segment", row["to_segment"]),
                reader.number(row["patients"]),
                reader.money(row["revenue_before"], cents),
                reader.money(row["revenue_after"], cents),
                reader.gain(row["revenue_change"], cents),
            ]
            for row in moves.to_dict("records")
        ],
        words=(0, 1),
        notes=[
            reader.say(
                "Before: {before}. Now: {now}.",
                before=reader.period(*movement.before),
                now=reader.period(*movement.after),
            )
        ],
    )


def changes(movement, *, reader: Reader | None = None) -> Table:
    """What changed between two days, in words: who came and went, which groups grew, which moves mattered.

    Parameters
    ----------
    movement : Movement
        ``start, end, transitions, flows, moves``, as `study.month_movement`.
    reader : Reader, optional
        Moves of fewer patients than its `min_count` are not told.
    """
    reader = reader or Reader()
    when = reader.say("From {start} to {end}:", start=reader.date(movement.start), end=reader.date(movement.end))
    sentences = [
        *_comings_and_goings(movement.flows, reader),
        *_sizes(movement.flows, reader),
        *_moves(without_small_groups(movement.moves, min_count=reader.min_count), reader),
    ]
    return Table(template(_SENTENCES).render(when=when, sentences=sentences))


def _comings_and_goings(flows: pd.DataFrame, reader: Reader) -> list[str]:
    known, moved = flows["start"].sum(), flows["moved_out"].sum() + flows["became_inactive"].sum()
    came = {
        name: reader.plural("{n} patient", "{n} patients", flows[name].sum())
        for name in ("entered", "reactivated", "became_inactive")
    }
    return [
        reader.say("Came for the first time: {patients}.", patients=came["entered"]),
        reader.say(
            "Came back after a long absence: {back}. Now long absent: {gone}.",
            back=came["reactivated"],
            gone=came["became_inactive"],
        ),
        reader.say(
            "Changed group: {moved} of {known} ({share}).",
            moved=reader.number(moved),
            known=reader.number(known),
            share=reader.percent(moved / known if known else None),
        ),
    ]


def _sizes(flows: pd.DataFrame, reader: Reader) -> list[str]:
    groups = flows[flows["segment"] != _INACTIVE]
    grown = groups["end"] - groups["start"]
    told = []
    if grown.max() > 0:
        told.append(reader.say("Grew most: {group}.", group=_size(groups.loc[grown.idxmax()], reader)))
    if grown.min() < 0:
        told.append(reader.say("Shrank most: {group}.", group=_size(groups.loc[grown.idxmin()], reader)))
    return told


def _size(group: pd.Series, reader: Reader) -> str:
    return reader.say(
        "“{name}”, from {before} to {now}",
        name=reader.name("segment", group["segment"]),
        before=reader.number(group["start"]),
        now=reader.number(group["end"]),
    )


def _moves(moves: pd.DataFrame, reader: Reader) -> list[str]:
    """The largest move between groups, and those that brought and cost most; `moves` are by change of revenue."""
    told = []
    between = moves[moves["from_segment"] != _NOT_YET]
    if len(between):
        largest = between.loc[between["patients"].idxmax()]
        told.append(reader.say("The largest move: {move}.", move=_move(largest, reader)))
    more, less = moves[moves["revenue_change"] > 0].head(1), moves[moves["revenue_change"] < 0].head(1)
    for row in more.to_dict("records"):
        told.append(
            reader.say(
                "The move that added most revenue: {move}: {change}.",
                move=_move(row, reader),
                change=reader.gain(row["revenue_change"]),
            )
        )
    for row in less.to_dict("records"):
        told.append(
            reader.say(
                "The move that took most revenue away: {move}: {change}.",
                move=_move(row, reader),
                change=reader.gain(row["revenue_change"]),
            )
        )
    return told


def _move(row, reader: Reader) -> str:
    return reader.say(
        "“{was}” → “{now}”, {patients}",
        was=reader.name("segment", row["from_segment"]),
        now=reader.name("segment", row["to_segment"]),
        patients=reader.plural("{n} patient", "{n} patients", row["patients"]),
    )
