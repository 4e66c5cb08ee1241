"""Three synthetic clinics: the same bytes on every machine, with known truth.

Nobody in them exists. `write_export` writes what a clinic's system would export; `history` gives the same
as frames, and what no export tells: who is still a patient, how often they truly come, what was planted.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from rfmkit.demo.days import month_days, months_through
from rfmkit.demo.files import replace_file, table_bytes
from rfmkit.demo.frames import lines_frame, people_frame, truth_frame
from rfmkit.demo.recipe import Recipe
from rfmkit.demo.roster import Columns
from rfmkit.demo.simulation import NO_RECEIPT, OWN_RECEIPT, SAME_RECEIPT, simulate
from rfmkit.errors import Problem, UsageError

CLINICS = ("dental-north", "aesthetic-lotus", "pharmacy-green")
THROUGH = "2026-10"


@dataclass(frozen=True)
class Truth:
    """What the generator knows and no export tells.

    Attributes
    ----------
    patients : DataFrame
        One row a person of `History.people`, in its order: patient_id, kind, regular (Erlang rhythm),
        visits_per_day and leave_probability as drawn at entry, alive at the end or dropped_on (the day of
        the last visit), lapsed_on (gave up a repeated treatment, still came), registered_on, known_before
        (the export began), same_person_as (an earlier card), is_test.
    planted : dict
        Counts of lines: refunds_matched (with the receipt_id of the sale), refunds_own_receipt,
        refunds_no_receipt, free_checkups; and of people: second_cards, test_cards.
    programme_lift : float
        What membership truly multiplies the rate of visits by; 1 without a programme.
    """

    patients: pd.DataFrame
    planted: dict[str, int]
    programme_lift: float


@dataclass(frozen=True)
class History:
    """A demo clinic from 2021-11-01 to the end of a month.

    Attributes
    ----------
    lines : DataFrame
        The lines of payments.csv in its order, as typed values under rfmkit's names; `amount_cents` is
        the amount in hundredths, for exact sums.
    people : DataFrame
        The rows of patients.csv in its order, likewise; a consent is the day it was given.
    truth : Truth
    """

    lines: pd.DataFrame
    people: pd.DataFrame
    truth: Truth


def _recipe(name: str) -> Recipe:
    if name not in CLINICS:
        raise UsageError(Problem("demo", "no such demo clinic", f"There are: {', '.join(CLINICS)}."))
    return import_module(f"rfmkit.demo.{name.replace('-', '_')}").RECIPE


def _planted(recipe: Recipe, lines: Columns, patients: pd.DataFrame) -> dict[str, int]:
    free = np.array([service.price == 0 for service in recipe.services])[lines["service"]]
    return {
        "refunds_matched": int((lines["refund"] == SAME_RECEIPT).sum()),
        "refunds_own_receipt": int((lines["refund"] == OWN_RECEIPT).sum()),
        "refunds_no_receipt": int((lines["refund"] == NO_RECEIPT).sum()),
        "free_checkups": int(free.sum()),
        "second_cards": int(patients["same_person_as"].notna().sum()),
        "test_cards": int(patients["is_test"].sum()),
    }


def history(name: str, through: str = THROUGH) -> History:
    """Simulate a demo clinic; return its lines, its people and the truth.

    A later `through` continues the same history: every earlier line and every earlier person is equal,
    but for `member_since` of those who were there before the programme: it is filled in its first month.

    Parameters
    ----------
    name : str
        One of `CLINICS`.
    through : str
        The last month, "2026-10".

    Examples
    --------
    >>> history("dental-north", through="2022-01").lines["visit_date"].max()
    Timestamp('2022-01-31 00:00:00')
    """
    recipe = _recipe(name)
    months = months_through(through)
    lines, roster = simulate(recipe, months)
    people, first_line = np.unique(lines["patient"], return_index=True)
    seen = people[np.argsort(first_line, kind="stable")]
    patients = truth_frame(recipe, roster, seen)
    return History(
        lines=lines_frame(recipe, lines),
        people=people_frame(recipe, roster, seen, month_days(months - 1)[1]),
        truth=Truth(
            patients=patients,
            planted=_planted(recipe, lines, patients),
            programme_lift=recipe.programme.lift if recipe.programme else 1.0,
        ),
    )


def write_export(name: str, folder: Path, through: str = THROUGH) -> list[Path]:
    """Write a demo clinic's `payments.csv` and `patients.csv` into a folder; return their paths.

    Parameters
    ----------
    name : str
        One of `CLINICS`.
    folder : Path
        Made when it is not there. Each file is replaced at once, never half-written.
    through : str
        The last month, "2026-10".
    """
    layout = _recipe(name).layout
    past = history(name, through)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        folder / "payments.csv": table_bytes(past.lines, layout.payments, layout),
        folder / "patients.csv": table_bytes(past.people, layout.patients, layout),
    }
    for path, content in contents.items():
        replace_file(path, content)
    return list(contents)
