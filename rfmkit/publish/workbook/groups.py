"""The sheets about the groups: all of them side by side, what to do about them, and each on a sheet of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.present.tables.next_service import offers_by_segment
from rfmkit.present.tables.portraits import cohorts_by_segment
from rfmkit.publish.workbook.book import Column, Sheet
from rfmkit.publish.workbook.forms import columns, count_of, form_of, known

if TYPE_CHECKING:
    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

_SUMS = ("patients", "visits", "revenue", "clv", "value_at_risk")
_SHARES = ("patients_share", "revenue_share")
_MEANS = ("mean_visit_count", "mean_total_spend", "mean_probability_alive")
_FIGURES = (
    *("patients", "patients_share", "visits", "revenue", "revenue_share", "median_recency_days", "median_days_overdue"),
    *("mean_visit_count", "mean_total_spend", "mean_probability_alive", "clv", "value_at_risk"),
)
_TO_DO = (
    "segment",
    "patients",
    "revenue",
    "median_recency_days",
    "mean_probability_alive",
    "clv",
    "value_at_risk",
)
_ADVICE = {"what": "advice-what", "why": "advice-why"}
_WORDS = ("what", "offer", "whom", "why")
_REACH = ("sms", "phone", "email", "any", "ads")


def groups(study: Study) -> list[Sheet]:
    """All groups side by side."""
    if study.part("segments").status != "ok":
        return []
    reader, frame = study.reader, study.segments
    shown = columns(known(frame, ["segment", *_FIGURES]), reader=reader, texts=["segment"])
    return [Sheet(reader.say("Groups"), _named(frame, reader), shown)]


def what_to_do(study: Study) -> list[Sheet]:
    """The groups in the order of what is at stake, who of them can be reached, and what to do."""
    if study.part("recommendations").status != "ok":
        return []
    reader, frame = study.reader, study.recommendations
    keys = list(zip(frame["segment"], frame["patients"], strict=True))
    advice = {name: [reader.words(kind, *key) or None for key in keys] for name, kind in _ADVICE.items()}
    advice |= {name: [of.get(key) or None for key in frame["segment"]] for name, of in _details(study).items()}
    figures = columns(known(frame, _TO_DO), reader=reader, texts=["segment"])
    reached = _reached(study)
    frame = _named(frame.assign(**advice).merge(reached, on="segment", how="left"), reader)
    words = columns(known(frame, _WORDS), reader=reader, prose=_WORDS)
    return [Sheet(reader.say("What to do"), frame, [*figures, *_reach_columns(reached, reader), *words])]


def each_group(study: Study) -> list[Sheet]:
    """A sheet for each group that has patients: its figures beside those of all, who it is, and what to do."""
    if study.part("segments").status != "ok":
        return []
    segments, reached, reader = study.segments, _reached(study).set_index("segment"), study.reader
    details = _details(study)
    total = _of_all(segments)
    figures = known(segments, _FIGURES)
    sheets = []
    for row in segments[segments["patients"] > 0].to_dict("records"):
        key, patients = row["segment"], int(row["patients"])
        lines = [(reader.name("column", name), row[name], total.get(name), form_of(name)) for name in figures]
        if key in reached.index:
            lines += [
                (reader.name("reach", channel), reached.loc[key, channel], None, "count")
                for channel in _REACH
                if channel in reached
            ]
        said = {name: reader.words(kind, key, patients) for name, kind in _ADVICE.items()}
        said |= {name: of.get(key) for name, of in details.items()}
        name, who = reader.name("segment", key), reader.words("who", key)
        frame = pd.DataFrame(lines, columns=["figure", "group", "all", "form"]).astype({"group": object, "all": object})
        below = [(reader.name("column", kind), said[kind]) for kind in _WORDS if said.get(kind)]
        shown = _figure_columns(reader)
        above = [name, who] if who else [name]
        sheets.append(Sheet(name, frame, shown, form_of_row="form", above=above, below=below))
    return sheets


def _figure_columns(reader: Reader) -> list[Column]:
    return [
        Column("figure", reader.say("Measure")),
        Column("group", reader.say("This group"), "count"),
        Column("all", reader.say("All patients"), "count"),
    ]


def _of_all(segments: pd.DataFrame) -> dict[str, float]:
    """What the groups make together: sums, and means over all patients; a median cannot be put together."""
    size = segments["patients"]
    sums = {name: segments[name].sum(min_count=1) for name in (*_SUMS, *_SHARES) if name in segments}
    held = size > 0
    means = {name: (segments[name] * size)[held].sum(skipna=False) / size.sum() for name in _MEANS if name in segments}
    return sums | means


def _named(frame: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    return frame.assign(segment=[reader.name("segment", key) for key in frame["segment"]])


def _details(study: Study) -> dict[str, dict[str, str]]:
    """By segment, which service to offer first and which cohorts stand out, as far as the data tell."""
    given, reader = study.recommendation_details, study.reader
    found = {}
    if "services" in given:
        found["offer"] = offers_by_segment(given["services"], reader)
    if "traits" in given:
        cohorts = cohorts_by_segment(given["traits"], reader)
        found["whom"] = {
            key: reader.say("; ").join(reader.cohort(cohort) for cohort in held) for key, held in cohorts.items()
        }
    return found


def _reached(study: Study) -> pd.DataFrame:
    """How many of each group a channel reaches; numbers that may not be shown as texts."""
    if study.part("reach").status != "ok":
        return pd.DataFrame({"segment": []}, dtype="str")
    reach, reader = study.reach_by_segment, study.reader
    channels = [name for name in _REACH if name in reach]
    sizes = reach["patients"]
    shown = {name: [count_of(*pair, reader) for pair in zip(reach[name], sizes, strict=True)] for name in channels}
    return reach[["segment"]].assign(**shown)


def _reach_columns(reached: pd.DataFrame, reader: Reader) -> Sequence[Column]:
    return [Column(name, reader.name("reach", name), "count") for name in _REACH if name in reached]
