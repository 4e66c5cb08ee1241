"""Reads a workbook in a process of its own, so that one that is built to do harm ends this process and no other.

The first line of the standard input says what to read, in JSON; the answer is a file. Who asks holds the input open:
its end means that nobody waits any more.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
import zipfile
import zlib
from pathlib import Path
from xml.parsers import expat

import pyarrow as pa

from rfmkit.data.workbook_child import (
    CLINIC,
    EXPORT,
    SAVE_AS_XLSX,
    SURROUNDINGS,
    Refused,
    damaged,
    limits,
    ods,
    staging,
    xls,
    xlsx,
)
from rfmkit.data.workbook_child.archive import Archive

_NAMED = 20


class _WithoutPandas:
    """Arrow loads pandas where it can, only to ask whether a list is a series: half the time and memory of a start."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def main() -> None:
    """Read what is asked for, and answer."""
    request = json.loads(sys.stdin.buffer.readline())
    sys.meta_path.insert(0, _WithoutPandas)
    # A thread that gets no memory to begin with is waited for without end.
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(request["folder"])
    limits.confine()
    limits.allow(0)
    try:
        answer = {"sheets": read(request, folder)}
    except Refused as refusal:
        answer = {key: getattr(refusal, key) for key in ("what", "fix", "sheet", "whose")}
    written = folder / "answer.part"
    written.write_text(json.dumps(answer), encoding="ascii")
    written.replace(folder / "answer.json")
    # At once: the thread that waits for the parent would hold up an orderly end.
    os._exit(0)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def read(request: dict, folder: Path) -> list[dict]:
    """Stage the sheets that are asked for; gives their names, files and sizes."""
    try:
        return _sheets(request, folder)
    except Refused:
        raise
    except MemoryError:
        raise limits.out_of_memory() from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise limits.out_of_memory() from None
        fix = "Make room in the folder for temporary files, then run again."
        raise Refused(f"cannot be unpacked ({error.strerror or 'writing failed'})", fix, whose=SURROUNDINGS) from None
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, NotImplementedError, RuntimeError):
        raise damaged() from None
    except BaseException as error:  # a panic of calamine's is no Exception; what was thought of is told above
        # Arrow has no class for want of memory in what it builds on.
        raise limits.out_of_memory() if type(error) is pa.ArrowException else damaged(type(error).__name__) from None


def _sheets(request: dict, folder: Path) -> list[dict]:
    path, asked = Path(request["path"]), request["sheet"]

    def wanted(name: str) -> bool:
        return asked is None or name.strip().casefold() == asked.strip().casefold()

    last_row, archive = limits.LAST_ROW, None
    if request["kind"] == "zip":
        archive = Archive(path)
        limits.allow(archive.unpacked)
        _refuse_other_archives(archive)
    else:
        xls.allow_for(path)
        last_row = limits.LAST_ROW_XLS
    written = (request["decimal"], request["date_format"])
    if archive is not None and "content.xml" in archive:
        book = ods.Workbook(archive, *written, folder, wanted)
        book.read()
        names, found = book.names, book.found
    else:
        book = xls.Workbook(path, *written) if archive is None else xlsx.Workbook(archive, *written)
        names, found = [name for name, _ in book.sheets], []
        if len(names) > limits.SHEETS:
            raise Refused(f"has more than {limits.SHEETS:,} sheets", limits.TOO_LARGE)
        for number, (name, place) in enumerate(book.sheets):
            if wanted(name):
                stage = staging.Stage(folder, number, last_row)
                with _telling(name):
                    staged = book.read(place, stage)
                found += [(name, staged, stage.rows, stage.columns)] if staged else []
    if not any(wanted(name) for name in names):
        shown = ", ".join(f"«{name}»" for name in names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
        fix = f"Its sheets are {shown}." if names else SAVE_AS_XLSX
        what = f"has no sheet «{asked}»" if asked is not None else "has no sheet of cells"
        raise Refused(what, fix, whose=EXPORT if asked is None else CLINIC)
    keys = ("name", "file", "rows", "columns")
    return [dict(zip(keys, (name, staged.name, rows, columns), strict=True)) for name, staged, rows, columns in found]


def _refuse_other_archives(archive) -> None:
    if "xl/workbook.bin" in archive:
        raise Refused("is a binary workbook (.xlsb), which rfmkit does not read", SAVE_AS_XLSX)
    if "content.xml" not in archive and "_rels/.rels" not in archive:
        raise Refused(
            "is an archive with no workbook in it", "Unpack it and name the files inside, or export it again."
        )


@contextlib.contextmanager
def _telling(sheet: str):
    """Say on which sheet it was."""
    try:
        yield
    except Refused as refusal:
        refusal.sheet = refusal.sheet or sheet
        raise


if __name__ == "__main__":
    main()
