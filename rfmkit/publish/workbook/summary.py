"""The sheets about the clinic as a whole: its headline numbers, its months, and what the words mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.publish.definitions import definitions, missing_parts
from rfmkit.publish.workbook.book import Column, Sheet
from rfmkit.publish.workbook.forms import columns, form_of, known

if TYPE_CHECKING:
    from rfmkit.study import Study

_HISTORY = ("month", "revenue", "visits", "active_patients", "rpr", "aov", "crr")


def overview(study: Study) -> list[Sheet]:
    """The headline numbers, now and before."""
    reader, headline = study.reader, study.headline
    frame = headline.assign(
        form=headline["metric"].map(form_of), metric=[reader.name("metric", key) for key in headline["metric"]]
    )
    shown = columns(["metric", "value", "last_month", "last_year"], reader=reader, texts=["metric"])
    return [Sheet(reader.say("Overview"), frame, shown, form_of_row="form")]


def by_month(study: Study) -> list[Sheet]:
    """The numbers of each month."""
    if study.part("loyalty").status != "ok":
        return []
    reader, history = study.reader, study.loyalty_history
    frame = history.assign(month=[reader.month(month) for month in history["month"]])
    return [Sheet(reader.say("By month"), frame, columns(known(frame, _HISTORY), reader=reader, texts=["month"]))]


def what_the_words_mean(study: Study) -> list[Sheet]:
    """The terms of the workbook with the clinic's own settings in them, and who is in each group."""
    reader = study.reader
    terms = definitions(study.clinic, missing=missing_parts(study), reader=reader)
    if study.part("segments").status == "ok":
        terms += [
            (reader.name("segment", key), who) for key in study.segments["segment"] if (who := reader.words("who", key))
        ]
    frame = pd.DataFrame(terms, columns=["term", "meaning"])
    shown = [Column("term", reader.say("Word")), Column("meaning", reader.say("Meaning"), "prose")]
    return [Sheet(reader.say("What the words mean"), frame, shown)]
