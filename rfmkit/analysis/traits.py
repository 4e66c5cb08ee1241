"""What the patients of a group have more often than all others: what they took, where and when they come.

A trait is something that a patient has or has not: a service once taken, a usual branch, a usual weekday. Patients are
counted, not lines, since one patient's lines are alike and would pass for proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd

from rfmkit.analysis.portraits import UNKNOWN

#: The share of wrong claims that the tests allow among all claims of a table.
MOST_WRONG = 0.05
#: The kinds whose items a line names, and the column that does.
_NAMED = {"service": "service", "first_service": "service", "category": "category", "branch": "branch"}
#: Of these a patient may have several; of every other kind exactly one.
SEVERAL = ("service", "category", "first_service")
_HOUR = r"(\d{1,2}):\d{2}"
_AFTERNOON = r"(?i)p\.?m|下午"
_HALF_DAY = 12


def traits_of(sales: ir.Table) -> ir.Table:
    """Every patient's traits, of what the lines tell.

    Parameters
    ----------
    sales : ibis.Table
        As `rfmkit.data.bought.sales_of` gives them, by names or `numbered`.

    Returns
    -------
    ibis.Table
        ``patient_id, kind, item``, each once. Kinds: ``service`` and ``category``, ever taken; ``first_service``, taken
        on the first day; and the patient's usual ``branch, weekday`` ("0" is Monday), ``hour`` ("0" to "23", in which
        the first line of the day stands): that of most visits, of those that are equal the latest. Items are numbers
        where the patients are.
    """
    lines = sales
    kinds = []
    if "service" in lines.columns:
        taken = _taken(lines, "service")
        first = taken.group_by("patient_id").aggregate(visit_date=taken.visit_date.min())
        kinds += [_told(taken, "service"), _told(taken.semi_join(first, ["patient_id", "visit_date"]), "first_service")]
    if "category" in lines.columns:
        kinds.append(_told(_taken(lines, "category"), "category"))
    if "branch" in lines.columns:
        kinds.append(_usual(lines.mutate(item=lines.branch), "branch"))
    kinds.append(_usual(lines.mutate(item=lines.visit_date.day_of_week.index().cast("int64")), "weekday"))
    if "visit_time" in lines.columns:
        hours = lines.mutate(hour=_hour_of(lines.visit_time.cast("string")))
        days = hours.group_by(["patient_id", "visit_date"]).aggregate(hour=hours.hour.min())
        kinds.append(_usual(days.mutate(item=days.hour.cast("string")), "hour"))
    items = "string" if lines.patient_id.type().is_string() else "int32"
    kinds = [kind.mutate(item=kind.item.cast(items)) for kind in kinds]
    return ibis.union(*kinds) if len(kinds) > 1 else kinds[0]


def _taken(lines: ir.Table, column: str) -> ir.Table:
    """What each patient has ever taken, and when first; also what has no name."""
    taken = lines.mutate(item=lines[column]).group_by(["patient_id", "item"])
    return taken.aggregate(visit_date=lines.visit_date.min())


def _told(rows: ir.Table, kind: str) -> ir.Table:
    named = rows.filter(rows.item.notnull())
    return named.select("patient_id", kind=ibis.literal(kind), item=named.item)


def _usual(rows: ir.Table, kind: str) -> ir.Table:
    """Each patient's item of most days."""
    rows = rows.filter(rows.item.notnull()).select("patient_id", "visit_date", "item").distinct()
    counted = rows.group_by(["patient_id", "item"]).aggregate(days=rows.count(), last=rows.visit_date.max())
    order = [counted.days.desc(), counted["last"].desc(), counted.item]
    place = ibis.row_number().over(group_by=counted.patient_id, order_by=order)
    return _told(counted.mutate(place=place).filter(lambda row: row.place == 0), kind)


def _hour_of(written: ir.StringColumn) -> ir.IntegerColumn:
    """The hour of a time of day, also of one with a.m. and p.m. before or behind."""
    hour = written.re_extract(_HOUR, 1).nullif("").cast("int64")
    marked = written.re_search(r"(?i)[ap]\.?m|[上下]午")
    later = written.re_search(_AFTERNOON).ifelse(_HALF_DAY, 0)
    hour = marked.ifelse(hour % _HALF_DAY + later, hour)
    return hour.between(0, 2 * _HALF_DAY - 1).ifelse(hour, None)


def count_traits(traits: ir.Table, members: pd.DataFrame) -> pd.DataFrame:
    """How many patients of each group have each trait.

    Parameters
    ----------
    traits : ibis.Table
        As `traits_of` gives them.
    members : pandas.DataFrame
        One row a patient: ``patient_id``; ``known``: whether the first visit is known (else none is the first); and
        ``group``, or several columns whose combinations are the groups.

    Returns
    -------
    pandas.DataFrame
        ``group`` (or the several), ``kind, item, patients`` (who have it), ``of`` (of whom that kind is known at all).
        Items that nobody in a group has are left out.
    """
    group = [name for name in members if name not in ("patient_id", "known")]
    groups = members[group].drop_duplicates(ignore_index=True).assign(number=lambda each: each.index)
    who = ibis.memtable(members.merge(groups, on=group)[["patient_id", "known", "number"]])

    def count(rows: ir.Table, name: str, by: list[str]) -> pd.DataFrame:
        told = rows.join(who, "patient_id")
        told = told.filter((told.kind != "first_service") | told.known)
        return told.group_by(["number", *by]).aggregate(told.count().name(name)).execute()

    of = count(traits.select("patient_id", "kind").distinct(), "of", ["kind"])
    counts = count(traits, "patients", ["kind", "item"]).merge(of, on=["number", "kind"])
    return groups.merge(counts, on="number").drop(columns="number")


def with_names(counts: pd.DataFrame, names: Mapping[str, pd.Index]) -> pd.DataFrame:
    """Counts as `count_traits` gives them, with names in the place of their numbers among `names`."""
    item = counts["item"].astype("str")
    for kind, column in _NAMED.items():
        numbers = item[counts["kind"] == kind]
        if len(numbers):
            item[numbers.index] = names[column][counts.loc[numbers.index, "item"]]
    return counts.assign(item=item)


def count_cohorts(group: pd.Series, cohort: pd.Series) -> pd.DataFrame:
    """How many patients of each group are of each cohort, in the form of `count_traits`; `unknown` is none."""
    known = cohort != UNKNOWN
    counts = (
        pd.DataFrame({"group": group[known], "item": cohort[known]}).value_counts().rename("patients").reset_index()
    )
    of = counts.groupby("group")["patients"].transform("sum")
    return counts.assign(kind="cohort", of=of)[["group", "kind", "item", "patients", "of"]]


def over_represented(counts: pd.DataFrame, groups: Iterable[str], *, min_count: int = 5) -> pd.DataFrame:
    """Test which traits a group has more often than all others together.

    Each group is held against the rest by Fisher's exact test, one-sided: P(X ≥ patients) of a hypergeometric
    distribution. A trait is claimed where its p, adjusted by Benjamini and Hochberg (1995) over all tests of the table,
    is at most 5 %: of such claims no more than 5 % are expected to be wrong, and where there is no difference at all,
    no more than 5 % of tables claim any. What is tested is chosen by the margins alone, which carry nothing of the
    difference: a trait of at least `min_count` patients, but not of all, in a group of at least as many.

    Parameters
    ----------
    counts : pandas.DataFrame
        As `count_traits` gives it.
    groups : iterable of str
        The groups, in order.
    min_count : int, default 5
        No test and no claim rests on fewer patients.

    Returns
    -------
    pandas.DataFrame
        One row a group and trait, zeros too: ``group, kind, item, patients, of, share, others, others_of,
        others_share, times`` (share ÷ the others', ∞ where they never have it), ``p, p_adjusted`` (missing where
        nothing is tested), ``over`` (claimed). By group; within it the claimed first, by kind, the strongest first.
    """
    from scipy.stats import false_discovery_control, hypergeom

    table = _grid(counts, list(groups))
    everybody, having = table["of"] + table["others_of"], table["patients"] + table["others"]
    tested = (having >= min_count) & (having < everybody) & (table["of"] >= min_count) & (table["others_of"] > 0)
    some = table[tested]
    p = hypergeom.sf(some["patients"] - 1, everybody[tested], having[tested], some["of"])
    table["p"] = pd.Series(p.clip(0, 1), some.index, dtype="float64")
    adjusted = false_discovery_control(table.loc[tested, "p"]) if len(some) else []
    table["p_adjusted"] = pd.Series(adjusted, some.index, dtype="float64")
    table["over"] = (table["p_adjusted"] <= MOST_WRONG) & (table["patients"] >= min_count)
    table["order"] = table["group"].map({group: place for place, group in enumerate(groups)})
    table = table.sort_values(["order", "over", "kind", "times", "item"], ascending=[True, False, True, False, True])
    return table.drop(columns="order").reset_index(drop=True)


def _grid(counts: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Every group with every trait, and what all others of the table have."""
    counts = counts[counts["group"].isin(groups)]
    of = counts.drop_duplicates(["group", "kind"]).set_index(["group", "kind"])["of"]
    items = counts[["kind", "item"]].drop_duplicates()
    table = pd.DataFrame({"group": pd.Series(groups, dtype="str")}).merge(items, how="cross")
    table = table.merge(counts[["group", "kind", "item", "patients"]], how="left", on=["group", "kind", "item"])
    table["patients"] = table["patients"].fillna(0).astype("int64")
    place = pd.MultiIndex.from_frame(table[["group", "kind"]])
    table["of"] = of.reindex(place, fill_value=0).to_numpy().astype("int64")
    table["others"] = table.groupby(["kind", "item"])["patients"].transform("sum") - table["patients"]
    table["others_of"] = table["kind"].map(of.groupby("kind").sum()).astype("int64") - table["of"]
    table.insert(5, "share", table["patients"] / table["of"].where(table["of"] > 0))
    table["others_share"] = table["others"] / table["others_of"].where(table["others_of"] > 0)
    table["times"] = table["share"] / table["others_share"]
    return table
