"""Everybody a demo clinic knows: how they behave, and who they are. Drawn once, when a person enters."""

from __future__ import annotations

import numpy as np

from rfmkit.demo.days import NEVER
from rfmkit.demo.draws import Draws
from rfmkit.demo.recipe import Recipe

Columns = dict[str, np.ndarray]

FAMILY = 0.10  # of the newcomers live with a patient: one phone, one surname
SAME_PERSON = 0.006  # of the newcomers were patients before, and get a second card
TEST_CARDS = (3, 31)  # months in which the reception tries the system
REFERRED = 0.14
OLDEST = 95
YEARS = 365.25


def extend(roster: Columns, entrants: Columns) -> Columns:
    """The roster with the entrants at its end."""
    return {name: np.concatenate([roster[name], entrants[name]]) for name in entrants} if roster else entrants


def behaviour(recipe: Recipe, draws: Draws, kind: np.ndarray) -> Columns:
    """How often they come, when they leave, what they need again and again, what they can pay."""
    n = kind.size
    rate, leave = np.empty(n), np.empty(n)
    own = np.zeros((n, len(recipe.services)), dtype=bool)
    for number, traits in enumerate(recipe.kinds):
        rows = np.flatnonzero(kind == number)
        rate[rows] = draws.gamma(traits.spread, rows.size) / (traits.spread * traits.mean_days)
        leave[rows] = draws.beta(*traits.leave, rows.size)
        if traits.own:
            services = np.array([recipe.service(name) for name in traits.own])
            wanted = 1 + draws.choice(traits.own_counts, rows.size)
            for turn in range(len(traits.own_counts)):
                picked = services[draws.choice(tuple(traits.own.values()), rows.size)]
                own[rows[turn < wanted], picked[turn < wanted]] = True
    means = draws.normal(n)
    return {
        "kind": kind,
        "first_kind": kind,
        "rate": rate,
        "first_rate": rate,
        "leave": leave,
        "first_leave": leave,
        "own": own,
        "tier": np.minimum(np.searchsorted([-0.8, 0.0, 0.8, 1.6], means), len(recipe.tiers) - 1),
        "appetite": np.clip(np.exp(0.45 * means), 0.4, 2.5),
        "alive": np.ones(n, dtype=bool),
        "visits": np.zeros(n, dtype=np.int64),
        "from_day": np.zeros(n, dtype=np.int64),
        "remaining": np.zeros(n, dtype=np.int64),
        "balance": np.zeros(n, dtype=np.int64),
        "doctor": draws.uniform(n),
        "would_join": draws.uniform(n) < np.array([traits.joins for traits in recipe.kinds])[kind],
        **{name: np.full(n, NEVER) for name in ("member_day", "first_day", "dropped_day", "lapsed_day")},
    }


def interval(recipe: Recipe, draws: Draws, roster: Columns, who: np.ndarray) -> np.ndarray:
    """Days to the next visit, were every month alike: whole days, at least one."""
    days = np.empty(who.size)
    for number, traits in enumerate(recipe.kinds):
        rows = np.flatnonzero(roster["kind"][who] == number)
        days[rows] = draws.gamma(traits.shape, rows.size) / traits.shape
    lift = np.where(roster["member_day"][who] != NEVER, recipe.programme.lift if recipe.programme else 1.0, 1.0)
    return np.clip(np.ceil(days / (roster["rate"][who] * lift)), 1, 20_000).astype(np.int64)


def identity(recipe: Recipe, draws: Draws, roster: Columns, kind: np.ndarray, registered: np.ndarray) -> Columns:
    """Who they are: names, birth, phone, consents. Some live with a patient, some had a card before."""
    n, known = kind.size, roster["kind"].size if roster else 0
    mean, deviation = np.array([traits.ages for traits in recipe.kinds])[kind].T
    youngest = np.array([traits.youngest for traits in recipe.kinds])[kind]
    age = np.minimum(youngest + np.abs(mean + deviation * draws.normal(n) - youngest), OLDEST)
    male = draws.uniform(n) >= np.array([traits.female for traits in recipe.kinds])[kind]
    who = {
        "male": male,
        "sex_known": draws.chance(0.98, n),
        "birth_day": registered - np.floor(age * YEARS).astype(np.int64),
        **{part: np.floor(draws.uniform(n) * 5040).astype(np.int64) for part in ("surname", "given", "middle")},
        "phone": known + np.arange(n),
        "has_phone": draws.chance(0.97, n),
        "phone_style": draws.whole(0, 3, n),
        "email": np.where(draws.chance(0.58, n), draws.whole(1, 3, n), 0),
        "consents": (draws.uniform(4 * n).reshape(4, n) < np.array([[0.74], [0.62], [0.66], [0.58]])).T,
        "consent_source": draws.whole(0, len(recipe.consent_sources) - 1, n),
        "opted_out": draws.chance(0.035, n),
        "registered_day": registered,
        "same_as": np.full(n, -1),
        "is_test": np.zeros(n, dtype=bool),
        "referred_by": np.full(n, -1),
    }
    relative, referrer, former = (draws.uniform(n) for _ in range(3))
    family, child = draws.chance(FAMILY, n), draws.chance(recipe.children, n)
    again, referred = draws.chance(SAME_PERSON, n), draws.chance(REFERRED, n)
    child_age = np.floor((4 + 11 * draws.uniform(n)) * YEARS).astype(np.int64)
    if not known:
        return who
    elder = np.floor(relative * known).astype(np.int64)
    for part in ("surname", "phone", "has_phone"):
        who[part] = np.where(family, roster[part][elder], who[part])
    who["birth_day"] = np.where(family & child, registered - child_age, who["birth_day"])
    who["referred_by"] = np.where(referred, np.floor(referrer * known).astype(np.int64), -1)
    gone = np.flatnonzero(~roster["alive"] & ~roster["is_test"] & (roster["first_day"] != NEVER))
    if gone.size:
        before = gone[np.floor(former * gone.size).astype(np.int64)]
        for part in ("male", "birth_day", "surname", "given", "middle", "phone", "has_phone"):
            who[part] = np.where(again, roster[part][before], who[part])
        who["same_as"] = np.where(again, before, -1)
    return who
