"""The lines of several cards of one person, under one id."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir


def under_one_id(lines: ir.Table, merged: Mapping[str, str]) -> ir.Table:
    """The same lines, those of merged cards with the id of the card that was kept.

    Parameters
    ----------
    lines : ibis.Table
    merged : mapping
        Card to kept card, as `identity.merged_ids` gives it.
    """
    cards = ibis.memtable({"card": list(merged), "person": list(merged.values())})
    joined = lines.left_join(cards, lines.patient_id == cards.card)
    return joined.mutate(patient_id=ibis.coalesce(joined.person, joined.patient_id)).drop("card", "person")
