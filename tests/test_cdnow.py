"""CDNOW as it ships inside lifetimes, by the command that a user would type, against the literature."""

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CDNOW, REPOSITORY
from independent import figures
from test_clv import PUBLISHED, WEEK

CLINIC = """
name = "CDNOW"
currency = "USD"
[transactions]
source = "{source}"
delimiter = " "
date_format = "%Y%m%d"
{header}
[transactions.columns]
{columns}
[rfm]
window_months = 0
[clv]
model = "{model}"
[loyalty]
period_months = 18
"""
TENTH = ("CDNOW_sample.txt", "header = false", 'patient_id = "2"\nvisit_date = "3"\namount = "5"')
WHOLE = ("CDNOW_master.txt", "", 'patient_id = "customer_id"\nvisit_date = "date"\namount = "dollar_value"')


@pytest.fixture
def published(rfmkit_cli, tmp_path, monkeypatch):
    """Run a file of CDNOW to a month; gives the folder of its clinic-month."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    monkeypatch.setenv("RFMKIT_NOTEBOOKS", str(notebooks))

    def run(export: tuple, month: str, model: str = "mbg_nbd", notebook_names: str = "01_*.ipynb") -> Path:
        for path in (REPOSITORY / "notebooks").glob(notebook_names):
            shutil.copy(path, notebooks)
        source, header, columns = export
        shutil.copy(CDNOW / source, tmp_path)
        clinic = tmp_path / "cdnow.toml"
        clinic.write_text(CLINIC.format(source=source, header=header, columns=columns, model=model))
        answer = rfmkit_cli("run", clinic, "--month", month, "--out", tmp_path / "reports")
        assert answer.code == 0, answer.err
        return tmp_path / "reports" / "cdnow" / month

    return run


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_tenth_sample_gives_the_published_models(published, model):
    folder = published(TENTH, "1997-09", model)
    clv = metrics_of(folder)["clv"]
    parameters, log_likelihood, _ = PUBLISHED[model]
    for name, weekly in parameters.items():
        assert clv["parameters"][name] / (WEEK if name in {"alpha", "beta"} else 1) == pytest.approx(weekly, rel=1e-3)
    assert clv["log_likelihood"] + 2457 * np.log(WEEK) == pytest.approx(log_likelihood, abs=0.01)
    assert clv["repeat_patients"] == 946
    assert clv["spend_log_likelihood"] == pytest.approx(-4055.918, abs=0.01)
    spend = pd.read_parquet(folder / "patients.parquet").sort_values("patient_id")["expected_visit_value"]
    assert spend.head(3).tolist() == pytest.approx([24.66, 18.91, 35.17], abs=0.01)


def test_the_tenth_sample_over_78_weeks(published):
    made = metrics_of(published(TENTH, "1998-06"))
    assert (made["patients"], made["visits"]) == (2357, 6696)
    assert made["revenue"] == pytest.approx(244_091.94)
    assert made["loyalty"]["rpr"]["value"] == pytest.approx(0.48324, abs=5e-6)
    assert made["loyalty"]["rpr"]["numerator"] == 1139
    assert made["loyalty"]["aov"]["value"] == pytest.approx(36.4970, abs=5e-5)
    assert made["loyalty"]["crr"]["status"] == "not_enough_data"


def test_the_whole_file_equals_an_independent_computation(published):
    folder = published(WHOLE, "1998-06", notebook_names="*.ipynb")
    made = metrics_of(folder)
    lines = pd.read_csv(CDNOW / "CDNOW_master.txt", sep=r"\s+", dtype=str)
    lines = lines.rename(columns={"customer_id": "patient_id", "dollar_value": "amount"})
    lines["visit_date"] = pd.to_datetime(lines["date"], format="%Y%m%d")
    lines["amount"] = lines["amount"].astype("float64")
    truth = figures(lines, dt.date(1998, 6, 30), window_months=0)
    assert (made["patients"], made["visits"]) == (truth["patients"], truth["visits"])
    assert made["revenue"] == pytest.approx(truth["revenue"], abs=0.005)
    assert {row["segment"]: row["patients"] for row in made["segments"] if row["patients"]} == truth["segments"]
    counts = lines.groupby("patient_id")["visit_date"].nunique()  # all 18 months lie in the period
    assert made["loyalty"]["rpr"]["value"] == pytest.approx((counts >= 2).mean(), rel=1e-12)
    assert (folder / "report.html").stat().st_size > 100_000
