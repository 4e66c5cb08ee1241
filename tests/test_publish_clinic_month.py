"""A clinic-month appears whole, replaces the previous one whole, and is left alone when nothing changed."""

import copy
import datetime as dt
import errno
import json
import os
import random
import shutil
import stat
import subprocess
from pathlib import Path

import filelock
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rfmkit.errors import ClinicFileError, RfmkitError, SurroundingsError, UsageError
from rfmkit.publish import clinic_month, execute, folders
from rfmkit.publish.clinic_month import Watch, publish_clinic_month, publish_notebook
from rfmkit.publish.execute import HalfRun
from rfmkit.publish.folders import file_digest

TODAY = dt.date(2026, 11, 2)
FILES = {
    "report.html", "metrics.json", "patients.parquet", "segments.xlsx", "manifest.json", "private/rejects.csv",
    "private/lists/README.txt",
    "notebooks/01_lines.ipynb", "notebooks/02_value.ipynb",
}  # fmt: skip


def write_clinic(folder: Path, name: str = "dental", *, patients: int = 60, extra: str = "") -> Path:
    """A small clinic with two years of visits, and its file."""
    draw = random.Random(name)
    lines = ["id,day,sum"]
    for patient in range(patients):
        day = dt.date(2024, 11, 1) + dt.timedelta(days=draw.randrange(200))
        while day <= dt.date(2026, 10, 31):
            lines.append(f"P{patient},{day},{draw.randrange(10, 90)}.50")
            day += dt.timedelta(days=draw.randrange(20, 300))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    file = folder / f"{name}.toml"
    file.write_text(
        f'name = "Dental <b>North</b>"\ncurrency = "EUR"\n{extra}\n[transactions]\nsource = "{name}.csv"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "day"\namount = "sum"\n'
    )
    return file


def write_notebooks(folder: Path) -> None:
    """Two notebooks of the house's shape: one that always stands, one that needs the model of lifetime value."""
    folder.mkdir()
    setup = "import rfmkit\nfrom rfmkit import tables\nstudy = rfmkit.open_study(clinic, month=month)"
    pairs = {
        "01_lines": ("Lines", "tables.rows(study.rows, reader=study.reader)", []),
        "02_value": ("Value", "tables.clv_summary(study.clv_summary, reader=study.reader)", ["needs-clv"]),
    }
    for name, (title, call, tags) in pairs.items():
        node = new_notebook(metadata={"kernelspec": {"name": "x", "language": "python", "display_name": "x"}})
        parameters = 'clinic: str = "dental.toml"  # the clinic file\nmonth: str = "2026-10"  # the month'
        show = "tables.provenance(study.provenance, reader=study.reader)"
        node.cells = [
            new_markdown_cell(f"# {title}", id="title"),
            new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
            new_code_cell(setup, id="setup", metadata={"tags": ["setup"]}),
            new_markdown_cell("## Part", id="part-text", metadata={"tags": tags}),
            new_code_cell(call, id="part", metadata={"tags": tags}),
            new_code_cell(show, id="provenance", metadata={"tags": ["provenance"]}),
        ]
        nbformat.write(node, folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What was computed for the small clinics; most tests are about what comes after."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_notebooks(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("RFMKIT_CACHE", str(cache))
    write_notebooks(tmp_path / "notebooks")
    monkeypatch.setenv("RFMKIT_NOTEBOOKS", str(tmp_path / "notebooks"))


@pytest.fixture
def no_kernel(monkeypatch):
    """Executed at once, without a kernel; the tests of `execute` have kernels."""

    def run(notebook, node, parameters, **options):
        node = copy.deepcopy(node)
        for number, cell in enumerate(cell for cell in node.cells if cell.cell_type == "code"):
            cell.execution_count = number + 1
            cell.outputs = [new_output("display_data", {"text/html": "<p>shown</p>"})]
        return node

    monkeypatch.setattr(execute, "execute_notebook", run)


@pytest.fixture
def clinic(tmp_path):
    return write_clinic(tmp_path / "clinics")


def publish(clinic, out, *, month="2026-10", **options):
    return publish_clinic_month(clinic, month=month, out=out, today=TODAY, **options)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_beside(target):
    """What a run must not leave: everything beside the month but its lock."""
    return {path.name for path in target.parent.iterdir()} - {target.name, f".{target.name}.lock"}


def test_a_clinic_month_with_its_kernels(clinic, tmp_path):
    steps, out = [], tmp_path / "reports"
    watch = Watch(steps.append)
    published = publish(clinic, out, watch=watch)
    target = out / "dental" / "2026-10"
    assert (published.status, published.report) == ("done", target / "report.html")
    assert steps == ["reading", "computing", "01_lines", "02_value", "page"]
    assert set(watch.seconds) == {"reading", "computing", "notebooks", "page"}
    files = tree(target)
    assert set(files) == FILES
    assert left_beside(target) == set()
    assert stat.S_IMODE((target / "private").stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "private" / "rejects.csv").stat().st_mode) == 0o600
    manifest = json.loads(files["manifest.json"])
    assert {output["file"] for output in manifest["outputs"]} == FILES - {"manifest.json"}
    assert all(file_digest(target / output["file"]) == output["sha256"] for output in manifest["outputs"])
    rows = manifest["rows"]
    assert rows["read"] == rows["kept"] + rows["rejected"] + rows["duplicates"] + rows["after_as_of"]
    for name in (
        "report.html",
        "metrics.json",
        "manifest.json",
        "notebooks/01_lines.ipynb",
        "notebooks/02_value.ipynb",
    ):
        assert str(tmp_path).encode() not in files[name]
    assert b"Dental &lt;b&gt;North" in files["report.html"]


PEOPLE = """[patients]
source = "people.csv"
[patients.columns]
patient_id = "id"
name = "name"
phone = "phone"
email = "mail"
opted_out = "out"
consent_sms = "sms"
consent_ads = "ads"
"""


@pytest.mark.usefixtures("no_kernel")
def test_lists_are_private_and_hold_whom_the_clinic_may_contact(tmp_path):
    clinic = write_clinic(tmp_path / "clinics", extra='country = "IE"')
    rows = [f"P{n},Name {n},+353861234{n:03},p{n}@example.org,{n % 3 == 0},{n % 2},{n % 5 == 0}" for n in range(60)]
    text = "\n".join(["id,name,phone,mail,out,sms,ads", *rows]).replace("True", "yes").replace("False", "no")
    (clinic.parent / "people.csv").write_text(text + "\n")
    clinic.write_text(clinic.read_text() + PEOPLE)
    publish(clinic, tmp_path / "reports")
    target = tmp_path / "reports" / "dental" / "2026-10"
    folder = target / "private" / "lists"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    segment_of = pd.read_parquet(target / "patients.parquet").set_index("patient_id")["segment"]
    listed = {path.stem: pd.read_csv(path, dtype="str") for path in folder.glob("segment_*.csv")}
    by_sms = {f"P{n}" for n in range(60) if n % 3 and n % 2}
    assert {patient for frame in listed.values() for patient in frame["patient_id"]} == by_sms
    for name, frame in listed.items():
        assert (folder / f"{name}.xlsx").exists()
        assert set(segment_of[frame["patient_id"]]) == {name.removeprefix("segment_")}
        # Nobody has consented to calls or letters: there is no such column.
        assert list(frame.columns) == ["patient_id", "name", "sms_phone", "last_visit", "segment"]
        assert (frame["sms_phone"] == "+353861234" + frame["patient_id"].str[1:].str.zfill(3)).all()
    advertised = sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("audience_*.csv"))
    assert advertised == sum(n % 3 != 0 and n % 5 == 0 for n in range(60))
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["withheld"] == {
        channel: f"the file of patients has no column consent_{channel}" for channel in ("phone", "email")
    }
    outputs = {output["file"] for output in manifest["outputs"]}
    assert {f"private/lists/{path.name}" for path in folder.iterdir()} <= outputs
    everything = b"".join(content for name, content in tree(target).items() if not name.startswith("private/"))
    assert b"Name 1" not in everything
    assert b"353861234" not in everything


@pytest.mark.usefixtures("no_kernel")
def test_without_a_file_of_patients_there_is_no_list_and_it_says_why(clinic, tmp_path):
    publish(clinic, tmp_path / "reports")
    target = tmp_path / "reports" / "dental" / "2026-10"
    assert [path.name for path in (target / "private" / "lists").iterdir()] == ["README.txt"]
    assert "no lists" in (target / "private" / "lists" / "README.txt").read_text(encoding="utf-8-sig")
    manifest = json.loads((target / "manifest.json").read_text())
    assert set(manifest["withheld"]) == {"lists"}


@pytest.mark.usefixtures("no_kernel")
def test_the_same_input_elsewhere_gives_the_same_bytes(clinic, tmp_path, monkeypatch):
    publish(clinic, tmp_path / "reports")
    twin = write_clinic(tmp_path / "elsewhere" / "clinics")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    publish(Path("clinics/dental.toml"), Path("out"))
    assert twin.exists()
    assert tree(Path("out/dental/2026-10")) == tree(tmp_path / "reports" / "dental" / "2026-10")


@pytest.mark.usefixtures("no_kernel")
def test_the_second_run_changes_nothing(clinic, tmp_path):
    out = tmp_path / "reports"
    publish(clinic, out)
    target = out / "dental" / "2026-10"
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert publish(clinic, out).status == "unchanged"
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    (target / "metrics.json").write_text("{}")
    assert publish(clinic, out).status == "done"
    assert json.loads((target / "metrics.json").read_text())["clinic"] == "dental"
    with (tmp_path / "clinics" / "dental.csv").open("a") as lines:
        lines.write("P1,2026-10-30,5.00\n")
    assert publish(clinic, out).status == "done"
    assert publish(clinic, out).status == "unchanged"
    (clinic.parent / "logo.png").write_bytes(b"\x89PNG one")
    clinic.write_text(clinic.read_text() + '[report]\nlogo = "logo.png"\n')
    assert publish(clinic, out).status == "done"
    assert publish(clinic, out).status == "unchanged"
    (clinic.parent / "logo.png").write_bytes(b"\x89PNG two")
    assert publish(clinic, out).status == "done"


@pytest.mark.usefixtures("no_kernel")
def test_what_the_data_do_not_carry_is_said(tmp_path):
    small = write_clinic(tmp_path / "clinics", "small", patients=3)
    publish(small, tmp_path / "reports")
    target = tmp_path / "reports" / "small" / "2026-10"
    made = json.loads((target / "metrics.json").read_text())
    assert made["segments"]["status"] == made["clv"]["status"] == "not_enough_data"
    assert made["clv"]["reason"]
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["parts"]["clv"] == {"status": "not_enough_data", "reason": made["clv"]["reason"]}
    cells = nbformat.read(target / "notebooks" / "02_value.ipynb", as_version=4).cells
    assert [cell["id"] for cell in cells] == ["title", "parameters", "setup", "part-text", "provenance"]
    assert pd.read_parquet(target / "patients.parquet")["clv"].isna().all()


@pytest.mark.usefixtures("no_kernel")
def test_a_failure_leaves_the_previous_report(clinic, tmp_path, monkeypatch):
    out = tmp_path / "reports"
    publish(clinic, out)
    target = out / "dental" / "2026-10"
    before = tree(target)
    clinic.write_text(clinic.read_text().replace("EUR", "CNY"))

    def stop(notebook, node, parameters, **options):
        raise HalfRun(SurroundingsError([]), node)

    with monkeypatch.context() as broken:
        broken.setattr(execute, "execute_notebook", stop)
        with pytest.raises(SurroundingsError, match="as far as it came") as failed:
            publish(clinic, out)
    assert tree(target) == before
    assert left_beside(target) == {"failed"}
    kept = out / "dental" / "failed" / "2026-10"
    assert str(kept / "01_lines.ipynb") in str(failed.value)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "01_lines.ipynb").stat().st_mode) == 0o600
    publish(clinic, out)
    assert left_beside(target) == set()


@pytest.mark.usefixtures("no_kernel")
def test_whichever_write_fails_nothing_is_torn(clinic, tmp_path, monkeypatch):
    out, written = tmp_path / "reports", []
    target = out / "dental" / "2026-10"
    write = folders.write_file
    for module in (folders, clinic_month):
        monkeypatch.setattr(module, "write_file", lambda *given, **options: (stumble(), write(*given, **options)))

    def stumble():
        written.append(1)
        if len(written) == bad:
            raise OSError(errno.ENOSPC, "No space left on device")

    for bad in range(1, len(FILES) + 1):  # noqa: B007 - `stumble` reads it
        written.clear()
        with pytest.raises(SurroundingsError, match="No space left on device"):
            publish(clinic, out)
        assert not target.exists()
        assert left_beside(target) == set()
    written.clear()
    bad = 0
    assert publish(clinic, out).status == "done"
    assert len(written) == len(FILES)


@pytest.mark.usefixtures("no_kernel")
def test_a_clinic_month_is_made_by_one_run_at_a_time(clinic, tmp_path):
    out = tmp_path / "reports"
    lock = out / "dental" / ".2026-10.lock"
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(SurroundingsError, match="another run") as held:
        publish(clinic, out)
    assert str(lock) in str(held.value)
    assert publish(clinic, out).status == "done"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.usefixtures("no_kernel")
def test_a_full_disk(clinic, tmp_path):
    out = tmp_path / "disk"
    out.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", out], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("may not mount a small file system here")
    try:
        publish(clinic, out)
        before = tree(out / "dental" / "2026-10")
        (out / "filler").write_bytes(b"x" * (shutil.disk_usage(out).free - 20_000))
        clinic.write_text(clinic.read_text().replace("EUR", "CNY"))
        with pytest.raises(SurroundingsError, match=r"No space left on device.*MB are free"):
            publish(clinic, out)
        assert tree(out / "dental" / "2026-10") == before
        assert left_beside(out / "dental" / "2026-10") == set()
    finally:
        subprocess.run(["umount", out], check=True)


@pytest.mark.usefixtures("no_kernel")
def test_the_page_of_one_notebook_touches_no_clinic_month(clinic, tmp_path):
    out = tmp_path / "pages"
    published = publish_notebook(clinic, "value", month="2026-10", out=out, today=TODAY)
    assert published.report == out / "dental-2026-10-02_value.html"
    assert set(tree(out)) == {"dental-2026-10-02_value.html"}
    with pytest.raises(UsageError, match="01_lines, 02_value"):
        publish_notebook(clinic, "nothing", month="2026-10", out=out, today=TODAY)


def test_what_is_wrong_is_said_by_who_must_act(clinic, tmp_path):
    with pytest.raises(ClinicFileError):
        publish(tmp_path / "nothing.toml", tmp_path / "reports")
    with pytest.raises(UsageError):
        publish(clinic, tmp_path / "reports", month="2026-13")
    (tmp_path / "file").touch()
    with pytest.raises(SurroundingsError):
        publish(clinic, tmp_path / "file")
    assert not (tmp_path / "reports").exists()


def test_every_error_of_ours_is_for_somebody():
    assert {kind.exit_code for kind in RfmkitError.__subclasses__()} == {2, 10, 11, 12}
