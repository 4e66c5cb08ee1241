"""After how many days a service is due again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rfmkit.clinic.part import Part

_Days = Annotated[int, Field(ge=1, le=3650)]


class Recall(Part):
    """Recall intervals in days: a service's own, else that of its category, else the default."""

    default: _Days
    service: dict[str, _Days] = Field(default_factory=dict)
    category: dict[str, _Days] = Field(default_factory=dict)
