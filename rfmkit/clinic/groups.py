"""How a clinic's patients are scored and grouped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rfmkit.clinic.part import Part

_HALVES = 2
_Window = Annotated[int, Field(ge=0, le=600)]
_Thresholds = Annotated[list[Annotated[float, Field(strict=False)]], Field(max_length=8)]


class Thresholds(Part):
    """The clinic's own numbers, ascending: within so many days, more than so many visits, more than so much money."""

    recency_days: _Thresholds | None = None
    days_overdue: _Thresholds | None = None
    visit_count: _Thresholds
    total_spend: _Thresholds

    @field_validator("*")
    @classmethod
    def _ascending(cls, limits: list[float] | None) -> list[float] | None:
        if limits is not None and sorted(limits) != limits:
            raise ValueError("must be in ascending order")
        return limits

    @property
    def limits(self) -> dict[str, list[float]]:
        """Measure → its numbers."""
        return self.model_dump(exclude_none=True)


class Windows(Part):
    """Windows of single measures, where they differ from that of the others."""

    visit_count: _Window | None = None
    total_spend: _Window | None = None


class Rfm(Part):
    """How patients are scored and grouped."""

    window_months: _Window = 24
    windows: Windows = Windows()
    recency_by: Literal["visit", "recall"] = "visit"
    scoring: Literal["quantile", "threshold", "mean", "median"] = "quantile"
    thresholds: Thresholds | None = None
    bins: Annotated[int, Field(ge=2, le=9)] = 5
    scheme: str = "eleven"
    names: dict[str, Annotated[str, Field(min_length=1, max_length=60)]] = Field(default_factory=dict)
    min_patients: Annotated[int, Field(ge=1)] = 50

    @property
    def recency(self) -> str:
        """The measure that the recency score is of."""
        return "days_overdue" if self.recency_by == "recall" else "recency_days"

    @model_validator(mode="after")
    def _one_way_to_score(self):
        if self.scoring in {"mean", "median"} and self.bins != _HALVES:
            raise ValueError(f'scoring = "{self.scoring}" tells high from low: it needs bins = 2')
        if (self.scoring == "threshold") != bool(self.thresholds):
            raise ValueError('scoring = "threshold" and the part [rfm.thresholds] need each other')
        if self.thresholds:
            limits = self.thresholds.limits
            if {"recency_days", "days_overdue"} & limits.keys() != {self.recency}:
                raise ValueError(
                    f'recency_by = "{self.recency_by}" needs thresholds of {self.recency}, and of no other'
                )
            over = [name for name, numbers in limits.items() if len(numbers) >= self.bins]
            if over:
                raise ValueError(f"thresholds of {', '.join(over)}: {self.bins} bins have {self.bins - 1} at most")
        return self
