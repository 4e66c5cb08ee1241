"""Tables of what patients take next, and of what to offer each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfmkit.present.disclosure import join_small_groups
from rfmkit.present.tables.build import Table, sentence, table
from rfmkit.present.wording import MISSING, Reader

if TYPE_CHECKING:
    import pandas as pd

_MOST_RULES, _MOST_OFFERS = 10, 3


def next_services(next_services: pd.DataFrame, hit_rates: Any, *, reader: Reader | None = None) -> Table:
    """What to offer each group first, and how often such a recommendation was right.

    Parameters
    ----------
    next_services : pandas.DataFrame
        One row a group and service, as `study.next_services`.
    hit_rates : HitRates
        As `study.next_hit_rates`.
    reader : Reader, optional
        Services for fewer patients than its `min_count` join others and are not named.
    """
    reader = reader or Reader()
    sizes, offers = next_services.groupby("segment")["patients"].sum(), offers_by_segment(next_services, reader)
    return table(
        reader.say("The service to offer first"),
        [reader.say("Group"), reader.say("Patients"), reader.say("What comes first for how many of them")],
        [
            [reader.name("segment", segment), reader.count(sizes[segment]), offer or MISSING]
            for segment, offer in offers.items()
        ],
        words=(0, 2),
        notes=_verdict(hit_rates, reader),
    )


def offers_by_segment(next_services: pd.DataFrame, reader: Reader) -> dict[str, str]:
    """What comes first for how many of each segment, as far as it may be told: "Implant (64%); Veneer (35%)"."""
    return {segment: _offers(rows, reader) for segment, rows in next_services.groupby("segment", sort=False)}


def _offers(rows: pd.DataFrame, reader: Reader) -> str:
    shown = join_small_groups(rows, group="service", min_count=reader.min_count, sums=["share"])
    if rows["patients"].between(1, reader.min_count - 1).any():
        shown = shown.iloc[:-1]  # those that were joined
    named = shown[shown["patients"] > 0].head(_MOST_OFFERS)
    offers = [
        reader.say("{item} ({share})", item=row["service"], share=reader.percent(row["share"], 0))
        for row in named.to_dict("records")
    ]
    return reader.say("; ").join(offers)  # names of services hold commas


def _verdict(rates: Any, reader: Reader) -> list[str]:
    said = reader.plural(
        "Tried on {period}: of the {n} patient who took another service then, {hits} took one of those recommended, "
        "{popular} one of the most popular.",
        "Tried on {period}: of the {n} patients who took another service then, {hits} took one of those recommended, "
        "{popular} one of the most popular.",
        rates.patients,
        period=reader.period(rates.start, rates.end),
        hits=reader.percent(rates.hits / rates.patients),
        popular=reader.percent(rates.popular_hits / rates.patients),
    )
    meaning = (
        reader.say(
            "The difference passes the test: each patient is recommended what patients with the same last services "
            "took next."
        )
        if rates.better
        else reader.say(
            "That is not shown to be better, so what is most popular is recommended to everybody who did not have it "
            "last."
        )
    )
    return [said, meaning]


def next_rules(next_rules: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """What is taken after what, as far as it is more than usual.

    Parameters
    ----------
    next_rules : pandas.DataFrame
        One row a pair of services, as `study.next_rules`.
    reader : Reader, optional
        Pairs of fewer patients than its `min_count` are not shown.
    """
    reader = reader or Reader()
    more = next_rules["steps"] - next_rules["of"] * next_rules["usual"]
    shown = next_rules[(next_rules["lift"] > 1) & (next_rules["patients"] >= reader.min_count)]
    shown = shown.loc[more[shown.index].sort_values(ascending=False, kind="stable").index].head(_MOST_RULES)
    if not len(shown):
        return sentence(reader.say("No service is taken after another more often than usual."))
    return table(
        reader.say("From one service to the next"),
        [
            reader.say("After"),
            reader.say("comes"),
            *(reader.name("column", name) for name in ("patients", "support", "confidence", "usual", "lift")),
        ],
        [
            [
                row["taken"],
                row["next"],
                reader.number(row["patients"]),
                *(reader.percent(row[name]) for name in ("support", "confidence", "usual")),
                reader.number(row["lift"], 2),
            ]
            for row in shown.to_dict("records")
        ],
        words=(0, 1),
        notes=[
            reader.say(
                "Support is the share of all steps from one service to another; confidence, of the steps from the "
                "first service, the share that lead to the second; lift, how many times as often as usual. The pairs "
                "with the most steps beyond the usual are shown."
            )
        ],
    )
