"""Who the patients of each group and each cohort of a study are."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from rfmkit.cache import kept
from rfmkit.study.sales import Sales


class Portraits(Sales):
    """The part of a study that says who is in a group, and what they have more often than others."""

    @kept
    def sex_and_age(self) -> pd.DataFrame:
        """Sex and age of every patient, in the rows of `patients`: ``patient_id, sex, age``."""
        from rfmkit.analysis.portraits import sex_and_age

        return sex_and_age(self.people, self.summary["patient_id"], self.as_of)

    @cached_property
    def patient_cohorts(self) -> pd.Series:
        """The cohort of every patient, in the rows of `patients`."""
        from rfmkit.analysis.portraits import cohorts_of

        terms, needed = self.clinic.portraits, self.clinic.rfm.min_patients
        return cohorts_of(
            self.sex_and_age, by=terms.cohorts, ages=terms.ages, bands=terms.age_bands, min_patients=needed
        )

    @kept
    def portraits(self) -> pd.DataFrame:
        """One row a segment: how many, how old, how often they come, what they spend and promise."""
        from rfmkit.analysis.portraits import portrait_table

        _ = self.cuts  # raises where there are too few patients to group
        return portrait_table(self._described, "segment", self.scheme.segments)

    @kept
    def portrait_traits(self) -> pd.DataFrame:
        """What each segment has more often than all others: services, branch, weekday, cohort …, tested."""
        _ = self.cuts
        return self._traits("segment", self.scheme.segments)

    @kept
    def cohorts(self) -> pd.DataFrame:
        """One row a cohort, as `portraits`."""
        from rfmkit.analysis.portraits import portrait_table

        _ = self.patient_cohorts  # raises where sex and age are not known
        return portrait_table(self._described, "cohort", self.clinic.portraits.keys)

    @kept
    def cohort_traits(self) -> pd.DataFrame:
        """What each cohort has more often than all others, tested."""
        _ = self.patient_cohorts
        return self._traits("cohort", self.clinic.portraits.keys)

    @cached_property
    def _described(self) -> pd.DataFrame:
        """The patients with their age and, where there are such, their cohort."""
        cohort = self.patient_cohorts if self.part("cohorts").ok else None
        return self.patients.assign(age=self.sex_and_age["age"], cohort=cohort)

    @cached_property
    def _trait_counts(self) -> pd.DataFrame:
        """How many patients of each segment and cohort have each trait: counted once for both divisions."""
        from rfmkit.analysis.traits import count_traits, with_names

        rows = self._described
        divisions = rows[["segment", "cohort"]].dropna(axis="columns", how="all")
        members = divisions.assign(patient_id=range(len(rows)), known=self.known)
        return with_names(count_traits(self.patient_traits, members), self.names_sold)

    def _traits(self, division: str, groups: list[str]) -> pd.DataFrame:
        from rfmkit.analysis.traits import count_cohorts, over_represented

        rows, counts = self._described, self._trait_counts.rename(columns={division: "group"})
        of = (
            counts.drop_duplicates(counts.columns.difference(["item", "patients"]))
            .groupby(["group", "kind"])["of"]
            .sum()
        )
        counts = (
            counts.groupby(["group", "kind", "item"])["patients"].sum().reset_index().join(of, on=["group", "kind"])
        )
        if division != "cohort" and self.part("cohorts").ok:
            counts = pd.concat([counts, count_cohorts(rows[division], rows["cohort"])], ignore_index=True)
        return over_represented(counts, groups, min_count=self.clinic.report.min_count)
