"""What is bought at a visit: services, quantities, prices, discounts, bonuses. Money is whole hundredths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rfmkit.demo.days import NEVER
from rfmkit.demo.draws import Draws
from rfmkit.demo.recipe import Kind, Recipe
from rfmkit.demo.roster import Columns

KEEPS = 0.92  # a patient's own treatment is part of a visit this often
TWO_RECEIPTS = 0.10
USUAL_BRANCH = 0.90
USUAL_DOCTOR = 0.85


@dataclass(frozen=True)
class Visits:
    """Visits within a month, at most one a patient: who (places in the roster) on which days."""

    month: int
    who: np.ndarray
    day: np.ndarray


def price_list(recipe: Recipe, year: int) -> np.ndarray:
    """Prices by tier and service: the list of 2021, dearer every January, rounded as prices are."""
    level = 1000
    for _ in range(2021, year):
        level = level * (1000 + recipe.inflation) // 1000
    listed = np.array([service.price for service in recipe.services], dtype=np.int64)
    exact = listed[None, :] * np.array(recipe.tiers, dtype=np.int64)[:, None] * level
    step = recipe.price_step * 1_000_000
    return (exact + step // 2) // step * recipe.price_step


def _weights(recipe: Recipe, table: Mapping[str, float], month_of_year: int) -> np.ndarray:
    weights = np.zeros(len(recipe.services))
    for name, weight in table.items():
        number = recipe.service(name)
        weights[number] = weight * recipe.services[number].season[month_of_year - 1] / 1000
    return weights


def _chosen(recipe: Recipe, draws: Draws, kind: Kind, visitors: Columns, month: int) -> np.ndarray:
    """Visits by services of one kind of patients: True where the service is part of the visit."""
    own, appetite, first = visitors["own"], visitors["appetite"], visitors["visits"] == 0
    n, services = own.shape
    chosen = own & (draws.uniform(n * services).reshape(n, services) < KEEPS)
    odds = np.minimum(_weights(recipe, kind.extra, month)[None, :] * appetite[:, None], 0.95)
    odds = np.where(first[:, None], np.maximum(odds, _weights(recipe, kind.first, month)[None, :]), odds)
    chosen |= draws.uniform(n * services).reshape(n, services) < odds
    main = draws.choice(_weights(recipe, kind.main, month), n)
    without = ~chosen.any(axis=1) if kind.own else np.ones(n, dtype=bool)
    chosen[np.flatnonzero(without), main[without]] = True
    return chosen


def _where(recipe: Recipe, draws: Draws, homes: np.ndarray, month: int) -> np.ndarray:
    """The branch of each visit: mostly one's own."""
    is_open = np.array([branch.weight if branch.opens <= month else 0.0 for branch in recipe.branches])
    other = draws.choice(is_open, homes.size)
    return np.where(draws.chance(USUAL_BRANCH, homes.size), homes, other)


def _doctors(recipe: Recipe, taste: np.ndarray, service: np.ndarray, branch: np.ndarray) -> np.ndarray:
    """A number in the list of the service's group of doctors, -1 for none; branches do not share doctors."""
    sizes = np.array([len(recipe.doctors.get(each.doctors, ())) for each in recipe.services])[service]
    here = -(-(sizes - branch) // len(recipe.branches))
    return np.where(sizes > 0, branch + np.floor(taste * here).astype(np.int64) * len(recipe.branches), -1)


def buy(recipe: Recipe, draws: Draws, roster: Columns, visits: Visits) -> Columns:
    """Draw the lines of some visits; `visit` is the position in `visits.who`.

    No service stands twice in a visit, so no two lines of a receipt are equal.
    """
    who, month = visits.who, visits.month
    month_of_year = (month + 10) % 12 + 1
    chosen = np.zeros((who.size, len(recipe.services)), dtype=bool)
    for number, kind in enumerate(recipe.kinds):
        rows = np.flatnonzero(roster["kind"][who] == number)
        visitors = {name: roster[name][who[rows]] for name in ("own", "appetite", "visits")}
        chosen[rows] = _chosen(recipe, draws, kind, visitors, month_of_year)
    visit, service = np.nonzero(chosen)
    patient = who[visit]
    most = np.array([each.most for each in recipe.services])[service]
    more = draws.uniform(service.size)
    quantity = np.minimum(1 + (more < 0.14) + (more < 0.03), most).astype(np.int64)
    repeated = np.array([kind.own_quantity for kind in recipe.kinds])[roster["kind"][patient]]
    quantity = np.where(roster["own"][patient, service], np.minimum(repeated, most), quantity)
    branch = _where(recipe, draws, roster["home"][who], month)[visit]
    taste = np.where(draws.chance(USUAL_DOCTOR, who.size), roster["doctor"][who], draws.uniform(who.size))
    lines = {
        "visit": visit,
        "patient": patient,
        "service": service,
        "quantity": quantity,
        "branch": branch,
        "doctor": _doctors(recipe, taste[visit], service, branch),
        "paid_by": draws.choice((0.62, 0.2, 0.18), who.size)[visit],
        "gross": price_list(recipe, 2021 + (month + 10) // 12)[roster["tier"][patient], service] * quantity,
    }
    order = np.arange(service.size) - np.searchsorted(visit, visit)
    lines["part"] = np.where(draws.chance(TWO_RECEIPTS, who.size)[visit] & (order > 0), 1, 0)
    member = (roster["member_day"][who] != NEVER) & (roster["member_day"][who] <= visits.day)
    balance = np.where(member, np.maximum(roster["balance"][who], 0), -1)
    return lines | _bonuses(recipe, draws, lines, balance, month)


def _bonuses(recipe: Recipe, draws: Draws, lines: Columns, balance: np.ndarray, month: int) -> Columns:
    """Draw discounts and bonuses, and what is left to pay; `balance` is by visit, -1 for no member."""
    gross, visit = lines["gross"], lines["visit"]
    nothing = np.zeros(gross.size, dtype=np.int64)
    programme = recipe.programme
    if programme is None or month < programme.starts:
        return {"discount": nothing, "redeemed": nothing, "accrued": nothing, "amount": gross}
    cheaper = draws.chance(programme.discounted, gross.size)
    discount = np.where(cheaper, gross * programme.discount // 1000, 0)
    due = gross - discount
    total = np.zeros(balance.size, dtype=np.int64)
    np.add.at(total, visit, due)
    uses = draws.chance(programme.redeems, balance.size) & (balance >= programme.least)
    spent = np.where(uses, np.minimum(balance, total * programme.most_redeemed // 1000), 0)
    redeemed = due * spent[visit] // np.maximum(total, 1)[visit]
    amount = due - redeemed
    accrued = np.where(balance[visit] >= 0, amount * programme.accrual // 1000, 0)
    return {"discount": discount, "redeemed": redeemed, "accrued": accrued, "amount": amount}
