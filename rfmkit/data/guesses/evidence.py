"""What the cells of an export look like, column by column: shares of a sample, and counts over every line."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from pydantic import BaseModel, ConfigDict

from rfmkit.clinic import Transactions
from rfmkit.data import cells
from rfmkit.data.engines import computed
from rfmkit.data.guesses.headings import known, language, meanings
from rfmkit.data.guesses.layout import DAY, NUMBER, Layout
from rfmkit.data.inputs import InputFile, InputTable
from rfmkit.data.origin import FILE, ROW
from rfmkit.data.readings import DATE_FORMATS
from rfmkit.data.sources import read_export
from rfmkit.rows import as_table

#: Lines on which columns are told apart; what decides is then counted over all of them.
_SAMPLE = 4000
#: A reading of a heading counts half where another says it so much better.
_BETTER = 0.05
#: A patient's name and code often have the same heading; their cells tell them apart.
_TWINS = {"transactions.patient_id": "patients.name", "patients.name": "transactions.patient_id"}
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_PHONE = re.compile(
    r"[+(][\d ()+-]{8,20}\d|[78][ -]?\d{3}[ -]?\d{3}[ -]?\d{2}[ -]?\d{2}|1[3-9]\d[ -]?\d{4}[ -]?\d{4}"
    r"|\d{3}[-. ]\d{3}[-. ]\d{4}"
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+[.][^@\s]+")
#: Clocks of twelve hours behind the day, where no form without them fits.
_CLOCKS = ("%I:%M:%S %p", "%I:%M %p")
_WHOLE = re.compile(r"\d+")
_CENTS = re.compile(r".*\d[.,]\d{1,2}(\D.*)?")


@dataclass
class Guess:
    """What is proposed for a key of the clinic file.

    Attributes
    ----------
    value : str, bool, list of str or None
        None: nothing, and the key is left at its default.
    note : str
        What the comment of its line says.
    unsure : str
        Why it may be wrong, and what else it may be.
    """

    value: str | bool | list[str] | None
    note: str = ""
    unsure: str = ""


@dataclass
class Guesses:
    """What is proposed for a part of the clinic file, as its making goes on.

    Attributes
    ----------
    columns, keys : dict of Guess
        By the clinic file's keys.
    places : dict of int
        Where the chosen columns stand.
    lines : ibis.Table or None
        The lines with a day: all others are titles, sums and blanks.
    """

    columns: dict[str, Guess] = field(default_factory=dict)
    keys: dict[str, Guess] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    lines: ir.Table | None = None


class _Headings(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Profile:
    """Shares of a column's filled cells that look like something; `filled` is that of all cells.

    `distinct` counts the sample's values.
    """

    filled: float
    distinct: int
    day: float
    number: float
    whole: float
    cents: float
    time: float
    phone: float
    email: float
    digit: float
    words: float


class Evidence:
    """An export as its cells show it.

    Parameters
    ----------
    table : ibis.Table
        ``c0``, ``c1`` … in the order of `headings`, ``_file`` and ``_row``.
    layout : Layout
    source : str
        What messages call it.

    Attributes
    ----------
    count : int
        Lines.
    """

    def __init__(self, table: ir.Table, layout: Layout, source: str):
        self.table, self.layout, self.source = table, layout, source
        self.count = int(table.count().execute())

    @property
    def headed(self) -> bool:
        """Whether the headings are such beyond doubt, and no patient's line in their place."""
        return self.layout.header and sum(known(one) for one in self.layout.headings) > 1

    @property
    def columns(self) -> list[int]:
        """The places of the columns that a clinic file can name."""
        return [at for at, heading in enumerate(self.layout.headings) if heading in self.layout.shared]

    @cached_property
    def spoken(self) -> tuple[str | None, str | None]:
        """The language of the headings, and that of the cells; see `headings.language`."""
        said = self.texts.head(100).to_numpy().ravel().tolist()
        return language(self.layout.headings) if self.layout.header else None, language(said)

    @property
    def accented(self) -> bool:
        """Whether headings or cells have the letters of a Western language other than English."""
        said = "".join([*self.layout.headings, *self.texts.head(100).to_numpy().ravel().tolist()])
        return bool(re.search("[À-ÖØ-öø-ÿ]", said))

    def says(self, at: int, meaning: str) -> float:
        """How much a column's heading says that it is this and nothing else, from 0 to 1."""
        if not self.layout.header:
            return 0.0
        scores = meanings(self.layout.headings[at])
        mine = scores.get(meaning, 0.0)
        rivals = [score for other, score in scores.items() if other not in (meaning, _TWINS.get(meaning))]
        return mine / 2 if max(rivals, default=0.0) > mine + _BETTER else mine

    def named(self, places: list[int]) -> str:
        """The headings of some columns as messages name them."""
        return " or ".join(f"«{' '.join(self.layout.headings[at].split())}»" for at in places[:3])

    def cell(self, at: int, table: ir.Table | None = None) -> ir.Column:
        """The column at a place."""
        return (self.table if table is None else table)[f"c{at}"]

    @cached_property
    def sample(self) -> ir.Table:
        """Lines from everywhere in the export."""
        step = max(1, self.count // _SAMPLE)
        some = self.table.filter((self.table[ROW] % step == 0) | self.table[ROW].isnull()) if step > 1 else self.table
        return computed(some.limit(2 * _SAMPLE))

    @cached_property
    def texts(self) -> pd.DataFrame:
        """The sample as text, in half-width signs, without lines of few cells: titles, groups and sums."""
        names = [f"c{at}" for at in range(len(self.layout.headings))]
        frame = self.sample.select(**{name: self.sample[name].cast(str).fill_null("") for name in names}).execute()
        frame = frame.astype("str").apply(lambda column: column.str.normalize("NFKC").str.strip())
        filled = (frame != "").sum(axis=1)
        return frame[filled > filled.median() / 2]

    @cached_property
    def profiles(self) -> list[Profile]:
        """What each column looks like."""
        return [self._profile(at) for at in range(len(self.layout.headings))]

    def _profile(self, at: int) -> Profile:
        said = self.texts[f"c{at}"]
        some = said[said != ""]
        kind = self.cell(at).type()

        def share(pattern: re.Pattern) -> float:
            return float(some.str.fullmatch(pattern).mean()) if len(some) else 0.0

        typed = {}
        if not kind.is_string():
            typed = {"day": float(kind.is_date() or kind.is_timestamp()), "number": float(kind.is_numeric())}
        return Profile(
            **{
                "filled": len(some) / max(len(said), 1),
                "distinct": some.nunique(),
                "day": share(DAY),
                "number": share(NUMBER),
                "whole": share(_WHOLE),
                "cents": share(_CENTS),
                "time": share(_TIME),
                "phone": share(_PHONE),
                "email": share(_EMAIL),
                "digit": float(some.str.contains(r"\d").mean()) if len(some) else 0.0,
                "words": float(some.str.contains(r"[^\W\d_][.,]?\s+[^\W\d_]").mean()) if len(some) else 0.0,
            }
            | typed
        )

    def typed(self, at: int) -> bool:
        """Whether a column's cells have a type of their own."""
        return not self.cell(at).type().is_string()

    def distinct(self, table: ir.Table, *sets: tuple[int, ...]) -> list[int]:
        """How many values columns have, or sets of columns together."""
        counts = {
            f"n{number}": ibis.literal("\x1f")
            .join([cells.text(self.cell(at, table)).fill_null("") for at in one])
            .nunique()
            for number, one in enumerate(sets)
        }
        return [int(count) for count in table.aggregate(**counts).execute().iloc[0]] if counts else []

    def days_by_format(self, places: list[int]) -> dict[str, int]:
        """The date formats that cells of some columns have, and how many have each; the most frequent first."""
        places = [at for at in places if not self.typed(at)]
        if not places:
            return {}
        said = set(pd.concat([self.texts[f"c{at}"] for at in places]))
        forms = [form for form in DATE_FORMATS if _fits_any(form, said)]
        if not forms:
            forms = [
                form
                for form in (f"{day} {clock}" for day in DATE_FORMATS for clock in _CLOCKS)
                if _fits_any(form, said)
            ]
        found = dict.fromkeys(forms, 0)
        for at in places if forms else ():
            values = self.values(at)
            days = [cells.day(self.cell(at, values), form, None)[0] for form in forms]
            fits = {f"f{number}": times_of(values, day.notnull()) for number, day in enumerate(days)}
            counts = values.aggregate(**fits).execute().iloc[0]
            found = {form: found[form] + int(counts[f"f{number}"]) for number, form in enumerate(forms)}
        return {form: count for form, count in sorted(found.items(), key=lambda one: -one[1]) if count}

    def days_apart(self, places: list[int], first: str, second: str) -> tuple[int, int]:
        """Cells of some columns that two formats read as different days, and those that only the second reads."""
        differ = alone = 0
        for at in places:
            values = self.values(at)
            one, other = (cells.day(self.cell(at, values), form, None)[0] for form in (first, second))
            conditions = {"differ": one != other, "alone": one.isnull() & other.notnull()}
            counts = values.aggregate(**{name: times_of(values, each) for name, each in conditions.items()}).execute()
            differ, alone = differ + int(counts["differ"].iloc[0]), alone + int(counts["alone"].iloc[0])
        return differ, alone

    def disorder(self, at: int, form: str, today: dt.date | None) -> tuple[float, float]:
        """How many of a column's days, read so, go against the order of most, and how many are after today."""
        day = cells.day(self.cell(at, self.sample), form, None)[0]
        days = self.sample.select(day=day.cast("timestamp"), file=self.sample[FILE], row=self.sample[ROW]).execute()
        days = days.dropna(subset="day").sort_values(["file", "row"], kind="stable")
        steps = days["day"].diff()[days["file"].eq(days["file"].shift())].dt.days
        if not len(steps):
            return 1.0, 0.0
        late = float((days["day"] > pd.Timestamp(today)).mean()) if today else 0.0
        return min(float((steps < 0).mean()), float((steps > 0).mean())), late

    def ids(self, at: int) -> set[str]:
        """A column's values as ids are read."""
        said = self.table.select(one=cells.text(self.cell(at))).distinct().execute()["one"]
        return set(said.dropna())

    def values(self, at: int, table: ir.Table | None = None) -> ir.Table:
        """A column's values and how many ``times`` each stands there: reading a cell costs more than counting it."""
        table = self.table if table is None else table
        name = f"c{at}"
        return computed(table.group_by(name).aggregate(times=table.count()))

    def numbers(self, table: ir.Table, places: list[int], decimal: str, currency: str | None) -> pd.DataFrame:
        """Columns of a table as floats; missing where a cell holds no number."""
        frame = table.select(**{f"c{at}": self.cell(at, table) for at in places}).execute()
        for at in places:
            values = self.values(at, table)
            read = values.select(said=self.cell(at, values), value=self.number(at, values, decimal, currency)).execute()
            read = read.dropna(subset="said").set_index("said")["value"]
            frame[f"c{at}"] = frame[f"c{at}"].map(read).astype("float64")
        return frame

    def number(self, at: int, table: ir.Table, decimal: str, currency: str | None) -> ir.FloatingColumn:
        """A column as a float; a workbook's cells may have been numbers, which are staged with a point."""
        cell = self.cell(at, table)
        if not cell.type().is_string():
            return cell.cast("float64") if cell.type().is_numeric() else ibis.null("float64")
        said = cells.number_text(cell, decimal, currency)
        if self.layout.kind == "Excel" and decimal == ",":
            said = said.fill_null(cells.number_text(cell, ".", currency))
        return said.cast("float64")


def times_of(values: ir.Table, condition: ir.BooleanColumn) -> ir.IntegerScalar:
    """How many cells have values of which something holds."""
    return condition.ifelse(values["times"], 0).sum().fill_null(0)


def _fits_any(form: str, said: set[str]) -> bool:
    pattern = re.compile(cells.date_pattern(form)[0])
    return any(pattern.match(one) for one in said)


def ranked(scores: dict[int, float]) -> list[int]:
    """Places, the best first, without those that say nothing."""
    return sorted((at for at, score in scores.items() if score > 0), key=lambda at: (-scores[at], at))


def look(sources: list[InputFile] | list[InputTable], layout: Layout, scratch: Path) -> Evidence:
    """Read every line of an export whose layout is known, with a column for each heading.

    Raises
    ------
    ExportError, ClinicFileError
        If the files cannot be read so.
    """
    if layout.kind == "Excel":
        return Evidence(_staged(sources, layout), layout, sources[0].name)
    headed = [one for one in layout.shared if known(one)] if layout.header else []
    named = [] if layout.kind == "Parquet" else headed or layout.shared
    spec = Transactions.model_construct(
        source=str(sources[0].path),
        columns=_Headings(**{f"h{number}": heading for number, heading in enumerate(named)}),
        encoding=layout.encoding.encoding if layout.encoding else None,
        delimiter=layout.delimiter or ",",
        header=layout.header,
    )
    read = read_export(sources, spec, scratch).cells
    names = [name for name in read.columns if name not in (FILE, ROW)][: len(layout.headings)]
    table = read.select(FILE, ROW, **{f"c{at}": name for at, name in enumerate(names)})
    return Evidence(table, layout, sources[0].name)


def _staged(files: list[InputFile], layout: Layout) -> ir.Table:
    from rfmkit.data.workbooks import NO_VALUE

    tables = []
    for number, (path, row) in enumerate(layout.staged):
        table = as_table(path)
        cell_names = [name for name in table.columns if re.fullmatch(r"c\d+", name)]
        head = table.filter(table["_row"] == row).select(cell_names).execute()
        own = [str(one or "").strip() for one in head.iloc[0].fillna("")] if row else layout.headings
        lines = table.filter(table["_row"] > row)
        found = {
            f"c{at}": lines[f"c{own.index(heading)}"].nullif(NO_VALUE) if heading in own else ibis.null(str)
            for at, heading in enumerate(layout.headings)
        }
        if not number:
            # Headings may stand twice, or be missing, in the file whose order this is.
            found = {f"c{at}": lines[f"c{at}"].nullif(NO_VALUE) for at in range(len(layout.headings))}
        tables.append(
            lines.select(**found, **{FILE: ibis.literal(files[number].name), ROW: lines["_row"].cast("int64")})
        )
    return computed(ibis.union(*tables) if len(tables) > 1 else tables[0])
