"""The simulated clinic as frames with rfmkit's column names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rfmkit.demo.days import NEVER, to_dates
from rfmkit.demo.recipe import Layout, Recipe
from rfmkit.demo.roster import Columns

DOMAINS = ("", "example.com", "example.org", "example.net")  # RFC 2606: nobody's
MONEY = {"discount": "discount", "bonus_accrued": "accrued", "bonus_redeemed": "redeemed", "amount": "amount"}
CONSENTS = ("consent_sms", "consent_email", "consent_phone", "consent_ads")


def _words(values: list[str]) -> np.ndarray:
    return np.array([value or None for value in values], dtype=object)


def patient_ids(recipe: Recipe, numbers: np.ndarray) -> np.ndarray:
    """The clinic's codes of people, given their places in the roster."""
    return np.array([recipe.layout.patient_id.format(number + 1) for number in numbers.tolist()], dtype=object)


def _receipt(layout: Layout, branch: str, number: int) -> str | None:
    if number == 0:
        return None
    return layout.receipt_id.format(branch, number) if number > 0 else layout.return_id.format(branch, -number)


def lines_frame(recipe: Recipe, lines: Columns) -> pd.DataFrame:
    """One row a line of the export, in its order, with the columns that the export has.

    `amount_cents` is the amount in hundredths, whole, for exact sums.
    """
    service, branch = lines["service"], lines["branch"]
    supply = np.array([each.days_supply for each in recipe.services])[service] * lines["quantity"]
    group = _words([each.doctors for each in recipe.services])
    doctor = np.full(service.size, None, dtype=object)
    for name, doctors in recipe.doctors.items():
        rows = group[service] == name
        doctor[rows] = np.array(doctors, dtype=object)[lines["doctor"][rows]]
    number, people = np.unique(lines["patient"], return_inverse=True)
    codes = [branch.code for branch in recipe.branches]
    receipts = [
        _receipt(recipe.layout, codes[place], number)
        for place, number in zip(branch.tolist(), lines["receipt"].tolist(), strict=True)
    ]
    columns = {
        "visit_date": to_dates(lines["day"]),
        "receipt_id": np.array(receipts, dtype=object),
        "patient_id": patient_ids(recipe, number)[people],
        "service": _words([each.name for each in recipe.services])[service],
        "category": _words([each.category for each in recipe.services])[service],
        "branch": _words([each.name for each in recipe.branches])[branch],
        "doctor": doctor,
        "paid_by": _words(list(recipe.payment_kinds or ("",) * 3))[lines["paid_by"]],
        "quantity": lines["quantity"],
        "days_supply": pd.array(np.where(supply == 0, -1, supply), dtype="Int64"),
    }
    columns["days_supply"][supply == 0] = pd.NA
    programme = to_dates(lines["day"]) >= _launch_date(recipe)
    for name, source in MONEY.items():
        money = lines[source] / 100
        columns[name] = money if name == "amount" else np.where(programme, money, np.nan)
    present = [name for _, name in recipe.layout.payments]
    frame = pd.DataFrame({name: columns[name] for name in present})
    return frame.assign(amount_cents=lines["amount"])


def _launch_date(recipe: Recipe) -> np.datetime64:
    if recipe.programme is None:
        return np.datetime64("NaT")
    return np.datetime64("2021-11", "M") + recipe.programme.starts


def _phone(recipe: Recipe, number: int, style: int) -> str:
    phones = recipe.phones
    digits = f"{number * phones.step % phones.size:0{sum(phones.groups)}d}"
    parts, start = [], 0
    for length in phones.groups:
        parts.append(digits[start : start + length])
        start += length
    return phones.patterns[style].format(*parts)


def _name(recipe: Recipe, who: Columns, row: int) -> str:
    if who["is_test"][row]:
        return recipe.names.test
    male = int(who["male"][row])
    parts = {
        "surname": recipe.names.surnames[male],
        "given": recipe.names.given[male],
        "middle": recipe.names.middle[male],
    }
    return recipe.names.pattern.format(**{part: words[who[part][row] % len(words)] for part, words in parts.items()})


def people_frame(recipe: Recipe, roster: Columns, seen: np.ndarray, last: int) -> pd.DataFrame:
    """One row a person who has been there, in the order of first visits, with the export's columns."""
    who = {name: column[seen] for name, column in roster.items()}
    ids = patient_ids(recipe, seen)
    rows = range(seen.size)
    registered = to_dates(who["registered_day"])
    referrer = np.where(who["referred_by"] >= 0, patient_ids(recipe, np.maximum(who["referred_by"], 0)), None)
    member = np.where(who["member_day"] <= last, who["member_day"], NEVER)
    columns = {
        "patient_id": ids,
        "name": np.array([_name(recipe, who, row) for row in rows], dtype=object),
        "sex": np.where(who["sex_known"], np.array(recipe.layout.sexes, dtype=object)[who["male"].astype(int)], None),
        "birth_date": to_dates(who["birth_day"]),
        "phone": np.array(
            [
                _phone(recipe, int(who["phone"][row]), int(who["phone_style"][row])) if who["has_phone"][row] else None
                for row in rows
            ],
            dtype=object,
        ),
        "email": np.array(
            [
                f"p{code.lower()}@{DOMAINS[kind]}" if kind else None
                for code, kind in zip(ids, who["email"], strict=True)
            ],
            dtype=object,
        ),
        "member_since": to_dates(member),
        "referred_by": referrer,
        **{
            name: np.where(who["consents"][:, number], registered, np.datetime64("NaT"))
            for number, name in enumerate(CONSENTS)
        },
        "consent_source": np.where(
            who["consents"].any(axis=1),
            np.array(recipe.consent_sources, dtype=object)[who["consent_source"]],
            None,
        ),
        "opted_out": who["opted_out"],
    }
    return pd.DataFrame({name: columns[name] for _, name in recipe.layout.patients})


def truth_frame(recipe: Recipe, roster: Columns, seen: np.ndarray) -> pd.DataFrame:
    """One row a person of `people_frame`, in its order: what no export tells."""
    who = {name: column[seen] for name, column in roster.items()}
    kinds = _words([kind.name for kind in recipe.kinds])
    regular = np.array([kind.shape > 1 for kind in recipe.kinds])
    twin = np.where(who["same_as"] >= 0, patient_ids(recipe, np.maximum(who["same_as"], 0)), None)
    return pd.DataFrame(
        {
            "patient_id": patient_ids(recipe, seen),
            "kind": kinds[who["first_kind"]],
            "regular": regular[who["first_kind"]],
            "visits_per_day": who["first_rate"],
            "leave_probability": who["first_leave"],
            "alive": who["alive"],
            "dropped_on": to_dates(who["dropped_day"]),
            "lapsed_on": to_dates(who["lapsed_day"]),
            "registered_on": to_dates(who["registered_day"]),
            "known_before": who["registered_day"] < 0,
            "same_person_as": twin,
            "is_test": who["is_test"],
        }
    )
