"""The commands: what they say, what they leave, and their exit codes."""

import datetime as dt
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import rfmkit
from rfmkit import cli
from rfmkit.publish import clinics as many
from rfmkit.publish.clinics import Outcome

ROWS = {"read": 9, "kept": 6, "rejected": 1, "duplicates": 2, "after_as_of": 0} | {
    f"money_{key}": 1.0 for key in ("read", "kept", "rejected", "duplicates", "after_as_of")
}


@pytest.fixture(autouse=True)
def _second_of_november(monkeypatch):
    monkeypatch.setattr(cli, "_today", lambda: dt.date(2026, 11, 2))


@pytest.fixture
def published(monkeypatch):
    """What `run` asked for; what comes of it is said by the name of the clinic."""
    asked = []

    def publish(jobs, *, processes, heard):
        asked.append(SimpleNamespace(jobs=jobs, processes=processes))
        outcomes = []
        for job in jobs:
            failed = job.key.startswith("bad")
            outcomes.append(
                Outcome(
                    job,
                    "failed" if failed else "done",
                    None if failed else job.out / job.key / job.month / "report.html",
                    ("payments.csv:17: not a number.", "payments.csv:18: not a date.") if failed else (),
                    11 if failed else 0,
                    {"reading": 1.24, "computing": 3.4},
                )
            )
        return outcomes

    monkeypatch.setattr(many, "publish_clinics", publish)
    return asked


COMMANDS = ["init", "run", "check", "list", "demo"]


def test_every_command_shows_an_example(capsys):
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command} " in said
        assert cli.main([command, "--help"]) == 0
        assert f"Example: rfmkit {command}" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rfmkit {rfmkit.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["run"],
        ["run", "--colour", "a.toml"],
        ["run", "a.toml", "--month", "2026-13"],
        ["run", "a.toml", "--jobs", "0"],
        ["run", "a.toml", "--notebook", "01_overview"],
        ["run", "a.toml", "--notebook", "nothing", "--out", "pages"],
        ["run", "a/same.toml", "b/same.toml"],
        ["demo", "--through", "October"],
    ],
    ids=" ".join,
)
def test_usage(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("today", "month"),
    [((2026, 11, 1), "2026-10"), ((2026, 10, 31), "2026-09"), ((2026, 1, 15), "2025-12"), ((2024, 3, 1), "2024-02")],
)
def test_the_month_is_the_last_complete_one(published, monkeypatch, tmp_path, today, month):
    monkeypatch.setattr(cli, "_today", lambda: dt.date(*today))
    cli.main(["run", "good.toml", "--out", str(tmp_path)])
    (job,) = published[0].jobs
    assert (job.month, job.today) == (month, dt.date(*today))


@pytest.mark.parametrize(
    ("names", "code"),
    [(["good"], 0), (["good", "fine"], 0), (["bad"], 11), (["bad", "good"], 1), (["bad", "bad-too"], 1)],
)
@pytest.mark.usefixtures("published")
def test_exit_codes(names, code, tmp_path):
    assert cli.main(["run", *[f"{name}.toml" for name in names], "--out", str(tmp_path / "out")]) == code
    assert (tmp_path / "out" / "index.html").exists() == (names[-1] in {"good", "fine"})


@pytest.mark.usefixtures("published")
def test_one_line_a_clinic_and_every_problem(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.main(["run", "bad.toml", "good.toml"])
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "bad  2026-10  failed  reading 1.2 s · computing 3.4 s  payments.csv:17: not a number.",
        "good  2026-10  done  reading 1.2 s · computing 3.4 s  reports/good/2026-10/report.html",
    ]
    assert said.err.splitlines() == ["bad: payments.csv:17: not a number.", "bad: payments.csv:18: not a date."]


def test_never_more_processes_than_clinics(published, tmp_path):
    for jobs in (["--jobs", "9"], ["--jobs", "1"]):
        cli.main(["run", "one.toml", "two.toml", *jobs, "--out", str(tmp_path)])
    assert [asked.processes for asked in published] == [2, 1]


def test_one_page_leaves_the_list_of_reports_alone(published, tmp_path):
    assert cli.main(["run", "good.toml", "--notebook", "overview", "--out", str(tmp_path)]) == 0
    assert published[0].jobs[0].notebook == "overview"
    assert list(tmp_path.iterdir()) == []


def test_check_reports_every_problem_and_the_law_of_rows(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.toml").write_text('name = "Good"\ndecimal = ","  # UNSURE: or is it "."?\n', encoding="utf-8")

    def open_study(clinic, *, month, today, reports):
        if clinic.stem == "bad":
            raise rfmkit.errors.ExportError([rfmkit.errors.Problem("a:1", "odd"), rfmkit.errors.Problem("a:2", "odd")])
        if clinic.stem == "ugly":
            raise KeyError("Иван Петров")
        return SimpleNamespace(
            scheme=None,
            rows=ROWS,
            problems=[rfmkit.errors.Problem("a:3", "a copy of a:2", count=2)],
            first_bought=None,
        )

    monkeypatch.setattr(rfmkit, "open_study", open_study)
    assert cli.main(["check", "bad.toml", "ugly.toml", "good.toml"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "bad: a:1: odd.",
        "bad: a:2: odd.",
        "ugly: ugly.toml: a fault of ours (KeyError). Please report it. RFMKIT_DEBUG=1 shows where.",
        "good: a:3: a copy of a:2. (2 such lines)",
        "good.toml:2: was proposed, and is unsure. Look, correct it, and remove the mark.",
    ]
    assert "good: 9 lines read = 6 kept + 1 rejected + 2 duplicates + 0 after the month; 1.00 = " in said.out
    assert cli.main(["check", "bad.toml"]) == 11
    assert cli.main(["check", "ugly.toml"]) == 13
    assert cli.main(["check", "good.toml"]) == 0


def test_list_shows_notebooks_and_what_they_can_be_asked(capsys):
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "01_overview  Overview\n" in said
    assert 'month: str = "2026-10"  the month reported on' in said


def test_a_fault_of_ours_is_one_line(capsys, monkeypatch):
    def stumble(*given):
        raise RuntimeError("Иван Петров")

    monkeypatch.setattr(cli, "_month", stumble)
    assert cli.main(["run", "good.toml"]) == 13
    assert capsys.readouterr().err == (
        "rfmkit: a fault of ours (RuntimeError). Please report it. RFMKIT_DEBUG=1 shows where.\n"
    )


def test_the_demo_writes_its_clinics_where_one_stands(published, tmp_path, monkeypatch, capsys):
    written = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rfmkit.demo.write_export", lambda name, folder, through: written.append((name, str(folder))))
    (tmp_path / "clinics").mkdir()
    (tmp_path / "clinics" / "dental-north.toml").write_text("# my own")
    assert cli.main(["demo", "--through", "2027-03"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "reports/index.html"
    assert {job.key for job in published[0].jobs} == {name for name, _ in written}
    assert all(folder == f"data/{name}" for name, folder in written)
    assert {(job.month, job.today) for job in published[0].jobs} == {("2027-03", dt.date(2027, 4, 1))}
    assert (tmp_path / "clinics" / "dental-north.toml").read_text() == "# my own"
    assert all(job.clinic.exists() for job in published[0].jobs)


def test_a_reader_that_hangs_up_is_no_fault():
    command = f"{sys.executable} -m rfmkit.cli list | true"
    said = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert said.stderr == ""


def test_processes_of_their_own(tmp_path):
    """The whole way through processes and pipes, with a clinic file that is not there and one that is none."""
    (tmp_path / "odd.toml").write_text("name = ")
    command = [sys.executable, "-m", "rfmkit.cli", "run", "none.toml", "odd.toml", "--month", "2026-10"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert [line.split("  ")[:3] for line in said.stdout.splitlines()] == [
        ["none", "2026-10", "failed"], ["odd", "2026-10", "failed"],
    ]  # fmt: skip
    assert "none: none.toml: no such clinic file." in said.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"odd.toml"}
    assert json.dumps(said.stderr).count("Traceback") == 0
