"""A workbook that is built to do harm ends as one error; a large one that is honest passes under the same limits."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from workbook_bombs import BOMBS, SECRET, half_a_million_rows, pack, parts, sheet_xml
from workbooks import stage

from rfmkit.data.workbook_child import limits
from rfmkit.data.workbooks import MERGED, TYPED
from rfmkit.errors import ExportError, SurroundingsError

LINUX = sys.platform == "linux"
#: What a bomb may take: seconds of the processor, for machines are shared, and memory beside a parent's 150 MB.
BOMB_SECONDS, BOMB_BYTES = 5, 360 * 2**20


class Watch:
    """The most memory that the readers had at a time, and the processor's time they took."""

    def __init__(self, readers):
        self._readers = readers

    def __enter__(self):
        self.most, self._ended = 0, threading.Event()
        self._before = self._time()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self.seconds = self._time() - self._before

    def _look(self):
        while not self._ended.wait(0.005):
            resident = 0
            for child in self._readers():
                try:
                    resident += child.memory_info().rss
                except psutil.Error:
                    continue
            self.most = max(self.most, resident)

    def _time(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_as_one_error(tmp_path, name, readers):
    make, ending = BOMBS[name]
    path = make(tmp_path / f"payments{ending}")
    with Watch(readers) as watch, pytest.raises(ExportError) as caught:
        stage(path)
    (problem,) = caught.value.problems
    assert problem.where.startswith(path.name)
    assert problem.fix
    assert not any(word in str(problem) for word in SECRET.split())
    assert watch.seconds < BOMB_SECONDS
    assert watch.most < BOMB_BYTES
    assert not readers()


@pytest.fixture(scope="session")
def half_a_million(tmp_path_factory):
    return half_a_million_rows(tmp_path_factory.mktemp("large") / "payments.xlsx")


def test_half_a_million_rows_pass_under_the_same_limits(half_a_million, tmp_path, readers):
    path = tmp_path / half_a_million.name
    path.symlink_to(half_a_million)
    with Watch(readers) as watch:
        (sheet,) = stage(path)
    assert (sheet.name, sheet.rows, sheet.columns) == ("Данные", 500_000, 10)
    assert watch.most < BOMB_BYTES
    table = pq.read_table(sheet.path)
    # 499,999 mod 900 = 499, and day 44,499 is 302 days after 1 January 2021, which is 44,197; 499,999 mod 97 = 61.
    last = 499_999
    assert table.slice(last).to_pylist() == [
        {
            **{"_row": 500_000, "c0": "P499999", "c1": "Иванова Мария 499999 Петровна", "c2": "2021-10-30"},
            **{"c3": "6100.5", "c4": "Гигиена", "c5": "Филиал Север", "c6": "79160499999", "c7": None, "c8": "1"},
            **{"c9": "0.3", TYPED: [2, 3, 6, 8, 9], MERGED: None},
        }
    ]
    # Rows n = 0 … 499,999 have 100 · (n mod 97) + 0.5: 5,154 whole rounds of 97, and 62 rows of the next.
    rounds, rest = divmod(500_000, 97)
    exact = 100 * (rounds * 96 * 97 // 2 + rest * (rest - 1) // 2) + Decimal("0.5") * 500_000
    assert pc.sum(pc.cast(table["c3"], "float64")).as_py() == float(exact)
    assert pc.count_distinct(table["c0"]).as_py() == 500_000


READING = """
import sys
from pathlib import Path
from types import SimpleNamespace
from rfmkit.data.inputs import InputFile
from rfmkit.data.workbooks import stage_workbook
path = Path(sys.argv[1])
file = InputFile(path, path.name, "", path.stat().st_size, 0)
try:
    stage_workbook(file, SimpleNamespace(sheet=None, decimal=None, date_format=None), Path(sys.argv[2]))
except KeyboardInterrupt:
    import psutil
    print("interrupted", len(psutil.Process().children(recursive=True)))
"""


def reading(path: Path, folder: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """A parent that reads a large workbook, and its child, which is at work."""
    parent = subprocess.Popen([sys.executable, "-c", READING, path, folder], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        # The child is at work once it has written the first rows.
        if any(folder.rglob("*.parquet")):
            return parent, psutil.Process(parent.pid).children()[0]
        time.sleep(0.02)
    raise AssertionError("the child did not begin")


def test_a_child_ends_with_its_parent(half_a_million, tmp_path):
    parent, child = reading(half_a_million, tmp_path)
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs([child], timeout=5)[1] == []


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_who_interrupts_leaves_no_child(half_a_million, tmp_path):
    parent, _ = reading(half_a_million, tmp_path)
    parent.send_signal(signal.SIGINT)
    assert parent.communicate(timeout=30)[0].split() == ["interrupted", "0"]


def test_a_child_that_takes_too_long_or_too_much_is_ended(half_a_million, tmp_path, monkeypatch, readers):
    path = tmp_path / half_a_million.name
    path.symlink_to(half_a_million)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "CLOCK_SECONDS", -1000)
        with pytest.raises(ExportError, match="takes longer to read than its size explains"):
            stage(path)
    assert not readers()
    if LINUX:
        monkeypatch.setattr(limits, "RESIDENT", 2**20)
        with pytest.raises(ExportError, match="needs more than 256 MB of memory"):
            stage(path)
        assert not readers()


@pytest.mark.skipif(not LINUX, reason="the address space is limited on Linux")
def test_a_child_gets_no_more_than_its_share():
    begun = "from rfmkit.data.workbook_child import limits; limits.confine(); "
    # A little more than its share: an interpreter has some room of its own, which its limit counts as taken.
    greedy = begun + "bytearray(limits.MEMORY + 32 * limits.MEGABYTE)"
    memory = subprocess.run([sys.executable, "-c", greedy], capture_output=True, text=True)
    assert "MemoryError" in memory.stderr
    busy = begun + "limits.CPU_SECONDS = 0; limits.allow(0)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", busy], timeout=60).returncode == -signal.SIGXCPU


def test_a_child_that_does_not_start_is_no_fault_of_the_export(tmp_path, monkeypatch):
    path = pack(tmp_path / "p.xlsx", parts({"A": sheet_xml("")}))
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "false")
    with pytest.raises(SurroundingsError, match="the process that reads workbooks does not start"):
        stage(path)


def test_a_child_starts_with_what_it_needs_alone():
    code = "import rfmkit.data.workbook_child.__main__, sys; print([m for m in {} if m in sys.modules])"
    heavy = ("pandas", "ibis", "duckdb", "pydantic", "rfmkit.clinic", "rfmkit.study")
    told = subprocess.run([sys.executable, "-c", code.format(heavy)], capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_a_parent_needs_no_reader(tmp_path):
    code = "import rfmkit.data.workbooks, sys; print([m for m in ('pyarrow', 'python_calamine') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
