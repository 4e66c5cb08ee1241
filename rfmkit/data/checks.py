"""Every line is kept, rejected, a duplicate or after the month; nothing is guessed and nothing is lost."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data.sources import FILE, REJECT_COLUMNS, ROW, UNMAPPED, Export
from rfmkit.errors import ExportError, Problem

#: Columns of money: two decimals, exact.
MONEY = ("amount", "discount", "bonus_accrued", "bonus_redeemed")
#: Columns of other numbers: they may have any decimals.
NUMBERS = ("quantity", "days_supply")
#: The run stops when more than this share of the lines is rejected.
MOST_REJECTED = Decimal("0.01")
#: Systems write their empty date as 0001 or 1899; no clinic's payments are so old.
FIRST_YEAR = 1900

_FATES = ("kept", "rejected", "duplicates", "after_as_of")
_RAW = "raw_"
_SPACES = "[\\s\u00a0\u2009\u202f]"
_MONEY = "decimal(18, 2)"


@ibis.udf.scalar.builtin
def try_strptime(text: str, form: str) -> dtypes.timestamp:
    """DuckDB's strptime that gives NULL where the text is no such date."""


@dataclass(frozen=True)
class CheckedLines:
    """The lines of an export, checked.

    Attributes
    ----------
    kept : ibis.Table
        Transactions, with the vocabulary's columns and types, and ``_file``, ``_row``.
    rows : dict
        ``read, kept, rejected, duplicates, after_as_of`` and the same with ``money_`` for the lines whose amount can
        be read.
    rejects : pandas.DataFrame
        One row a fault: ``file, row, column, reason, line``.
    problems : list of Problem
        What was wrong but does not stop the run, one a kind of fault.
    depends_on_today : bool
        Whether a line was rejected because its day had not come yet: on a later day it would not be.
    """

    kept: ir.Table
    rows: dict
    rejects: pd.DataFrame
    problems: list[Problem]
    depends_on_today: bool


def check_lines(export: Export, spec, as_of: dt.date, today: dt.date | None = None) -> CheckedLines:
    """Sort the lines of an export by what becomes of them.

    Parameters
    ----------
    export : Export
    spec : rfmkit.clinic.Transactions
    as_of : datetime.date
        Last observed day: later lines are cut and counted.
    today : datetime.date, optional
        Lines dated later than this are rejected.

    Raises
    ------
    ExportError
        If a patient id is missing, more than 1 % of the lines are rejected (every kind of fault is listed), or no
        line is left.
    """
    parsed, faults = _parse(export.cells, spec, today)
    fates = _with_fates(parsed, faults, spec, as_of)
    con = export.cells.get_backend()
    lines = con.create_table("lines", fates, temp=True)
    rejects = pd.concat([_faulty_cells(lines, faults, spec), export.broken], ignore_index=True)[REJECT_COLUMNS]
    rejects = rejects.sort_values(["file", "row"], kind="stable", ignore_index=True)
    rows = _account(export, lines)
    problems = _problems(rejects, lines, faults, spec)
    nameless = (rejects["column"] == faults["patient_id"]) & (rejects["reason"] == "empty")
    if rows["rejected"] > MOST_REJECTED * rows["read"] or nameless.any():
        raise ExportError(problems)
    kept = lines.filter(lines.fate == "kept")
    if not kept.filter(kept.amount >= 0).count().execute():
        fix = "Choose a later month, or export earlier lines."
        raise ExportError(Problem(lines[FILE].min().execute(), f"has no visit up to {as_of}", fix))
    columns = [name for name, heading in spec.columns.model_dump().items() if heading is not None]
    return CheckedLines(
        kept=kept.select(*columns, FILE, ROW),
        rows=rows,
        rejects=rejects,
        problems=problems + _suspected_copies(kept, spec),
        depends_on_today=bool((rejects["reason"] == "after today").any()),
    )


def _parse(cells: ir.Table, spec, today: dt.date | None) -> tuple[ir.Table, dict[str, str]]:
    """Add each column as its type and, beside it, why it cannot be one (``fault_<column>``)."""
    mapped = {name: heading for name, heading in spec.columns.model_dump().items() if heading is not None}
    values, faults = {}, {}
    for name in mapped:
        cell = cells[name]
        if name == "visit_date":
            values[name], faults[name] = _day(cell, spec.date_format, today)
        elif name in MONEY:
            values[name], faults[name] = _money(cell, spec.decimal, needed=name == "amount")
        elif name in NUMBERS:
            values[name], faults[name] = _number(cell, spec.decimal)
        else:
            values[name] = _text(cell)
    faults["patient_id"] = ibis.ifelse(values["patient_id"].isnull(), "empty", ibis.null(str))
    if spec.amount_includes_bonus:
        values["amount"] = (values["amount"] - values["bonus_redeemed"].fill_null(0)).cast(_MONEY)
    table = cells.mutate(
        **{_RAW + name: cells[name] for name in mapped},
        **values,
        **{f"fault_{name}": fault for name, fault in faults.items()},
    )
    return table, {name: mapped[name] for name in faults}


def _text(cell: ir.StringColumn) -> ir.StringColumn:
    return cell.re_replace(f"^{_SPACES}+|{_SPACES}+$", "").nullif("")


def _digits(cell: ir.StringColumn, decimal: str) -> tuple[ir.StringColumn, ir.BooleanColumn]:
    """A number as an engine reads it, and whether it is one: spaces part groups of three digits, or nothing."""
    text = cell.replace("\N{MINUS SIGN}", "-").re_replace(_SPACES, " ").strip()
    whole = r"^[-+]?([0-9]{0,15}|[0-9]{1,3}( [0-9]{3}){1,4})"
    good = text.re_search(whole + rf"({re.escape(decimal)}[0-9]*)?$") & text.re_search("[0-9]")
    return text.replace(" ", "").replace(decimal, ".").re_replace(r"\.$", ""), good


def _money(cell: ir.StringColumn, decimal: str, *, needed: bool) -> tuple[ir.Column, ir.Column]:
    text, good = _digits(cell, decimal)
    exact = text.re_search(r"^[^.]*(\.[0-9]{1,2}0*)?$")
    value = ibis.ifelse(good & exact, text, ibis.null(str)).cast(_MONEY)
    blank = text.fill_null("") == ""
    fault = ibis.cases(
        (blank, "empty" if needed else ibis.null(str)),
        (~good, "not a number"),
        (~exact, "more than two decimals"),
        else_=ibis.null(str),
    )
    return value, fault


def _number(cell: ir.StringColumn, decimal: str) -> tuple[ir.Column, ir.Column]:
    text, good = _digits(cell, decimal)
    value = ibis.ifelse(good, text, ibis.null(str)).cast("float64")
    bad = (text.fill_null("") != "") & ~good
    return value, ibis.ifelse(bad, "not a number", ibis.null(str))


def _day(cell: ir.StringColumn, form: str, today: dt.date | None) -> tuple[ir.Column, ir.Column]:
    text = cell.strip()
    value = try_strptime(text, form).date()
    if form == "%Y-%m-%d":
        value = ibis.coalesce(value, try_strptime(text.substr(0, 19).replace("T", " "), "%Y-%m-%d %H:%M:%S").date())
    late = (value > today) if today else ibis.literal(False)
    fault = ibis.cases(
        (text.fill_null("") == "", "empty"),
        (value.isnull(), "not a date"),
        (value.year() < FIRST_YEAR, f"before {FIRST_YEAR}"),
        (late, "after today"),
        else_=ibis.null(str),
    )
    return value, fault


def _with_fates(parsed: ir.Table, faults: dict[str, str], spec, as_of: dt.date) -> ir.Table:
    """Add ``fate``: what becomes of each line."""
    faulty = ibis.or_(*[parsed[f"fault_{name}"].notnull() for name in faults])
    copies = ibis.literal(False)
    if spec.columns.receipt_id:
        cells = _cells(parsed)
        order = ibis.window(group_by=[*cells, faulty], order_by=[FILE, ROW])
        copies = (ibis.row_number().over(order) > 0) & parsed.receipt_id.notnull()
    fate = ibis.cases(
        (faulty, "rejected"), (copies, "duplicates"), (parsed.visit_date > as_of, "after_as_of"), else_="kept"
    )
    return parsed.mutate(fate=fate)


def _cells(parsed: ir.Table) -> list[str]:
    """The cells of a line as the export has them, in its order."""
    names = [
        name for name in parsed.columns if not name.startswith(("fault_", _RAW)) and name not in (FILE, ROW, "fate")
    ]
    return [name if name.startswith(UNMAPPED) else _RAW + name for name in names]


def _account(export: Export, lines: ir.Table) -> dict:
    """Count the lines and their money by fate, and hold that nothing was lost between the file and here."""
    known = lines.group_by("fate").aggregate(rows=lines.count(), money=lines.amount.sum()).execute().set_index("fate")
    rows = {fate: int(known["rows"].get(fate, 0)) for fate in _FATES}
    money = {f"money_{fate}": Decimal(str(known["money"].fillna(0).get(fate, 0))) for fate in _FATES}
    rows["rejected"] += len(export.broken)
    read = int(export.cells.count().execute()) + len(export.broken)
    money_read = Decimal(str(lines.amount.sum().execute() or 0))
    unread = int(lines.filter((lines.fate == "kept") & lines.amount.isnull()).count().execute())
    if read != sum(rows.values()) or money_read != sum(money.values()) or unread:
        raise AssertionError("rows read must equal kept + rejected + duplicates + after_as_of, and so must their money")
    return {"read": read, **rows, "money_read": money_read, **money}


def _faulty_cells(lines: ir.Table, faults: dict[str, str], spec) -> pd.DataFrame:
    """One row a cell that could not be read, with the whole line as the export has it."""
    line = ibis.literal(spec.delimiter).join([lines[name].fill_null("") for name in _cells(lines)])
    parts = [
        lines.filter(lines[f"fault_{name}"].notnull()).select(
            file=lines[FILE],
            row=lines[ROW],
            column=ibis.literal(heading),
            reason=lines[f"fault_{name}"],
            line=line,
        )
        for name, heading in faults.items()
    ]
    return ibis.union(*parts).execute() if len(parts) > 1 else parts[0].execute()


def _problems(rejects: pd.DataFrame, lines: ir.Table, faults: dict[str, str], spec) -> list[Problem]:
    """One problem a kind of fault: the first place, what, what to do, how many."""
    problems = []
    names = {heading: name for name, heading in faults.items()}
    for (column, reason), group in rejects.groupby(["column", "reason"], sort=False):
        first = group.iloc[0]
        name = names.get(column, "")
        where = f"{first.file}:{first.row}" + (f" «{column}»" if column else "")
        what = reason
        if reason in {"not a number", "not a date"}:
            cell = lines.filter((lines[FILE] == first.file) & (lines[ROW] == int(first.row)))[_RAW + name]
            what += f" ({_shape(str(cell.execute().iloc[0]))})"
        problems.append(Problem(where, what, _remedy(name, reason, spec), len(group)))
    return problems


def _shape(value: str) -> str:
    """How long a cell is and of what it is made, which is all that a message may tell of it."""
    kind = "letters" if value.isalpha() else "digits" if value.isdigit() else "characters"
    return f"{len(value)} {kind}"


def _remedy(name: str, reason: str, spec) -> str:
    match reason:
        case "not a number":
            example, other = ("1234,50", ".") if spec.decimal == "," else ("1234.50", ",")
            return f'Write {example} or set decimal = "{other}".'
        case "not a date":
            example = dt.date(2026, 10, 31).strftime(spec.date_format)
            return f"Write {example} or set date_format."
        case "more than two decimals":
            return "Export amounts rounded to cents."
        case "after today" | "before 1900":
            return "Correct the date in the export."
        case "empty" if name == "patient_id":
            return "Every line needs the patient's id: correct the export."
        case "empty":
            return "Fill it in the export."
        case _:
            return "Quote cells that hold the delimiter."


def _suspected_copies(kept: ir.Table, spec) -> list[Problem]:
    """Equal lines that no receipt tells apart: they are kept, and said."""
    if spec.columns.receipt_id:
        return []
    groups = kept.group_by(_cells(kept)).aggregate(times=kept.count())
    groups = groups.filter(groups.times > 1)
    count = int((groups.times.sum() - groups.count()).execute() or 0)
    if not count:
        return []
    file = kept[FILE].min().execute()
    fix = "They are kept; map receipt_id to have real copies dropped."
    return [
        Problem(file, "lines equal to an earlier one, and no receipt number to tell copies from purchases", fix, count)
    ]
