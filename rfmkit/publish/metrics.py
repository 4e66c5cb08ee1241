"""Every number of a report for machines: unrounded, in English keys, unknown ones as null."""

from __future__ import annotations

import datetime as dt
import json
import math
import numbers
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.errors import NotEnoughData
    from rfmkit.study import Study

_NO_NUMBERS = ["colour"]
#: The columns that say which cell of a matrix a row is.
_WHERE = {
    *("measure", "score", "recency_score", "frequency_score", "visit_count_band", "recency_band", "frequency"),
    *("from_segment", "to_segment"),
}
#: The moves that a report names.
_MOST_MOVES = 5


def metrics(study: Study) -> dict:
    """Gather the numbers of a study under the keys of the public contract.

    Parameters
    ----------
    study : Study

    Returns
    -------
    dict
        Ready for JSON. A part that the data do not carry has ``"status": "not_enough_data"`` and a ``"reason"``.
    """
    clinic = study.clinic
    return plain(
        {
            "clinic": clinic.key,
            "month": study.month,
            "as_of": study.as_of,
            "currency": clinic.currency,
            **{key: study.totals[key] for key in ("patients", "visits", "revenue")},
            "headline": {
                row["metric"]: {key: row[key] for key in ("value", "last_month", "last_year")}
                for row in _records(study.headline)
            },
            "loyalty": _part(study, "loyalty", _loyalty),
            "loyalty_history": _part(study, "loyalty", lambda study: _records(study.loyalty_history)),
            "segments": _part(study, "segments", lambda study: _records(study.segments)),
            "score_cuts": _part(study, "segments", lambda study: _records(study.score_cuts)),
            "score_bands": _part(study, "segments", lambda study: _cells(study, study.score_bands)),
            "score_grid": _part(study, "segments", lambda study: _cells(study, study.score_grid)),
            "movement": _part(study, "movement", lambda study: _movement(study, study.month_movement)),
            "movement_year": _part(study, "movement_year", lambda study: _movement(study, study.year_movement)),
            "group_history": _part(study, "movement", lambda study: _records(study.group_history)),
            "historical_value": _records(study.historical_value)[0],
            "clv": _part(study, "clv", _clv),
            "findings": _records(study.findings),
            "history_reach": _records(study.history_reach)[0],
            "visit_volume": _records(study.visit_volume),
            "portraits": _part(study, "portraits", lambda study: _portraits(study, study.portraits, "segment")),
            "portrait_traits": _part(study, "portraits", lambda study: _traits(study, study.portrait_traits)),
            "cohorts": _part(study, "cohorts", lambda study: _portraits(study, study.cohorts, "cohort")),
            "cohort_traits": _part(study, "cohorts", lambda study: _traits(study, study.cohort_traits)),
            "coverage": _records(study.coverage),
            "tags": _part(study, "tags", _tags),
            "next_service": _part(study, "next_service", _next_service),
            "reach": _part(study, "reach", _reach),
            "recommendations": _part(study, "recommendations", lambda study: _records(study.recommendations)),
        }
    )


def to_json(document: object) -> bytes:
    """A document as JSON text with a fixed form: the same document gives the same bytes."""
    return (json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode("utf-8")


def _part(study: Study, name: str, numbers_of) -> object:
    part = study.part(name)
    return numbers_of(study) if part.status == "ok" else _missing(part.reason)


def _missing(reason: NotEnoughData) -> dict:
    return {"status": reason.status, "reason": str(reason)}


def _tags(study: Study) -> list[dict]:
    """Who has each tag by month; a number of few patients is hidden, as it is in the report."""
    from rfmkit.present.disclosure import mask_small_cells

    counts = study.tag_counts
    for name in ("patients", "put_on", "taken_off"):
        counts = mask_small_cells(counts, columns=[name], min_count=study.clinic.report.min_count, count=name)
    return _records(counts)


def _loyalty(study: Study) -> dict:
    loyalty, crr = study.loyalty, study.part("crr")
    known = crr.status == "ok"
    return {
        "status": "ok",
        "rpr": _rate(loyalty.rpr),
        "aov": _rate(loyalty.aov),
        "crr": _rate(loyalty.crr) if known else _missing(crr.reason),
        "bridge": dict(loyalty.bridge) if known else _missing(crr.reason),
        "month": {
            "visits": loyalty.month.visits,
            "revenue": loyalty.month.revenue,
            "rpr": _rate(loyalty.month.rpr),
            "aov": _rate(loyalty.month.aov),
        },
    }


def _clv(study: Study) -> dict:
    model, summary, holdout = study.clv, _records(study.clv_summary)[0], study.part("holdout")
    return {
        "status": "ok",
        "model": model.model,
        "parameters": dict(model.parameters),
        "log_likelihood": model.log_likelihood,
        "aic": model.aic,
        "bic": model.bic,
        "spend_parameters": dict(model.spend_parameters),
        "spend_log_likelihood": model.spend_log_likelihood,
        "patients": model.patients,
        "repeat_patients": model.repeat_patients,
        "left_out": model.left_out,
        "unpaid": model.unpaid,
        "correlation": model.correlation,
        **summary,
        "gates": _records(study.clv_gates),
        "alive_grid": _cells(study, study.alive_grid),
        "holdout": _holdout(study) if holdout.status == "ok" else _missing(holdout.reason),
    }


def _movement(study: Study, movement) -> dict:
    from rfmkit.present.disclosure import mask_small_cells, without_small_groups

    min_count, flows, moved = study.clinic.report.min_count, movement.flows, movement.transitions["patients"] > 0
    for name in flows.columns.drop(["segment", "start", "end"]):
        flows = mask_small_cells(flows, columns=[name], min_count=min_count, count=name)
    return {
        "status": "ok",
        **{key: getattr(movement, key) for key in ("start", "end")},
        "flows": _records(flows),
        "transitions": _cells(study, movement.transitions[moved]),
        "moves": _records(without_small_groups(movement.moves, min_count=min_count).head(_MOST_MOVES)),
    }


def _holdout(study: Study) -> dict:
    holdout = study.holdout
    keys = ("calibration_end", "end", "predicted", "actual", "mae", "naive_predicted", "naive_mae")
    return {
        "status": "ok",
        **{key: getattr(holdout, key) for key in keys},
        "by_frequency": _cells(study, holdout.by_frequency),
    }


def _reach(study: Study) -> list[dict]:
    from rfmkit.present.disclosure import mask_small_counts

    frame = study.reach_by_segment
    counts, min_count = frame.columns.drop(["segment", "patients"]), study.clinic.report.min_count
    return _records(mask_small_counts(frame, columns=counts, min_count=min_count, of="patients"))


def _rate(rate) -> dict | None:
    """A rate with what it was made of, never a bare percentage; None where there was nothing to divide by."""
    keys = ("value", "numerator", "denominator", "start", "end")
    return None if rate is None else {key: getattr(rate, key) for key in keys}


def _records(frame: pd.DataFrame) -> list[dict]:
    return frame.drop(columns=_NO_NUMBERS, errors="ignore").to_dict("records")


def _next_service(study: Study) -> dict:
    """Rules, and what comes first for how many; of services that come first for few, the report names none."""
    from rfmkit.present.disclosure import join_small_groups

    rates, least = study.next_hit_rates, study.clinic.report.min_count
    keys = ("patients", "hits", "popular_hits", "p", "start", "end", "better")
    groups = {
        segment: join_small_groups(rows, group="service", min_count=least, sums=["share"])
        for segment, rows in study.next_services.groupby("segment", sort=False)
    }
    return {
        "status": "ok",
        **{key: getattr(rates, key) for key in keys},
        "rules": _records(study.next_rules),
        "segments": {segment: _records(rows) for segment, rows in groups.items()},
    }


def _portraits(study: Study, frame: pd.DataFrame, group: str) -> list[dict]:
    from rfmkit.present.disclosure import shown_portraits

    return _records(shown_portraits(frame, group=group, min_count=study.clinic.report.min_count))


def _traits(study: Study, frame: pd.DataFrame) -> list[dict]:
    """What the report may claim of groups, all of it."""
    from rfmkit.present.disclosure import shown_traits

    return _records(shown_traits(frame, min_count=study.clinic.report.min_count).drop(columns="over"))


def _cells(study: Study, frame: pd.DataFrame) -> list[dict]:
    """The cells of a matrix; of one that the report hides for its few patients, nothing but where it stands."""
    from rfmkit.present.disclosure import mask_small_cells

    hidden = [name for name in frame.columns if name not in _WHERE]
    return _records(mask_small_cells(frame, columns=hidden, min_count=study.clinic.report.min_count))


def plain(value: object) -> object:
    """A value as JSON knows it: numbers of any library as int or float, days as ISO text, unknown ones as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dt.datetime):  # what is no time (NaT) is one too, and is not even itself
        return value.date().isoformat() if value == value else None
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real | Decimal):
        return float(value) if math.isfinite(value) else None
    return plain(value.item()) if hasattr(value, "item") else None
