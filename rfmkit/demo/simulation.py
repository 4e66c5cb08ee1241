"""The history of a demo clinic, month by month.

A month depends on what was before it and on random numbers of its own, never on how long the history
goes on: a longer history has the same earlier rows. The roster is the state that the months hand on;
`_launch`, `_sales` and `_after` change it in place.
"""

from __future__ import annotations

import numpy as np

from rfmkit.demo import baskets
from rfmkit.demo.days import NEVER, month_days, next_open
from rfmkit.demo.draws import Draws
from rfmkit.demo.recipe import Recipe
from rfmkit.demo.roster import TEST_CARDS, Columns, behaviour, extend, identity, interval

REFUND_WITHIN = 21  # days
SAME_RECEIPT, NO_RECEIPT, OWN_RECEIPT = 0, 1, 2
REFUND_KINDS = (0.82, 0.09, 0.09)
JOINS_AT_LAUNCH = 0.9  # of those who would join at all and still come
JOINS_WHEN_GONE = 0.05


def simulate(recipe: Recipe, months: int) -> tuple[Columns, Columns]:
    """The lines (in the export's order) and the roster (in the order of registration) after some months."""
    openings = next_open(recipe, month_days(months)[1])
    roster: Columns = {}
    pending: Columns = {}
    done: list[Columns] = []
    receipts = returns = 0
    for month in range(months):
        draws = Draws(recipe.seed, month)
        roster = _enter(recipe, draws, roster, month)
        if recipe.programme and month == recipe.programme.starts:
            _launch(recipe, draws, roster, month)
        sales = _sales(recipe, draws, roster, month, openings)
        sales = _in_order(sales, receipts)
        receipts = int(sales["receipt"][-1])
        pending = extend(pending, _refunds(recipe, draws, sales, openings))
        due = pending["day"] <= month_days(month)[1]
        refunds = _with_receipts({name: column[due] for name, column in pending.items()}, returns)
        returns += int((refunds["refund"] == OWN_RECEIPT).sum())
        pending = {name: column[~due] for name, column in pending.items()}
        np.add.at(roster["balance"], refunds["patient"], refunds["accrued"] - refunds["redeemed"])
        both = extend(sales, refunds)
        order = np.lexsort((both["service"], both["receipt"], both["refund"], both["day"]))
        done.append({name: column[order] for name, column in both.items()})
    lines = {name: np.concatenate([part[name] for part in done]) for name in done[0]}
    return lines, roster


def _enter(recipe: Recipe, draws: Draws, roster: Columns, month: int) -> Columns:
    """The roster with this month's new patients; the first month brings those of the years before too."""
    if month == 0 and recipe.known:
        kind = draws.choice(tuple(kind.known for kind in recipe.kinds), recipe.known)
        registered = -1 - np.floor(draws.uniform(recipe.known) ** 1.3 * 2200).astype(np.int64)
        registered = np.sort(registered)
        people = behaviour(recipe, draws, kind) | identity(recipe, draws, roster, kind, registered)
        people["home"] = _homes(recipe, draws, kind.size, month)
        # They are somewhere between two visits.
        waiting = interval(recipe, draws, people, np.arange(kind.size)) * draws.uniform(kind.size)
        people |= {"visits": np.ones_like(kind), "from_day": np.full(kind.size, -1)}
        people["remaining"] = np.floor(waiting * 1000).astype(np.int64)
        roster = extend(roster, people)
    first, last = month_days(month)
    base, growth = recipe.arrivals
    expected = (base + growth * month) * recipe.season[(month + 10) % 12] / 1000
    n = int(expected) + int(draws.whole(-4, 5, 1)[0])
    kind = draws.choice(tuple(kind.newcomers for kind in recipe.kinds), n)
    day = np.sort(draws.whole(first, last, n))
    people = behaviour(recipe, draws, kind) | identity(recipe, draws, roster, kind, day)
    people["home"] = _homes(recipe, draws, n, month)
    people["from_day"] = day - 1
    if recipe.programme and month >= recipe.programme.starts:
        people["member_day"] = np.where(people["would_join"], day, NEVER)
    if month in TEST_CARDS:
        people["is_test"][-1] = True
        people["leave"][-1] = 1.0
    return extend(roster, people)


def _homes(recipe: Recipe, draws: Draws, n: int, month: int) -> np.ndarray:
    return draws.choice(tuple(b.weight if b.opens <= month else 0.0 for b in recipe.branches), n)


def _launch(recipe: Recipe, draws: Draws, roster: Columns, month: int) -> None:
    """Invite everybody in the programme's first month; later only newcomers join.

    So a row of the patients' file changes once, in that month, and never again.
    """
    first, last = month_days(month)
    n = roster["kind"].size
    odds = np.where(roster["alive"], JOINS_AT_LAUNCH, JOINS_WHEN_GONE)
    joins = roster["would_join"] & (roster["registered_day"] < first) & draws.chance(odds, n)
    day = draws.whole(first, last, n)
    roster["member_day"] = np.where(joins, day, roster["member_day"])


def _sales(recipe: Recipe, draws: Draws, roster: Columns, month: int, openings: np.ndarray) -> Columns:
    """The sales of a month: rounds of at most one visit a patient, until nobody is due any more."""
    last = month_days(month)[1]
    pace = np.array([recipe.season[(month + 10) % 12] if kind.seasonal else 1000 for kind in recipe.kinds])
    active = np.flatnonzero(roster["alive"])
    rounds: list[Columns] = []
    visits = 0
    while active.size:
        speed = pace[roster["kind"][active]]
        steps = np.maximum(1, -(-roster["remaining"][active] // speed))
        day = openings[np.minimum(roster["from_day"][active] + steps, openings.size - 1)]
        due = day <= last
        waiting = active[~due]
        passed = speed[~due] * (last - roster["from_day"][waiting])
        roster["remaining"][waiting] = np.maximum(0, roster["remaining"][waiting] - passed)
        roster["from_day"][waiting] = last
        who, day = active[due], day[due]
        if not who.size:
            break
        lines = baskets.buy(recipe, draws, roster, baskets.Visits(month, who, day))
        np.add.at(roster["balance"], lines["patient"], lines["accrued"] - lines["redeemed"])
        lines["day"] = day[lines["visit"]]
        lines["tie"] = draws.uniform(who.size)[lines["visit"]]
        lines["visit"] = lines["visit"] + visits
        rounds.append(lines)
        visits += who.size
        active = _after(recipe, draws, roster, who, day)
    return {name: np.concatenate([part[name] for part in rounds]) for name in rounds[0]}


def _after(recipe: Recipe, draws: Draws, roster: Columns, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Let some leave after a visit, some give up their treatment, the others wait; who is left."""
    roster["first_day"][who] = np.where(roster["first_day"][who] == NEVER, day, roster["first_day"][who])
    roster["visits"][who] += 1
    roster["from_day"][who] = day
    leaves = draws.chance(roster["leave"][who], who.size)
    odds = np.array([kind.stays for kind in recipe.kinds])[roster["kind"][who]]
    lapses = leaves & draws.chance(odds, who.size) & ~roster["is_test"][who]
    gone = who[leaves & ~lapses]
    roster["alive"][gone] = False
    roster["dropped_day"][gone] = day[leaves & ~lapses]
    lapsed = who[lapses]
    if lapsed.size:
        into = np.array([recipe.kind(kind.stays_as) if kind.stays_as else -1 for kind in recipe.kinds])
        roster["lapsed_day"][lapsed] = day[lapses]
        roster["kind"][lapsed] = into[roster["kind"][lapsed]]
        roster["own"][lapsed] = False
        other = behaviour(recipe, draws, roster["kind"][lapsed])
        for trait in ("rate", "leave"):
            roster[trait][lapsed] = other[trait]
    stayed = who[~(leaves & ~lapses)]
    roster["remaining"][stayed] = 1000 * interval(recipe, draws, roster, stayed)
    return stayed


def _in_order(sales: Columns, receipts: int) -> Columns:
    """The sales of a month by day, numbered on from the last receipt."""
    order = np.lexsort((sales["service"], sales["part"], sales["visit"], sales["tie"], sales["day"]))
    sales = {name: column[order] for name, column in sales.items()}
    pair = sales["visit"] * 2 + sales["part"]
    new = np.r_[True, pair[1:] != pair[:-1]]
    return sales | {"receipt": receipts + np.cumsum(new), "refund": np.full(pair.size, -1)}


def _refunds(recipe: Recipe, draws: Draws, sales: Columns, openings: np.ndarray) -> Columns:
    """Some of the paid lines, given back within three weeks: the same line with its numbers negative."""
    back = draws.chance(recipe.refunds, sales["day"].size) & (sales["amount"] > 0)
    refunds = {name: column[back] for name, column in sales.items()}
    n = refunds["day"].size
    for name in ("quantity", "gross", "discount", "redeemed", "accrued", "amount"):
        refunds[name] = -refunds[name]
    later = refunds["day"] + draws.whole(1, REFUND_WITHIN, n)
    return refunds | {"day": openings[later], "refund": draws.choice(REFUND_KINDS, n)}


def _with_receipts(refunds: Columns, returns: int) -> Columns:
    """Refunds with the sale's receipt, with none (0) or with one of the returns' own series (below 0)."""
    own = np.flatnonzero(refunds["refund"] == OWN_RECEIPT)
    own = own[np.lexsort((refunds["service"][own], refunds["receipt"][own], refunds["day"][own]))]
    receipt = np.where(refunds["refund"] == NO_RECEIPT, 0, refunds["receipt"])
    receipt[own] = -(returns + 1 + np.arange(own.size))
    return refunds | {"receipt": receipt}
