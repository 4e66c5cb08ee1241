"""What a study rests on: which files, which of their lines, and the visits these make."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rfmkit.cache import Cache, kept
from rfmkit.clinic import Clinic
from rfmkit.data.inputs import InputFile, check_settled, input_files
from rfmkit.errors import Problem, RfmkitError, raise_all
from rfmkit.period import Period, month_period
from rfmkit.rows import as_table, engine_faults, write_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from rfmkit.data.checks import CheckedLines


_PARQUET_END = b"PAR1"


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
    """

    def __init__(self, clinic: Clinic, month: str, *, reader: Any = None, today: dt.date | None = None):
        self.clinic = clinic
        self.month = month
        self.reader = reader
        self.today = today
        self.month_period = month_period(month)
        self.as_of = self.month_period.end
        self.period = Period.trailing(self.as_of, clinic.loyalty.period_months)

    @cached_property
    def inputs(self) -> list[InputFile]:
        """The files that were read, transactions first."""
        return [file for files in self._files.values() for file in files]

    @cached_property
    def _files(self) -> dict[str, list[InputFile]]:
        """The files of each part of the clinic file that names some."""
        files, errors = {}, []
        for name, part in self._parts_with_files().items():
            try:
                where = f"{self.clinic.path.name} [{name}] source"
                files[name] = input_files(part.source, self.clinic.folder, where)
            except RfmkitError as error:
                errors.append(error)
        raise_all(errors)
        return files

    def _parts_with_files(self) -> dict[str, Any]:
        parts = {"transactions": self.clinic.transactions, "patients": self.clinic.patients}
        return {name: part for name, part in parts.items() if part is not None}

    @cached_property
    def input_digest(self) -> str:
        """What identifies the content of all inputs."""
        return hashlib.sha256("".join(file.sha256 for file in self.inputs).encode()).hexdigest()

    @cached_property
    def cache(self) -> Cache:
        """Where the tables of this study are kept."""
        scheme = self.clinic.scheme
        own_scheme = hashlib.sha256(scheme.read_bytes()).hexdigest() if isinstance(scheme, Path) else scheme
        depends_on = [
            hashlib.sha256(self.clinic.path.read_bytes()).hexdigest(),
            own_scheme,
            self.month,
            str(self.today),
            *(f"{file.name} {file.sha256}" for file in self.inputs),
        ]
        # Clinic files of one name in different folders have caches of their own.
        folder = hashlib.sha256(str(self.clinic.path).encode()).hexdigest()[:8]
        return Cache(f"{self.clinic.key}-{folder}", self.month, "\n".join(depends_on))

    @kept
    def checked(self) -> dict:
        """What became of the lines: ``rows``, ``rejects``, ``problems``, ``depends_on_today``."""
        lines, problems = self._lines
        return {
            "rows": lines.rows,
            "rejects": lines.rejects,
            "problems": lines.problems + problems,
            "depends_on_today": lines.depends_on_today,
        }

    @cached_property
    def _lines(self) -> tuple[CheckedLines, list[Problem]]:
        """Read and check both files; what is wrong with either is told at once."""
        from rfmkit.data.checks import check_lines
        from rfmkit.data.people import check_people
        from rfmkit.data.sources import read_export

        lines, problems, errors = None, [], []
        with self.cache.scratch() as scratch, engine_faults():
            for name, part in self._parts_with_files().items():
                folder = scratch / name
                folder.mkdir()
                try:
                    export = read_export(self._files[name], part, folder)
                    if name == "transactions":
                        lines = check_lines(export, part, self.as_of, self.today)
                    else:
                        problems = check_people(export, part)
                except RfmkitError as error:
                    errors.append(error)
        raise_all(errors)
        check_settled(self.inputs)
        return lines, problems

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
        """The kept lines."""
        return self._rows("transactions", lambda: self._lines[0].kept)

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

        path = self.cache.file(f"{name}.parquet", write)
        with path.open("rb") as stream:
            stream.seek(-min(len(_PARQUET_END), path.stat().st_size), os.SEEK_END)
            whole = stream.read() == _PARQUET_END
        if not whole:
            path.unlink()
            path = self.cache.file(path.name, write)
        return as_table(path)
