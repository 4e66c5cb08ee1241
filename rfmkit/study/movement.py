"""How the patients of a study moved between its segments."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    import datetime as dt

    from rfmkit.analysis.movement import Movement

_MONTH, _YEAR = 1, 12


class Moves(Intake):
    """The part of a study that says who moved between segments, by the cuts of its own month."""

    @cached_property
    def segment_history(self) -> pd.DataFrame:
        """Every patient's segment at the last 24 month ends: a row a patient, a column a month end."""
        from rfmkit.analysis.movement import segment_history

        cuts = self.cuts  # raises where there are too few patients to group
        return segment_history(self._rfm_history, self.summary, self.month_ends[1:], cuts, self.scheme)

    @kept
    def month_movement(self) -> Movement:
        """Who moved from which segment to which since the month end before."""
        return self._movement(_MONTH)

    @kept
    def year_movement(self) -> Movement:
        """Who moved from which segment to which since the same month end of the year before."""
        return self._movement(_YEAR)

    @kept
    def group_history(self) -> pd.DataFrame:
        """Patients of each segment at the last 24 month ends, or as many of them as the data tell of.

        ``month, segment, colour, patients, patients_share``.
        """
        from rfmkit.analysis.movement import group_history

        history = self.segment_history
        known = history[[pd.Timestamp(end) for end in self._known_month_ends]]
        return group_history(known, self.scheme.colours)

    def _movement(self, months: int) -> Movement:
        from rfmkit.analysis.movement import check_known, movement, step_periods

        _ = self.cuts  # raises where there are too few patients to group
        before, _ = step_periods(self.as_of, months)
        check_known(before.end, self._known_month_ends, self._first_day, self._longest_window)
        revenue = self._revenue_by_step[months]
        return movement(self.segment_history, self.as_of, months, revenue, self.scheme.colours)

    @cached_property
    def _revenue_by_step(self) -> dict[int, pd.DataFrame]:
        """What each patient paid ``before`` and ``after`` the month end that lies so many months back; read once."""
        from rfmkit.analysis.movement import step_periods
        from rfmkit.data.histories import revenue_by_period

        names = ("before", "after")
        steps = {months: dict(zip(names, step_periods(self.as_of, months), strict=True)) for months in (_MONTH, _YEAR)}
        periods = {f"{name} {months}": period for months, pair in steps.items() for name, period in pair.items()}
        money = revenue_by_period(self.visits, self.refunds, periods)
        return {
            months: money.rename(columns={f"{name} {months}": name for name in names})[list(names)] for months in steps
        }

    @property
    def _known_month_ends(self) -> list[dt.date]:
        from rfmkit.analysis.movement import known_month_ends

        complete = bool(self.known.all())
        return known_month_ends(
            self._first_day, self.as_of, len(self.month_ends) - 1, self._longest_window, complete_history=complete
        )

    @property
    def _first_day(self) -> dt.date:
        return (pd.Timestamp(self.as_of) - pd.Timedelta(days=int(self.summary["T"].max()))).date()

    @property
    def _longest_window(self) -> int:
        """Months of the longest window of the measures; 0 where all are the whole history."""
        rfm = self.clinic.rfm
        return max(rfm.window_months, *rfm.windows.model_dump(exclude_none=True).values(), 0)
