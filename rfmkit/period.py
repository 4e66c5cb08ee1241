"""Closed periods of whole calendar months; every window of rfmkit is one of these."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple


class Period(NamedTuple):
    """A closed interval of days.

    Parameters
    ----------
    start, end : datetime.date
        First and last day, both inside.

    Examples
    --------
    >>> import datetime as dt
    >>> Period.trailing(dt.date(2026, 10, 31), 12)
    Period(start=datetime.date(2025, 11, 1), end=datetime.date(2026, 10, 31))
    """

    start: dt.date
    end: dt.date

    @classmethod
    def trailing(cls, end: dt.date, months: int) -> Period:
        """The `months` whole calendar months that end on `end`."""
        return cls(add_months(end + dt.timedelta(days=1), -months), end)

    @property
    def eve(self) -> dt.date:
        """The day before the period."""
        return self.start - dt.timedelta(days=1)


def as_day(value: dt.date) -> dt.date:
    """A date as a day, without the time that a timestamp carries.

    Raises
    ------
    TypeError
        If it is no date.
    """
    if not isinstance(value, dt.date):
        raise TypeError(
            f"a day is given as datetime.date, for example datetime.date(2026, 10, 31), not as {type(value).__name__}"
        )
    return value.date() if isinstance(value, dt.datetime) else value


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day of the month, `months` later; the month's last day where it has no such day."""
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = dt.date(years, month + 1, 1)
    length = (dt.date(years + (month == 11), (month + 1) % 12 + 1, 1) - first).days
    return first.replace(day=min(day.day, length))


def month_period(month: str) -> Period:
    """The calendar month written ``YYYY-MM``.

    Raises
    ------
    ValueError
        If `month` is not written so.
    """
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month) or month < "0001":
        raise ValueError("a month is written YYYY-MM, for example 2026-10")
    start = dt.date.fromisoformat(f"{month}-01")
    return Period(start, add_months(start, 1) - dt.timedelta(days=1))


def month_ends(as_of: dt.date, months: int) -> list[dt.date]:
    """The last days of the `months` windows that end at `as_of` and at each month before, oldest first."""
    after = as_of + dt.timedelta(days=1)
    return [add_months(after, -back) - dt.timedelta(days=1) for back in range(months - 1, -1, -1)]
