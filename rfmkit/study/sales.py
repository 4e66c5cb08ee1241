"""The sales of a study with numbers in the place of names, which are quicker to group and to join."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    import ibis.expr.types as ir


class Sales(Intake):
    """The part of a study that says what was sold to whom, for the parts that ask it of every line."""

    @kept
    def names_sold(self) -> dict[str, pd.Index]:
        """The names that numbers stand for: of ``patient_id``, and of ``service, category, branch`` where known."""
        from rfmkit.data.bought import names_in, sales_of

        return {"patient_id": pd.Index(self.summary["patient_id"])} | names_in(sales_of(self.transactions))

    @property
    def sales(self) -> ir.Table:
        """The lines that are no refunds; a name is its number among `names_sold`."""
        from rfmkit.data.bought import sales_of
        from rfmkit.rows import numbered

        return self._rows("sales", lambda: numbered(sales_of(self.transactions), self.names_sold))

    @property
    def patient_traits(self) -> ir.Table:
        """What each patient has ever taken, and where and when they usually come: ``patient_id, kind, item``."""
        from rfmkit.analysis.traits import traits_of

        return self._rows("traits", lambda: traits_of(self.sales))
