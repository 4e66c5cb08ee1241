"""The demo clinics' reports, made once by the command that users type, against the contract and the truth."""

import base64
import datetime as dt
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from independent import figures

from rfmkit import demo

pytestmark = pytest.mark.xdist_group("demo reports")

MONTH, AS_OF = "2026-10", dt.date(2026, 10, 31)
LOCALES = {"dental-north": "ru", "aesthetic-lotus": "zh", "pharmacy-green": "en"}
FILES = {
    "report.html", "metrics.json", "patients.parquet", "segments.xlsx", "manifest.json",
    "private/rejects.csv", "private/identity.csv", "private/tags.csv",
    "notebooks/00_data_quality.ipynb", "notebooks/01_overview.ipynb", "notebooks/02_rfm_segments.ipynb",
    "notebooks/03_lifetime_value.ipynb", "notebooks/04_loyalty.ipynb", "notebooks/05_recommendations.ipynb",
    "notebooks/06_portraits.ipynb", "notebooks/07_movement.ipynb",
}  # fmt: skip
clinics = pytest.mark.parametrize("name", demo.CLINICS)


def rfmkit(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "rfmkit", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def demo_folder(demo_run) -> Path:
    return demo_run[0]


@pytest.fixture(scope="module")
def reports(demo_folder) -> dict[str, Path]:
    return {name: demo_folder / "reports" / name / MONTH for name in demo.CLINICS}


@pytest.fixture(scope="module")
def metrics(reports) -> dict[str, dict]:
    return {name: json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for name, folder in reports.items()}


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, rfmkit("demo", cwd=folder)


def test_the_demo_says_where_its_reports_are(demo_run):
    folder, said = demo_run
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == os.path.join("reports", "index.html")
    assert (folder / "reports" / "index.html").is_file()
    for name in demo.CLINICS:
        assert re.search(rf"^{name}  {MONTH}  done  reading .* computing .* notebooks .* page ", said.stdout, re.M)


@clinics
def test_the_files_of_the_contract(reports, name):
    made = {path.relative_to(reports[name]).as_posix() for path in reports[name].rglob("*") if path.is_file()}
    lists = {file for file in made if file.startswith("private/lists/")}
    assert made - lists == FILES
    assert "private/lists/README.txt" in lists
    private = reports[name] / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in private.rglob("*") if path.is_file()} == {0o600}


RATE = {"value": float, "numerator": (int, float), "denominator": int, "start": str, "end": str}
CONTRACT = {
    "clinic": str, "month": str, "as_of": str, "currency": str,
    "patients": int, "visits": int, "revenue": float,
    "loyalty": {
        "status": str, "rpr": RATE, "aov": RATE, "crr": RATE,
        "bridge": {"start": int, "new": int, "reactivated": int, "lost": int, "end": int},
        "month": {"visits": int, "revenue": float, "rpr": RATE, "aov": RATE},
    },
    "segments": [
        {"segment": str, "patients": int, "visits": int, "revenue": float, "clv": float, "value_at_risk": float}
    ],
    "clv": {
        "status": str, "model": str, "parameters": dict, "log_likelihood": float, "horizon_months": int,
        "expected_visits": float, "total": float,
        "holdout": {"predicted": float, "actual": int, "mae": float},
    },
}  # fmt: skip


def check(document, contract, at="metrics"):
    if isinstance(contract, dict):
        for key, inner in contract.items():
            assert key in document, f"{at}.{key} is missing"
            check(document[key], inner, f"{at}.{key}")
    elif isinstance(contract, list):
        assert document
        for number, item in enumerate(document):
            check(item, contract[0], f"{at}[{number}]")
    else:
        assert isinstance(document, contract), f"{at} is {type(document).__name__}"


@clinics
def test_the_keys_of_metrics(metrics, name):
    check(metrics[name], CONTRACT)
    assert "interval" not in metrics[name]["clv"]
    bridge = metrics[name]["loyalty"]["bridge"]
    assert bridge["end"] == bridge["start"] + bridge["new"] + bridge["reactivated"] - bridge["lost"]
    assert sum(row["patients"] for row in metrics[name]["segments"]) == metrics[name]["patients"]


@clinics
def test_the_numbers_are_those_of_the_clinics_true_history(metrics, demo_folder, name):
    described = tomllib.loads((demo_folder / "clinics" / f"{name}.toml").read_text(encoding="utf-8"))
    truth = figures(demo.history(name).lines, AS_OF, window_months=24, rfm=described["rfm"])
    made = metrics[name]
    assert (made["patients"], made["visits"]) == (truth["patients"], truth["visits"])
    assert made["revenue"] == pytest.approx(truth["revenue"], abs=0.005)
    assert {row["segment"]: row["patients"] for row in made["segments"] if row["patients"]} == truth["segments"]
    assert made["loyalty"]["rpr"]["value"] == pytest.approx(truth["rpr"], rel=1e-12)
    assert made["loyalty"]["crr"]["value"] == pytest.approx(truth["crr"], rel=1e-12)


def test_the_dental_clinics_cuts_are_those_that_freezing_prints(demo_folder, tmp_path):
    """Under them the patients of the month they were frozen in have the scores that they had."""
    text = (demo_folder / "clinics" / "dental-north.toml").read_text(encoding="utf-8")
    then = text.replace('scoring = "threshold"', 'scoring = "quantile"').replace('"../data', f'"{demo_folder}/data')
    before, thresholds = then.split("[rfm.thresholds]")
    path = tmp_path / "dental-north.toml"
    path.write_text(before + thresholds[thresholds.index("\n[clv]") :], encoding="utf-8")
    said = rfmkit("freeze", path, "--month", "2025-12", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert tomllib.loads(said.stdout)["rfm"]["thresholds"] == tomllib.loads(text)["rfm"]["thresholds"]


def test_the_aesthetic_clinic_calls_its_groups_by_its_own_names(reports):
    page = (reports["aesthetic-lotus"] / "report.html").read_text(encoding="utf-8")
    assert "A类：重点呵护" in page
    assert "重要价值客户" not in page


PATIENT_COLUMNS = {
    "patient_id", "recency_days", "visit_count", "total_spend", "recency_score", "frequency_score", "monetary_score",
    "rfm_score", "segment", "frequency", "recency", "T", "monetary_value", "log_intervals", "probability_alive",
    "expected_visits", "expected_visit_value", "clv", "value_at_risk",
}  # fmt: skip


@clinics
def test_patients_add_up_to_the_report(reports, metrics, name):
    patients = pd.read_parquet(reports[name] / "patients.parquet")
    assert set(patients.columns) >= PATIENT_COLUMNS
    assert patients["patient_id"].is_unique
    assert len(patients) == metrics[name]["patients"]
    assert patients["clv"].sum() == pytest.approx(metrics[name]["clv"]["total"])
    by_segment = patients.groupby("segment")["value_at_risk"].sum()
    for row in metrics[name]["segments"]:
        assert row["value_at_risk"] == pytest.approx(by_segment.get(row["segment"], 0.0))


@clinics
def test_the_manifest_tells_inputs_and_outputs(reports, demo_folder, name):
    manifest = json.loads((reports[name] / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "done"
    assert manifest["as_of"] == "2026-10-31"
    outputs = {output["file"] for output in manifest["outputs"]}
    assert {file for file in outputs if not file.startswith("private/lists/")} == FILES - {"manifest.json"}
    lists = {f"private/lists/{path.name}" for path in (reports[name] / "private" / "lists").iterdir()}
    assert lists <= outputs
    for output in manifest["outputs"]:
        content = (reports[name] / output["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == output["sha256"]
    for given in manifest["inputs"]:
        content = (demo_folder / "data" / name / given["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == given["sha256"]
    rows = manifest["rows"]
    assert rows["read"] == rows["kept"] + rows["rejected"] + rows["duplicates"] + rows["after_as_of"]
    assert rows["read"] == len(demo.history(name).lines)
    assert "/" not in json.dumps([manifest["inputs"], manifest["clinic_file"]])


@clinics
def test_the_workbook_opens_with_numbers_as_numbers(reports, metrics, name):
    book = openpyxl.load_workbook(reports[name] / "segments.xlsx")
    numbers = {cell.value for sheet in book for row in sheet for cell in row if isinstance(cell.value, int | float)}
    assert {row["patients"] for row in metrics[name]["segments"]} <= numbers
    assert not any(cell.data_type == "f" for sheet in book for row in sheet for cell in row)


def texts(folder: Path) -> dict[str, str]:
    """Everything outside private/ as text: pages with their figures, workbooks unpacked, notebooks."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file() or "private" in path.parts or path.suffix == ".parquet":
            continue
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as book:
                found[path.name] = "".join(book.read(part).decode("utf-8", "replace") for part in book.namelist())
            continue
        text = path.read_text(encoding="utf-8")
        coded = re.compile(r"base64,([A-Za-z0-9+/=]+)")
        figures = [base64.b64decode(data).decode("utf-8", "replace") for data in coded.findall(text)]
        found[path.name] = coded.sub("", text) + "".join(figures)
    return found


@clinics
def test_no_patient_is_named(reports, name):
    people = demo.history(name).people
    canaries = {str(value) for column in ("name", "phone", "email") for value in people[column].dropna() if value}
    phones = {re.sub(r"\D", "", canary) for canary in canaries if canary.startswith("+")}
    assert len(canaries | phones) > 5000
    for file, text in texts(reports[name]).items():
        # What ends with six signs that the text has nowhere is not in it: few are left to be looked for.
        ends = {text[at : at + 6] for at in range(len(text) - 5)}
        likely = [canary for canary in canaries if len(canary) < 6 or canary[-6:] in ends]
        assert not [canary for canary in likely if canary in text], file
        # As digits alone, but not those behind a point: 0.27000000000000002 holds no phone.
        assert not phones.intersection(re.findall(r"(?<![.\d])\d{7,}", text)), file


@clinics
def test_no_path_of_this_machine_is_told(reports, demo_folder, name):
    for file, text in texts(reports[name]).items():
        assert str(demo_folder) not in text, file
        assert str(Path.home()) not in text, file


def test_the_same_input_gives_the_same_bytes(demo_folder, reports, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"TZ": "Asia/Shanghai", "LANG": "ru_RU.UTF-8", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    environment["RFMKIT_CACHE"] = str(tmp_path / "cache")
    clinic = demo_folder / "clinics" / "pharmacy-green.toml"
    said = rfmkit("run", clinic, "--month", MONTH, "--out", "out", "--jobs", 1, cwd=elsewhere, **environment)
    assert said.returncode == 0, said.stderr
    again = elsewhere / "out" / "pharmacy-green" / MONTH
    for file in sorted(FILES):
        assert (again / file).read_bytes() == (reports["pharmacy-green"] / file).read_bytes(), file


def test_a_second_run_changes_nothing(demo_folder, reports):
    before = {path: path.stat().st_mtime_ns for path in (demo_folder / "reports").rglob("*") if path.is_file()}
    said = rfmkit("run", "clinics/dental-north.toml", "--month", MONTH, cwd=demo_folder)
    assert (said.returncode, "unchanged" in said.stdout) == (0, True)
    after = {path: path.stat().st_mtime_ns for path in (demo_folder / "reports").rglob("*") if path.is_file()}
    assert after == before


@clinics
def test_the_page_in_a_browser(reports, name, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    url = (reports[name] / "report.html").as_uri()
    page.goto(url)
    assert [one for one in asked if not one.startswith("data:") and one != url] == []
    assert complaints == []
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang").split("-")[0] == LOCALES[name]
    images = page.locator("img").all()
    assert len(images) >= 6
    assert all(len(image.get_attribute("alt")) > 20 for image in images)
    assert page.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("script, link, iframe, pre, code").count() == 0
    page.close()


@pytest.fixture(scope="module")
def browser():
    executable = next((path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(path).exists()), None)
    if executable is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("name", "letters"), [("dental-north", "[а-я]{4}"), ("aesthetic-lotus", "[\u4e00-\u9fff]{2}")])
def test_figures_keep_their_text_for_the_readers_fonts(reports, name, letters):
    page = (reports[name] / "report.html").read_text(encoding="utf-8")
    figures = [base64.b64decode(data).decode() for data in re.findall(r"svg\+xml;base64,([A-Za-z0-9+/=]+)", page)]
    assert len(figures) >= 6
    assert all(re.search(rf"<text[^>]*>[^<]*{letters}", figure) for figure in figures)
