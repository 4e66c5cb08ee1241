"""What the patients of a study may take next."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.errors import NotEnoughData
from rfmkit.period import Period
from rfmkit.study.sales import Sales

if TYPE_CHECKING:
    import datetime as dt

    import ibis.expr.types as ir

    from rfmkit.analysis.next_service import HitRates, Steps


class Next(Sales):
    """The part of a study that says what its patients may take next."""

    @kept
    def next_rules(self) -> pd.DataFrame:
        """What is taken after what: ``taken, next, patients, support, confidence, lift`` …"""
        from rfmkit.analysis.next_service import next_rules

        _ = self.next_hit_rates
        return next_rules(self._steps.all, min_count=self.clinic.report.min_count)

    @kept
    def next_hit_rates(self) -> HitRates:
        """How often one of three recommended services was taken next in the last three months, held back."""
        from rfmkit.analysis.next_service import LEAST, hit_rates

        if "service" not in self.transactions.columns:
            raise NotEnoughData("few_next_services", have=0, need=LEAST)
        least, start = self.clinic.report.min_count, self._held_back
        return hit_rates(self._service_days, self._services, self._steps.early, start, self.as_of, min_count=least)

    @kept
    def patient_next_services(self) -> pd.DataFrame:
        """Three services for each patient: ``patient_id, place, service, score``. For the clinic alone.

        What patients with the same last services took next, if that came closer to the months held back than what is
        popular; else the popular.
        """
        from rfmkit.analysis.next_service import last_services, popular_next, recommend

        rules = self.next_rules if self.next_hit_rates.better else self.next_rules.head(0)
        last = last_services(self._service_days, self._services)
        offered = recommend(last, rules, popular_next(self._steps.all))
        offered.insert(0, "patient_id", self.names_sold["patient_id"][offered.pop("patient")])
        return offered

    @kept
    def next_services(self) -> pd.DataFrame:
        """Which service comes first for how many patients of each segment: ``segment, service, patients, share``."""
        from rfmkit.analysis.next_service import next_by_group

        _ = self.cuts  # raises where there are too few patients to group
        return next_by_group(self.patient_next_services, self.patients, self.scheme.segments)

    @property
    def _held_back(self) -> dt.date:
        """The first day of the months held back."""
        from rfmkit.analysis.next_service import HELD_BACK_MONTHS

        return Period.trailing(self.as_of, HELD_BACK_MONTHS).start

    @property
    def _services(self) -> pd.Index:
        return self.names_sold["service"]

    @property
    def _service_days(self) -> ir.Table:
        from rfmkit.analysis.next_service import service_days

        left_out = self._services.get_indexer(self.clinic.next_service.leave_out)
        return self._rows("service_days", lambda: service_days(self.sales, left_out[left_out >= 0].tolist()))

    @cached_property
    def _steps(self) -> Steps:
        from rfmkit.analysis.next_service import count_steps, steps_of

        return count_steps(steps_of(self._service_days), self._services, self._held_back)
