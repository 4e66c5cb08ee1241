"""Tables of the groups and of the scores that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.tables.build import Table, table
from rfmkit.present.wording import MISSING, Reader

if TYPE_CHECKING:
    import pandas as pd

_CENT = 0.01


def segments(segments: pd.DataFrame, *, window_months: int = 0, reader: Reader | None = None) -> Table:
    """How large each group is and how it came, paid and stayed away.

    Parameters
    ----------
    segments : pandas.DataFrame
        One row a group, as `study.segments`.
    window_months : int, default 0
        Length of the window that visits and revenue are of; 0 is the whole history.
    reader : Reader, optional
    """
    reader = reader or Reader()
    window = reader.months(window_months)
    overdue = ["median_days_overdue"] if "median_days_overdue" in segments else []
    columns = [
        "patients",
        "patients_share",
        "revenue",
        "revenue_share",
        "median_recency_days",
        *overdue,
        "mean_visit_count",
        "mean_total_spend",
    ]
    return table(
        reader.say("Groups over the last {months}", months=window)
        if window_months
        else reader.say("Groups over all years"),
        [
            reader.say("Group"),
            *(reader.name("column", column) for column in columns),
        ],
        [
            [
                reader.name("segment", row["segment"]),
                reader.number(row["patients"]),
                reader.percent(row["patients_share"]),
                reader.money(row["revenue"]),
                reader.percent(row["revenue_share"]),
                reader.number(row["median_recency_days"]),
                *(reader.number(row[name]) for name in overdue),
                reader.number(row["mean_visit_count"], 1),
                reader.money(row["mean_total_spend"]),
            ]
            for row in segments.to_dict("records")
        ],
        total=[
            reader.say("All patients"),
            reader.number(segments["patients"].sum()),
            reader.percent(segments["patients_share"].sum()),
            reader.money(segments["revenue"].sum()),
            reader.percent(segments["revenue_share"].sum()),
            *[""] * (3 + len(overdue)),
        ],
    )


def segment_definitions(segments: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """Who is in each group, in words.

    Parameters
    ----------
    segments : pandas.DataFrame
        Its column `segment` names the groups.
    reader : Reader, optional
    """
    reader = reader or Reader()
    return table(
        reader.say("The groups in words"),
        [reader.say("Group"), reader.say("Who they are")],
        [[reader.name("segment", key), reader.words("who", key) or MISSING] for key in segments["segment"]],
        words=(0, 1),
    )


def score_cuts(score_cuts: pd.DataFrame, *, scoring: str = "quantile", reader: Reader | None = None) -> Table:
    """From which value each score begins.

    Parameters
    ----------
    score_cuts : pandas.DataFrame
        One row a score of a measure: `measure`, `score`, `cut`.
    scoring : str, default "quantile"
        Where the cuts come from: "quantile", "threshold", "mean" or "median".
    reader : Reader, optional
    """
    reader = reader or Reader()
    by_recall = "days_overdue" in set(score_cuts["measure"])
    measures = ("days_overdue" if by_recall else "recency_days", "visit_count", "total_spend")
    cuts = {(cut["measure"], cut["score"]): cut["cut"] for cut in score_cuts.to_dict("records")}
    cents = reader.cents(cut for (measure, _), cut in cuts.items() if measure == "total_spend")
    say = {
        "recency_days": lambda cut: reader.plural("within {n} day", "within {n} days", round(cut)),
        "days_overdue": lambda cut: _overdue(round(cut), reader),
        "visit_count": lambda cut: _visits(cut, scoring, reader),
        "total_spend": lambda cut: _money(cut, cents, scoring, reader),
    }
    lowest = [reader.number(1), *[reader.say("all others")] * len(measures)]
    rows = [
        [
            reader.number(score),
            *(say[name](cuts[name, score]) if (name, score) in cuts else MISSING for name in measures),
        ]
        for score in sorted({score for _, score in cuts}, reverse=True)
    ]
    return table(
        reader.say("The cuts of the scores"),
        [reader.say("Score"), *(reader.name("measure", measure) for measure in measures)],
        [*rows, lowest],
        notes=[
            reader.words("scoring", scoring),
            reader.say(
                "Recency is counted from the day on which the patient's main service is due again, not from the last"
                " visit: whoever is not due yet has not stayed away."
            )
            if by_recall
            else "",
        ],
    )


def _visits(cut: float, scoring: str, reader: Reader) -> str:
    """From how many visits; of a clinic's own numbers as its file says them: more than one visit less."""
    if scoring == "threshold":
        return reader.say("more than {number}", number=reader.number(cut - 1))
    return reader.say("from {number}", number=reader.number(cut))


def _money(cut: float, cents: int, scoring: str, reader: Reader) -> str:
    """From which sum; a cent above a whole one is more than that, and without cents would look like it.

    A clinic's own number reads as in its file, to the cent.
    """
    limit = round(cut - _CENT, 2)
    if limit == round(limit):
        return reader.say("more than {number}", number=reader.money(limit, cents))
    if scoring == "threshold" and cut != round(cut):
        return reader.say("more than {number}", number=reader.money(limit, 2))
    return reader.say("from {number}", number=reader.money(cut, cents))


def _overdue(cut: int, reader: Reader) -> str:
    """Up to how many days overdue; below zero, how many days before it is due."""
    if cut > 0:
        return reader.plural("at most {n} day overdue", "at most {n} days overdue", cut)
    if cut < 0:
        return reader.plural("due in {n} day or later", "due in {n} days or later", -cut)
    return reader.say("not overdue")


def score_bands(score_bands: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """Which values have which score.

    Parameters
    ----------
    score_bands : pandas.DataFrame
        One row a score of a measure: `measure`, `score`, `low`, `high`, `patients`.
    reader : Reader, optional
        A score of fewer patients than its `min_count` reads "< min_count".
    """
    reader = reader or Reader()
    measures = list(score_bands["measure"].unique())
    bands = {(band["measure"], band["score"]): band for band in score_bands.to_dict("records")}
    headings = [reader.say("Score")]
    for measure in measures:
        headings += [reader.name("measure", measure), reader.say("Patients")]
    rows = []
    for score in sorted(score_bands["score"].unique(), reverse=True):
        row = [reader.number(score)]
        for measure in measures:
            band = bands.get((measure, score))
            row += [_range(band, bands, reader), reader.count(band["patients"])] if band else [MISSING, MISSING]
        rows.append(row)
    return table(
        reader.say("The values behind each score"),
        headings,
        rows,
        notes=[
            ""
            if len(bands) == len(measures) * len(rows)
            else reader.say("Equal values always have equal scores, so a score that no value reached is empty.")
        ],
    )


def _range(band: dict, bands: dict, reader: Reader) -> str:
    """The values of a band; the outermost ones stay open, since the extreme is one patient's own."""
    write = reader.money if band["measure"] == "total_spend" else reader.number
    scores = [score for measure, score in bands if measure == band["measure"]]
    low, high = write(band["low"]), write(band["high"])
    if low == high:
        return low
    least, most = band["score"] == min(scores), band["score"] == max(scores)
    if band["measure"] in {"recency_days", "days_overdue"}:
        least, most = most, least
    if least and most:
        return MISSING
    if least:
        return reader.say("up to {number}", number=high)
    if most:
        return reader.say("from {number}", number=low)
    return reader.say("{low} to {high}", low=low, high=high)
