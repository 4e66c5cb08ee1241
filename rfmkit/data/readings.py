"""How a file writes days and amounts when the clinic file does not say: one reading must fit, or none is taken."""

from __future__ import annotations

import datetime as dt
import re

import ibis
import ibis.expr.types as ir

from rfmkit.data import cells
from rfmkit.data.origin import FILE, ROW
from rfmkit.errors import ClinicFileError, Problem

#: Orders that exports are written in, the one that stands where nothing is declared first.
DATE_FORMATS = (
    "%Y-%m-%d",
    *("%d.%m.%Y", "%m.%d.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d", "%d %b %Y", "%d-%b-%Y"),
    *("%d.%m.%y", "%m.%d.%y", "%y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
)
DECIMALS = (".", ",")
#: A reading that more than one cell in so many does not have is no reading of the column.
_ONE_IN = 100
#: The shapes of so many cells are looked at first: most formats fall away there.
_FIRST = 1000


def settled(
    spec,
    table: ir.Table,
    *,
    days: list[str],
    amounts: list[str],
    currency: str | None = None,
    today: dt.date | None = None,
):
    """The spec with a decimal sign and a date format: those declared, else the only ones that fit every file.

    Parameters
    ----------
    spec : rfmkit.clinic.Transactions or rfmkit.clinic.Patients
    table : ibis.Table
        The cells of an export.
    days, amounts : list of str
        Its columns that hold days, and money.
    currency : str, optional
        Whose signs amounts may carry.
    today : datetime.date, optional
        Years of two digits are not read so that days lie after it.

    Returns
    -------
    The same kind of spec; ISO dates and the decimal point where nothing decides.

    Raises
    ------
    ClinicFileError
        If two readings fit all cells of a column and differ, with both readings, masked, and the key to set.
    """
    chosen, problems = {}, []
    for key, names, known, read in (
        ("date_format", days, DATE_FORMATS, _days(today)),
        ("decimal", amounts, DECIMALS, _amounts(currency)),
    ):
        texts = [name for name in names if name in table.columns and table[name].type().is_string()]
        if getattr(spec, key) is not None:
            continue
        try:
            chosen[key] = _only_reading(table, spec, texts, known, read, key) if texts else known[0]
        except ClinicFileError as error:
            problems += error.problems
    if problems:
        raise ClinicFileError(problems)
    return spec.model_copy(update=chosen)


def _days(today: dt.date | None):
    def read(cell: ir.Column, form: str) -> ir.Column:
        value = cells.day(cell, form, None)[0]
        # 31.10.26 is not of the year 2031.
        return (value <= today).ifelse(value, ibis.null("date")) if today and "%y" in form else value

    return read


def _amounts(currency: str | None):
    def read(cell: ir.Column, decimal: str) -> ir.Column:
        return cells.number_text(cell, decimal, currency)

    return read


def _only_reading(table: ir.Table, spec, names: list[str], known: tuple[str, ...], read, key: str) -> str:
    fitting = _likely(table, names, known) if key == "date_format" else list(known)
    fitting = _fitting(table, names, fitting, read) if len(fitting) > 1 else fitting
    if not fitting:
        return known[0]
    if len(fitting) == 1:
        return fitting[0]
    for name in names:
        first, second = (read(table[name], form) for form in fitting[:2])
        differ = table.filter(first.notnull() & second.notnull() & (first != second))
        rows = differ.select(file=FILE, row=ROW, cell=name).limit(1).execute()
        if len(rows):
            raise ClinicFileError(_two_readings(rows.iloc[0], getattr(spec.columns, name), fitting, key))
    return fitting[0]


def _likely(table: ir.Table, names: list[str], forms: tuple[str, ...]) -> list[str]:
    """The formats whose shape some of the first cells have."""
    first = table.filter(ibis.or_(*[_filled(table[name]) for name in names])).select(*names).limit(_FIRST).execute()
    texts = [text for name in names for text in first[name].dropna().unique()]
    shapes = {form: re.compile(cells.date_pattern(form)[0]) for form in forms}
    return [form for form, shape in shapes.items() if any(shape.search(text) for text in texts)]


def _filled(cell: ir.Column) -> ir.BooleanColumn:
    """Whether a cell has a digit: a day or an amount has; a word in its place is told as a fault."""
    return cell.re_search("[0-9０-９]").fill_null(False)


def _fitting(table: ir.Table, names: list[str], forms: list[str], read) -> list[str]:
    """The readings that every cell has; if there is none, those that nearly all have, or else one that most have."""
    filled = {name: _filled(table[name]) for name in names}
    missed = {
        f"form_{number}": ibis.literal(0)
        + sum((filled[name] & read(table[name], form).isnull()).sum().fill_null(0) for name in names)
        for number, form in enumerate(forms)
    }
    row = table.aggregate(**missed, filled=sum(one.sum().fill_null(0) for one in filled.values())).execute().iloc[0]
    misses = {form: int(row[f"form_{number}"]) for number, form in enumerate(forms)}
    whole = [form for form, count in misses.items() if not count]
    nearly = [form for form, count in misses.items() if count * _ONE_IN <= row["filled"]]
    best = min(misses, key=misses.get)
    return whole or nearly or ([best] if misses[best] * 2 < row["filled"] else [])


def _two_readings(row, heading: str, forms: list[str], key: str) -> Problem:
    mask = re.sub(r"\w", "#", str(row["cell"]).strip()) if row["cell"] else ""
    where = f"{row['file']}:{row['row']} «{heading}»" if row["row"] == row["row"] else f"{row['file']} «{heading}»"
    if key == "date_format":
        told = " or ".join(_spelled(form) for form in forms[:2])
        fix = f"""Set {" or ".join(f'date_format = "{form}"' for form in forms[:2])}."""
    else:
        bare = re.sub("[^#.,]", "", mask)
        told = f"{bare.replace(',', '')} or {bare.replace('.', '').replace(',', '.')}"
        if "," not in bare:
            told = f"{bare} or {bare.replace('.', '')}"
        fix = """Set decimal = "." or decimal = ","."""
    return Problem(where, f"two readings are possible: {mask} is {told}", fix)


def _spelled(form: str) -> str:
    words = {"%d": "day", "%m": "month", "%b": "month", "%Y": "year", "%y": "year"}
    return re.sub("%.", lambda letter: words[letter[0]], form)
