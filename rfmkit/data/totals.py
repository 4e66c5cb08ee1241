"""Lines of an export that are no payments: sums, headings of groups, headings again."""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir

#: What a line of sums begins with, in the languages of clinics' systems.
_WORDS = (
    *("Итого", "ИТОГО", "итого", "Всего", "ВСЕГО", "Итог", "Общий итог", "Промежуточный итог", "Промежуточные итоги"),
    *(
        "Total",
        "TOTAL",
        "total",
        "Totals",
        "Subtotal",
        "Sub-total",
        "SUBTOTAL",
        "Sub Total",
        "Grand Total",
        "GRAND TOTAL",
    ),
    *("Grand total", "合计", "总计", "小计", "共计", "总和", "本页合计", "累计"),
)
_ENDS = ("Total", "total", "Итог", "итог", "Итого", "合计", "小计", "总计")
_PATTERN = f'^[ \u00a0"]*({"|".join(_WORDS)})([ \u00a0:：.,;|\t("].*)?$|[^ ]+ ({"|".join(_ENDS)})[ :]*$'
_TEXT = re.compile(f'^[ \u00a0"]*[;,|\t ]*({"|".join(_WORDS)})([^\\w].*)?$', re.DOTALL)
#: Why a line is none of the clinic's payments.
TOTAL, TITLE = "a total, no payment", "a heading, no payment"
#: Why a line is broken that a file ends with, and not with a line's end.
CUT = "the file ends inside this line"
#: Cells that a line of sums has in a table of more columns than `_NARROW`: what it sums, and the sum.
_LABEL_AND_SUM = 2
_NARROW = 4


def with_no_payments(lines: ir.Table, cells: list[str], headings: dict[str, str], faulty: ir.BooleanColumn) -> ir.Table:
    """Add ``no_payment``, why a line is none: "total", "title", "blank", or missing.

    Parameters
    ----------
    lines : ibis.Table
        With ``patient_id``, ``visit_date`` and ``fault_amount``.
    cells : list of str
        Its columns as the export has them.
    headings : dict
        The headings of the columns that tell: the names of their cells and what the clinic file maps them to.
    faulty : ibis BooleanColumn
        Whether a line lacks its patient, its day or its amount; the others are payments whatever they say.

    Notes
    -----
    A total has no day, and no patient but perhaps its own label; a cell has a word for it («Итого», 合计, Total), or,
    in a table of more than four columns, there is an amount with a label or alone. A title has a single cell that is
    no amount, as the heading of a group has, or repeats the headings, as every page of a printed list does.
    """
    texts = [lines[name].cast(str).fill_null("") for name in cells]
    filled = sum((one.strip() != "").ifelse(1, 0) for one in texts)
    # Of its own step, since it is asked for often; and only where it will be.
    lines = lines.mutate(filled=faulty.ifelse(filled, ibis.null("int64")))
    texts = [lines[name].cast(str).fill_null("") for name in cells]
    said = ibis.or_(*[one.re_search(_PATTERN) for one in texts])
    again = ibis.and_(*[lines[name].cast(str).strip() == heading for name, heading in headings.items()])
    dayless, nobody = lines.visit_date.isnull(), lines.patient_id.isnull()
    labelled = nobody | lines.patient_id.re_search(_PATTERN)
    has_sum = lines.fault_amount.isnull()
    label_and_sum = nobody & (lines.filled <= _LABEL_AND_SUM) & has_sum & (len(cells) > _NARROW)
    why = ibis.cases(
        (lines.filled.isnull(), ibis.null(str)),
        (lines.filled == 0, "blank"),
        (dayless & ((labelled & said) | label_and_sum), "total"),
        (((lines.filled == 1) & ~has_sum) | again, "title"),
        else_=ibis.null(str),
    )
    return lines.mutate(no_payment=why).drop("filled")


def told_by_text(line: str, delimiter: str, *, cut: bool = False) -> str | None:
    """Why a line with too few or too many cells is no payment; None if it may be one, as one `cut` short may."""
    if _TEXT.match(line):
        return TOTAL
    if cut:
        return None
    filled = [cell for cell in line.split(delimiter) if cell.strip(' \u00a0"\r\n')]
    return TITLE if len(filled) == 1 else None
