"""The sheets about who the patients of the groups and cohorts are, and what sets them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rfmkit.present.disclosure import shown_portraits, shown_traits
from rfmkit.present.tables.portraits import FIGURES, how_tested, trait_item
from rfmkit.publish.workbook.book import Column, Sheet
from rfmkit.publish.workbook.forms import columns, known

if TYPE_CHECKING:
    import pandas as pd

    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

#: No more than the page shows: of exact shares in two sheets a number too small to show could be worked out.
_DIGITS = {"share": 2, "others_share": 2, "times": 1}
#: In the order of the report.
_KINDS = ("service", "category", "first_service", "branch", "weekday", "hour", "cohort")


def portraits_of_groups(study: Study) -> list[Sheet]:
    """How old the patients of each group are, how often they come, what they spend and promise."""
    if study.part("portraits").status != "ok":
        return []
    reader = study.reader
    shown = shown_portraits(study.portraits, group="segment", min_count=reader.min_count)
    shown["name"] = [reader.name("segment", key) for key in shown["segment"]]
    return [_portraits(reader.say("Portraits of the groups"), reader.say("Group"), shown, study)]


def portraits_of_cohorts(study: Study) -> list[Sheet]:
    """The same of the cohorts; those too small to be shown are joined."""
    if study.part("cohorts").status != "ok":
        return []
    reader, there = study.reader, study.cohorts[study.cohorts["patients"] > 0]
    shown = shown_portraits(there, group="cohort", min_count=reader.min_count)
    shown["name"] = [reader.cohort(key) for key in shown["cohort"]]
    return [_portraits(reader.say("Portraits of the cohorts"), reader.say("Cohort"), shown, study)]


def _portraits(title: str, heading: str, shown: pd.DataFrame, study: Study) -> Sheet:
    reader, window = study.reader, study.clinic.rfm.window_months
    spend = reader.say("Mean spend is that of the last {months}.", months=reader.months(window))
    figures = columns(known(shown, FIGURES), reader=reader)
    below = [(reader.name("column", "mean_total_spend"), spend)] if window else []
    return Sheet(title, shown, [Column("name", heading), *figures], below=below)


def what_sets_groups_apart(study: Study) -> list[Sheet]:
    """What each group has more often than all other patients, where the difference passes the test."""
    if study.part("portraits").status != "ok":
        return []
    reader = study.reader
    heading, title = reader.say("Group"), reader.say("What sets groups apart")
    return _traits(title, heading, study.portrait_traits, lambda key: reader.name("segment", key), reader)


def what_sets_cohorts_apart(study: Study) -> list[Sheet]:
    """The same of the cohorts."""
    if study.part("cohorts").status != "ok":
        return []
    reader = study.reader
    heading, title = reader.say("Cohort"), reader.say("What sets cohorts apart")
    return _traits(title, heading, study.cohort_traits, reader.cohort, reader)


def _traits(title: str, heading: str, traits: pd.DataFrame, name: Callable[[str], str], reader: Reader) -> list[Sheet]:
    claims = shown_traits(traits, min_count=reader.min_count)
    if claims.empty:
        return []
    order = {"group": list(traits["group"].unique()), "kind": list(_KINDS)}
    claims = claims.sort_values(list(order), key=lambda column: column.map(order[column.name].index), kind="stable")
    kinds_and_items = list(zip(claims["kind"], claims["item"], strict=True))
    frame = claims.assign(
        group=[name(group) for group in claims["group"]],
        kind=[reader.name("trait", kind) for kind, _ in kinds_and_items],
        item=[trait_item(kind, item, reader) for kind, item in kinds_and_items],
        **{name: claims[name].round(digits) for name, digits in _DIGITS.items()},
    )
    texts = [
        Column("group", heading),
        Column("kind", reader.say("Trait")),
        Column("item", reader.say("More often than the others")),
    ]
    below = [(reader.say("How it was tested"), how_tested(traits, reader))]
    figures = columns(["share", "others_share", "times"], reader=reader)
    return [Sheet(title, frame, [*texts, *figures], below=below)]
