"""What a patient may take next: from what patients whose last services were the same took after them.

A *step* leads from a service that a patient took to the first later visit with another one. A course is one: the same
service again, with no other between, begins no step of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from rfmkit.errors import NotEnoughData

#: So many services are recommended to a patient, and held against so many that are popular.
PLACES = 3
#: The months held back, and the patients with another service in them that a comparison needs.
HELD_BACK_MONTHS = 3
LEAST = 50
_MOST_CHANCE = 0.05


@dataclass(frozen=True)
class HitRates:
    """How often one of the recommended services was taken next, in months that the rules had not seen.

    Attributes
    ----------
    patients : int
        With a service before the held-back months and another one in them.
    hits, popular_hits : int
        Of these, those who took one of the three recommended next; one of the three that are taken next most.
    p : float
        Chance of so many more hits if both were alike: exact McNemar test, one-sided.
    start, end : datetime.date
        The held-back months.
    """

    patients: int
    hits: int
    popular_hits: int
    p: float
    start: dt.date
    end: dt.date

    @property
    def better(self) -> bool:
        """Whether what patients took before tells more than what is popular; where not, the popular is recommended."""
        return self.hits > self.popular_hits and self.p <= _MOST_CHANCE


def service_days(sales: ir.Table, leave_out: Collection[int] = ()) -> ir.Table:
    """Which services a patient had on which day.

    Parameters
    ----------
    sales : ibis.Table
        As `rfmkit.data.bought.sales_of` gives them, `numbered`.
    leave_out : collection of int
        The services that are not offered by themselves, like anaesthesia: as if they had not been taken.

    Returns
    -------
    ibis.Table
        ``patient, visit_date, taken``, each once: the numbers of the patient and of the service.
    """
    sold = sales.filter(sales.service.notnull())
    if leave_out:
        sold = sold.filter(sold.service.notin(sorted(leave_out)))
    return sold.select("visit_date", patient="patient_id", taken="service").distinct()


def steps_of(days: ir.Table) -> ir.Table:
    """Every step of every patient.

    Of a course only the last day begins a step: a service that is the only one of the next visit leads on from there.

    Parameters
    ----------
    days : ibis.Table
        As `service_days` gives them.

    Returns
    -------
    ibis.Table
        ``patient, taken, next_day, next, begins``: one row a step and service that it leads to; `next_day` is the first
        day after `taken` on which the patient had another service, `next` each other service of that day; `begins` is
        true in one row of each step.
    """
    visits = days.group_by(["patient", "visit_date"]).aggregate(low=days.taken.min(), high=days.taken.max())
    ahead = {"group_by": visits.patient, "order_by": visits.visit_date}
    visits = visits.select(
        "patient",
        "visit_date",
        next_day=visits.visit_date.lead().over(**ahead),
        low=visits.low.lead().over(**ahead),
        high=visits.high.lead().over(**ahead),
    )
    taken = days.join(visits, ["patient", "visit_date"]).drop("visit_date")
    taken = taken.filter(taken.next_day.notnull() & ((taken.low != taken.taken) | (taken.high != taken.taken)))
    to = days.select("patient", next_day="visit_date", next="taken")
    steps = taken.join(to, ["patient", "next_day"])
    one = (steps.high == steps.taken).ifelse(steps.low, steps.high)
    steps = steps.filter(steps.next != steps.taken)
    return steps.select("patient", "taken", "next_day", "next", begins=steps.next == one)


class Steps(NamedTuple):
    """Steps from each service to each other: all of them, and those of the time before the months held back.

    Both ``taken, next, patients, steps`` (that lead from one to the other), ``of`` (steps from `taken` to any).
    """

    all: pd.DataFrame
    early: pd.DataFrame


def count_steps(steps: ir.Table, services: Sequence[str], until: dt.date) -> Steps:
    """Count the steps from each service to each other.

    Parameters
    ----------
    steps : ibis.Table
        As `steps_of` gives them.
    services : sequence of str
        The names of its numbers.
    until : datetime.date
        The first day of the months held back.
    """
    early = steps.next_day < until
    each = steps.group_by(["patient", "taken", "next"]).aggregate(
        steps=steps.count(),
        begun=steps.begins.sum(),
        early_steps=early.sum(),
        early_begun=(early & steps.begins).sum(),
    )
    table = (
        each.group_by(["taken", "next"])
        .aggregate(
            patients=each.count(),
            steps=each.steps.sum(),
            begun=each.begun.sum(),
            early_patients=(each.early_steps > 0).sum(),
            early_steps=each.early_steps.sum(),
            early_begun=each.early_begun.sum(),
        )
        .execute()
        .astype("int64")
        .sort_values(["taken", "next"], ignore_index=True)
    )
    names = np.asarray(services, dtype=object)
    named = {column: pd.array(names[table[column]], dtype="str") for column in ("taken", "next")}
    counts = []
    for which in ("", "early_"):
        found = table[[which + name for name in ("patients", "steps")]].set_axis(["patients", "steps"], axis=1)
        of = table[f"{which}begun"].groupby(table["taken"]).transform("sum")
        counts.append(pd.DataFrame(named).join(found.assign(of=of)).query("steps > 0").reset_index(drop=True))
    return Steps(*counts)


def next_rules(counts: pd.DataFrame, *, min_count: int = 5) -> pd.DataFrame:
    """What is taken after what.

    Parameters
    ----------
    counts : pandas.DataFrame
        One of `Steps`.
    min_count : int, default 5
        A rule rests on no fewer patients.

    Returns
    -------
    pandas.DataFrame
        ``taken, next, patients, steps, of`` as in `counts`, ``support`` (steps ÷ all steps), ``confidence``
        (steps ÷ of), ``usual`` (of the steps from any service but `next` itself, the share that lead to it), ``lift``
        (confidence ÷ usual). The most confident first.
    """
    table = _shares(counts)
    enough = table[table["patients"] >= min_count]
    order = ["confidence", "steps", "taken", "next"]
    return enough.sort_values(order, ascending=[False, False, True, True]).reset_index(drop=True)


def popular_next(counts: pd.DataFrame) -> pd.Series:
    """Of each service the share of steps that lead to it, of those from others; the most popular first."""
    table = _shares(counts).drop_duplicates("next").set_index("next")["usual"]
    return table.sort_index().sort_values(ascending=False, kind="stable").rename("usual")


def _shares(counts: pd.DataFrame) -> pd.DataFrame:
    of = counts.drop_duplicates("taken").set_index("taken")["of"]
    everything, table = of.sum(), counts.copy()
    table["support"], table["confidence"] = table["steps"] / everything, table["steps"] / table["of"]
    to = table.groupby("next")["steps"].transform("sum")
    table["usual"] = to / (everything - table["next"].map(of).fillna(0))
    table["lift"] = table["confidence"] / table["usual"]
    return table


def last_services(days: ir.Table, services: Sequence[str]) -> pd.DataFrame:
    """The services of each patient's last day with one: ``patient``, and the name, ``taken``.

    Parameters
    ----------
    days : ibis.Table
        As `service_days` gives them.
    services : sequence of str
        The names of its numbers.
    """
    last = days.group_by("patient").aggregate(visit_date=days.visit_date.max())
    had = days.join(last, ["patient", "visit_date"]).select("patient", "taken")
    return _named(had.order_by(["patient", "taken"]).execute(), services)


def _named(frame: pd.DataFrame, services: Sequence[str]) -> pd.DataFrame:
    return frame.assign(taken=pd.Categorical.from_codes(frame["taken"], pd.Index(list(services), dtype="str")))


def recommend(last: pd.DataFrame, rules: pd.DataFrame, popular: pd.Series) -> pd.DataFrame:
    """Recommend to each patient three services other than their last.

    A service's score is its mean confidence over the patient's last services, 0 where there is no rule. Equal scores
    go by how popular the service is; so do patients after whose services there is no rule.

    Parameters
    ----------
    last : pandas.DataFrame
        As `last_services` gives them.
    rules : pandas.DataFrame
        As `next_rules` gives them; none to recommend what is popular.
    popular : pandas.Series
        As `popular_next` gives it.

    Returns
    -------
    pandas.DataFrame
        ``patient, place`` (1 is the best), ``service, score``.
    """
    # Patients with the same last services are recommended the same: one of each is asked for. That two sets of
    # services have one sum of hashes of 64 bits is less likely than a fault of the machine.
    hashes = pd.util.hash_array(last["taken"].cat.categories.to_numpy(object))[last["taken"].cat.codes]
    alike = pd.Series(hashes).groupby(last["patient"].to_numpy()).sum()
    asked = alike.drop_duplicates()
    best = _best(last[last["patient"].isin(asked.index)].astype({"taken": "str"}), rules, popular)
    patients = pd.DataFrame({"patient": alike.index, "alike": alike.to_numpy()})
    best = best.assign(alike=best.pop("patient").map(asked))
    return patients.merge(best, on="alike").drop(columns="alike").sort_values(["patient", "place"], ignore_index=True)


def _best(last: pd.DataFrame, rules: pd.DataFrame, popular: pd.Series) -> pd.DataFrame:
    """The three best of every patient: ``patient, place, service, score``."""
    last, known = ibis.memtable(last), ibis.memtable(rules[["taken", "next", "confidence"]])
    had = last.group_by("patient").aggregate(had=last.count())
    scored = last.join(known, "taken").join(had, "patient")
    scored = scored.group_by(["patient", "next"]).aggregate(score=(scored.confidence / scored.had).sum())
    most = int(had.had.max().execute() or 0)
    pool = ibis.memtable(pd.DataFrame({"next": popular.index[: PLACES + most].astype("str")}))
    pool = had.select("patient").cross_join(pool).mutate(score=ibis.literal(0.0))
    offered = ibis.union(scored, pool.select("patient", "next", "score"))
    offered = offered.group_by(["patient", "next"]).aggregate(score=offered.score.max())
    offered = offered.anti_join(last.select("patient", next="taken"), ["patient", "next"])
    usual = ibis.memtable(popular.rename_axis("next").reset_index().astype({"next": "str"}))
    offered = offered.join(usual, "next")
    # Sums of floats differ in their last digits by the order of adding; equal ones must stay equal.
    order = [offered.score.round(9).desc(), offered.usual.desc(), offered.next]
    place = ibis.row_number().over(group_by=offered.patient, order_by=order) + 1
    best = offered.mutate(place=place).filter(lambda row: row.place <= PLACES)
    return best.select("patient", "place", service="next", score="score").execute()


def hit_rates(
    days: ir.Table,
    services: Sequence[str],
    before: pd.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    min_count: int = 5,
) -> HitRates:
    """Hold the rules of the time before `start` against what patients took next from then on.

    Parameters
    ----------
    days : ibis.Table
        As `service_days` gives them, up to `end`.
    services : sequence of str
        The names of its numbers.
    before : pandas.DataFrame
        The `Steps.early` of `start`.
    start, end : datetime.date
        First and last day of what is held back.
    min_count : int, default 5
        As for `next_rules`.

    Raises
    ------
    NotEnoughData
        If fewer than 50 patients took another service in that time.
    """
    from scipy.stats import binom

    last = last_services(days.filter(days.visit_date < start), services)
    later = _named(days.filter(days.visit_date >= start).execute(), services)
    later = later[later["patient"].isin(last["patient"])].merge(last.assign(had=True), how="left")
    later = later[later["had"].isna()]
    took = later[later["visit_date"] == later.groupby("patient")["visit_date"].transform("min")]
    patients = took["patient"].nunique()
    if patients < LEAST:
        raise NotEnoughData("few_next_services", have=patients, need=LEAST)
    popular, asked = popular_next(before), last[last["patient"].isin(took["patient"])]
    rules = next_rules(before, min_count=min_count)
    hit, usual = (_hit(recommend(asked, some, popular), took) for some in (rules, rules.head(0)))
    more, fewer = len(hit - usual), len(usual - hit)
    p = float(binom.sf(more - 1, more + fewer, 0.5)) if more + fewer else 1.0
    return HitRates(patients, len(hit), len(usual), p, start, end)


def _hit(offered: pd.DataFrame, took: pd.DataFrame) -> set[int]:
    took = took[["patient", "taken"]].astype({"taken": "str"}).rename(columns={"taken": "service"})
    return set(offered.merge(took, on=["patient", "service"])["patient"])


def next_by_group(offered: pd.DataFrame, patients: pd.DataFrame, segments: Sequence[str]) -> pd.DataFrame:
    """Which services come first for how many patients of each group.

    Parameters
    ----------
    offered : pandas.DataFrame
        As `recommend` gives it, with ``patient_id`` for the number.
    patients : pandas.DataFrame
        One row a patient: ``patient_id, segment``.
    segments : sequence of str
        All segments, in order.

    Returns
    -------
    pandas.DataFrame
        ``segment, service, patients, share`` (of the group's patients who are recommended any), the most first.
    """
    first = offered.loc[offered["place"] == 1, ["patient_id", "service"]].merge(patients[["patient_id", "segment"]])
    table = first.groupby(["segment", "service"]).size().rename("patients").reset_index()
    table["share"] = table["patients"] / table.groupby("segment")["patients"].transform("sum")
    table["order"] = table["segment"].map({segment: place for place, segment in enumerate(segments)})
    table = table.sort_values(["order", "patients", "service"], ascending=[True, False, True], ignore_index=True)
    return table.drop(columns="order")
