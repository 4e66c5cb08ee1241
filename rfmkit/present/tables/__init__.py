"""Tables: a frame or a result in, accessible HTML out; words and rounding, nothing computed but shares of a row.

Each function takes ``reader`` and returns a `Table`. Their HTML uses these elements and classes, and no inline style:

- ``table.rfm``, ``caption``, ``thead``, ``tbody``, ``tfoot`` (totals), ``tr``, ``th[scope]``, ``td``;
- ``.number`` on the cells and headings of a column of numbers;
- ``p.note`` under a table: what must be known to read it;
- ``section.advice`` for a recommendation: ``h3``, ``p.who``, ``dl`` of ``div > dt + dd``, ``p.what``, ``p.why``, which
  begin with ``strong`` and ``br``;
- ``p`` and ``ul.changes > li`` for what is told in sentences;
- a ``p`` alone where there is nothing to tabulate.
"""

from __future__ import annotations

from rfmkit.present.tables.advice import priorities, reach, recommendations
from rfmkit.present.tables.build import Table
from rfmkit.present.tables.groups import score_bands, score_cuts, segment_definitions, segments
from rfmkit.present.tables.loyalty import headline, loyalty_history, rates, retention
from rfmkit.present.tables.movement import changes, revenue_moves, segment_flows
from rfmkit.present.tables.next_service import next_rules, next_services
from rfmkit.present.tables.origin import definitions, provenance, rows
from rfmkit.present.tables.portraits import approaches, cohorts, portraits, traits
from rfmkit.present.tables.quality import coverage, findings, history_reach
from rfmkit.present.tables.tags import tags
from rfmkit.present.tables.value import (
    clv_basis,
    clv_gates,
    clv_parameters,
    clv_summary,
    historical_value,
    holdout,
    holdout_by_frequency,
    segment_value,
)

__all__ = [
    "Table",
    "approaches",
    "changes",
    "clv_basis",
    "clv_gates",
    "clv_parameters",
    "clv_summary",
    "cohorts",
    "coverage",
    "definitions",
    "findings",
    "headline",
    "historical_value",
    "history_reach",
    "holdout",
    "holdout_by_frequency",
    "loyalty_history",
    "next_rules",
    "next_services",
    "portraits",
    "priorities",
    "provenance",
    "rates",
    "reach",
    "recommendations",
    "retention",
    "revenue_moves",
    "rows",
    "score_bands",
    "score_cuts",
    "segment_definitions",
    "segment_flows",
    "segment_value",
    "segments",
    "tags",
    "traits",
]
