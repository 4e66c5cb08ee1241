"""A clinic file for an export that nobody has described yet: what it shows, what is unsure, what may be set."""

from __future__ import annotations

import datetime as dt
import glob
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfmkit.clinic import Clv, Loyalty, Patients, Report, Rfm, Transactions, load_clinic
from rfmkit.data.inputs import InputFile, InputTable, input_files
from rfmkit.errors import ClinicFileError, Problem, UsageError

UNSURE = "# UNSURE:"
#: Comments begin here, unless the line is longer.
_COMMENTS_AT = 30

_NOTES = {
    "locale": "en | ru | zh: language, number and date formats of the report",
    "country": "ISO 3166: how telephone numbers without a country code are read",
    "currency": "ISO 4217",
    "source": "a path or a pattern, relative to this file",
    "encoding": "without it: a byte order mark, else strict UTF-8, else the file is refused",
    "delimiter": "what stands between two columns",
    "sheet": "of a workbook in which several sheets have these headings",
    "table": "the table of the database",
    "decimal": "what stands before the cents",
    "date_format": "strptime: %d day, %m month, %Y year",
    "header": "false: the file has no headings; a column is named by its number, \"1\" is the first",
    "amount_includes_bonus": "true: amounts count what was paid with bonuses too",
    "complete_history": "true: the export holds the clinic's whole life",
    "test_patients": "ids of patients who are none; * stands for anything",
    "merge": "one person under two cards: proposed, or the path of a reviewed list",
    "patient_id": "the patient's code",
    "visit_date": "the day",
    "amount": "the money received, after discounts; a refund is negative",
    "receipt_id": "a refund with the number of an earlier receipt belongs to that visit",
    "days_supply": "for how many days the packs of the line last",
    "discount": "in money",
    "bonus_accrued": "in money",
    "bonus_redeemed": "in money",
    "member_since": "the day of joining the programme; empty: no member",
    "referred_by": "the patient_id of who brought them",
    "consent_sms": "a consent is yes or no, or the day it was given",
    "window_months": "whole months that the scores look back on; 0 = the whole history",
    "scoring": "bands of equally many patients",
    "bins": "scores from 1, 5 is best",
    "scheme": "how scores make segments: a name of rfmkit's, or a file beside this one",
    "min_patients": "with fewer patients in the window no segments are made",
    "model": "bg_nbd | mbg_nbd | pareto_nbd",
    "horizon_months": "how far ahead the value is counted",
    "annual_discount_rate": "money later is worth less; a year's rate",
    "margin": "share of the revenue that is the clinic's own",
    "period_months": "RPR, AOV and CRR are those of so many months",
    "active_months": "active after a visit within so many months; never below period_months",
    "brand_name": "the consultant's name",
    "logo": "png or jpg beside this file",
    "colour": "of headings and bars: dark enough to read on white",
    "min_count": "no group smaller than this is crossed with what is known of its patients",
    "doctors": "doctors are persons: they are named only when this is true",
}  # fmt: skip
#: What stands in a comment for a key that has no default.
_EXAMPLES = {"active_months": 12, "brand_name": "…", "logo": "logo.png", "merge": "proposed", "country": "RU"}


@dataclass(frozen=True)
class Proposal:
    """A clinic file to look through.

    Attributes
    ----------
    text : str
        The file.
    unsure : list of str
        What it was unsure of, key by key, in the file's order.
    """

    text: str
    unsure: list[str]


def propose(
    exports: Sequence[str],
    out: Path,
    *,
    patients: str | None = None,
    name: str | None = None,
    table: str | None = None,
    today: dt.date | None = None,
) -> Proposal:
    """Look at an export and propose a clinic file.

    Parameters
    ----------
    exports : sequence of str
        Files, or one pattern with ``*`` and ``?``; a DuckDB file needs `table`.
    out : pathlib.Path
        Where the clinic file will lie: its paths are relative to it.
    patients : str, optional
        The file of patients, or a pattern.
    name : str, optional
        How reports name the clinic.
    table : str, optional
        The table of a DuckDB file.
    today : datetime.date, optional
        No visit is later.

    Returns
    -------
    Proposal
        It loads. Its unsure lines end in a comment that begins with ``# UNSURE:`` and names other readings.

    Raises
    ------
    UsageError
        If there are no such files, or no pattern names them and no others.
    ExportError
        If the export cannot be read, or has no column for the patient, the day or the amount.
    """
    from rfmkit.data.guesses.payments import guess_transactions
    from rfmkit.data.guesses.people import guess_country, guess_patients
    from rfmkit.rows import engine_faults

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rfmkit-")))
        stack.enter_context(engine_faults())
        source = _source(exports, out.parent, "EXPORT")
        payments = _seen(source, out.parent, table, _room(scratch, "transactions"), stack)
        lines = guess_transactions(payments, today)
        text = _Text()
        text.comment("Proposed by `rfmkit init` from what the export shows. Where a line says UNSURE: look, correct")
        text.comment("it, and take the mark away. A line behind a # is not set.")
        text.gap()
        people, phones = None, []
        if patients is not None:
            people_source = _source([patients], out.parent, "--patients")
            persons = _seen(people_source, out.parent, None, _room(scratch, "patients"), stack)
            people = guess_patients(persons, payments.ids(lines.places["patient_id"]), today)
            phones = [(persons, people.places["phone"])] if "phone" in people.places else []
        country = guess_country(phones, lines.keys["currency"])
        _top(text, name or Path(exports[0]).stem, name is not None, payments, country, lines.keys["currency"])
        _part(text, "transactions", Transactions, source, table, payments.layout, lines)
        if people is not None:
            _part(text, "patients", Patients, people_source, None, persons.layout, people)
        _defaults(text)
        proposal = Proposal(str(text), text.unsure)
        _check(proposal.text, scratch / out.name)
    return proposal


def _check(text: str, path: Path) -> None:
    """What is proposed loads, or it is a fault of ours."""
    path.write_text(text, encoding="utf-8")
    try:
        load_clinic(path)
    except ClinicFileError as error:
        raise AssertionError(f"the proposed clinic file does not load: {error}") from None


def _room(scratch: Path, name: str) -> Path:
    room = scratch / name
    room.mkdir()
    return room


def clinic_path(name: str | None, export: str) -> Path:
    """Where a clinic file goes of which nobody says where: here, called as the clinic, else as its export."""
    words = re.sub(r"\W+", "-", (name or Path(export).stem).casefold()).strip("-_")
    return Path(f"{words or 'clinic'}.toml")


# What is read


def _source(given: Sequence[str], folder: Path, option: str) -> str:
    """The path or the pattern, from a folder on, that names some files and no others."""
    paths = [Path(one) for one in given]
    if len(given) == 1 and (paths[0].is_file() or glob.glob(given[0])):
        return Path(os.path.relpath(given[0], folder)).as_posix()
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UsageError(Problem(option, f"no such file: {missing[0]}", "Give files, or one pattern in quotes."))
    names = [path.name for path in paths]
    start = _same_beginning(names)
    end = _same_beginning([one[len(start) :][::-1] for one in names])[::-1]
    places = {path.parent.resolve() for path in paths}
    pattern = f"{start}*{end}"
    found = {path.resolve() for path in paths[0].parent.glob(pattern)} if len(places) == 1 else set()
    if found != {path.resolve() for path in paths}:
        what = "lie in several folders" if len(places) > 1 else f"are not all that {pattern} names"
        fix = "Put the files of the export, and no others, into a folder of their own."
        raise UsageError(Problem(option, what, fix))
    return Path(os.path.relpath(paths[0].parent / pattern, folder)).as_posix()


def _same_beginning(names: list[str]) -> str:
    alike = [len(set(signs)) == 1 for signs in zip(*names, strict=False)]
    return names[0][: [*alike, False].index(False)]


def _seen(source: str, folder: Path, table: str | None, scratch: Path, stack: ExitStack) -> Any:
    """What the files of one part show."""
    from rfmkit.data.databases import names_table, open_table
    from rfmkit.data.guesses.evidence import look
    from rfmkit.data.guesses.layout import layout_of_parquet, layout_of_table, layout_of_text, layout_of_workbooks
    from rfmkit.data.sources import kind_of

    spec = Transactions.model_construct(source=source, table=table)
    sources: list[InputFile] | list[InputTable]
    if names_table(spec):
        if table is None:
            raise UsageError(Problem("EXPORT", "is a database", "Name its table: --table TABLE."))
        opened = open_table(spec, folder, "EXPORT")
        stack.callback(opened.close)
        return look([InputTable(opened)], layout_of_table(opened.table.columns), scratch)
    if table is not None:
        raise UsageError(Problem("--table", "the export is no database", "Leave it out."))
    sources = input_files(source, folder, "EXPORT")
    kinds = {kind_of(file.path) for file in sources}
    if len(kinds) > 1:
        raise UsageError(Problem("EXPORT", f"names {' and '.join(sorted(kinds))} files", "Name files of one kind."))
    match kinds.pop():
        case "Excel":
            layout = layout_of_workbooks(sources, scratch)
        case "Parquet":
            layout = layout_of_parquet(sources)
        case _:
            layout = layout_of_text(sources)
    return look(sources, layout, scratch)


# What is written


class _Text:
    """Lines of TOML, with their comments under one another."""

    def __init__(self):
        self.lines: list[tuple[str, str]] = []
        self.unsure: list[str] = []
        self.part = ""

    def comment(self, words: str) -> None:
        self.lines.append((f"# {words}", ""))

    def gap(self) -> None:
        self.lines.append(("", ""))

    def head(self, part: str, words: str = "") -> None:
        self.gap()
        self.part = part
        self.lines.append((f"[{part}]", f"# {words}" if words else ""))

    def key(self, key: str, value: Any, note: str = "", unsure: str = "", *, set_: bool = True) -> None:
        """One line; behind a # where the key is not set."""
        code = f"{'' if set_ else '# '}{key} = {_toml(value)}"
        note = f"{UNSURE} {_one_line(unsure)}" if unsure else f"# {_one_line(note)}" if note else ""
        self.lines.append((code, note))
        if unsure:
            self.unsure.append(f"{f'[{self.part}] ' if self.part else ''}{key}: {_one_line(unsure)}")

    def __str__(self) -> str:
        written = [
            f"{code}{' ' * (_COMMENTS_AT - _width(code))}  {note}" if note else code for code, note in self.lines
        ]
        return "\n".join([*written, ""])


def _toml(value: Any) -> str:
    """A value in TOML."""
    words = json.dumps(value, ensure_ascii=False)
    return re.sub("[\x7f-\x9f]", lambda sign: f"\\u{ord(sign[0]):04x}", words)


def _width(words: str) -> int:
    """How many columns words fill: Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in words)


def _one_line(words: str) -> str:
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f]", " ", words).split())


def _top(text: _Text, name: str, given: bool, payments: Any, country: Any, currency: Any) -> None:
    text.key("name", name, "as it stands on the report", "" if given else "how reports shall name the clinic")
    heading, cell = payments.spoken
    spoken = cell if cell in {"ru", "zh"} else heading or cell or "en"
    unsure = "the headings are in another language than the cells" if heading and cell and heading != cell else ""
    if spoken == "en" and payments.accented:
        unsure = "reports are in English, Russian or Chinese"
    text.key("locale", spoken, _NOTES["locale"], unsure)
    if country.value or country.unsure:
        text.key("country", country.value or "IE", country.note, country.unsure, set_=bool(country.value))
    else:
        text.key("country", _EXAMPLES["country"], _NOTES["country"], set_=False)
    text.key("currency", currency.value, currency.note or _NOTES["currency"], currency.unsure)


def _part(text: _Text, part: str, model: Any, source: str, table: str | None, layout: Any, found: Any) -> None:
    head = {"transactions": "what was paid, a line a service", "patients": "who they are, and who may be contacted"}
    text.head(part, head[part])
    text.key("source", source, _NOTES["source"])
    if table:
        text.key("table", table, _NOTES["table"])
    if layout.encoding:
        one, unsure = layout.encoding, ""
        if not one.sure:
            others = " or ".join(f'"{other}"' for other in one.others)
            unsure = f"too few letters are not ASCII{f'; {others} reads them too' if others else ''}"
            if one.others and one.letters >= 12:
                unsure = f"{others} makes words of them too"
        text.key("encoding", one.encoding, _NOTES["encoding"], unsure)
    if layout.delimiter:
        others = " or ".join(_toml(other) for other in layout.delimiters)
        text.key(
            "delimiter", layout.delimiter, _NOTES["delimiter"], f"{others} parts the lines as well" if others else ""
        )
    if layout.kind == "Excel":
        others = " and ".join(f"«{one}»" for one in layout.sheets)
        unsure = f"{others} has the same headings" if others else ""
        text.key("sheet", layout.sheet or "…", _NOTES["sheet"], unsure, set_=layout.sheet is not None)
    for key, example in (("decimal", "."), ("date_format", "%Y-%m-%d")):
        guess = found.keys.get(key)
        if guess is not None:
            text.key(key, guess.value or example, guess.note or _NOTES[key], guess.unsure, set_=guess.value is not None)
    text.key("header", layout.header, _NOTES["header"], set_=not layout.header)
    if part == "transactions":
        _history(text, found)
    else:
        text.key("merge", _EXAMPLES["merge"], _NOTES["merge"], set_=False)
    text.head(f"{part}.columns", "rfmkit's name = the export's heading")
    left = []
    for key in model.model_fields["columns"].annotation.model_fields:
        guess = found.columns.get(key)
        if guess is None:
            left.append(key)
        else:
            heading = guess.value or "…"
            text.key(key, heading, guess.note or _NOTES.get(key, ""), guess.unsure, set_=guess.value is not None)
    if left:
        text.comment(f"{', '.join(left)}: not found.")


def _history(text: _Text, found: Any) -> None:
    bonus, tests = found.keys.get("amount_includes_bonus"), found.keys.get("test_patients")
    note = _NOTES["amount_includes_bonus"]
    if bonus:
        text.key("amount_includes_bonus", bonus.value, bonus.note or note, bonus.unsure)
    else:
        text.key("amount_includes_bonus", False, note, set_=False)
    unsure = "does the export begin with the clinic? Then true; without it: estimated from the data"
    text.key("complete_history", True, "", unsure, set_=False)
    if tests:
        text.key("test_patients", tests.value, "", tests.unsure, set_=False)
    else:
        text.key("test_patients", ["TEST*"], _NOTES["test_patients"], set_=False)


def _defaults(text: _Text) -> None:
    """The parts of which nothing is known, with what holds until somebody sets it."""
    for part, model in (("rfm", Rfm), ("clv", Clv), ("loyalty", Loyalty), ("report", Report)):
        text.head(part)
        for key, field in model.model_fields.items():
            value = field.default if field.default is not None else _EXAMPLES.get(key)
            if isinstance(value, str | int | float | bool):
                text.key(key, value, _NOTES.get(key, ""), set_=False)
