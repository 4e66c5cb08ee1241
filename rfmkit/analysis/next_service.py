"""What a patient may take next: from what patients whose last services were the same took after them.

A *step* leads from a service that a patient took to the first later visit with another one. A course is one: the same
service again, with no other between, begins no step of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.errors import NotEnoughData
from rfmkit.rows import Rows, as_table

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


def service_days(transactions: Rows, leave_out: Collection[str] = ()) -> ir.Table:
    """Which services a patient had on which day: ``patient_id, visit_date, service``, each once; no refunds.

    What is not offered by itself, like anaesthesia, is left out: as if it had not been taken.
    """
    lines = as_table(transactions, "patient_id", "visit_date", "amount", "service")
    lines = lines.filter((lines.amount >= 0) & lines.service.notnull())
    if leave_out:
        lines = lines.filter(lines.service.notin(sorted(leave_out)))
    return lines.select("patient_id", "visit_date", "service").distinct()


def steps_of(days: ir.Table) -> ir.Table:
    """Every step of every patient.

    Parameters
    ----------
    days : ibis.Table
        As `service_days` gives them.

    Returns
    -------
    ibis.Table
        ``patient_id, taken, next_day, next``: one row a step and service that it leads to; `next_day` is the first day
        after `taken` on which the patient had another service, `next` each other service of that day.
    """
    visits = _visits(days)
    runs = visits.group_by(["patient_id", "run"]).aggregate(begins=visits.visit_date.min(), only=visits.only.max())
    runs = runs.mutate(after=runs.begins.lead().over(group_by=runs.patient_id, order_by=runs.run))
    taken = days.join(visits.drop("run", "only"), ["patient_id", "visit_date"])
    ahead = runs.select("patient_id", "only", "after", next_run="run")
    taken = taken.join(ahead, ["patient_id", "next_run"])
    repeated = (taken.only == taken.service).fill_null(False)
    steps = taken.select(
        "patient_id", taken=taken.service, next_day=repeated.ifelse(taken.after, taken.next_visit)
    ).distinct()
    to = days.select("patient_id", next_day="visit_date", next="service")
    pairs = steps.join(to, ["patient_id", "next_day"])
    return pairs.filter(pairs.next != pairs.taken).select("patient_id", "taken", "next_day", "next")


def _visits(days: ir.Table) -> ir.Table:
    """Each day with the service that was its only one, the next day, and the runs of days of one and the same only."""
    visits = days.group_by(["patient_id", "visit_date"]).aggregate(low=days.service.min(), high=days.service.max())
    visits = visits.select("patient_id", "visit_date", only=(visits.low == visits.high).ifelse(visits.low, None))
    window = {"group_by": visits.patient_id, "order_by": visits.visit_date}
    same = (visits.only == visits.only.lag().over(**window)).fill_null(False)
    visits = visits.mutate(begins=same.ifelse(0, 1), next_visit=visits.visit_date.lead().over(**window))
    until = ibis.cumulative_window(group_by=visits.patient_id, order_by=visits.visit_date)
    visits = visits.mutate(run=visits.begins.sum().over(until)).drop("begins")
    after = visits.run.lead().over(group_by=visits.patient_id, order_by=visits.visit_date)
    return visits.mutate(next_run=after)


def next_rules(steps: ir.Table, *, min_count: int = 5) -> pd.DataFrame:
    """What is taken after what.

    Parameters
    ----------
    steps : ibis.Table
        As `steps_of` gives them.
    min_count : int, default 5
        A rule rests on no fewer patients.

    Returns
    -------
    pandas.DataFrame
        ``taken, next, patients, steps`` (that lead from one to the other), ``of`` (steps from `taken` to any),
        ``support`` (steps ÷ all steps), ``confidence`` (steps ÷ of), ``usual`` (of the steps from any service but
        `next` itself, the share that lead to it), ``lift`` (confidence ÷ usual). The most confident first.
    """
    table = _pairs(steps)
    enough = table[table["patients"] >= min_count]
    order = ["confidence", "steps", "taken", "next"]
    return enough.sort_values(order, ascending=[False, False, True, True]).reset_index(drop=True)


def popular_next(steps: ir.Table) -> pd.Series:
    """Of each service the share of steps that lead to it, of those from others; the most popular first."""
    table = _pairs(steps).drop_duplicates("next").set_index("next")["usual"]
    return table.sort_index().sort_values(ascending=False, kind="stable").rename("usual")


def _pairs(steps: ir.Table) -> pd.DataFrame:
    counted = steps.group_by(["taken", "next"]).aggregate(patients=steps.patient_id.nunique(), steps=steps.count())
    each = steps.select("patient_id", "taken", "next_day").distinct()
    of = each.group_by("taken").aggregate(of=each.count()).execute().set_index("taken")["of"]
    table = counted.execute()
    table["of"] = table["taken"].map(of).astype("int64")
    everything = of.sum()
    table["support"], table["confidence"] = table["steps"] / everything, table["steps"] / table["of"]
    to = table.groupby("next")["steps"].transform("sum")
    table["usual"] = to / (everything - table["next"].map(of).fillna(0))
    table["lift"] = table["confidence"] / table["usual"]
    return table


def last_services(days: ir.Table) -> ir.Table:
    """The services of each patient's last day with one: ``patient_id, taken``."""
    last = days.group_by("patient_id").aggregate(visit_date=days.visit_date.max())
    return days.join(last, ["patient_id", "visit_date"]).select("patient_id", taken="service")


def recommend(last: ir.Table, rules: pd.DataFrame, popular: pd.Series) -> pd.DataFrame:
    """Recommend to each patient three services other than their last.

    A service's score is its mean confidence over the patient's last services, 0 where there is no rule. Equal scores
    go by how popular the service is; so do patients after whose services there is no rule.

    Parameters
    ----------
    last : ibis.Table
        As `last_services` gives them.
    rules : pandas.DataFrame
        As `next_rules` gives them; none to recommend what is popular.
    popular : pandas.Series
        As `popular_next` gives it.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, place`` (1 is the best), ``service, score``.
    """
    known = ibis.memtable(rules[["taken", "next", "confidence"]].astype({"taken": "str", "next": "str"}))
    had = last.group_by("patient_id").aggregate(had=last.count())
    scored = last.join(known, "taken").join(had, "patient_id")
    scored = scored.group_by(["patient_id", "next"]).aggregate(score=(scored.confidence / scored.had).sum())
    most = int(had.had.max().execute() or 0)
    pool = ibis.memtable(pd.DataFrame({"next": popular.index[: PLACES + most].astype("str")}))
    pool = had.select("patient_id").cross_join(pool).mutate(score=ibis.literal(0.0))
    offered = ibis.union(scored, pool.select("patient_id", "next", "score"))
    offered = offered.group_by(["patient_id", "next"]).aggregate(score=offered.score.max())
    offered = offered.anti_join(last.select("patient_id", next="taken"), ["patient_id", "next"])
    usual = ibis.memtable(popular.rename_axis("next").reset_index().astype({"next": "str"}))
    offered = offered.join(usual, "next")
    # Sums of floats differ in their last digits by the order of adding; equal ones must stay equal.
    order = [offered.score.round(9).desc(), offered.usual.desc(), offered.next]
    place = ibis.row_number().over(group_by=offered.patient_id, order_by=order) + 1
    best = offered.mutate(place=place).filter(lambda row: row.place <= PLACES)
    best = best.select("patient_id", "place", service="next", score="score")
    return best.order_by(["patient_id", "place"]).execute()


def hit_rates(days: ir.Table, steps: ir.Table, start: dt.date, end: dt.date, *, min_count: int = 5) -> HitRates:
    """Hold the rules of the time before `start` against what patients took next from then on.

    Parameters
    ----------
    days, steps : ibis.Table
        As `service_days` and `steps_of` give them, up to `end`.
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

    last = last_services(days.filter(days.visit_date < start))
    later = days.filter(days.visit_date >= start).semi_join(last, "patient_id")
    later = later.anti_join(last.select("patient_id", service="taken"), ["patient_id", "service"])
    first = later.group_by("patient_id").aggregate(visit_date=later.visit_date.min())
    took = later.join(first, ["patient_id", "visit_date"]).select("patient_id", "service").execute()
    patients = took["patient_id"].nunique()
    if patients < LEAST:
        raise NotEnoughData("few_next_services", have=patients, need=LEAST)
    before = steps.filter(steps.next_day < start)
    popular, asked = popular_next(before), last.semi_join(first, "patient_id")
    rules = next_rules(before, min_count=min_count)
    hit, usual = (_hit(recommend(asked, some, popular), took) for some in (rules, rules.head(0)))
    more, fewer = len(hit - usual), len(usual - hit)
    p = float(binom.sf(more - 1, more + fewer, 0.5)) if more + fewer else 1.0
    return HitRates(patients, len(hit), len(usual), p, start, end)


def _hit(offered: pd.DataFrame, took: pd.DataFrame) -> set[str]:
    return set(offered.merge(took, on=["patient_id", "service"])["patient_id"])


def next_by_group(offered: pd.DataFrame, patients: pd.DataFrame, segments: Sequence[str]) -> pd.DataFrame:
    """Which services come first for how many patients of each group.

    Parameters
    ----------
    offered : pandas.DataFrame
        As `recommend` gives it.
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
