"""What goes wrong for a user, through the command line: the exit code, one line that helps, nothing half-written."""

import csv
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rfmkit import Reader
from rfmkit.errors import NotEnoughData

REPOSITORY = Path(__file__).parent.parent
CLINIC_FILE, EXPORT, SURROUNDINGS, SOME_FAILED = 10, 11, 12, 1
HEAD = "id,date,amount,service,name\n"
MONTH = ["--month", "2026-10"]


@pytest.fixture(autouse=True)
def two_notebooks(tmp_path, monkeypatch):
    """A run of two notebooks says as much about bad input as one of all."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("01_overview", "02_rfm_segments"):
        shutil.copy(REPOSITORY / "notebooks" / f"{name}.ipynb", folder)
    monkeypatch.setenv("RFMKIT_NOTEBOOKS", str(folder))


def small_export(patients: int = 200, extra: str = "") -> str:
    """Three years of a small clinic up to October 2026."""
    rng = np.random.default_rng(1)
    lines = []
    for patient in range(patients):
        for days in rng.choice(1090, size=1 + rng.poisson(3), replace=False):
            day = np.datetime64("2026-10-31") - int(days)
            lines.append(f"p{patient},{day},{int(rng.integers(10, 90))},check-up,Ann Example\n")
    return HEAD + "".join(sorted(lines)) + extra


def left_behind(folder: Path) -> list[str]:
    """Everything under a folder of reports but locks, which the next run takes over."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in found if not name.endswith(".lock"))


def message_of(answer) -> str:
    """What a command complained of: lines of the agreed form, without a traceback."""
    assert "Traceback" not in answer.err + answer.out
    for line in answer.err.splitlines():
        assert re.match(r"^[^:]+(:\d+)?.*: .+[.?)…]$", line), line
    return answer.err


@pytest.fixture
def run(rfmkit_cli, tmp_path):
    """Run a clinic whose run must fail: its message, with nothing published."""

    def failing(clinic: Path, code: int) -> str:
        out = tmp_path / "reports"
        answer = rfmkit_cli("run", clinic, *MONTH, "--out", out)
        assert answer.code == code, answer.err
        assert not out.exists() or left_behind(out) == []
        checked = rfmkit_cli("check", clinic, *MONTH)
        assert checked.code == code
        assert message_of(checked) == message_of(answer)
        return message_of(answer)

    return failing


def test_no_such_clinic_file(run, tmp_path):
    assert run(tmp_path / "none.toml", CLINIC_FILE) == (
        "none.toml: no such clinic file. Give the path of a clinic's TOML file.\n"
    )


def test_no_such_export(run, write_clinic):
    clinic = write_clinic(HEAD)
    (clinic.parent.parent / "data" / "clinic.csv").unlink()
    assert "clinic.toml [transactions] source: no such file: ../data/clinic.csv." in run(clinic, CLINIC_FILE)


INPUTS = {
    "empty file": ("", EXPORT, "clinic.csv: is empty (0 bytes). Export it again."),
    "header only": (HEAD, EXPORT, "clinic.csv: has a header and no line. Export it again."),
    "missing column": ("id,date\n1,2026-10-01\n", CLINIC_FILE, "clinic.csv:1 «amount»: no such column."),
    "doubled column": ("id,date,amount,amount\n1,2026-10-01,5,5\n", EXPORT, "clinic.csv:1 «amount»: stands 2 times."),
    "renamed column": ("id,visited,amount\n1,2026-10-01,5\n", CLINIC_FILE, "clinic.csv:1 «date»: no such column."),
    "text in an amount": (
        "id,date,amount\n1,2026-10-01,gratis\n",
        EXPORT,
        "clinic.csv:2 «amount»: not a number (6 letters).",
    ),
    "31 February": ("id,date,amount\n1,2026-02-31,5\n", EXPORT, "clinic.csv:2 «date»: not a date (10 characters)."),
    "a date after today": ("id,date,amount\n1,2999-01-01,5\n", EXPORT, "clinic.csv:2 «date»: after today."),
    "empty patient id": ("id,date,amount\n,2026-10-01,5\n", EXPORT, "clinic.csv:2 «id»: empty."),
    "another encoding": (b"id,date,amount\n\xc8\xe2,2026-10-01,5\n", CLINIC_FILE, 'encoding = "cp1251"'),
    "another delimiter": ("id;date;amount\n1;2026-10-01;5\n", CLINIC_FILE, 'Write delimiter = ";" in the clinic file.'),
    "nothing up to the month": (
        "id,date,amount\n1,2026-11-01,5\n",
        EXPORT,
        "clinic.csv: has no visit up to 2026-10-31.",
    ),
}


@pytest.mark.parametrize(("export", "code", "said"), INPUTS.values(), ids=INPUTS.keys())
def test_an_input_that_must_change(run, write_clinic, export, code, said):
    message = run(write_clinic(export), code)
    assert said in message
    assert "gratis" not in message


def test_a_month_that_is_not_over(rfmkit_cli, write_clinic, tmp_path):
    for command in ("run", "check"):
        answer = rfmkit_cli(command, write_clinic(small_export()), "--month", "2999-01")
        assert answer.code == 2
        assert message_of(answer) == "--month: 2999-01 is not over yet. A report is of a whole month.\n"


def test_a_clinic_file_with_three_mistakes_tells_all_three(run, write_clinic):
    clinic = write_clinic(HEAD, transactions='delimeter = ";"\ndecimal = ";"', parts="[rfm]\nbins = 12")
    message = run(clinic, CLINIC_FILE)
    assert len(message.splitlines()) == 3
    assert "[transactions] delimeter: unknown key. Did you mean delimiter?" in message


def test_a_logo_outside_the_clinics_folder(run, write_clinic):
    clinic = write_clinic(HEAD, parts='[report]\nlogo = "../../secret.png"')
    assert "[report] logo: lies outside the clinic file's folder." in run(clinic, CLINIC_FILE)


def test_a_few_bad_lines_are_kept_aside_and_the_report_is_made(rfmkit_cli, write_clinic, tmp_path):
    clinic = write_clinic(small_export(extra="p1,2026-10-03,lots,check-up,=HYPERLINK(1)\n"))
    answer = rfmkit_cli("run", clinic, *MONTH, "--out", tmp_path / "reports")
    assert answer.code == 0, answer.err
    assert "«amount»: not a number (4 letters)." in message_of(answer)
    made = tmp_path / "reports" / "clinic" / "2026-10"
    rejects = (made / "private" / "rejects.csv").read_text(encoding="utf-8-sig")
    assert "not a number" in rejects
    assert "lots" in rejects
    assert json.loads((made / "manifest.json").read_text())["rows"]["rejected"] == 1


SMALL = {
    "a month with no visits": (small_export().replace("2026-10-", "2026-09-"), {}),
    "one patient": (HEAD + "1,2026-10-01,5,check-up,Ann\n", {"segments", "clv", "crr"}),
    "all visits on one day": (
        HEAD + "".join(f"{n},2026-10-01,{n},check-up,Ann\n" for n in range(200)),
        {"clv", "crr"},
    ),
}


@pytest.mark.parametrize(("export", "missing"), SMALL.values(), ids=SMALL.keys())
def test_few_data_make_a_report_that_says_so(rfmkit_cli, write_clinic, tmp_path, export, missing):
    answer = rfmkit_cli("run", write_clinic(export), *MONTH, "--out", tmp_path / "reports")
    assert answer.code == 0, answer.err
    made = tmp_path / "reports" / "clinic" / "2026-10"
    metrics = json.loads((made / "metrics.json").read_text())
    parts = {"segments": metrics["segments"], "clv": metrics["clv"], "crr": metrics["loyalty"]["crr"]}
    said = {name: part for name, part in parts.items() if isinstance(part, dict)}
    lacking = {name for name, part in said.items() if part.get("status") == "not_enough_data"}
    assert lacking >= set(missing)
    assert all(parts[name]["reason"] for name in lacking)
    month = metrics["loyalty"]["month"]
    assert (month["visits"] == 0) == (not missing)
    assert (month["rpr"] is None) == (not missing)
    page = re.sub(r"base64,[^\"]+", "", (made / "report.html").read_text(encoding="utf-8"))
    patients = metrics["patients"]
    reason = Reader("en").reason(NotEnoughData("few_patients", have=patients, need=50))
    assert (reason in html.unescape(page)) == ("segments" in missing)
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page)


def test_hostile_text_stays_text(rfmkit_cli, write_clinic, tmp_path):
    script, formula = "<script>alert(1)</script>", "=HYPERLINK(1)"
    parts = 'service = "service"\n[patients]\nsource = "../data/people.csv"\n'
    parts += '[patients.columns]\npatient_id = "id"\nname = "name"'
    export = small_export(extra=f"{formula},2026-10-03,free,{script},\n").replace("check-up", script)
    clinic = write_clinic(export, parts=parts)
    people = "".join(f"p{number},{formula}\n" for number in range(200))
    (clinic.parent.parent / "data" / "people.csv").write_text("id,name\n" + people)
    clinic.write_text(clinic.read_text().replace("Test clinic", f"{script}<img src=x onerror=alert(2)>"))
    answer = rfmkit_cli("run", clinic, *MONTH, "--out", tmp_path / "reports")
    assert answer.code == 0, answer.err
    made = tmp_path / "reports" / "clinic" / "2026-10"
    page = (made / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<img[^>]*onerror", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    # The line that could not be read is kept aside, its cells guarded; nothing else holds a cell of the export.
    rejects = (made / "private" / "rejects.csv").read_text(encoding="utf-8-sig")
    assert formula in rejects
    cells = [cell for row in csv.reader(rejects.splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    for path in (made / "report.html", made / "metrics.json", made / "manifest.json", *made.glob("notebooks/*")):
        assert "HYPERLINK" not in path.read_text(encoding="utf-8"), path.name


def test_a_broken_clinic_among_five_stops_no_other(rfmkit_cli, write_clinic, tmp_path):
    (tmp_path / "notebooks" / "02_rfm_segments.ipynb").unlink()  # one says as much of who is stopped
    good = [write_clinic(small_export(60 + number), name=f"good-{number}") for number in range(4)]
    broken = write_clinic("id,date\n1,2026-10-01\n", name="broken")
    clinics = [*good[:2], broken, *good[2:]]
    answer = rfmkit_cli("run", *clinics, *MONTH, "--out", tmp_path / "reports", "--jobs", 2)
    assert answer.code == SOME_FAILED
    assert "broken: broken.csv:1 «amount»: no such column." in message_of(answer)
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines] == [clinic.stem for clinic in clinics]
    assert [line.split()[2] for line in lines] == ["done", "done", "failed", "done", "done"]
    made = sorted(path.parent.parent.name for path in (tmp_path / "reports").rglob("report.html"))
    assert made == [clinic.stem for clinic in good]


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk of a given size can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(rfmkit_cli, write_clinic, tiny_disk):
    clinic = write_clinic(small_export())
    (tiny_disk / "ballast").write_bytes(bytes(1_000_000))
    answer = rfmkit_cli("run", clinic, *MONTH, "--out", tiny_disk / "reports")
    assert answer.code == SURROUNDINGS, answer.err
    assert str(tiny_disk) in message_of(answer)
    assert [name for name in left_behind(tiny_disk) if name != "ballast"] == []


def test_a_full_disk_for_the_study(rfmkit_cli, write_clinic, tiny_disk, monkeypatch, tmp_path):
    (tiny_disk / "ballast").write_bytes(bytes(1_040_000))
    monkeypatch.setenv("RFMKIT_CACHE", str(tiny_disk / "cache"))
    answer = rfmkit_cli("run", write_clinic(small_export()), *MONTH, "--out", tmp_path / "reports")
    assert answer.code == SURROUNDINGS, answer.err
    assert "RFMKIT_CACHE" in message_of(answer)
    assert not (tmp_path / "reports").exists() or left_behind(tmp_path / "reports") == []
