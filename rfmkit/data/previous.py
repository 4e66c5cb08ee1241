"""Whether an export is the one that was meant: compared with what last month's report was made from."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rfmkit.errors import ExportError, Problem
from rfmkit.period import month_period

#: Fewer of last month's patients than this share: the export is of another clinic, or has other ids.
_KNOWN_SHARE = 0.5
#: Fewer visits than this share of those that a month had: lines that were reported on are gone.
_STILL_THERE = 0.9
#: Months of fewer visits than these are not compared.
_FEW = 20
#: Fewer lines than this share of last month's: the export is cut.
_HALF = 0.5


@dataclass(frozen=True)
class Previous:
    """What last month's report was made from.

    Attributes
    ----------
    month : str
        ``YYYY-MM``.
    inputs : frozenset of str
        The sha256 of its files.
    rows_read : int
        Lines that they had.
    patients : frozenset of str
        The ids of its patients.
    visits : dict
        Visits by month, ``YYYY-MM``, of its last 24 months.
    digest : str
        What identifies all this.
    """

    month: str
    inputs: frozenset[str]
    rows_read: int
    patients: frozenset[str]
    visits: dict[str, int]
    digest: str


def read_previous(reports: Path, clinic: str, month: str) -> Previous | None:
    """Read what the report of the month before was made from, or None where there is no whole one.

    Parameters
    ----------
    reports : pathlib.Path
        The folder of all reports.
    clinic, month : str
        The clinic's key, and the month that is reported on now.
    """
    before = f"{month_period(month).start - dt.timedelta(days=1):%Y-%m}"
    folder = reports / clinic / before
    try:
        content = (folder / "manifest.json").read_bytes()
        manifest = json.loads(content)
        volume = json.loads((folder / "metrics.json").read_bytes())["visit_volume"]
        patients = pd.read_parquet(io.BytesIO((folder / "patients.parquet").read_bytes()), columns=["patient_id"])
        return Previous(
            month=before,
            inputs=frozenset(one["sha256"] for one in manifest["inputs"]),
            rows_read=int(manifest["rows"]["read"]),
            patients=frozenset(patients["patient_id"]),
            visits={str(one["month"]): int(one["visits"]) for one in volume},
            digest=hashlib.sha256(content).hexdigest(),
        )
    except (OSError, KeyError, TypeError, ValueError):
        return None


def against_last_month(
    previous: Previous,
    *,
    spec,
    where: str,
    inputs: Set[str],
    rows_read: int,
    patients: pd.Series,
    visits: pd.Series,
    month_lines: int,
) -> list[Problem]:
    """Compare an export with last month's.

    Parameters
    ----------
    previous : Previous
    spec : rfmkit.clinic.Transactions
        Its ``accept`` says which differences are meant.
    where : str
        The first file, for messages.
    inputs : set of str
        The sha256 of the export's files.
    rows_read : int
    patients : pandas.Series
        The ids of the export's patients.
    visits : pandas.Series
        Visits by month, ``YYYY-MM``.
    month_lines : int
        Lines dated in the month that is reported on.

    Returns
    -------
    list of Problem
        What was seen and is accepted, or is only told.

    Raises
    ------
    ExportError
        If the files are last month's and have nothing of this month, few of last month's patients are in them, or
        visits of months that were reported on are gone.
    """
    found = []
    if inputs and inputs <= previous.inputs and not month_lines:
        what = f"is the same as for {previous.month}, and has no line of this month"
        found.append(Problem(where, what, "Export the month.", 1, "same_file", "rejected"))
    known = len(previous.patients & set(patients))
    if previous.patients and known < _KNOWN_SHARE * len(previous.patients):
        what = f"has {known} of the {len(previous.patients)} patients of {previous.month}: it may be another clinic's"
        fix = 'Check source; if it is meant: accept = {other_ids = "why"} in [transactions].'
        found.append(Problem(where, what, fix, 1, "other_ids", "rejected"))
    # An export may begin later than last month's did: its first month is not compared.
    shared = [month for month in previous.visits if visits.index.min() < month <= previous.month]
    before, now = sum(previous.visits[month] for month in shared), int(visits.reindex(shared).fillna(0).sum())
    if before >= _FEW and now < _STILL_THERE * before:
        what = f"has {now} visits of months up to {previous.month} in which there were {before}: it may be cut short"
        fix = 'Export it whole; if it is meant: accept = {fewer_visits = "why"} in [transactions].'
        found.append(Problem(where, what, fix, 1, "fewer_visits", "rejected"))
    refused = [problem for problem in found if problem.check not in spec.accept]
    if refused:
        raise ExportError(refused)
    told = [
        Problem(problem.where, problem.what, f"Accepted: {spec.accept[problem.check]}.", 1, problem.check, "accepted")
        for problem in found
    ]
    if rows_read < _HALF * previous.rows_read:
        what = f"has {rows_read} lines, where {previous.rows_read} were read for {previous.month}"
        fix = "If the history was not shortened on purpose, export it whole."
        told.append(Problem(where, what, fix, 1, "half_volume", "shown"))
    return told
