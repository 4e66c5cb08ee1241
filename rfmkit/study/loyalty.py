"""Whether the patients of a study come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    from rfmkit.analysis.loyalty import Loyalty, Retention


class Returns(Intake):
    """The part of a study that says whether the patients come back."""

    @kept
    def loyalty(self) -> Loyalty:
        """RPR, AOV and CRR of the trailing period, and the month alone."""
        from rfmkit.analysis.loyalty import Loyalty, average_order_value, period_figures, repeat_purchase_rate

        return Loyalty(
            rpr=repeat_purchase_rate(self.visits, self.period),
            aov=average_order_value(self.visits, self.period),
            crr=self.retention if self.part("crr").ok else None,
            month=period_figures(self.visits, self.refunds, self.month_period),
        )

    @kept
    def retention(self) -> Retention:
        """CRR of the trailing period, and its bridge."""
        from rfmkit.analysis.loyalty import customer_retention_rate

        return customer_retention_rate(self.visits, self.period, self.clinic.active_months)

    @kept
    def loyalty_history(self) -> pd.DataFrame:
        """Revenue, visits, active patients and the trailing rates over the last 24 months."""
        from rfmkit.analysis.loyalty import loyalty_history

        return loyalty_history(
            self.visits,
            self.refunds,
            self.as_of,
            period_months=self.clinic.loyalty.period_months,
            active_months=self.clinic.active_months,
        )

    @property
    def headline(self) -> pd.DataFrame:
        """The five headline numbers, with last month's and last year's."""
        from rfmkit.analysis.loyalty import headline

        return headline(self.loyalty_history)
