"""Every line is kept, rejected, a duplicate or after the month; nothing is guessed and nothing is lost."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data import cells
from rfmkit.data.copies import drop_copies
from rfmkit.data.doubts import doubts
from rfmkit.data.engines import computed
from rfmkit.data.origin import (
    FILE,
    RAW,
    REJECT_COLUMNS,
    ROW,
    Export,
    cell_names,
    mapped_columns,
    place,
    raw_cells,
    with_cells,
)
from rfmkit.data.readings import settled
from rfmkit.data.totals import CUT, TITLE, TOTAL, with_no_payments
from rfmkit.errors import ClinicFileError, ExportError, Problem

#: Columns of money: two decimals, exact.
MONEY = ("amount", "discount", "bonus_accrued", "bonus_redeemed")
#: Columns of other numbers: they may have any decimals.
NUMBERS = ("quantity", "days_supply")
#: The run stops when more than this share of the lines is rejected.
MOST_REJECTED = Decimal("0.01")
#: Why a line is rejected that is no fault of the export's.
TEST_PATIENT = "a test patient"

#: Faults of which many mean that the clinic file says wrongly how days or amounts are written, and its key.
_OF_THE_FORMAT = {"not_a_date": "date_format", "not_a_number": "decimal"}
#: Of so few lines most may be faulty by chance.
_FEW = 20
_ASCII = 127
_FATES = ("kept", "rejected", "duplicates", "after_as_of")
#: What lines are that are no payments, and under which check they are told.
_BESIDE = {"total": ("totals", TOTAL), "title": ("titles", TITLE)}
_ROUNDED = "^[0-9]([.,][0-9]+)?E[+][0-9]+$"


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
        One row a fault, and one a line that is no payment: ``file, row, column, reason, line``.
    problems : list of Problem
        What was seen but does not stop the run, one a kind.
    depends_on_today : bool
        Whether a line was rejected because its day had not come yet: on a later day it would not be.
    """

    kept: ir.Table
    rows: dict
    rejects: pd.DataFrame
    problems: list[Problem]
    depends_on_today: bool


def check_lines(
    export: Export,
    spec,
    as_of: dt.date,
    today: dt.date | None = None,
    *,
    currency: str | None = None,
    people: pd.DataFrame | None = None,
) -> CheckedLines:
    """Sort the lines of an export by what becomes of them.

    Parameters
    ----------
    export : Export
    spec : rfmkit.clinic.Transactions
    as_of : datetime.date
        Last observed day: later lines are cut and counted.
    today : datetime.date, optional
        Lines dated later than this are rejected.
    currency : str, optional
        Whose signs amounts may carry.
    people : pandas.DataFrame, optional
        The clinic's patients, ``patient_id`` and ``name`` where it is known: names can be those of test patients, and
        lines of others are told.

    Raises
    ------
    ClinicFileError
        If days or amounts can be read in two ways, or most of them are not written as the clinic file says.
    ExportError
        If a patient id is missing, more than 1 % of the lines are rejected (every kind of fault is listed), or no
        line is left.
    """
    amounts = [name for name in MONEY if name in export.cells.columns]
    declared = {check: key for check, key in _OF_THE_FORMAT.items() if getattr(spec, key)}
    spec = settled(spec, export.cells, days=["visit_date"], amounts=amounts, currency=currency, today=today)
    parsed, faults = _parse(export, spec, today, currency, _tests_by_name(people, spec.test_patients))
    lines = drop_copies(computed(_with_fates(parsed, faults, as_of, export)), export, spec)
    rows, set_aside = _account(export, lines)
    rejects, aside = export.broken, None
    if set_aside:
        aside = computed(with_cells(lines.filter(lines.fate.isin(["rejected", *_BESIDE])), export, spec))
        found = [frame for frame in (_set_aside(aside, faults, spec), rejects) if len(frame)]
        rejects = pd.concat(found) if found else rejects
    rejects = rejects[REJECT_COLUMNS].sort_values(["file", "row"], kind="stable", ignore_index=True)
    problems = _problems(rejects, aside, faults, spec) + _beside(rejects, export)
    faulty = rows["rejected"] - _rejected_by_rule(rejects)
    nameless = (rejects["column"] == faults["patient_id"]) & (rejects["reason"] == "empty")
    if misread := [one for one in problems if one.check in declared and 2 * one.count > rows["read"] > _FEW]:
        fix = "Most lines are so: correct {} in the clinic file, or the heading."
        raise ClinicFileError(replace(one, fix=fix.format(declared[one.check])) for one in misread)
    if faulty > MOST_REJECTED * rows["read"] or nameless.any():
        raise ExportError(problem for problem in problems if problem.done == "rejected")
    kept = lines.filter(lines.fate == "kept")
    if not kept.filter(kept.amount >= 0).count().execute():
        fix = "Choose a later month, or export earlier lines."
        raise ExportError(Problem(export.first, f"has no visit up to {as_of}", fix))
    problems += doubts(lines, kept, spec, export=export, as_of=as_of, people=people)
    return CheckedLines(
        kept=kept.select(*mapped_columns(spec), FILE, ROW),
        rows=rows,
        rejects=rejects,
        problems=problems,
        depends_on_today=bool((rejects["reason"] == "after today").any()),
    )


def _parse(
    export: Export, spec, today: dt.date | None, currency: str | None, test_ids: Collection[str]
) -> tuple[ir.Table, dict[str, str]]:
    """Add days, numbers and texts as their types and, beside each, why it cannot be one (``fault_<column>``)."""
    mapped = mapped_columns(spec)
    numbers = [name for name in mapped if name in (*MONEY, *NUMBERS)]
    table = _with_days(raw_cells(export.cells, spec), spec, today)
    # To look for blanks costs more than all else that is done to a text.
    text = {name: cells.unpadded if name in export.tidy else cells.text for name in mapped}
    # Step by step: what two columns need is computed once.
    table = table.mutate(
        **{f"part_{name}": cells.digits(table[RAW + name], spec.decimal, currency) for name in numbers},
        **{name: text[name](table[RAW + name]) for name in mapped if name not in {"visit_date", *numbers}},
    )
    digits = {name: table[f"part_{name}"] for name in numbers}
    table = table.mutate(
        **{name: cells.money_of(part) if name in MONEY else part.cast("float64") for name, part in digits.items()}
    )
    faults = {}
    for name in numbers:
        read = table[RAW + name], table[f"part_{name}"]
        money = name in MONEY
        needed = name == "amount"
        faults[name] = cells.money_fault(*read, table[name], needed=needed) if money else cells.number_fault(*read)
    patient = table["patient_id"]
    faults["patient_id"] = ibis.cases(
        (patient.isnull(), "empty"),
        (patient.contains("E+") & patient.re_search(_ROUNDED), "rounded by a spreadsheet"),
        (_is_test(patient, spec.test_patients, test_ids), TEST_PATIENT),
        else_=ibis.null(str),
    )
    parsed = table.mutate(**{f"fault_{name}": fault for name, fault in faults.items()})
    if spec.amount_includes_bonus:
        paid = parsed.amount - parsed.bonus_redeemed.fill_null(0)
        parsed = parsed.mutate(amount=paid.cast(cells.MONEY))
    parsed = parsed.drop(*[f"part_{name}" for name in numbers])
    return parsed, {name: mapped[name] for name in mapped if name in {*faults, "visit_date"}}


def _with_days(table: ir.Table, spec, today: dt.date | None) -> ir.Table:
    """Add ``visit_date`` and its fault. An export has many lines and few days: each way to write one is read once."""
    cell = table[RAW + "visit_date"]
    if cell.type().is_temporal():
        value = cells.day_of(cell, {})
        return table.mutate(visit_date=value, fault_visit_date=cells.day_fault(cell, value, today))
    days = table.select(written=cell).filter(cell.notnull()).distinct()
    days = days.mutate(**cells.day_parts(days.written, spec.date_format))
    days = days.mutate(visit_date=cells.day_of(days.written, {name: days[name] for name in ("year", "month", "day")}))
    fault = cells.day_fault(days.written, days.visit_date, today)
    days = days.select("written", "visit_date", fault_visit_date=fault)
    known = table.left_join(days, cell == days.written).drop("written")
    unwritten = known[RAW + "visit_date"].isnull()
    return known.mutate(fault_visit_date=unwritten.ifelse("empty", known.fault_visit_date))


def _is_test(patient: ir.StringColumn, patterns: list[str], test_ids: Collection[str]) -> ir.BooleanColumn:
    """Whether an id is one of a list, or fits a pattern."""
    fits = [patient.isin(sorted(test_ids))] if test_ids else []
    fits += [patient.re_search(f"^({_expression(patterns)})$").fill_null(False)] if patterns else []
    return ibis.or_(*fits) if fits else ibis.literal(False)


def _tests_by_name(people: pd.DataFrame | None, patterns: list[str]) -> list[str]:
    """The ids of patients whose names fit the patterns."""
    if people is None or "name" not in people or not patterns:
        return []
    fits = people["name"].str.fullmatch(_expression(patterns), case=False).fillna(False).astype(bool)
    return people.loc[fits, "patient_id"].tolist()


def _expression(patterns: list[str]) -> str:
    """Patterns in which ``*`` stands for anything and ``?`` for one sign as a regular expression of any engine."""
    signs = {"*": ".*", "?": "."}
    plain = re.compile(r"[\w ]")
    return "|".join(
        "".join(signs.get(sign) or (sign if plain.match(sign) or ord(sign) > _ASCII else f"\\{sign}") for sign in one)
        for one in patterns
    )


def _with_fates(parsed: ir.Table, faults: dict[str, str], as_of: dt.date, export: Export) -> ir.Table:
    """Add ``fate``: what becomes of each line; those that are no payments have that as their fate.

    The cells are left behind where a line can be found again by its number.
    """
    faulty = ibis.or_(*[parsed[f"fault_{name}"].notnull() for name in faults])
    needed = ("patient_id", "visit_date", "amount")
    headings = {RAW + name: faults[name] for name in needed}
    lacking = ibis.or_(*[parsed[f"fault_{name}"].notnull() for name in needed])
    fate = ibis.cases((faulty, "rejected"), (parsed.visit_date > as_of, "after_as_of"), else_="kept")
    lines = with_no_payments(parsed.mutate(fate=fate), cell_names(parsed), headings, lacking)
    lines = lines.mutate(fate=lines.no_payment.fill_null(lines.fate)).drop("no_payment")
    return lines.drop(*cell_names(lines)) if export.numbered else lines


def _account(export: Export, lines: ir.Table) -> tuple[dict, int]:
    """Count the lines and their money by fate, and those of the table that are to be set aside; nothing may be lost."""
    counted = lines.group_by("fate").aggregate(
        rows=lines.count(), money=lines.amount.sum(), unread=lines.amount.isnull().sum()
    )
    known = counted.execute().set_index("fate")
    rows = {fate: int(known["rows"].get(fate, 0)) for fate in _FATES}
    money = {f"money_{fate}": Decimal(str(known["money"].fillna(0).get(fate, 0))) for fate in _FATES}
    no_payments = export.broken["reason"].isin([reason for _, reason in _BESIDE.values()])
    broken = int((~no_payments).sum())
    beside, blank = (sum(int(known["rows"].get(fate, 0)) for fate in fates) for fates in (_BESIDE, ["blank"]))
    set_aside = rows["rejected"] + beside
    rows["rejected"] += broken
    read = int(export.cells.count().execute()) + broken - beside - blank
    money_read = Decimal(str(lines.filter(lines.fate.isin(_FATES)).amount.sum().execute() or 0))
    unread = int(known["unread"].fillna(0).get("kept", 0))
    if read != sum(rows.values()) or money_read != sum(money.values()) or unread:
        raise AssertionError("rows read must equal kept + rejected + duplicates + after_as_of, and so must their money")
    return {"read": read, **rows, "money_read": money_read, **money}, set_aside


def _set_aside(lines: ir.Table, faults: dict[str, str], spec) -> pd.DataFrame:
    """One row a cell that could not be read, or a line that is no payment, with the whole line as the export has it."""
    line = ibis.literal(spec.delimiter).join([cells.as_written(lines[name]) for name in cell_names(lines)])
    where = {"file": lines[FILE], "row": lines[ROW]}
    rejected = lines.fate == "rejected"
    parts = [
        lines.filter(rejected & lines[f"fault_{name}"].notnull()).select(
            **where, column=ibis.literal(heading), reason=lines[f"fault_{name}"], line=line
        )
        for name, heading in faults.items()
    ]
    parts += [
        lines.filter(lines.fate == fate).select(
            **where, column=ibis.literal(""), reason=ibis.literal(reason), line=line
        )
        for fate, (_, reason) in _BESIDE.items()
    ]
    return ibis.union(*parts).execute()


def _rejected_by_rule(rejects: pd.DataFrame) -> int:
    """Lines rejected for no other reason than that the clinic file names their patient a test."""
    alone = rejects.groupby(["file", "row"], dropna=False)["reason"].agg(lambda reasons: set(reasons) == {TEST_PATIENT})
    return int(alone.sum())


def _problems(rejects: pd.DataFrame, lines: ir.Table | None, faults: dict[str, str], spec) -> list[Problem]:
    """One problem a kind of fault: the first place, what, what to do, how many."""
    problems = []
    names = {heading: name for name, heading in faults.items()}
    aside = [reason for _, reason in _BESIDE.values()]
    for (column, reason), group in rejects[~rejects["reason"].isin(aside)].groupby(["column", "reason"], sort=False):
        first = group.iloc[0]
        name = names.get(column, "")
        what = reason
        if reason in {"not a number", "not a date"}:
            here = (lines[FILE] == first.file) & lines[f"fault_{name}"].notnull()
            here &= lines[ROW].isnull() if pd.isna(first.row) else lines[ROW] == int(first.row)
            what += f" ({_shape(str(lines.filter(here).select(RAW + name).limit(1).execute().iloc[0, 0]))})"
        check = "broken_lines" if not name else reason.replace(" ", "_")
        check = {"a_test_patient": "test_patients", "rounded_by_a_spreadsheet": "rounded_ids"}.get(check, check)
        problems.append(Problem(place(first, column), what, _remedy(name, reason, spec), len(group), check, "rejected"))
    return problems


def _beside(rejects: pd.DataFrame, export: Export) -> list[Problem]:
    """The lines that are no payments."""
    problems = []
    for check, reason in _BESIDE.values():
        some = rejects[rejects["reason"] == reason]
        count = len(some) + (export.titles if check == "titles" else 0)
        if count:
            first = some.iloc[0] if len(some) else None
            where = export.first if first is None or (check == "titles" and export.titles) else place(first)
            problems.append(Problem(where, f"{reason}; it is left out", "", count, check, "left_out"))
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
        case "another currency":
            return "A report is of one currency: export lines of others apart."
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
        case "rounded by a spreadsheet":
            return "Its digits are lost: export it as text."
        case _ if reason == TEST_PATIENT:
            return "Its lines are set aside, as the clinic file says."
        case _ if reason == CUT:
            return "If it is cut short, export it again; if it is a note under the table, delete it."
        case _:
            return "Quote cells that hold the delimiter."
