"""Who the patients are and whether they may be contacted: one row a patient, of lines as clinics write them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.data import cells
from rfmkit.data.answers import CONSENTED, NO_SEX, NOT_CONSENTED, NOT_OPTED_OUT, OPTED_OUT, SEXES, folded, tidy
from rfmkit.data.checks import MOST_REJECTED
from rfmkit.data.contacts import read_emails, read_phones
from rfmkit.data.origin import FILE, REJECT_COLUMNS, ROW, Export, mapped_columns, place
from rfmkit.data.readings import settled
from rfmkit.data.totals import CUT, TITLE, TOTAL, told_by_text
from rfmkit.errors import ClinicFileError, ExportError, Problem

CONSENTS = ("consent_sms", "consent_email", "consent_phone", "consent_ads")
DATES = ("birth_date", "member_since")
FACTS = ("name", "phone", "email", "sex", *DATES, "referred_by", "opted_out", *CONSENTS, "consent_source")
#: What databases write for no day at all.
_NO_DAY = pd.DatetimeIndex(
    ["0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01"], dtype="datetime64[s]"
)
_ROUNDED = "1E+10"
#: Whole numbers up to here survive a float of 32 bits, and of 64.
_EXACT = {"float16": 2**11, "float32": 2**24, "float64": 2**53}
_ROUNDED_ID = r"[0-9]([.,][0-9]+)?E[+][0-9]+"

_OVERRULED = "another line of this patient says otherwise"
_SEVERAL = "several phones, of which the first valid one is used"
_TITLES = "lines above the headings are left out"
_BESIDE = {TOTAL: ("totals", "left_out"), TITLE: ("titles", "left_out")}
_NEITHER = "neither yes, no nor a day"
_CHECKS = {
    "": "broken_lines",
    "patient_id": "rounded_ids",
    "phone": "invalid_phones",
    "email": "invalid_emails",
    "sex": "unreadable_sexes",
    **dict.fromkeys(DATES, "unreadable_dates"),
    **dict.fromkeys(("opted_out", *CONSENTS), "unreadable_consents"),
}
_CHECKS_BY_REASON = {
    **_BESIDE,
    ("phone", "rounded by a spreadsheet"): ("rounded_phones", "left_out"),
    "empty": ("empty", "rejected"),
    _OVERRULED: ("conflicting_lines", "joined"),
    _SEVERAL: ("several_phones", "kept"),
}
_FIXES = {
    "empty": "Every line needs the patient's id: correct the export.",
    "too short": "Export phones with their area code.",
    "too long": "Correct it in the export.",
    "not a valid number": "No network has such a number: correct it in the export.",
    "not a number": "Correct it in the export.",
    "not an address": "Correct it in the export.",
    "no country": "Set country in the clinic file (RU, CN, IE …), or export phones with + and their country code.",
    "rounded by a spreadsheet": "Its digits are lost: format the column as text before the file is saved.",
    "neither female nor male": "Write words or letters; numbers mean one thing here and another there.",
    _NEITHER: "Write yes, no, or the day it was given; until then the safer of them is taken.",
    "not a date": "Correct it in the export, or set date_format.",
    "before 1900": "Correct it in the export.",
    "after today": "Correct it in the export.",
    TOTAL: "",
    TITLE: "",
    CUT: "If it is cut short, export it again; if it is a note under the table, delete it.",
    _SEVERAL: "",
    _OVERRULED: "The last line that says something is used; whom one line protects is not contacted.",
}


@dataclass(frozen=True)
class People:
    """The patients of an export.

    Attributes
    ----------
    people : pandas.DataFrame
        One row a patient, by ``patient_id``. Of the mapped columns: ``name``; ``phone`` and what `contacts.Phone` says
        of it; ``email`` and what `contacts.Email` says of it, of several lines ``phone_all`` and ``email_all`` of each;
        ``sex`` ("female", "male"); ``birth_date``, ``member_since`` (datetime64[s]);
        ``referred_by``; ``opted_out`` (bool); for each consent ``consent_x`` (bool) and ``consent_x_date``, missing
        where the cell says yes and no day; ``consent_source``. ``_file``, ``_row``: the last line that names them.
    rejects : pandas.DataFrame
        Lines and cells that were not used: ``file, row, column, reason, line``.
    problems : list of Problem
        What was seen, one a column and reason.
    """

    people: pd.DataFrame
    rejects: pd.DataFrame
    problems: list[Problem]


def read_people(export: Export, spec, country: str | None, today: dt.date | None) -> People:
    """Read who the patients are.

    A patient who stands on several lines is one row. Lines that say the same are copies. Of lines that differ, each
    fact is that of the last line that states it; opted out is whom any line says so of, and a consent counts if every
    line gives it. A cell that cannot be read is missing; of opting out it means yes, of a consent no. A consent dated
    after `today` is not given yet.

    Parameters
    ----------
    export : Export
    spec : rfmkit.clinic.Patients
    country : str or None
        Two letters: whose phones those without a country code are.
    today : datetime.date or None
        Later days are faults.

    Returns
    -------
    People

    Raises
    ------
    ClinicFileError
        If days can be read in two ways.
    ExportError
        If a line has no patient id, or more than 1 % of the lines are broken or have an id that was rounded.
    """
    headings = mapped_columns(spec)
    spec = _dated(spec, export.cells, headings)
    lines = _read(export.cells, spec, headings, today)
    unusable = _unusable(lines, headings["patient_id"], spec.delimiter)
    beside = unusable.isin(_BESIDE)
    by_heading = {headings["patient_id"]: unusable.mask(beside), "": unusable.where(beside)}
    rejects = _together([export.broken, *_set_aside(lines, by_heading)])
    faulty = rejects[~rejects["reason"].isin(_BESIDE)]
    if (unusable == "empty").any() or len(faulty) > MOST_REJECTED * (len(lines) + len(export.broken)):
        raise ExportError(_problems(faulty, headings))
    problems = [Problem(lines[FILE].min(), _TITLES, "", export.titles, "titles", "left_out")] if export.titles else []
    lines = lines[unusable.isna()]
    table, faults = _facts(lines, headings, country)
    again = table["patient_id"].duplicated(keep=False)
    copies = table[again].drop(columns=[FILE, ROW]).duplicated().reindex(table.index, fill_value=False)
    people, overruled = one_row_each(table[~copies])
    doubts = {name: mask.map({True: _OVERRULED}) for name, mask in overruled.items()}
    parts = [part for told in (faults, doubts) for part in _set_aside(lines, _by_heading(told, headings))]
    rejects = _together([rejects, *parts])
    problems += _problems(rejects, headings)
    if copies.any():
        first = _set_aside(lines, {"": copies.map({True: "copy"})})[0].iloc[0]
        what = "says what another line of the same patient says; it is dropped"
        problems.append(Problem(place(first), what, "", int(copies.sum()), "copies", "dropped"))
    return People(people, rejects, problems)


def _unusable(lines: pd.DataFrame, heading: str, delimiter: str) -> pd.Series:
    """Why a line names no patient, by line; missing where it names one."""
    ids = lines["patient_id"]
    reason = pd.Series(None, lines.index, dtype="str").mask(ids.isna(), "empty").mask(ids == heading, TITLE)
    reason = reason.mask(ids.str.fullmatch(_ROUNDED_ID, na=False), "rounded by a spreadsheet")
    # The label of a sum may stand where the ids do.
    labels = ids[ids.notna() & ~ids.str.contains("[0-9]", na=False)]
    said = [part.map(partial(told_by_text, delimiter=delimiter)) for part in (lines["line"][ids.isna()], labels)]
    said[1] = said[1].where(said[1] == TOTAL)
    beside = pd.concat(said).astype("str").reindex(lines.index)
    return beside.fillna(reason)


def _days(headings: dict[str, str]) -> list[str]:
    return [name for name in (*DATES, "opted_out", *CONSENTS) if name in headings]


def _dated(spec, table: ir.Table, headings: dict[str, str]):
    """The spec with a date format: one for all columns in which a day may stand."""
    days = [name for name in _days(headings) if table[name].type().is_string()]
    if spec.date_format is not None or not days:
        return settled(spec, table, days=[], amounts=[])
    # Cells without two digits are answers in words. All columns are tried as one: a try costs much, a cell little.
    said = {name: table.select(table[FILE], table[ROW], **{days[0]: table[name]}) for name in days}
    said = {name: cell.filter(cell[days[0]].re_search("[0-9０-９].*[0-9０-９]")) for name, cell in said.items()}
    try:
        return settled(spec, ibis.union(*said.values()) if len(days) > 1 else said[days[0]], days=days[:1], amounts=[])
    except ClinicFileError:
        for name, cell in said.items():  # in which of them is it, for the message
            settled(spec, cell.rename({name: days[0]}) if name != days[0] else cell, days=[name], amounts=[])
        raise


def _read(table: ir.Table, spec, headings: dict[str, str], today: dt.date | None) -> pd.DataFrame:
    """The cells of every line, days as days, in the files' order; and ``line``, as the export has it."""
    said: dict[str, ir.Column] = {}
    for name in headings:
        said[name] = _whole_number(table[name]) if name == "phone" else cells.text(table[name])
    for name in _days(headings):
        said[f"{name}_day"], said[f"{name}_fault"] = cells.day(table[name], spec.date_format, today)
    raw = [cells.as_written(table[name]) for name in table.columns if name not in (FILE, ROW)]
    line = ibis.literal(spec.delimiter).join(raw)
    filled = ibis.or_(*[cell.strip() != "" for cell in raw])
    lines = table.filter(filled).select(table[FILE], table[ROW], line=line, **said).execute()
    kinds = {name: "datetime64[s]" if name.endswith("_day") else "str" for name in said} | {ROW: "Int64"}
    # Lines of a table have no number: their words give them an order that is always the same.
    return lines.astype(kinds).sort_values([FILE, ROW, "line"], ignore_index=True)


def _whole_number(cell: ir.Column) -> ir.StringColumn:
    """A phone as text; one stored as a number in full digits, unless a float has rounded it."""
    if not cell.type().is_numeric() or cell.type().is_integer():
        return cells.text(cell)
    limit = _EXACT.get(str(cell.type()).strip("!"), _EXACT["float64"])
    return ibis.cases(
        (cell.cast(str).lower() == "nan", ibis.null(str)),
        (cell.abs() >= limit, _ROUNDED),
        else_=cell.cast("int64").cast(str),
    )


def _facts(
    lines: pd.DataFrame, headings: dict[str, str], country: str | None
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """What every line says of its patient, and by column why a cell says nothing."""
    table, faults = lines[["patient_id"]].copy(), {}
    for name in headings:
        match name:
            case "patient_id":
                continue
            case "phone":
                phones = read_phones(lines["phone"], country)
                table[list(phones)] = phones
                faults[name] = _words_of(phones["phone_fault"]).mask(phones["phone_count"] > 1, _SEVERAL)
            case "email":
                emails = read_emails(lines["email"])
                table[list(emails)] = emails
                faults[name] = _words_of(emails["email_fault"])
            case "sex":
                words = folded(lines["sex"])
                table["sex"] = words.map(SEXES).astype("str")
                unread = words.notna() & table["sex"].isna() & ~words.isin(NO_SEX)
                faults[name] = unread.map({True: "neither female nor male"})
            case "birth_date" | "member_since":
                day, reason = lines[f"{name}_day"], lines[f"{name}_fault"]
                absent = day.isin(_NO_DAY)
                table[name] = day.where(reason.isna() & ~absent)
                faults[name] = reason.mask(absent | (reason == "empty"))
            case "opted_out":
                given, dated, reason = _answers(lines, name, OPTED_OUT, NOT_OPTED_OUT)
                # A day that has not come, like a cell that cannot be read, protects already.
                table[name] = given | dated | reason.notna()
                faults[name] = reason.mask(reason == "after today")
            case _ if name in CONSENTS:
                given, dated, faults[name] = _answers(lines, name, CONSENTED, NOT_CONSENTED)
                table[name] = given | dated
                table[f"{name}_date"] = lines[f"{name}_day"].where(dated)
            case "referred_by":
                table[name] = lines[name]
            case _:
                table[name] = tidy(lines[name])
    return table.assign(**{FILE: lines[FILE], ROW: lines[ROW]}), faults


def _words_of(fault: pd.Series) -> pd.Series:
    return fault.mask(fault == "empty").str.replace("_", " ")


def _answers(
    lines: pd.DataFrame, name: str, yes: frozenset | set, no: frozenset | set
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Which cells say yes, which give a day instead, and why the others say nothing."""
    words, reason = folded(lines[name]), lines[f"{name}_fault"]
    given = words.isin(yes)
    silent = words.isna() | words.isin(no) | lines[f"{name}_day"].isin(_NO_DAY)
    dated = ~given & ~silent & reason.isna()
    return given, dated, reason.replace("not a date", _NEITHER).mask(given | silent)


def one_row_each(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Join the rows of each patient, by the rules of `read_people`; the last row is the last to speak.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns of `People.people`, and patients on several rows.

    Returns
    -------
    people : pandas.DataFrame
        One row a patient, by ``patient_id``.
    overruled : dict of pandas.Series
        By column, the rows that say something else than what was taken.
    """
    several = table["patient_id"].duplicated(keep=False)
    many, overruled = table[several], {}
    chosen = many.drop_duplicates("patient_id", keep="last").set_index("patient_id")
    by_patient = many.groupby("patient_id", sort=False)
    for name in [fact for fact in FACTS if fact in table.columns and len(many)]:
        if many[name].dtype == bool:
            verdict = by_patient[name].transform("any" if name == "opted_out" else "all")
            overruled[name] = many[name] != verdict
            chosen[name] = verdict.groupby(many["patient_id"]).first().reindex(chosen.index)
            if name in CONSENTS:
                chosen[f"{name}_date"] = by_patient[f"{name}_date"].max().reindex(chosen.index).where(chosen[name])
            continue
        value = many[name].fillna(many[f"{name}_fault"]) if name in ("phone", "email") else many[name]
        stated = value.notna() & (value != "empty")
        last = many.loc[stated.sort_values(kind="stable").index].drop_duplicates("patient_id", keep="last")
        spoken = [column for column in table.columns if column == name or column.startswith(f"{name}_")]
        chosen[spoken] = last.set_index("patient_id")[spoken].reindex(chosen.index)
        if (every := f"{name}_all") in spoken:
            chosen[every] = many.dropna(subset=every).groupby("patient_id")[every].agg(" ".join).reindex(chosen.index)
        taken = many["patient_id"].map(value[last.index].set_axis(last["patient_id"]))
        overruled[name] = stated & (value != taken)
    people = pd.concat([table[~several], chosen.reset_index()[table.columns]]) if len(many) else table
    return people.sort_values("patient_id", ignore_index=True), overruled


def _by_heading(reasons: dict[str, pd.Series], headings: dict[str, str]) -> dict[str, pd.Series]:
    """The reasons by heading: a heading that stands for several columns is told of once a cell."""
    told: dict[str, pd.Series] = {}
    for name, reason in reasons.items():
        told[headings[name]] = told.get(headings[name], reason).fillna(reason)
    return told


def _set_aside(lines: pd.DataFrame, reasons: dict[str, pd.Series]) -> list[pd.DataFrame]:
    """One row a cell that was not used, with its whole line: a frame for each heading."""
    parts = []
    for heading, reason in reasons.items():
        reason = reason.dropna()
        here = lines.loc[reason.index]
        columns = {"file": here[FILE], "row": here[ROW], "column": heading, "reason": reason, "line": here["line"]}
        parts.append(pd.DataFrame(columns)[REJECT_COLUMNS])
    return parts


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).sort_values(["file", "row"], kind="stable", ignore_index=True)


def _problems(rejects: pd.DataFrame, headings: dict[str, str]) -> list[Problem]:
    """One problem a column and reason: the first place, what, what to do, how many."""
    problems, names = [], {heading: name for name, heading in headings.items()}
    for (column, reason), group in rejects.groupby(["column", "reason"], sort=False):
        name = names.get(column, "")
        usual = (_CHECKS.get(name, ""), "rejected" if name in ("", "patient_id") else "left_out")
        check, done = _CHECKS_BY_REASON.get((name, reason), _CHECKS_BY_REASON.get(reason, usual))
        fix = _FIXES.get(reason, "" if column else "Quote cells that hold the delimiter.")
        problems.append(Problem(place(group.iloc[0], column), reason, fix, len(group), check, done))
    return problems
