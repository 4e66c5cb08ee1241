"""Errors, sorted by who must act; each says where, what and what to do, and never shows a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in one line for the person who can put it right.

    Parameters
    ----------
    where : str
        File and place: ``payments.csv:17 «Сумма»``.
    what : str
        What is wrong there, without any part of the value.
    fix : str, default ""
        What to do about it, as a full sentence.
    count : int, default 1
        How many have the same fault; `where` is then the first of them.
    unit : str, default "lines"
        Of what there are so many.
    check : str, default ""
        Which check found it, as a key that reports have words for.
    done : str, default ""
        What was done about it, as such a key: "rejected", "dropped", "kept" …
    """

    where: str
    what: str
    fix: str = ""
    count: int = 1
    check: str = ""
    done: str = ""
    unit: str = "lines"

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}."
        if self.fix:
            line += f" {self.fix}"
        if self.count > 1:
            line += f" ({self.count} such {self.unit})"
        return line


class RfmkitError(Exception):
    """Something a person can put right; shown without a traceback.

    Parameters
    ----------
    problems : Problem or iterable of Problem
        Everything that is wrong, not only the first.
    """

    exit_code = 13

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class UsageError(RfmkitError):
    """The command or the call must change."""

    exit_code = 2


class ClinicFileError(RfmkitError):
    """The clinic file must change."""

    exit_code = 10


class ExportError(RfmkitError):
    """The clinic's export must change."""

    exit_code = 11


class SurroundingsError(RfmkitError):
    """The machine must change: disk, database, lock, memory."""

    exit_code = 12


def raise_all(errors: Iterable[RfmkitError]) -> None:
    """Raise what several steps complained of as one error; it is for whoever must act on the first."""
    errors = list(errors)
    if errors:
        raise type(errors[0])([problem for error in errors for problem in error.problems])


#: What each code of `NotEnoughData` says, in English; reports word it in their own language.
_REASONS = {
    "few_patients": "{have} patients came in the window; groups need at least {need}",
    "few_known_cohorts": "sex and age of {have} patients are known; cohorts need those of at least {need}",
    "few_next_services": "{have} patients took another service in the last 3 months; a test needs {need}",
    "few_repeat_patients": "{have} patients came back at least once; a model needs at least {need}",
    "few_paying_patients": "{have} patients paid when they came back; a model needs at least {need}",
    "no_model_beats_history": "the model misses by {mae:.2f} visits a patient, mere repetition by {naive_mae:.2f}",
    "model_not_converged": "the model {model} did not settle on finite parameters",
    "no_mean_spend": "the spend of these patients has no finite mean (q = {q:.2f}, it must exceed 1)",
    "short_history": "the history before the test period has {have_months} months; it needs {need_months}",
    "few_calibration_patients": "{have} patients came back before the test period; at least {need} are needed",
    "history_starts_late": "the export begins on {first_visit}; it must reach back to {needed}",
    "no_visits": "no visit between {start} and {end}",
    "no_paid_visits": "no paid visit between {start} and {end}",
    "no_tags": "the clinic file sets no tags",
    "no_patients_at_start": "no patient was active on {day}",
    "no_patients_file": "without a file of patients nobody is known to have consented to being contacted",
    "no_consents": "the file of patients has no column of consents with a column of contacts to it",
}


#: The status of a part that the clinic file does not ask for, and the codes that say so: a report is silent about it.
NOT_ASKED = "not_asked"
_NOT_ASKED_CODES = frozenset({"no_tags"})


class NotEnoughData(Exception):
    """The data do not carry the answer; a report says so in its place and goes on.

    Parameters
    ----------
    code : str
        Which gate was not passed.
    **numbers
        What there is and what would be needed.
    """

    def __init__(self, code: str, **numbers):
        self.code = code
        self.numbers = numbers
        super().__init__(code, numbers)

    @property
    def status(self) -> str:
        """Of a part that this is the reason of: ``not_enough_data``, ``no_model_beats_history`` or ``not_asked``."""
        if self.code in _NOT_ASKED_CODES:
            return NOT_ASKED
        return self.code if self.code == "no_model_beats_history" else "not_enough_data"

    def __reduce__(self):
        # Exceptions are rebuilt from their positional arguments alone; the numbers must survive a process boundary.
        return _not_enough_data, (self.code, self.numbers)

    def __str__(self) -> str:
        return _REASONS[self.code].format(**self.numbers)


def _not_enough_data(code: str, numbers: dict) -> NotEnoughData:
    return NotEnoughData(code, **numbers)
