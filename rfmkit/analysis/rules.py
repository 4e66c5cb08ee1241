"""Rules on patients as a clinic file writes them: a small tree of conditions, read once, in which no code is run."""

from __future__ import annotations

import datetime as dt
import difflib
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from rfmkit.errors import Problem

ALL, ANY, NOT = "all", "any", "not"
_OPERATORS = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
#: What is true where a comparison is not.
_OPPOSITE = {"<=": ">", ">=": "<", "!=": "=", "<": ">=", ">": "<=", "=": "!="}
_COMPARED = re.compile(r"\s*(<=|>=|!=|<|>|=)\s*(.*\S)\s*")
_AND = re.compile(r"\s+and\s+(?=[<>=!])")


@dataclass(frozen=True)
class Column:
    """What a rule may ask of a patient.

    Parameters
    ----------
    kind : {"whole", "number", "day", "yes_no", "text", "bought"}
        Of "bought" a rule names what: whether the patient ever bought it.
    low, high : float or None
        Between which values it lies.
    values : tuple of str or None
        All the texts that there can be; None where they are not known.
    missing : bool
        Whether it may be unknown of a patient.
    """

    kind: Literal["whole", "number", "day", "yes_no", "text", "bought"]
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] | None = None
    missing: bool = False


class State(Protocol):
    """Patients at one moment."""

    def __len__(self) -> int:
        """How many patients."""

    def of(self, column: str) -> np.ndarray:
        """Their values of a column; missing ones are NaN, NaT or None."""

    def bought(self, column: str, name: str) -> np.ndarray:
        """Whether each has ever bought the service or category `name`."""


@dataclass(frozen=True)
class Comparison:
    """A column compared with a value; a missing value meets no comparison."""

    column: str
    kind: str
    sign: str
    value: object

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {self.value}"

    def met(self, state: State) -> np.ndarray:
        """Which of the patients meet it."""
        if self.kind == "bought":
            return state.bought(self.column, self.value) == (self.sign == "=")
        values = state.of(self.column)
        there = ~pd.isna(values)
        found = np.zeros(len(values), bool)
        value = np.datetime64(self.value) if self.kind == "day" else self.value
        found[there] = _OPERATORS[self.sign](values[there], value)
        return found


@dataclass(frozen=True)
class Every:
    """All of some rules."""

    rules: tuple[Rule, ...]

    def met(self, state: State) -> np.ndarray:
        """Which of the patients meet all of them."""
        return np.logical_and.reduce([rule.met(state) for rule in self.rules])


@dataclass(frozen=True)
class Some:
    """One of some rules, or several."""

    rules: tuple[Rule, ...]

    def met(self, state: State) -> np.ndarray:
        """Which of the patients meet any of them."""
        return np.logical_or.reduce([rule.met(state) for rule in self.rules])


@dataclass(frozen=True)
class Not:
    """The opposite of a rule."""

    rule: Rule

    def met(self, state: State) -> np.ndarray:
        """Which of the patients do not meet it."""
        return ~self.rule.met(state)


Rule = Comparison | Every | Some | Not


def comparisons(rule: Rule) -> Iterator[Comparison]:
    """All comparisons of a rule, in the order in which they are written."""
    match rule:
        case Comparison():
            yield rule
        case Not(inner):
            yield from comparisons(inner)
        case Every(rules) | Some(rules):
            for inner in rules:
                yield from comparisons(inner)


def opposite(comparison: Comparison) -> Comparison:
    """The comparison that is met where this one is not, of values that are there."""
    return Comparison(comparison.column, comparison.kind, _OPPOSITE[comparison.sign], comparison.value)


class RuleReader:
    """Reads the rules of a clinic file; what is wrong with them is gathered in `problems`.

    Parameters
    ----------
    columns : mapping
        What a rule may ask.
    where : str
        The place of the rule, for messages.
    """

    def __init__(self, columns: Mapping[str, Column], where: str):
        self.columns, self.where = columns, where
        self.problems: list[Problem] = []

    def read(self, when: object) -> Rule | None:
        """A rule from its table, or None where it cannot be read.

        Every key of the table must be met: a column with what it must be, or ``all``, ``any`` with a list of tables,
        or ``not`` with a table.
        """
        if not isinstance(when, Mapping) or not when:
            self._complain("", "is no table of conditions", 'Write for example {total_spend = ">= 20000"}.')
            return None
        parts = [self._part(key, value) for key, value in when.items()]
        if self.problems or not all(parts):
            return None
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _part(self, key: str, value: object) -> Rule | None:
        if key == NOT:
            inner = self.read(value)
            return Not(inner) if inner else None
        if key in {ALL, ANY}:
            if not isinstance(value, list) or not value:
                self._complain(key, "is no list of tables", f'Write {key} = [{{visit_count = "> 4"}}, …].')
                return None
            rules = [self.read(inner) for inner in value]
            return (Every if key == ALL else Some)(tuple(rules)) if all(rules) else None
        if key not in self.columns:
            near = difflib.get_close_matches(key, self.columns, n=1)
            known = ", ".join([*self.columns, ALL, ANY, NOT])
            fix = f"Did you mean {near[0]}?" if near else f"There are: {known}."
            self._complain(key, "no such column in this clinic's data", fix)
            return None
        return self._condition(key, value)

    def _condition(self, column: str, value: object) -> Rule | None:
        """What one column must be: a value, a comparison, several joined by "and", or a list of values."""
        if isinstance(value, list):
            if not value:
                self._complain(column, "is an empty list", "Name what it may be.")
                return None
            some = [self._compared(column, "=", one) for one in value]
            return Some(tuple(some)) if all(some) else None
        if isinstance(value, str) and _COMPARED.fullmatch(value):
            parts = [_COMPARED.fullmatch(part) for part in _AND.split(value)]
            every = [self._compared(column, part[1], _as_written(part[2])) for part in parts]
            if not all(every):
                return None
            return every[0] if len(every) == 1 else Every(tuple(every))
        return self._compared(column, "=", value)

    def _compared(self, column: str, sign: str, value: object) -> Comparison | None:
        kind = self.columns[column].kind
        read, example = _VALUES[kind]
        try:
            found = read(value)
        except (TypeError, ValueError):
            found = None
        if found is None or (kind in {"text", "yes_no", "bought"} and sign not in {"=", "!="}):
            self._complain(column, "is compared with what it cannot be", f"Write for example {column} = {example}.")
            return None
        known = self.columns[column].values
        if kind == "text" and known is not None and found not in known:
            near = difflib.get_close_matches(found, known, n=1)
            fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            self._complain(column, f"there is no {found}", fix)
            return None
        return Comparison(column, kind, sign, found)

    def _complain(self, key: str, what: str, fix: str) -> None:
        self.problems.append(Problem(f"{self.where} {key}".rstrip(), what, fix))


def _as_written(text: str) -> object:
    """What stands behind a sign, without the quotes that a text may have."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not np.isfinite(number):
        raise ValueError
    return number


def _day(value: object) -> dt.date:
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date | str):
        raise TypeError
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


def _yes_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[value] if value in ("true", "false") else None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


#: How a value of each kind is read, and an example of what stands behind a column.
_VALUES = {
    "whole": (_number, '"> 4"'),
    "number": (_number, '">= 20000"'),
    "day": (_day, '">= 2026-01-31"'),
    "yes_no": (_yes_no, "true"),
    "text": (_text, '"champions"'),
    "bought": (_text, '"Whitening"'),
}
