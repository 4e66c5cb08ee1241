"""Lines that are equal: copies, which are dropped, and what no receipt tells from copies, which is told."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from rfmkit.data.engines import computed, digest, repeated
from rfmkit.data.origin import FILE, ROW, Export, cell_names, place, with_cells
from rfmkit.errors import Problem


def drop_copies(lines: ir.Table, export: Export, spec) -> ir.Table:
    """Give exact copies of a line with the same receipt, all but the first, the fate "duplicates".

    Parameters
    ----------
    lines : ibis.Table
        With ``receipt_id`` where the clinic file maps it, and ``fate``.
    export : Export
        Where their cells are.
    spec : rfmkit.clinic.Transactions
    """
    if not spec.columns.receipt_id:
        return lines
    usable = lines.receipt_id.notnull() & lines.fate.isin(["kept", "after_as_of"])
    # Few lines share a digest, so that few need be compared cell by cell.
    number = digest(lines, "receipt_id", "patient_id", "amount")
    marked = lines.mutate(digest=usable.ifelse(number, ibis.null(number.type())))
    shared = repeated(marked.select("digest"))
    if shared is None:
        return lines
    alike = with_cells(marked.semi_join(shared, "digest"), export, spec)
    order = ibis.window(group_by=[*cell_names(alike), "fate"], order_by=[FILE, ROW])
    alike = alike.mutate(fate=(ibis.row_number().over(order) > 0).ifelse("duplicates", alike.fate))
    return computed(marked.anti_join(shared, "digest").union(alike.select(*marked.columns)).drop("digest"))


def equal_lines(kept: ir.Table, export: Export, spec) -> list[Problem]:
    """Tell of equal lines that no receipt tells apart; they are kept."""
    if spec.columns.receipt_id:
        return []
    marked = kept.mutate(digest=digest(kept, "patient_id", "visit_date", "amount"))
    shared = repeated(marked.select("digest"))
    if shared is None:
        return []
    alike = with_cells(marked.semi_join(shared, "digest"), export, spec)
    groups = alike.group_by(cell_names(alike)).aggregate(
        times=alike.count(), file=alike[FILE].min(), row=alike[ROW].min()
    )
    groups = computed(groups.filter(groups.times > 1).select("times", "file", "row"))
    row = groups.aggregate(lines=groups.times.sum(), groups=groups.count()).execute().iloc[0]
    if not row["groups"]:
        return []
    first = groups.order_by(["file", "row"]).limit(1).execute().iloc[0]
    what = "lines equal to an earlier one, and no receipt number to tell copies from purchases"
    fix = "They are kept; map receipt_id to have real copies dropped."
    return [Problem(place(first), what, fix, int(row["lines"] - row["groups"]), "equal_lines", "kept")]
