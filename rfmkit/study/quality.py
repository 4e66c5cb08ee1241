"""What the data of a study can say, and what they cannot."""

from __future__ import annotations

import pandas as pd

from rfmkit.cache import kept
from rfmkit.study.intake import Intake


class Quality(Intake):
    """The part of a study that says what its data can tell."""

    @property
    def findings(self) -> pd.DataFrame:
        """What the checks of the export found, the serious first: ``check, count, where, done, serious``."""
        from rfmkit.analysis.quality import findings

        return findings(self.problems)

    @property
    def history_reach(self) -> pd.DataFrame:
        """One row: how far the export reaches, and of how many patients the first visit is known."""
        from rfmkit.analysis.quality import history_reach

        months = {"period_months": self.clinic.loyalty.period_months, "active_months": self.clinic.active_months}
        complete = self.clinic.transactions.complete_history
        return history_reach(self.summary, self.known, self.as_of, complete_history=complete, **months)

    @kept
    def visit_volume(self) -> pd.DataFrame:
        """Visits, and open days without any, by month: ``month, visits, days_without_visits``."""
        from rfmkit.analysis.quality import visit_volume, visits_by_day
        from rfmkit.data.doubts import closed_days

        by_day = visits_by_day(self.visits)
        return visit_volume(by_day, closed_days(by_day).index, self.as_of)

    @kept
    def coverage(self) -> pd.DataFrame:
        """Which columns the export has and how full they are: ``part, column, mapped, filled``, missing ones first."""
        from rfmkit.analysis.quality import coverage

        return coverage(self.transactions, self.people, self.summary["patient_id"])
