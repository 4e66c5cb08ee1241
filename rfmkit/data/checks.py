"""Every line is kept, rejected, a duplicate or after the month; nothing is guessed and nothing is lost."""

from __future__ import annotations

import datetime as dt
import functools
import operator
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data import cells
from rfmkit.data.doubts import doubts
from rfmkit.data.engines import computed
from rfmkit.data.origin import FILE, REJECT_COLUMNS, ROW, UNMAPPED, Export, mapped_columns
from rfmkit.data.readings import settled
from rfmkit.data.totals import TITLE, TOTAL, no_payment
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
_RAW = "raw_"
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
    parsed, faults = _parse(export.cells, spec, today, currency, _tests_by_name(people, spec.test_patients))
    lines = _with_copies(computed(_with_fates(parsed, faults, as_of)), spec)
    lines = lines.mutate(**{name: cells.text(lines[_RAW + name]) for name in mapped_columns(spec) if name not in lines})
    rows, beside = _account(export, lines)
    rejects = export.broken
    if rows["rejected"] > len(export.broken) or beside:
        found = [frame for frame in (_set_aside(lines, faults, spec), rejects) if len(frame)]
        rejects = pd.concat(found) if found else rejects
    rejects = rejects[REJECT_COLUMNS].sort_values(["file", "row"], kind="stable", ignore_index=True)
    problems = _problems(rejects, lines, faults, spec) + _beside(rejects, export)
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
    problems += doubts(lines, kept, spec, cells=_cells(lines), as_of=as_of, people=people)
    return CheckedLines(
        kept=kept.select(*mapped_columns(spec), FILE, ROW),
        rows=rows,
        rejects=rejects,
        problems=problems,
        depends_on_today=bool((rejects["reason"] == "after today").any()),
    )


def _parse(
    table: ir.Table, spec, today: dt.date | None, currency: str | None, test_ids: Collection[str]
) -> tuple[ir.Table, dict[str, str]]:
    """Add days, numbers and ids as their types and, beside each, why it cannot be one (``fault_<column>``)."""
    mapped = mapped_columns(spec)
    numbers = [name for name in mapped if name in (*MONEY, *NUMBERS)]
    parts = cells.day_parts(table["visit_date"], spec.date_format)
    # Step by step: what two columns need is computed once.
    table = table.rename({_RAW + name: name for name in mapped}).mutate(
        **{f"part_{name}": part for name, part in parts.items()},
        **{f"part_{name}": cells.digits(table[name], spec.decimal, currency) for name in numbers},
        **{name: cells.text(table[name]) for name in ("patient_id", "receipt_id") if name in mapped},
    )
    values = {"visit_date": cells.day_of(table["raw_visit_date"], {name: table[f"part_{name}"] for name in parts})}
    faults = {}
    for name in numbers:
        cell, part = table[_RAW + name], table[f"part_{name}"]
        if name in MONEY:
            values[name], faults[name] = cells.money_of(cell, part, needed=name == "amount", currency=currency)
        else:
            values[name], faults[name] = cells.number_of(cell, part)
    if spec.amount_includes_bonus:
        values["amount"] = (values["amount"] - values["bonus_redeemed"].fill_null(0)).cast(cells.MONEY)
    patient = table["patient_id"]
    faults["patient_id"] = ibis.cases(
        (patient.isnull(), "empty"),
        (patient.contains("E+") & patient.re_search(_ROUNDED), "rounded by a spreadsheet"),
        (_is_test(patient, spec.test_patients, test_ids), TEST_PATIENT),
        else_=ibis.null(str),
    )
    table = table.mutate(**values, **{f"fault_{name}": fault for name, fault in faults.items()})
    fault = cells.day_fault(table["raw_visit_date"], table["visit_date"], today)
    parsed = table.mutate(fault_visit_date=fault).drop(*[name for name in table.columns if name.startswith("part_")])
    return parsed, {name: mapped[name] for name in mapped if name in {*faults, "visit_date"}}


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


def _with_fates(parsed: ir.Table, faults: dict[str, str], as_of: dt.date) -> ir.Table:
    """Add ``fate``: what becomes of each line; those that are no payments have that as their fate."""
    faulty = ibis.or_(*[parsed[f"fault_{name}"].notnull() for name in faults])
    needed = ("patient_id", "visit_date", "amount")
    lacking = ibis.or_(*[parsed[f"fault_{name}"].notnull() for name in needed])
    headings = {_RAW + name: faults[name] for name in needed}
    other = no_payment(parsed, _cells(parsed), headings, lacking)
    fate = ibis.cases(
        (other.notnull(), other), (faulty, "rejected"), (parsed.visit_date > as_of, "after_as_of"), else_="kept"
    )
    return parsed.mutate(fate=fate)


def _with_copies(lines: ir.Table, spec) -> ir.Table:
    """Exact copies of a line with the same receipt are duplicates, all but the first."""
    if not spec.columns.receipt_id:
        return lines
    names = _cells(lines)
    usable = lines.receipt_id.notnull() & (lines.fate.isin(["kept", "after_as_of"]))
    # Few lines share a digest: only these are compared cell by cell.
    told = [lines[_RAW + name].cast(str).fill_null("").hash() for name in ("receipt_id", "patient_id", "amount")]
    marked = lines.mutate(digest=functools.reduce(operator.xor, told))
    shared = marked.filter(usable).group_by("digest").aggregate(times=ibis._.count())
    shared = computed(shared.filter(shared.times > 1).select("digest"))
    if not shared.count().execute():
        return lines
    alike = marked.semi_join(shared, "digest")
    order = ibis.window(group_by=[*names, "fate"], order_by=[FILE, ROW])
    again = (ibis.row_number().over(order) > 0) & alike.receipt_id.notnull()
    again &= alike.fate.isin(["kept", "after_as_of"])
    alike = alike.mutate(fate=again.ifelse("duplicates", alike.fate))
    return computed(ibis.union(marked.anti_join(shared, "digest"), alike).drop("digest"))


def _cells(lines: ir.Table) -> list[str]:
    """The cells of a line as the export has them, in its order."""
    return [name for name in lines.columns if name.startswith((UNMAPPED, _RAW))]


def _as_text(cell: ir.Column) -> ir.StringColumn:
    return cell.cast(str).fill_null("").replace(cells.TYPED, "")


def _account(export: Export, lines: ir.Table) -> tuple[dict, int]:
    """Count the lines and their money by fate, and those that are no payments; hold that nothing was lost."""
    counted = lines.group_by("fate").aggregate(
        rows=lines.count(), money=lines.amount.sum(), unread=lines.amount.isnull().sum()
    )
    known = counted.execute().set_index("fate")
    rows = {fate: int(known["rows"].get(fate, 0)) for fate in _FATES}
    money = {f"money_{fate}": Decimal(str(known["money"].fillna(0).get(fate, 0))) for fate in _FATES}
    aside = export.broken["reason"].isin([reason for _, reason in _BESIDE.values()])
    rows["rejected"] += int((~aside).sum())
    beside = sum(int(known["rows"].get(fate, 0)) for fate in (*_BESIDE, "blank"))
    read = int(export.cells.count().execute()) + int((~aside).sum()) - beside
    money_read = Decimal(str(lines.filter(lines.fate.isin(_FATES)).amount.sum().execute() or 0))
    unread = int(known["unread"].fillna(0).get("kept", 0))
    if read != sum(rows.values()) or money_read != sum(money.values()) or unread:
        raise AssertionError("rows read must equal kept + rejected + duplicates + after_as_of, and so must their money")
    return {"read": read, **rows, "money_read": money_read, **money}, beside


def _set_aside(lines: ir.Table, faults: dict[str, str], spec) -> pd.DataFrame:
    """One row a cell that could not be read, or a line that is no payment, with the whole line as the export has it."""
    line = ibis.literal(spec.delimiter).join([_as_text(lines[name]) for name in _cells(lines)])
    place = {"file": lines[FILE], "row": lines[ROW]}
    rejected = lines.fate == "rejected"
    parts = [
        lines.filter(rejected & lines[f"fault_{name}"].notnull()).select(
            **place, column=ibis.literal(heading), reason=lines[f"fault_{name}"], line=line
        )
        for name, heading in faults.items()
    ]
    parts += [
        lines.filter(lines.fate == fate).select(
            **place, column=ibis.literal(""), reason=ibis.literal(reason), line=line
        )
        for fate, (_, reason) in _BESIDE.items()
    ]
    return ibis.union(*parts).execute()


def _rejected_by_rule(rejects: pd.DataFrame) -> int:
    """Lines rejected for no other reason than that the clinic file names their patient a test."""
    alone = rejects.groupby(["file", "row"], dropna=False)["reason"].agg(lambda reasons: set(reasons) == {TEST_PATIENT})
    return int(alone.sum())


def _problems(rejects: pd.DataFrame, lines: ir.Table, faults: dict[str, str], spec) -> list[Problem]:
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
            what += f" ({_shape(str(lines.filter(here).select(_RAW + name).limit(1).execute().iloc[0, 0]))})"
        check = "broken_lines" if not name else reason.replace(" ", "_")
        check = {"a_test_patient": "test_patients", "rounded_by_a_spreadsheet": "rounded_ids"}.get(check, check)
        problems.append(Problem(place(first, column), what, _remedy(name, reason, spec), len(group), check, "rejected"))
    return problems


def place(row, column: str = "") -> str:
    """Where a line stands, for messages: file, row where there is one, heading."""
    where = row.file if pd.isna(row.row) else f"{row.file}:{int(row.row)}"
    return f"{where} «{column}»" if column else where


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
        case _:
            return "Quote cells that hold the delimiter."
