"""What a study rests on: which files, which of their lines, and the visits these make."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rfmkit.cache import Cache, kept
from rfmkit.clinic import Clinic
from rfmkit.data.databases import answering, names_table, open_table
from rfmkit.data.inputs import InputFile, InputTable, check_settled, input_files
from rfmkit.errors import Problem, RfmkitError, raise_all
from rfmkit.period import Period, month_period
from rfmkit.rows import engine_faults, read_rows, write_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from rfmkit.data.checks import CheckedLines
    from rfmkit.data.people import People
    from rfmkit.data.previous import Previous


_PARQUET_END = b"PAR1"


@dataclass(frozen=True)
class _Read:
    """The sources of a study, read and checked."""

    lines: CheckedLines
    people: People | None
    problems: list[Problem]


class Intake:
    """The rows of one clinic up to the end of one month, read and checked once.

    Parameters
    ----------
    clinic : Clinic
    month : str
        ``YYYY-MM``; its last day is `as_of`.
    reader : rfmkit.present.Reader, optional
        For whom tables and plots are worded; handed on, not used here.
    today : datetime.date, optional
        Lines dated later are rejected.
    reports : pathlib.Path, optional
        The folder of all reports: the export is compared with what last month's was made from.
    """

    def __init__(
        self,
        clinic: Clinic,
        month: str,
        *,
        reader: Any = None,
        today: dt.date | None = None,
        reports: Path | None = None,
    ):
        self.clinic = clinic
        self.month = month
        self.reader = reader
        self.today = today
        self.reports = reports
        self._of_engine: dict[str, ir.Table] = {}
        self.month_period = month_period(month)
        self.as_of = self.month_period.end
        self.period = Period.trailing(self.as_of, clinic.loyalty.period_months)

    @cached_property
    def previous(self) -> Previous | None:
        """What last month's report was made from, where there is one."""
        from rfmkit.data.previous import read_previous

        return read_previous(self.reports, self.clinic.key, self.month) if self.reports else None

    @cached_property
    def inputs(self) -> list[InputFile | InputTable]:
        """The files and tables that were read, transactions first."""
        return [one for some in self._sources.values() for one in some]

    @cached_property
    def _sources(self) -> dict[str, list[InputFile | InputTable]]:
        """The files, or the table, of each part of the clinic file that names some."""
        sources, errors = {}, []
        for name, part in self._parts_with_sources().items():
            where = f"{self.clinic.path.name} [{name}]"
            try:
                if names_table(part):
                    sources[name] = [InputTable(open_table(part, self.clinic.folder, where))]
                else:
                    sources[name] = input_files(part.source, self.clinic.folder, f"{where} source")
            except RfmkitError as error:
                errors.append(error)
        raise_all(errors)
        return sources

    def _parts_with_sources(self) -> dict[str, Any]:
        parts = {"transactions": self.clinic.transactions, "patients": self.clinic.patients}
        return {name: part for name, part in parts.items() if part is not None}

    @kept
    def input_digest(self) -> str:
        """What identifies the content of all inputs."""
        return hashlib.sha256("".join(one.sha256 for one in self.inputs).encode()).hexdigest()

    @cached_property
    def cache(self) -> Cache:
        """Where the tables of this study are kept."""
        # Clinic files of one name in different folders have caches of their own.
        folder = hashlib.sha256(str(self.clinic.path).encode()).hexdigest()[:8]
        clinic = f"{self.clinic.key}-{folder}"
        if computed := Cache.of_run(clinic, self.month):
            return computed
        scheme, merge = self.clinic.scheme, self._reviewed_merges
        depends_on = [
            hashlib.sha256(self.clinic.path.read_bytes()).hexdigest(),
            *(hashlib.sha256(path.read_bytes()).hexdigest() for path in (scheme, merge) if isinstance(path, Path)),
            self.month,
            str(self.today),
            self.previous.digest if self.previous else "",
            *(f"{one.name} {one.sha256}" for one in self.inputs),
        ]
        cache = Cache(clinic, self.month, "\n".join(depends_on))
        if cache.has("checked"):
            for one in self.inputs:
                if isinstance(one, InputTable):
                    one.opened.rest()
        return cache

    @property
    def _reviewed_merges(self) -> Path | None:
        """The file in which somebody decided which cards are one person."""
        merge = self.clinic.patients.merge if self.clinic.patients else None
        return self.clinic.folder / merge if merge and merge != "proposed" else None

    @kept
    def checked(self) -> dict:
        """What became of the lines: ``rows``, ``rejects``, ``problems``, ``depends_on_today``."""
        from rfmkit.data.identity import identity_problems

        read, problems, rejects = self._read, self._read.problems, self._read.lines.rejects
        if read.people:
            rejects = pd.concat([rejects, read.people.rejects], ignore_index=True)
            proposals, joined, cards = self._cards
            problems = problems + identity_problems(cards, proposals, joined, self.clinic.patients.columns.phone)
        return {
            "rows": read.lines.rows,
            "rejects": rejects,
            "problems": problems,
            "depends_on_today": read.lines.depends_on_today,
        }

    @cached_property
    def _read(self) -> _Read:
        """Read and check all sources; what is wrong with any is told at once."""
        from rfmkit.data.checks import check_lines
        from rfmkit.data.people import read_people
        from rfmkit.data.sources import read_export

        parts, lines, people, errors = self._parts_with_sources(), None, None, []
        with self.cache.scratch() as scratch, engine_faults():
            for name, part in reversed(parts.items()):
                folder = scratch / name
                folder.mkdir()
                try:
                    with answering(self._sources[name][0].name) if names_table(part) else nullcontext():
                        export = read_export(self._sources[name], part, folder)
                        if name == "patients":
                            people = read_people(export, part, self.clinic.country, self.today)
                        else:
                            lines = check_lines(
                                export,
                                part,
                                self.as_of,
                                self.today,
                                currency=self.clinic.currency,
                                people=people.people if people else None,
                            )
                except RfmkitError as error:
                    errors.append(error)
            raise_all(errors)
            check_settled(self.inputs)
            problems = lines.problems + self._against_last_month(lines)
            return _Read(lines, people, problems + (people.problems if people else []))

    def _against_last_month(self, lines: CheckedLines) -> list[Problem]:
        from rfmkit.data.previous import against_last_month

        if self.previous is None:
            return []
        sources, kept_lines = self._sources["transactions"], lines.kept
        by_month = kept_lines.filter(kept_lines.amount >= 0).select("patient_id", "visit_date").distinct()
        by_month = by_month.group_by(month=by_month.visit_date.truncate("month")).aggregate(visits=by_month.count())
        by_month = by_month.execute()
        inside = kept_lines.filter(kept_lines.visit_date.between(*self.month_period))
        return against_last_month(
            self.previous,
            spec=self.clinic.transactions,
            where=sources[0].name,
            inputs={one.sha256 for one in sources},
            rows_read=lines.rows["read"],
            patients=kept_lines.select("patient_id").distinct().execute()["patient_id"],
            visits=by_month.set_index(by_month["month"].astype("str").str[:7])["visits"],
            month_lines=int(inside.count().execute()),
        )

    @kept
    def people(self) -> pd.DataFrame | None:
        """One row a person of the file of patients, merged cards being one; None where there is no such file."""
        from rfmkit.data.identity import merged_people

        read = self._read.people
        return merged_people(read.people, self.merged) if read else None

    @kept
    def identity(self) -> pd.DataFrame | None:
        """Cards that may be, or were taken to be, one person's, for a reviewer; None without a file of patients."""
        from rfmkit.data.identity import identity_table

        return identity_table(*self._cards) if self._cards else None

    @kept
    def merged(self) -> dict[str, str]:
        """Cards that count as another, as the clinic file says: this id → that id."""
        from rfmkit.data.identity import merged_ids

        return merged_ids(self._cards[1]) if self._cards else {}

    @cached_property
    def _cards(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
        """Which cards are proposed to be one person's, which of them are joined, and all cards."""
        from rfmkit.data.identity import propose_same_person, undoubted
        from rfmkit.data.reviews import read_merges

        read = self._read.people
        if read is None:
            return None
        proposals = propose_same_person(read.people)
        if self._reviewed_merges:
            cards = self._read.lines.kept.select("patient_id").distinct().execute()["patient_id"]
            joined = read_merges(self._reviewed_merges, {*cards, *read.people["patient_id"]})
        else:
            joined = undoubted(proposals) if self.clinic.patients.merge else proposals.head(0)
        return proposals, joined, read.people

    @property
    def rows(self) -> dict:
        """Lines and their money by what became of them: read = kept + rejected + duplicates + after_as_of."""
        return self.checked["rows"]

    @property
    def rejects(self) -> pd.DataFrame:
        """Cells that could not be read: ``file, row, column, reason, line``."""
        return self.checked["rejects"]

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the export but did not stop the study."""
        return self.checked["problems"]

    @property
    def transactions(self) -> ir.Table:
        """The kept lines, those of merged cards under one id."""
        return self._rows("transactions", self._transactions)

    def _transactions(self) -> ir.Table:
        if not self.merged:
            return self._read.lines.kept
        from rfmkit.data.persons import under_one_id

        return under_one_id(self._rows("lines", lambda: self._read.lines.kept), self.merged)

    @property
    def visits(self) -> ir.Table:
        """Patient-days with at least one line that is no refund."""
        from rfmkit.data.visits import visits_from

        return self._rows("visits", lambda: visits_from(self.transactions))

    @property
    def refunds(self) -> ir.Table:
        """Refunds of patient-days without a visit."""
        from rfmkit.data.visits import refunds_from

        return self._rows("refunds", lambda: refunds_from(self.transactions))

    def _rows(self, name: str, compute) -> ir.Table:
        def write(to: Path) -> None:
            write_rows(compute(), to)

        if self.clinic.transactions.engine == "spark":
            # What is too large for one machine stays where it is.
            from rfmkit.data.engines import computed

            if name not in self._of_engine:
                self._of_engine[name] = computed(compute())
            return self._of_engine[name]
        path = self.cache.file(f"{name}.parquet", write)
        with path.open("rb") as stream:
            stream.seek(-min(len(_PARQUET_END), path.stat().st_size), os.SEEK_END)
            whole = stream.read() == _PARQUET_END
        if not whole:
            path.unlink()
            path = self.cache.file(path.name, write)
        return read_rows(path)
