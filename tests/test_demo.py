"""The demo clinics: the same bytes everywhere, one history however long, and the truth they claim."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rfmkit import demo
from rfmkit.errors import UsageError

ROOT = Path(__file__).parent.parent
LAUNCH = pd.Timestamp("2025-11-01")
END = pd.Timestamp("2026-10-31")

HASHES = """
import hashlib, tempfile
from rfmkit import demo
through = {"dental-north": "2022-02", "aesthetic-lotus": "2026-10", "pharmacy-green": "2022-02"}
for name in demo.CLINICS:
    with tempfile.TemporaryDirectory() as folder:
        for path in demo.write_export(name, folder, through[name]):
            print(name, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.fixture(scope="module", params=demo.CLINICS)
def clinic(request):
    return request.param


@pytest.fixture(scope="module")
def past(clinic):
    return demo.history(clinic)


@pytest.fixture(scope="module")
def before_launch(clinic):
    return demo.history(clinic, "2025-10")


@pytest.fixture(scope="module")
def files(clinic, tmp_path_factory):
    return demo.write_export(clinic, tmp_path_factory.mktemp(clinic))


@pytest.fixture(scope="module")
def settings(clinic):
    return tomllib.loads((ROOT / "clinics" / f"{clinic}.toml").read_text(encoding="utf-8"))


def read(path, part):
    """The file as text cells, read as its clinic file says."""
    text = path.read_bytes().decode(part["encoding"])
    return list(csv.DictReader(text.splitlines(), delimiter=part["delimiter"]))


def visits_of(lines):
    """Patient-days with at least one line that is no refund."""
    return lines[lines["amount_cents"] >= 0].groupby(["patient_id", "visit_date"])["amount_cents"].sum().reset_index()


def test_bytes_do_not_depend_on_the_surroundings():
    surroundings = (
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LANG": "C", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "America/Los_Angeles", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", HASHES],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        for variables in surroundings
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert first == second
    assert len(first.splitlines()) == 2 * len(demo.CLINICS)


def test_a_later_month_continues_the_same_files(clinic, files, tmp_path):
    for earlier, later in zip(demo.write_export(clinic, tmp_path, through="2026-09"), files, strict=True):
        assert later.read_bytes().startswith(earlier.read_bytes())
        assert later.stat().st_size > earlier.stat().st_size


def test_every_earlier_line_is_equal_however_short_the_history(clinic, past, before_launch):
    for through, short in (("2021-11", demo.history(clinic, "2021-11")), ("2025-10", before_launch)):
        end = pd.Timestamp(through) + pd.offsets.MonthEnd()
        pd.testing.assert_frame_equal(short.lines, past.lines.iloc[: len(short.lines)], check_dtype=False)
        assert short.lines["visit_date"].max() <= end < past.lines["visit_date"].iloc[len(short.lines)]


def test_members_of_the_first_month_are_the_only_change_to_earlier_people(past, before_launch):
    people = before_launch.people
    same = past.people.iloc[: len(people)]
    pd.testing.assert_frame_equal(
        people.drop(columns="member_since", errors="ignore"),
        same.drop(columns="member_since", errors="ignore"),
    )
    if "member_since" in people:
        assert people["member_since"].isna().all()
        assert same["member_since"].dropna().between(LAUNCH, "2025-11-30").all()


def test_counts_are_those_of_a_clinic(past):
    assert 4_000 <= len(past.people) <= 8_000
    assert past.lines["visit_date"].min() >= pd.Timestamp("2021-11-01")
    assert past.lines["visit_date"].max() <= END
    assert set(past.people["patient_id"]) == set(past.lines["patient_id"])
    assert past.people["patient_id"].is_unique
    assert past.people["patient_id"].tolist() == past.lines["patient_id"].drop_duplicates().tolist()


def test_patients_come_back_as_patients_do(past):
    visits = visits_of(past.lines)
    year = visits["visit_date"] > END - pd.DateOffset(years=1)
    before = (visits["visit_date"] > END - pd.DateOffset(years=2)) & ~year
    times = visits[year].groupby("patient_id").size()
    start, end = set(visits.loc[before, "patient_id"]), set(times.index)
    assert 0.35 <= (times >= 2).mean() <= 0.70
    assert 0.50 <= len(start & end) / len(start) <= 0.80


def test_money_is_whole_hundredths_and_adds_up(past):
    lines = past.lines
    assert (lines["amount_cents"] == np.rint(lines["amount"] * 100)).all()
    assert 0.002 < -lines.loc[lines["amount"] < 0, "amount"].sum() / lines["amount"].sum() < 0.05
    assert (lines["amount"] < 0).equals(lines["quantity"] < 0)
    if "bonus_redeemed" in lines:
        bonus = lines[["discount", "bonus_accrued", "bonus_redeemed"]]
        assert bonus[lines["visit_date"] < LAUNCH].isna().all(axis=None)
        assert bonus[lines["visit_date"] >= LAUNCH].notna().all(axis=None)
        liability = bonus["bonus_accrued"].fillna(0) - bonus["bonus_redeemed"].fillna(0)
        assert liability.cumsum().min() >= 0
        members = set(past.people.loc[past.people["member_since"].notna(), "patient_id"])
        assert set(lines.loc[lines["bonus_accrued"] > 0, "patient_id"]) <= members


def test_no_line_stands_twice_in_a_receipt(files, past):
    text = files[0].read_bytes().splitlines()
    assert len(text) == len(set(text))
    receipts = past.lines.dropna(subset="receipt_id")
    assert not receipts.assign(refund=receipts["amount"] < 0).duplicated(["receipt_id", "service", "refund"]).any()


def test_refunds_are_as_planted(past):
    lines, planted = past.lines, past.truth.planted
    sales, refunds = lines[lines["amount"] >= 0], lines[lines["amount"] < 0]
    keys = ["receipt_id", "patient_id", "service"]
    sold = sales[sales["receipt_id"].isin(refunds["receipt_id"].dropna())]
    matched = refunds.dropna(subset="receipt_id").merge(sold, on=keys, suffixes=("", "_sale"))
    assert len(matched) == planted["refunds_matched"] > 100
    assert (matched["visit_date"] > matched["visit_date_sale"]).all()
    assert (matched["amount_cents"] == -matched["amount_cents_sale"]).all()
    assert refunds["receipt_id"].isna().sum() == planted["refunds_no_receipt"] > 0
    own = ~refunds["receipt_id"].isin(sales["receipt_id"]) & refunds["receipt_id"].notna()
    assert own.sum() == planted["refunds_own_receipt"] > 0
    assert (lines["amount_cents"] == 0).sum() == planted["free_checkups"] > 0


def test_truth_fits_the_history(past):
    truth, lines = past.truth.patients, past.lines
    assert truth["patient_id"].tolist() == past.people["patient_id"].tolist()
    assert truth["alive"].equals(truth["dropped_on"].isna())
    last = visits_of(lines).groupby("patient_id")["visit_date"].max().reindex(truth["patient_id"]).to_numpy()
    gone = ~truth["alive"].to_numpy()
    assert (truth["dropped_on"].to_numpy()[gone] == last[gone]).all()
    assert truth["regular"].mean() == pytest.approx(0.4, abs=0.15)
    twins = truth.dropna(subset="same_person_as").merge(past.people, on="patient_id")
    originals = past.people.set_index("patient_id").loc[twins["same_person_as"]]
    assert (twins["birth_date"].to_numpy() == originals["birth_date"].to_numpy()).all()
    assert len(twins) == past.truth.planted["second_cards"] > 0
    assert past.truth.planted["test_cards"] == 2


def test_regular_patients_keep_a_rhythm(past):
    """Erlang intervals vary less than their mean, exponential ones as much: the squared ratio is 1 / shape."""
    visits = visits_of(past.lines).sort_values(["patient_id", "visit_date"])
    days = visits.groupby("patient_id")["visit_date"].diff().dt.days
    gaps = days.groupby(visits["patient_id"]).agg(["mean", "var", "count"]).query("count >= 8")
    variation = (gaps["var"] / gaps["mean"] ** 2).reindex(past.truth.patients["patient_id"])
    stable = past.truth.patients["lapsed_on"].isna().to_numpy()
    regular = past.truth.patients["regular"].to_numpy()
    assert variation[regular & stable].median() < 0.4
    assert variation[~regular].median() > 0.5


def test_dental_export_begins_in_the_middle_of_the_clinic_s_life():
    quarter = {}
    for name in ("dental-north", "aesthetic-lotus"):
        first = demo.history(name, "2023-10").lines.drop_duplicates("patient_id")["visit_date"]
        quarter[name] = (first < pd.Timestamp("2022-02-01")).mean()
    assert quarter["dental-north"] > 0.35
    assert quarter["aesthetic-lotus"] < 0.15


def test_branches_open_one_after_the_other(past):
    if "branch" in past.lines:
        opened = past.lines.groupby("branch")["visit_date"].min()
        assert len(opened) >= 3
        assert opened.dt.to_period("M").is_unique


FICTION = {
    "dental-north": r"[78]000\d{7}",
    "aesthetic-lotus": r"(86)?154\d{8}",
    "pharmacy-green": r"(0|353|00353)2091\d{5}",
}


def test_phones_are_nobody_s(clinic, past):
    phones = past.people["phone"].dropna()
    digits = phones.str.replace(r"\D", "", regex=True)
    assert digits.str.fullmatch(FICTION[clinic]).all()
    shared = digits.str[-7:].value_counts()
    assert 0.05 < (digits.str[-7:].map(shared) > 1).mean() < 0.35
    assert shared.max() <= 8


def test_emails_are_at_reserved_domains(past):
    assert past.people["email"].dropna().str.fullmatch(r"[a-z0-9]+@example\.(com|org|net)").all()


def test_files_say_what_the_history_knows(files, past, settings):
    """Read with nothing but the clinic file: the same patients, days and money."""
    part = settings["transactions"]
    columns = part["columns"]
    rows = read(files[0], part)
    lines = past.lines
    assert [row[columns["patient_id"]] for row in rows] == lines["patient_id"].tolist()
    amounts = [row[columns["amount"]] for row in rows]
    assert [round(float(amount.replace(part["decimal"], ".")) * 100) for amount in amounts] == lines[
        "amount_cents"
    ].tolist()
    assert all(amount[-3] == part["decimal"] for amount in amounts)
    written = pd.to_datetime([row[columns["visit_date"]] for row in rows], format=part["date_format"])
    assert (written == lines["visit_date"]).all()
    people = read(files[1], settings["patients"])
    assert [row[settings["patients"]["columns"]["phone"]] for row in people] == past.people["phone"].fillna("").tolist()


def test_clinic_file_names_columns_that_the_export_has(clinic, files, settings, past):
    for path, part in zip(files, (settings["transactions"], settings["patients"]), strict=True):
        assert part["source"] == f"../data/{clinic}/{path.name}"
        headings = path.read_bytes().splitlines()[0].decode(part["encoding"])
        assert set(part["columns"].values()) <= set(headings.split(part["delimiter"]))
    assert set(settings["transactions"]["columns"]) <= set(past.lines)
    assert set(settings["patients"]["columns"]) == set(past.people)


def test_clinic_file_says_that_the_data_are_synthetic(settings):
    assert re.search("synthetic|синтетические|合成", settings["name"])


def test_colours_can_be_read_on_white(settings):
    def linear(hundredth):
        part = int(hundredth, 16) / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    colour = settings["report"]["colour"]
    red, green, blue = (linear(colour[i : i + 2]) for i in (1, 3, 5))
    assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


def test_writing_again_replaces_and_leaves_nothing_else(tmp_path):
    (tmp_path / "payments.csv").write_text("old", encoding="utf-8")
    paths = demo.write_export("dental-north", tmp_path, through="2022-02")
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    demo.write_export("dental-north", tmp_path, through="2022-02")
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patients.csv", "payments.csv"]


@pytest.mark.parametrize("through", ["2021-10", "2026-13", "2026", "october", "2026-1"])
def test_a_month_that_is_none_is_refused(through):
    with pytest.raises(UsageError, match="Write it as 2026-10"):
        demo.history("dental-north", through)


def test_an_unknown_clinic_is_refused_naming_the_known():
    with pytest.raises(UsageError, match="dental-north, aesthetic-lotus, pharmacy-green"):
        demo.history("dental")
