"""A study computes each table once for everybody, never shows a stale one, and says which parts do not stand."""

import datetime as dt
import random
import stat
import subprocess
import sys

import pandas as pd
import pytest

import rfmkit
from rfmkit import cache
from rfmkit.errors import ExportError, NotEnoughData, UsageError

HEAD = "id,date,amount\n"


def export(patients: int) -> str:
    """Patients as MBG/NBD and Gamma-Gamma know them: whether a fit of others settles hangs on the processor."""
    lines = []
    for number in range(patients):
        draw = random.Random(number)
        day, every, leaves = dt.date(2025, 1, 1 + number % 28), draw.gammavariate(3, 20), draw.betavariate(1, 3)
        spends = 1 / draw.gammavariate(4, 0.01)
        while day <= dt.date(2026, 10, 31):
            lines.append(f"p{number},{day},{1 + draw.gammavariate(6, spends / 6):.2f}\n")
            if draw.random() < leaves:
                break
            day += dt.timedelta(days=1 + int(draw.expovariate(1 / every)))
    return HEAD + "".join(lines)


@pytest.fixture
def clinic(write_clinic):
    return write_clinic(export(120))


def open_it(clinic, **options):
    return rfmkit.open_study(clinic, month="2026-10", **options)


def test_what_one_process_computed_another_reads(clinic, monkeypatch):
    study = open_it(clinic)
    study.compute()
    program = f"""
import rfmkit, sys
study = rfmkit.open_study({str(clinic)!r}, month="2026-10")
print(len(study.patients), study.clv.model, study.loyalty.rpr.value, len(study.loyalty_history))
print([name for name in ("ibis", "lifetimes", "scipy") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == f"120 mbg_nbd {study.loyalty.rpr.value} 24\n[]\n"


@pytest.mark.parametrize("change", ["export", "clinic file", "month", "today", "code"])
def test_whatever_a_result_depends_on_finds_another_cache(clinic, change, monkeypatch):
    folder = open_it(clinic).cache.folder
    options = {}
    if change == "export":
        source = clinic.parent.parent / "data" / "clinic.csv"
        source.write_text(export(121))
    elif change == "clinic file":
        clinic.write_text(clinic.read_text() + "[rfm]\nwindow_months = 12\n")
    elif change == "month":
        assert rfmkit.open_study(clinic, month="2026-09").cache.folder != folder
        return
    elif change == "today":
        options = {"today": dt.date(2026, 11, 1)}
    else:
        monkeypatch.setattr(cache, "code_digest", lambda: "another version")
    assert open_it(clinic, **options).cache.folder != folder


def test_a_changed_export_changes_the_numbers(clinic):
    assert open_it(clinic).totals["patients"] == 120
    (clinic.parent.parent / "data" / "clinic.csv").write_text(export(121))
    assert open_it(clinic).totals["patients"] == 121


def test_the_cache_is_private_and_small(clinic, monkeypatch):
    folders = []
    for number in range(7):
        monkeypatch.setattr(cache, "code_digest", lambda number=number: f"version {number}")
        study = open_it(clinic)
        _ = study.rows
        folders.append(study.cache.folder)
    assert [folder.exists() for folder in folders] == [False, False, *[True] * 5]
    assert stat.S_IMODE(folders[-1].stat().st_mode) == 0o700
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders[-1].parents[:2]} == {0o700}
    assert not list(folders[-1].glob("scratch-*"))


def test_a_damaged_cache_heals(clinic):
    study = open_it(clinic)
    study.compute()
    for name in ("checked.pickle", "clv.pickle", "summary.pickle"):
        path = study.cache.folder / name
        path.write_bytes(path.read_bytes()[:20])
    path = study.cache.folder / "patients.pickle"
    path.write_bytes(path.read_bytes()[:-5] + b"other")
    (study.cache.folder / "transactions.parquet").unlink()
    path = study.cache.folder / "visits.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    again = open_it(clinic)
    assert again.rows == study.rows
    assert again.clv == study.clv
    assert again.patients.equals(study.patients)
    assert again.visits.count().execute() == study.totals["visits"]
    assert again.transactions.count().execute() == study.rows["kept"]


def test_an_export_that_changes_while_it_is_read_is_refused(clinic):
    study = open_it(clinic)
    _ = study.input_digest
    with (clinic.parent.parent / "data" / "clinic.csv").open("a") as export_file:
        export_file.write("p1,2026-10-30,7\n")
    with pytest.raises(ExportError, match=r"clinic\.csv: changed while it was read"):
        _ = study.rows


def test_refunds_of_earlier_years_are_in_every_sum(write_clinic):
    study = open_it(write_clinic(HEAD + "a,2025-10-05,1000\na,2026-05-05,-1000\nb,2026-10-01,5\n"))
    assert study.historical_value["revenue"].tolist() == [-1000 + 5]
    assert study.loyalty_history["revenue"].tail(12).sum() == -1000 + 5


def test_parts_that_do_not_stand_say_why_and_the_rest_stands(write_clinic):
    lines = [f"p{number},2025-11-{number + 1:02},10\np{number},2026-04-01,10\n" for number in range(20)]
    study = open_it(write_clinic(HEAD + "".join(lines)))
    assert study.part("tags").status == "not_asked"
    lacking = {name: part.status for name, part in study.parts.items() if not part.ok and name != "tags"}
    assert lacking == dict.fromkeys(
        (
            *("segments", "portraits", "cohorts", "movement", "movement_year", "recommendations", "next_service"),
            *("reach", "clv", "holdout", "crr"),
        ),
        "not_enough_data",
    )
    assert study.part("clv").reason.numbers == {"have": 20, "need": 50}
    with pytest.raises(NotEnoughData, match="20 patients came in the window; groups need at least 50"):
        _ = study.segments
    assert study.patients["clv"].isna().all()
    assert study.patients["segment"].isna().all()
    assert study.loyalty.crr is None
    assert study.historical_value["patients"].tolist() == [20]


def test_patients_are_whole(write_clinic):
    known = "".join(f"known,{day},13\n" for day in ("2025-03-04", "2025-11-04", "2026-04-04", "2026-10-04"))
    patients = open_it(write_clinic(export(120) + known)).patients
    assert patients["patient_id"].tolist() == sorted([*(f"p{number}" for number in range(120)), "known"])
    first = patients.set_index("patient_id").loc["known"]
    assert (first["visits"], first["frequency"], first["revenue"]) == (4, 3, 4 * 13)
    assert (first["first_visit"], first["last_visit"]) == (pd.Timestamp("2025-03-04"), pd.Timestamp("2026-10-04"))
    assert (first["recency_days"], first["visit_count"]) == (27, 4)
    assert not patients.drop(columns=["clv", "value_at_risk"]).isna().any().any()


def test_a_patient_outside_the_window_is_inactive(write_clinic):
    study = open_it(write_clinic(export(120) + "old,2020-01-05,9\n"))
    old = study.patients.set_index("patient_id").loc["old"]
    assert (old["segment"], old["visit_count"], old["total_spend"]) == ("inactive", 0, 0)
    assert pd.isna(old["rfm_score"])
    assert study.segments["patients"].sum() == 121


def test_a_month_is_written_year_and_month(clinic):
    with pytest.raises(UsageError, match=r"month: a month is written YYYY-MM, for example 2026-10\."):
        rfmkit.open_study(clinic, month="2026-13")
