"""Tags that a clinic puts on patients by rule, and of whom it wants a list."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rfmkit.clinic.part import Part

#: A key becomes part of the name of a file.
TagKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class Tag(Part):
    """A tag: what it is called, and when a patient has it. `rfmkit.analysis.rules` reads the rule."""

    when: dict[str, Any]
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None


class Lists(Part):
    """Of which tags and groups the clinic wants a list of whom to follow up."""

    follow_up: list[str] = Field(default_factory=list)
