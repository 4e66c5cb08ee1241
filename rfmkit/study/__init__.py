"""A study: one clinic at the end of one month, every table of it computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rfmkit.errors import NotEnoughData
from rfmkit.study.loyalty import Returns
from rfmkit.study.movement import Moves
from rfmkit.study.next_service import Next
from rfmkit.study.portraits import Portraits
from rfmkit.study.quality import Quality
from rfmkit.study.reach import Reach
from rfmkit.study.tags import Tags
from rfmkit.study.value import Value

if TYPE_CHECKING:
    import pandas as pd

#: What a recommendation can say of a group beside its figures, the part of the study that it is of, and its table.
_DETAILS = {
    "traits": ("portraits", "portrait_traits"),
    "services": ("next_service", "next_services"),
    "reach": ("reach", "reach_by_segment"),
}
#: The parts of a study that data can be too few for, and the table that tells.
_PARTS = {
    "segments": "segments",
    "portraits": "portraits",
    "cohorts": "patient_cohorts",
    "recommendations": "recommendations",
    "next_service": "next_services",
    "reach": "reach_by_segment",
    "clv": "patient_values",
    "holdout": "holdout",
    "loyalty": "loyalty",
    "crr": "retention",
    "tags": "tag_history",
    "movement": "month_movement",
    "movement_year": "year_movement",
}


@dataclass(frozen=True)
class Part:
    """Whether a part of a study stands: `status` is ``ok``, or that of the `reason`."""

    status: str
    reason: NotEnoughData | None = None

    @property
    def ok(self) -> bool:
        """Whether the part stands."""
        return self.status == "ok"


class Study(Reach, Portraits, Moves, Next, Value, Returns, Quality, Tags):
    """One clinic at the end of one month; open it with `rfmkit.open_study`.

    Every attribute is computed when it is first asked for. Where the data are too few, asking raises `NotEnoughData`;
    `part` tells beforehand. Its rows are those of its `Intake`; each part of it, a class, answers one question.
    """

    def __repr__(self) -> str:
        return f"<Study of {self.clinic.key}, {self.month}: {', '.join(name for name in dir(self) if name[0] != '_')}>"

    def part(self, name: str) -> Part:
        """Whether a part stands: ``segments``, ``portraits``, ``clv`` … as `parts` names them."""
        try:
            getattr(self, _PARTS[name])
        except NotEnoughData as reason:
            return Part(reason.status, reason)
        return Part("ok")

    @property
    def parts(self) -> dict[str, Part]:
        """Every part and whether it stands."""
        return {name: self.part(name) for name in _PARTS}

    @property
    def recommendation_details(self) -> dict[str, pd.DataFrame]:
        """Whom each group holds, what to offer it and who can be reached, as far as the data tell.

        ``traits``, ``services`` and ``reach``, as `rfmkit.tables.recommendations` takes them.
        """
        return {name: getattr(self, table) for name, (part, table) in _DETAILS.items() if self.part(part).ok}

    def compute(self) -> None:
        """Compute every table now, so that whoever opens the same study finds them."""
        for name in dir(type(self)):
            if not name.startswith("_") and isinstance(getattr(type(self), name), cached_property):
                try:
                    getattr(self, name)
                except NotEnoughData:
                    continue

    @property
    def provenance(self) -> dict:
        """Where the numbers come from."""
        from rfmkit import __version__

        return {
            "version": __version__,
            "clinic": self.clinic.key,
            "name": self.clinic.name,
            "month": self.month,
            "as_of": self.as_of,
            "first_day": self.patients["first_visit"].min().date(),
            "rows": self.rows,
            "patients": len(self.patients),
            "input_digest": self.input_digest,
        }
