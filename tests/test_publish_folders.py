"""Folders appear whole or not at all."""

import errno
import os
import subprocess

import pytest

from rfmkit.errors import SurroundingsError
from rfmkit.publish import folders
from rfmkit.publish.folders import disk_faults, new_folder, replace_file, swap_in, sweep, write_file


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def build(target, text):
    new = new_folder(target)
    (new / "private").mkdir()
    write_file(new / "report.html", text.encode())
    write_file(new / "private" / "rejects.csv", text.encode(), mode=0o600)
    return new


@pytest.fixture(params=["exchange", "set aside"])
def _both_ways(request, monkeypatch):
    if request.param == "set aside":
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)


@pytest.mark.usefixtures("_both_ways")
def test_a_folder_takes_the_place_of_the_previous_one(tmp_path):
    target = tmp_path / "2026-10"
    for text in ("first", "second", "third"):
        swap_in(build(target, text), target)
        assert tree(target) == {"report.html": text, "private/rejects.csv": text}
        assert list(tmp_path.iterdir()) == [target]


def test_when_the_place_cannot_be_taken_the_previous_one_stays(tmp_path, monkeypatch):
    target = tmp_path / "2026-10"
    swap_in(build(target, "first"), target)
    new = build(target, "second")
    rename = os.rename

    def refuse(source, to):
        if source == new:
            raise OSError(errno.EIO, "Input/output error")
        rename(source, to)

    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"):
        swap_in(new, target)
    assert tree(target)["report.html"] == "first"


def test_what_a_killed_run_left_is_swept(tmp_path):
    target = tmp_path / "2026-10"
    swap_in(build(target, "first"), target)
    build(target, "half")
    (tmp_path / ".2026-10.lock").touch()
    (tmp_path / ".2026-09.abcd").mkdir()
    sweep(target)
    assert {path.name for path in tmp_path.iterdir()} == {"2026-10", ".2026-10.lock", ".2026-09.abcd"}
    assert tree(target)["report.html"] == "first"


def test_a_report_that_was_set_aside_comes_back(tmp_path):
    target = tmp_path / "2026-10"
    swap_in(build(target, "first"), target)
    new = build(target, "second")
    os.rename(target, new.with_name(new.name + ".previous"))
    sweep(target)
    assert tree(target)["report.html"] == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda one, other: (done.append("replace"), replace(one, other)))
    replace_file(tmp_path / "index.html", b"x")
    assert done == ["fsync", "replace", "fsync"]
    assert tree(tmp_path) == {"index.html": "x"}


def test_what_the_disk_refuses_is_for_the_machines_keeper(tmp_path):
    with pytest.raises(SurroundingsError) as refused, disk_faults(tmp_path / "reports" / "a"):
        raise OSError(errno.ENOSPC, "No space left on device", "x")
    assert refused.value.exit_code == 12
    assert "reports/a: cannot be written (No space left on device)" in str(refused.value)
    assert "MB are free" in str(refused.value)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("may not mount a small file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_leaves_the_old_report(small_disk):
    target = small_disk / "2026-10"
    swap_in(build(target, "first"), target)
    with pytest.raises(SurroundingsError, match="No space left"), disk_faults(target):
        build(target, "x" * 100_000)
    sweep(target)
    assert tree(target)["report.html"] == "first"
    with pytest.raises(SurroundingsError, match="No space left"), disk_faults(target):
        replace_file(target / "report.html", b"x" * 100_000)
    assert tree(target)["report.html"] == "first"
    assert len(list(target.iterdir())) == 2
