"""Many clinics: what befalls one stays with it."""

import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

from rfmkit.errors import UsageError
from rfmkit.publish import clinics
from rfmkit.publish.clinics import Job, Outcome, do_job, fault, publish_clinics

TODAY = dt.date(2026, 11, 2)


def job(clinic, out, **options):
    return Job(clinic, "2026-10", out, TODAY, **options)


def play(job, connection, folder):
    """Stands for the work of a process: what its clinic is called says how it ends."""
    connection.send("reading")
    (folder / "temporary").touch()
    if job.key == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.key == "gone":
        os._exit(0)
    failed = job.key == "failed"
    connection.send(Outcome(job, "failed" if failed else "done", exit_code=11 if failed else 0))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_one_failing_clinic_never_stops_another(tmp_path, monkeypatch):
    monkeypatch.setattr(clinics, "_work", play)
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    names = ["one", "killed", "failed", "two", "gone", "three"]
    jobs = [job(tmp_path / f"{name}.toml", tmp_path) for name in names]
    heard = []
    outcomes = publish_clinics(jobs, processes=2, heard=lambda job, step: heard.append((job.key, step)))
    assert [outcome.job.key for outcome in outcomes] == names
    assert {outcome.job.key: outcome.exit_code for outcome in outcomes} == {
        "one": 0, "killed": 12, "failed": 11, "two": 0, "gone": 12, "three": 0,
    }  # fmt: skip
    assert list((tmp_path / "t").iterdir()) == []
    killed = outcomes[1]
    assert killed.status == "failed"
    assert "killed.toml: its process was ended from outside (signal 9)" in killed.problems[0]
    for name in names:
        steps = [step for key, step in heard if key == name]
        assert steps == ["reading", "done" if name in {"one", "two", "three"} else "failed"]


def test_clinic_files_of_one_name_are_refused_before_anything_starts(tmp_path):
    jobs = [job(tmp_path / folder / "dental.toml", tmp_path) for folder in ("a", "b")]
    with pytest.raises(UsageError, match="rename one"):
        publish_clinics(jobs, processes=2)


def test_a_fault_of_ours_is_one_line_without_values(tmp_path, monkeypatch, capsys):
    def stumble(*given, **options):
        raise KeyError("Иван Петров")

    monkeypatch.setattr("rfmkit.publish.clinic_month.publish_clinic_month", stumble)
    outcome = do_job(job(tmp_path / "a.toml", tmp_path))
    assert (outcome.status, outcome.exit_code) == ("failed", 13)
    assert outcome.problems == ("a.toml: a fault of ours (KeyError). Please report it. RFMKIT_DEBUG=1 shows where.",)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RFMKIT_DEBUG", "1")
    fault("a.toml", ValueError("x"))
    assert "ValueError: x" in capsys.readouterr().err


def test_want_of_memory_is_the_machines(tmp_path, monkeypatch):
    def stumble(*given, **options):
        raise MemoryError

    monkeypatch.setattr("rfmkit.publish.clinic_month.publish_clinic_month", stumble)
    assert do_job(job(tmp_path / "a.toml", tmp_path)).exit_code == 12


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told to end", "killed"])
def test_a_run_that_is_ended_leaves_no_process_and_no_report(tmp_path, cache, number):
    # Here and not above: the processes of the other tests import this module, and should not wait for what it needs.
    from test_publish_clinic_month import write_clinic

    clinic = write_clinic(tmp_path / "clinics")
    (tmp_path / "t").mkdir()
    environment = {**os.environ, "RFMKIT_CACHE": str(cache), "TMPDIR": str(tmp_path / "t")}
    command = [sys.executable, "-m", "rfmkit.cli", "run", str(clinic), "--month", "2026-10", "--out", "reports"]
    run = psutil.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any("ipykernel_launcher" in command_of(child) for child in children(run)):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = children(run)
    run.send_signal(number)
    assert run.wait(20) == (143 if number == signal.SIGTERM else -9)
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    target = tmp_path / "reports" / "dental"
    assert {path.name for path in target.iterdir()} == {".2026-10.lock"}
    assert list((tmp_path / "t").iterdir()) == []


def children(process):
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_of(process):
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # it ended in between; a zombie is one too
        return []
