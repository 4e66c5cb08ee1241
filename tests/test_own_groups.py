"""The clinic's own cuts, schemes and names, from the clinic file to the tables of a study."""

from __future__ import annotations

import pandas as pd
import pytest
from conftest import open_one

from rfmkit import assign_segments, score_rfm
from rfmkit.errors import ClinicFileError

PEOPLE = 80
HALVES = """
bins = 2
[[segments]]
key = "here"
colour = "#000000"
cells = ["2 12 12"]
name = {en = "Here", ru = "Здесь"}
[[segments]]
key = "away"
colour = "#111111"
cells = ["1 12 12"]
"""


@pytest.fixture
def written(write_clinic):
    """A clinic of eighty patients: number n came 1 + n % 5 times, last n days before the end, for 10 each time."""
    as_of = pd.Timestamp("2026-10-31")
    lines = [
        f"P{n},{as_of - pd.Timedelta(days=n + 40 * time):%Y-%m-%d},10\n"
        for n in range(PEOPLE)
        for time in range(1 + n % 5)
    ]

    def write(rfm: str):
        path = write_clinic("id,date,amount\n" + "".join(lines))
        path.write_text(path.read_text(encoding="utf-8") + rfm, encoding="utf-8")
        return path

    return write


def test_the_clinics_own_numbers_and_names(written):
    thresholds = "recency_days = [7]\nvisit_count = [4]\ntotal_spend = [40]\n"
    names = '[rfm.names]\nimportant_value = "Class A"\n'
    rfm = f'[rfm]\nscoring = "threshold"\nbins = 2\nscheme = "eight"\n{names}[rfm.thresholds]\n{thresholds}'
    study = open_one(written(rfm))
    best = study.patients[study.patients["segment"] == "important_value"]
    assert best["patient_id"].tolist() == ["P4"]  # of P0 … P7, came within 7 days, only P4 came five times
    assert study.reader.name("segment", "important_value") == "Class A"
    assert study.reader.name("segment", "ordinary_rescue") == "Ordinary: lowest cost"
    assert study.score_cuts["cut"].tolist() == [7, 5, 40.01]


def test_a_measure_may_have_a_window_of_its_own(written):
    study = open_one(written("[rfm]\nwindow_months = 24\nwindows = {visit_count = 1}\n"))
    rfm = study.rfm.set_index("patient_id")
    assert len(rfm) == PEOPLE
    assert rfm.loc["P4", ["visit_count", "total_spend"]].tolist() == [1, 50.0]  # one visit in October, five in all
    assert rfm.loc["P79", "visit_count"] == 0


@pytest.mark.parametrize("scoring", ['scoring = "quantile"', 'scoring = "median"\nbins = 2\nscheme = "eight"'])
def test_frozen_cuts_are_the_cuts_of_the_month(written, rfmkit_cli, scoring):
    path = written(f"[rfm]\n{scoring}\n")
    then = open_one(path).patients
    answer = rfmkit_cli("freeze", path, "--month", "2026-10")
    assert answer.code == 0, answer.err
    text = path.read_text(encoding="utf-8")
    scheme = 'scheme = "eight"\n\n' if "eight" in scoring else "\n"
    path.write_text(text[: text.index("[rfm]")] + answer.out.replace("\n\n", f"\n{scheme}", 1), encoding="utf-8")
    frozen = open_one(path)
    assert frozen.clinic.rfm.scoring == "threshold"
    pd.testing.assert_frame_equal(frozen.patients, then)


def test_without_enough_patients_there_is_nothing_to_freeze(write_clinic, rfmkit_cli):
    answer = rfmkit_cli("freeze", write_clinic("id,date,amount\n1,2026-10-01,5\n"), "--month", "2026-10")
    assert answer.code == 10
    assert "clinic.toml: 2026-10 has no cuts: " in answer.err


def test_a_scheme_beside_the_clinic_file(written):
    path = written('[rfm]\nbins = 2\nscoring = "mean"\nscheme = "own.toml"\n')
    (path.parent / "own.toml").write_text(HALVES, encoding="utf-8")
    study = open_one(path)
    # The mean of 0 … 79 days is 39.5: who came within 39 days is here.
    assert dict(zip(study.segments["segment"], study.segments["patients"], strict=True)) == {
        "here": 40,
        "away": 40,
        "inactive": 0,
    }
    assert study.reader.name("segment", "here") == "Here"
    with pytest.raises(ClinicFileError, match=r"own.toml: is for 2 bins, not 5. Set bins = 2 under \[rfm\]"):
        open_one(written('[rfm]\nscheme = "own.toml"\n'))


def test_a_study_explains_a_patient(written):
    study = open_one(written(""))
    told = study.explain("P79")
    assert told.segment == study.patients.set_index("patient_id").loc["P79", "segment"]
    assert (
        told.measures["value"].tolist()
        == study.patients.set_index("patient_id").loc["P79", ["recency_days", "visit_count", "total_spend"]].tolist()
    )
    # What is said to lead to the best segment does.
    for better in told.better.to_dict("records"):
        changed = study.rfm[study.rfm["patient_id"] == "P79"].copy()
        for measure in ("recency_days", "visit_count", "total_spend"):
            if pd.notna(better[measure]):
                changed[measure] = better[measure]
        assert assign_segments(score_rfm(changed, cuts=study.cuts), study.scheme)["segment"].item() == better["segment"]
