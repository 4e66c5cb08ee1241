"""rfmkit: from a clinic's export of payments to the monthly report its owner can act on."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from rfmkit.study import Study

__version__ = "0.1.0"

#: Where each public name lives; it is imported when it is first used, so that a notebook that only shows tables
#: does not wait for the libraries that made them.
_HOMES = {
    "Period": "period",
    "load_clinic": "clinic",
    "visits_from": "data.visits",
    "refunds_from": "data.visits",
    "rfm_table": "data.patients",
    "btyd_summary": "data.patients",
    "calibration_holdout": "data.patients",
    "rfm_cuts": "analysis.scores",
    "score_rfm": "analysis.scores",
    "load_scheme": "analysis.segments",
    "assign_segments": "analysis.segments",
    "fit_clv": "analysis.clv",
    "repeat_purchase_rate": "analysis.loyalty",
    "average_order_value": "analysis.loyalty",
    "customer_retention_rate": "analysis.loyalty",
    "Reader": "present.wording",
    "figure": "present.plots",
    "plots": "present.plots",
    "tables": "present.tables",
    "NotEnoughData": "errors",
    "RfmkitError": "errors",
}
__all__ = ["open_study", *_HOMES]


def open_study(clinic: str | Path, *, month: str, today: dt.date | None = None, reports: Path | None = None) -> Study:
    """Open a clinic at the end of a month.

    Parameters
    ----------
    clinic : str or pathlib.Path
        The clinic file.
    month : str
        ``YYYY-MM``.
    today : datetime.date, optional
        Lines dated later are rejected; without it the environment variable ``RFMKIT_TODAY`` (which a run sets for its
        notebooks), else no line is too late.
    reports : pathlib.Path, optional
        The folder of all reports: the export is compared with what last month's was made from.

    Returns
    -------
    Study
        Its tables are computed when they are asked for: ``study.patients``, ``study.segments``, ``study.clv`` …

    Raises
    ------
    ClinicFileError
        With everything that is wrong in the clinic file, in its segment scheme, or in the rules of its tags.
    UsageError
        If `month` is not written ``YYYY-MM``.
    """
    import datetime as dt

    from rfmkit.analysis.portraits import portrait_words
    from rfmkit.analysis.segments import load_scheme
    from rfmkit.clinic import load_clinic
    from rfmkit.errors import Problem, UsageError
    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

    if today is None and os.environ.get("RFMKIT_TODAY"):
        today = dt.date.fromisoformat(os.environ["RFMKIT_TODAY"])
    described = load_clinic(clinic)
    report, rfm = described.report, described.rfm
    scheme = load_scheme(described.scheme, bins=rfm.bins)
    own = scheme.words(described.locale, renamed=rfm.names, where=described.path.name)
    own |= portrait_words(described.portraits.texts, scheme.segments, where=described.path.name)
    own |= {("tag", key): tag.name for key, tag in described.tags.items() if tag.name}
    reader = Reader(described.locale, described.currency, report.min_count, report.colour, own)
    try:
        study = Study(described, month, reader=reader, today=today, reports=reports)
    except ValueError as error:
        raise UsageError(Problem("month", str(error))) from None
    _ = study.rules  # raises where one of the clinic file cannot be read
    return study


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'rfmkit' has no attribute '{name}'")
    module = importlib.import_module(f"rfmkit.{_HOMES[name]}")
    return module if _HOMES[name].endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
