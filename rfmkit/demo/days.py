"""Days of the demo: whole numbers from its first day, and the next day a clinic is open."""

from __future__ import annotations

import re

import numpy as np

from rfmkit.demo.recipe import Recipe
from rfmkit.errors import Problem, UsageError

FIRST_MONTH = np.datetime64("2021-11", "M")
FIRST_DAY = FIRST_MONTH.astype("datetime64[D]")
NEVER = np.iinfo(np.int64).min  # the day number of what has not happened


def months_through(through: str) -> int:
    """The number of months from the first one to `through` ("2026-10"), both included."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", through) or np.datetime64(through, "M") < FIRST_MONTH:
        raise UsageError(Problem("through", f"is no month from {FIRST_MONTH} on", "Write it as 2026-10."))
    return int((np.datetime64(through, "M") - FIRST_MONTH).astype(int)) + 1


def month_days(month: int) -> tuple[int, int]:
    """First and last day of a month, as day numbers."""
    start, after = (FIRST_MONTH + np.array([month, month + 1])).astype("datetime64[D]") - FIRST_DAY
    return int(start.astype(int)), int(after.astype(int)) - 1


def to_dates(days: np.ndarray) -> np.ndarray:
    """Day numbers as datetime64[s], `NEVER` as NaT."""
    # The smallest whole number is NumPy's NaT, so NEVER stays "not a time" through the sum.
    return (FIRST_DAY + days.astype("timedelta64[D]")).astype("datetime64[s]")


def next_open(recipe: Recipe, last: int) -> np.ndarray:
    """For each day to some weeks after `last`, the first day from it on that the clinic is open."""
    days = FIRST_DAY + np.arange(last + 60)
    month = days.astype("datetime64[M]")
    weekday = (days.astype(int) + 3) % 7  # 1970-01-01 was a Thursday, Monday is 0
    code = (month.astype(int) % 12 + 1) * 100 + (days - month).astype(int) + 1
    closed = np.isin(weekday, recipe.closed_weekdays)
    closed |= np.isin(code, [month * 100 + day for month, day in recipe.closed_days])
    number = np.where(closed, days.size, np.arange(days.size))
    return np.minimum.accumulate(number[::-1])[::-1]
