"""Tables of who the patients of a group or a cohort are, and what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rfmkit.present.disclosure import shown_portraits, shown_traits
from rfmkit.present.tables.build import Table, sentence, table
from rfmkit.present.wording import MISSING, Reader

if TYPE_CHECKING:
    import pandas as pd

#: What is told of each group, as far as it is known.
FIGURES = (
    *("patients", "patients_share", "median_age", "median_days_between_visits", "mean_total_spend"),
    "mean_clv",
)
#: Of each kind no more claims of a group are shown: those that differ most.
_MOST = 3
_ALL = "all"
_YOUNG, _MIDDLE, _OLDER = 18, 35, 55


def portraits(portraits: pd.DataFrame, *, window_months: int = 0, reader: Reader | None = None) -> Table:
    """How large each group is, how old its patients are, how often they come, what they spend and promise.

    Parameters
    ----------
    portraits : pandas.DataFrame
        One row a group, as `study.portraits`.
    window_months : int, default 0
        Length of the window that the spend is of; 0 is the whole history.
    reader : Reader, optional
        Of groups below its `min_count` nothing but the size is shown.
    """
    reader = reader or Reader()
    shown = shown_portraits(portraits, group="segment", min_count=reader.min_count)
    names = [reader.name("segment", key) for key in shown["segment"]]
    return _sizes(
        reader.say("Age, visits and money by group"), reader.say("Group"), names, shown, window_months, reader
    )


def cohorts(cohorts: pd.DataFrame, *, window_months: int = 0, reader: Reader | None = None) -> Table:
    """The same of cohorts by sex and age.

    Parameters
    ----------
    cohorts : pandas.DataFrame
        One row a cohort, as `study.cohorts`. Cohorts of nobody are left out.
    window_months : int, default 0
        Length of the window that the spend is of; 0 is the whole history.
    reader : Reader, optional
        Cohorts below its `min_count` are joined.
    """
    reader = reader or Reader()
    shown = shown_portraits(cohorts[cohorts["patients"] > 0], group="cohort", min_count=reader.min_count)
    names = [reader.cohort(key) for key in shown["cohort"]]
    return _sizes(
        reader.say("Age, visits and money by sex and age"), reader.say("Cohort"), names, shown, window_months, reader
    )


def _sizes(
    caption: str, heading: str, names: list[str], shown: pd.DataFrame, window_months: int, reader: Reader
) -> Table:
    known = [name for name in FIGURES if shown[name].notna().any()]
    cents = {column: reader.cents(shown[column]) for column in ("mean_total_spend", "mean_clv")}
    write = {
        "patients": reader.number,
        "patients_share": reader.percent,
        "median_age": reader.number,
        "median_days_between_visits": reader.number,
        **{column: partial(reader.money, digits=digits) for column, digits in cents.items()},
    }
    return table(
        caption,
        [heading, *(reader.name("column", column) for column in known)],
        [
            [name, *(write[column](row[column]) for column in known)]
            for name, row in zip(names, shown.to_dict("records"), strict=True)
        ],
        notes=[
            reader.say("Mean spend is that of the last {months}.", months=reader.months(window_months))
            if window_months
            else "",
            reader.say("Days between visits: of the patients who came back, half come more seldom, half more often."),
        ],
    )


def traits(traits: pd.DataFrame, *, kinds: Sequence[str], by: str = "segment", reader: Reader | None = None) -> Table:
    """What each group has more often than all other patients, as far as it passes the test.

    Parameters
    ----------
    traits : pandas.DataFrame
        One row a group and trait, as `study.portrait_traits` or `study.cohort_traits`.
    kinds : sequence of str
        Which of its kinds: "service", "category", "first_service", "branch", "weekday", "hour", "cohort".
    by : str, default "segment"
        What the groups are: "segment" or "cohort".
    reader : Reader, optional
        No number of fewer patients than its `min_count` is shown, nor can one be told from others.
    """
    reader = reader or Reader()
    if not traits["kind"].isin(kinds).any():
        return sentence(reader.say("The export does not tell this: name the columns that hold it in the clinic file."))
    claims = shown_traits(traits, min_count=reader.min_count)
    claims = claims[claims["kind"].isin(kinds)].groupby(["group", "kind"], sort=False).head(_MOST)
    groups = list(traits.loc[traits["of"] > 0, "group"].unique())
    order = {"group": groups, "kind": list(kinds)}
    claims = claims.sort_values(list(order), key=lambda column: column.map(order[column.name].index), kind="stable")
    name = _names(by, reader)
    alike = reader.say(", ").join(name(group) for group in groups if group not in set(claims["group"]))
    rows = [
        [
            name(claim["group"]),
            _trait(claim, kinds, reader),
            reader.percent(claim["share"], 0),
            reader.percent(claim["others_share"], 0),
            reader.number(claim["times"], 1),
        ]
        for claim in claims.to_dict("records")
    ]
    headings = [
        reader.say("Group") if by == "segment" else reader.say("Cohort"),
        reader.say("More often than the others"),
        *(reader.name("column", column) for column in ("share", "others_share", "times")),
    ]
    notes = [
        reader.say("No difference that passes the test: {groups}.", groups=alike) if alike else "",
        how_tested(traits, reader),
    ]
    if not rows:
        return sentence(reader.say("No difference between these patients and the others passes the test."))
    return table(reader.say("What sets them apart"), headings, rows, words=(0, 1), notes=notes)


def _names(by: str, reader: Reader):
    return reader.cohort if by == "cohort" else lambda key: reader.name("segment", key)


def _trait(claim: dict, kinds: Sequence[str], reader: Reader) -> str:
    item = trait_item(claim["kind"], claim["item"], reader)
    if len(kinds) == 1:
        return item
    return reader.say("{kind}: {item}", kind=reader.name("trait", claim["kind"]), item=item)


def trait_item(kind: str, item: str, reader: Reader) -> str:
    """What a patient has, in words: a cohort, a weekday, an hour; of any other kind as the export writes it."""
    say = {
        "cohort": reader.cohort,
        "weekday": lambda item: reader.weekday(int(item)),
        "hour": lambda item: reader.hour(int(item)),
    }
    return say.get(kind, str)(item)


def how_tested(traits: pd.DataFrame, reader: Reader) -> str:
    """By which test the differences among `traits` are told from chance, and how many comparisons that were."""
    return reader.plural(
        "Each group is held against all other patients by Fisher’s exact test, {n} comparison. Of the differences "
        "shown, no more than one in twenty is expected to be chance.",
        "Each group is held against all other patients by Fisher’s exact test, {n} comparisons at once (Benjamini "
        "and Hochberg). Of the differences shown, no more than one in twenty is expected to be chance.",
        int(traits["p"].notna().sum()),
    )


def approaches(cohorts: pd.DataFrame, traits: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """How to speak to each cohort, and in which groups they are found more often than in others.

    Parameters
    ----------
    cohorts : pandas.DataFrame
        One row a cohort, as `study.cohorts`.
    traits : pandas.DataFrame
        One row a group and trait, as `study.portrait_traits`.
    reader : Reader, optional
        The clinic's own texts stand before rfmkit's; those for a cohort of one group have a line of their own.
    """
    reader = reader or Reader()
    shown = shown_portraits(cohorts[cohorts["patients"] > 0], group="cohort", min_count=reader.min_count)
    claimed = cohorts_by_segment(traits, reader)
    groups = list(traits["group"].unique())
    rows = []
    for cohort in shown["cohort"]:
        found = [reader.name("segment", group) for group in claimed if cohort in claimed[group]]
        if text := approach(_ALL, cohort, reader):
            rows.append([reader.cohort(cohort), reader.say(", ").join(found) or MISSING, text])
        rows += [
            [reader.cohort(cohort), reader.name("segment", group), own]
            for group in groups
            if (own := _own(group, cohort, reader))
        ]
    return table(
        reader.say("Words for each cohort"),
        [reader.say("Cohort"), reader.say("More often in"), reader.say("What to speak of")],
        rows,
        words=(0, 1, 2),
    )


def cohorts_by_segment(traits: pd.DataFrame, reader: Reader) -> dict[str, list[str]]:
    """The cohorts that each segment has more of than the others, as far as that passes the test and may be shown."""
    claims = shown_traits(traits, min_count=reader.min_count)
    claims = claims[claims["kind"] == "cohort"]
    return {group: list(rows["item"]) for group, rows in claims.groupby("group", sort=False)}


def approach(segment: str, cohort: str, reader: Reader) -> str:
    """How to speak to a cohort of a group: the clinic's own text, else rfmkit's by sex and time of life."""
    return _own(segment, cohort, reader) or _own(_ALL, cohort, reader) or reader.words("approach", _life(cohort))


def _own(segment: str, cohort: str, reader: Reader) -> str:
    """The clinic's text for a cohort of a group, or for everybody of the cohort's sex in it."""
    sex = cohort.partition("_")[0]
    keys = (("approach", f"{segment}.{key}") for key in (cohort, sex))
    return next((reader.own[key] for key in keys if key in reader.own), "")


def _life(cohort: str) -> str:
    """The key of rfmkit's text for a cohort: ``female_older``, ``middle``, ``minor``; none for a sex alone."""
    sex, _, band = cohort.partition("_")
    low, _, high = band.partition("_")
    if not low.isdigit():
        return ""
    if high and int(high) < _YOUNG:
        return "minor"
    age = "older" if int(low) >= _OLDER else "middle" if int(low) >= _MIDDLE else "young"
    return age if sex == "age" else f"{sex}_{age}"
