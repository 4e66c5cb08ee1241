"""Into which cohorts a clinic parts its patients, and what it says to them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rfmkit.clinic.part import Part

SEXES = ("female", "male")
#: Instead of a group: a text for a cohort whatever its group.
ALL = "all"
_OLDEST = 120

_Age = Annotated[int, Field(ge=1, le=_OLDEST)]
_Text = Annotated[str, Field(min_length=1, max_length=600)]


class Portraits(Part):
    """Cohorts by sex and age, and texts of the clinic's own for them."""

    cohorts: Annotated[list[Literal["sex", "age"]], Field(min_length=1, max_length=2)] = Field(
        default_factory=lambda: ["sex", "age"]
    )
    ages: Annotated[list[_Age], Field(min_length=1, max_length=11)] = Field(default_factory=lambda: [18, 35, 55])
    texts: dict[str, dict[str, _Text]] = Field(default_factory=dict)

    @field_validator("ages")
    @classmethod
    def _ascending(cls, ages: list[int]) -> list[int]:
        if any(low >= high for low, high in pairwise(ages)):
            raise ValueError("must be in ascending order, none twice")
        return ages

    @field_validator("cohorts")
    @classmethod
    def _each_once(cls, cohorts: list[str]) -> list[str]:
        if len(set(cohorts)) < len(cohorts):
            raise ValueError("must name each once")
        return cohorts

    @property
    def age_bands(self) -> list[str]:
        """The bands of age in years, ``0_17, 18_34 … 55``: the last has no end."""
        limits = [0, *self.ages]
        return [*(f"{low}_{high - 1}" for low, high in pairwise(limits)), str(limits[-1])]

    @property
    def keys(self) -> list[str]:
        """The keys of all cohorts, in order: ``female_18_34``, or ``female``, or ``age_18_34``."""
        if self.cohorts == ["sex"]:
            return list(SEXES)
        return [f"{first}_{band}" for first in (SEXES if "sex" in self.cohorts else ["age"]) for band in self.age_bands]

    @model_validator(mode="after")
    def _texts_of_cohorts(self):
        known = {*self.keys, *(SEXES if "sex" in self.cohorts else ())}
        unknown = sorted({cohort for texts in self.texts.values() for cohort in texts} - known)
        if unknown:
            raise ValueError(f"texts: there is no cohort {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return self
