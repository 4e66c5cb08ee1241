"""Workbooks, read in a process of their own: what the parent asks for, and how long and how much it lets it try."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rfmkit.data.inputs import InputFile, unreadable
from rfmkit.data.workbook_child import (
    CLINIC,
    EXPORT,
    MERGED,
    NO_VALUE,
    SAVE_AS_XLSX,
    SURROUNDINGS,
    TYPED,
    Refused,
    cell_name,
    limits,
)
from rfmkit.errors import ClinicFileError, ExportError, Problem, SurroundingsError

__all__ = ["MERGED", "NO_VALUE", "TYPED", "Sheet", "cell_name", "stage_workbook"]

_ERRORS = {CLINIC: ClinicFileError, EXPORT: ExportError}
_PACKAGE = Path(__file__).parents[2]
#: How often a child's memory is looked at, in seconds: it can fill some 50 MB meanwhile.
_LOOK = 0.02
#: One thread and no pools: what a library sets aside in advance counts as memory.
_SPARING = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: The first record of a sheet without the container that Excel has put around sheets since 1993.
_BARE = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
_HTML = re.compile(
    rb"<(!doctype\s+html|html|head|meta|body|table|tr|td|style|script)[\s>]|^mime-version:", re.IGNORECASE
)
_XML_WORKBOOK = re.compile(rb"urn:schemas-microsoft-com:office:spreadsheet|mso-application", re.IGNORECASE)
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook, as a Parquet file.

    Attributes
    ----------
    name : str
    path : pathlib.Path
        The file. ``_row`` is the row's number in the spreadsheet, from 1 on, in order; rows without any cell are left
        out. ``c0``, ``c1`` … are the columns from A on, as text, missing where blank. ``_merged`` lists the columns
        (0 for A) that in this row were filled from a merged area, ``_typed`` those that the workbook holds as numbers,
        days, times or truths, not as text; both are missing where there is none.
    rows, columns : int
        How many there are.
    """

    name: str
    path: Path
    rows: int
    columns: int


def stage_workbook(file: InputFile, spec, folder: Path) -> list[Sheet]:
    """Write the sheets of a workbook as Parquet files of text.

    Cells become text in one way: numbers without an exponent and to fifteen digits, as Excel keeps them, whole ones
    without decimals; those from 10¹⁵ on, of which Excel has lost digits, with an exponent (``1.23456789012346E+15``);
    days in `spec.date_format`, with a time behind them unless it is midnight; times and durations as ``HH:MM:SS``;
    ``true`` and ``false``; errors as they are shown (``#N/A``). A formula without a saved value is `NO_VALUE`. The text
    of a merged area's first cell fills the blank cells of the area in rows that have any cell; a cell under it that has
    a value keeps it. Hidden sheets, rows and columns are read as others.

    What cannot be told: of .xls files errors (blank) and formulas that were never computed (the 0 that their writer
    left); of other workbooks a formula for which the writer saved a made-up value, unless it is 0 and the workbook asks
    to be computed anew.

    Parameters
    ----------
    file : InputFile
        An .xlsx, .xlsm, .xls or .ods file, whatever its name says.
    spec : rfmkit.clinic.Transactions or rfmkit.clinic.Patients
        `sheet` (None: all), `decimal` (None: a point) and `date_format` (None: ``%Y-%m-%d``) count.
    folder : pathlib.Path
        A private folder, in which a new one is made.

    Returns
    -------
    list of Sheet
        Those that have any cell, in the workbook's order.

    Raises
    ------
    ClinicFileError
        If there is no sheet of that name.
    ExportError
        If the file is no workbook, is damaged, under a password or cut off where such files end, or needs more memory
        or time than `rfmkit.data.workbook_child.limits` gives.
    SurroundingsError
        If it may not be read, or there is no room for its cells.
    """
    room = Path(tempfile.mkdtemp(prefix="workbook-", dir=folder))
    try:
        request = {
            "path": str(file.path.absolute()),
            "kind": _kind(file),
            "folder": str(room),
            "sheet": spec.sheet,
            "decimal": spec.decimal or ".",
            "date_format": spec.date_format or "%Y-%m-%d",
        }
        answer = _answer(request, limits.CLOCK_SECONDS + file.path.stat().st_size / limits.CLOCK_BYTES_A_SECOND)
    except Refused as refusal:
        shutil.rmtree(room, ignore_errors=True)
        where = f"{file.name}, sheet «{refusal.sheet}»" if refusal.sheet else file.name
        raise _ERRORS.get(refusal.whose, SurroundingsError)(Problem(where, refusal.what, refusal.fix)) from None
    return [Sheet(one["name"], room / one["file"], one["rows"], one["columns"]) for one in answer]


def _kind(file: InputFile) -> str:
    """ "zip" or "ole", by how the file begins; what people name .xls beside them is refused by what it is."""
    try:
        with file.path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise SurroundingsError(unreadable(file.name, error)) from None
    if start.startswith(_ZIP):
        return "zip"
    if start.startswith(_OLE):
        return "ole"
    if start.startswith(_BARE):
        raise Refused("is an Excel file of before 1997, or of a program that writes such files", SAVE_AS_XLSX)
    ending = file.path.suffix.lower()
    text = start.replace(b"\0", b"")
    if _XML_WORKBOOK.search(text):
        raise Refused("is an XML spreadsheet of Excel 2003", SAVE_AS_XLSX)
    if _HTML.search(text.lstrip()):
        raise Refused(f"is a web page named {ending}, as many systems export", SAVE_AS_XLSX)
    if start.startswith(b"%PDF"):
        raise Refused("is a PDF document", "Export a table instead.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or not _NOT_TEXT.search(start):
        fix = "Name it .csv, and write its delimiter and encoding in the clinic file where they are not «,» and UTF-8."
        raise Refused(f"is a text file named {ending}", fix)
    raise Refused("is no workbook", SAVE_AS_XLSX)


def _answer(request: dict, seconds: float) -> list[dict]:
    """What the child found; it is gone when this returns or raises."""
    paths = os.pathsep.join(filter(None, [str(_PACKAGE), os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "rfmkit.data.workbook_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # a library's last words may quote a cell
        env={**os.environ, **_SPARING, "PYTHONPATH": paths},
    )
    try:
        # Its input stays open as long as somebody waits for the child.
        child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        child.stdin.flush()
        _watch(child, time.monotonic() + seconds)
    except BrokenPipeError:
        child.wait()  # it has ended before it was told what to read
    finally:
        child.kill()
        child.wait()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    told = Path(request["folder"], "answer.json")
    if not told.exists():
        raise _why(child.returncode)
    answer = json.loads(told.read_text(encoding="ascii"))
    if "sheets" in answer:
        return answer["sheets"]
    raise Refused(**answer)


def _watch(child: subprocess.Popen, until: float) -> None:
    """Wait for the child, within limits."""
    status, page = Path(f"/proc/{child.pid}/statm"), os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1
    while True:
        try:
            child.wait(_LOOK)
            return
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() > until:
            raise limits.out_of_time()
        try:
            resident = int(status.read_text().split()[1]) * page
        except (OSError, IndexError):
            continue  # a system that does not tell, or the child has just ended
        if resident > limits.RESIDENT:
            raise limits.out_of_memory()


def _why(code: int) -> Refused:
    """Why a child ended without an answer."""
    if code == -getattr(signal, "SIGXCPU", 0):
        return limits.out_of_time()
    if code < 0:
        # By its own hand when memory is refused to a library that cannot do without, or by the system's.
        return limits.out_of_memory()
    fix = "Check that rfmkit and what it needs are installed whole."
    return Refused("is not read: the process that reads workbooks does not start", fix, whose=SURROUNDINGS)
