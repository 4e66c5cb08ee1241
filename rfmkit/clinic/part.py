"""What every part of a clinic file is: keys that are known, values of their kind, nothing else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a clinic file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
