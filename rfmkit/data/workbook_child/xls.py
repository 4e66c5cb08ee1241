"""Excel's files of before 2007 (.xls), as calamine tells them.

What it does not tell: an error in a cell (``#N/A``) is a blank cell, and the day that only Excel has, 29 February 1900,
is the one before. A formula always has a value in such a file, so that one that was never computed is the 0 or the
blank that its writer left there.
"""

from __future__ import annotations

import datetime as dt
import mmap
from pathlib import Path

import numpy as np
import pyarrow as pa
import python_calamine as calamine

from rfmkit.data.workbook_child import damaged, limits, locked, texts
from rfmkit.data.workbook_child.staging import Stage, areas

_CELLS_AT_ONCE = 50_000
#: The name of the part that holds an .xlsx file under a password, as the container's directory writes it.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


class Workbook:
    """The sheets of an .xls file.

    Parameters
    ----------
    path : pathlib.Path
    decimal, date_format : str
        How numbers and days are written as text.
    """

    def __init__(self, path: Path, decimal: str, date_format: str):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(_ENCRYPTED) >= 0:
                raise locked()
        try:
            self._book = calamine.CalamineWorkbook.from_path(path)
        except calamine.PasswordError:
            raise locked() from None
        except (calamine.CalamineError, OSError, ValueError):
            raise damaged() from None
        self._decimal, self._days = decimal, texts.Days(date_format)
        sheets = enumerate(self._book.sheets_metadata)
        #: Names of sheets, and their places in the workbook.
        self.sheets = [(one.name, place) for place, one in sheets if one.typ == calamine.SheetTypeEnum.WorkSheet]

    def read(self, place: int, stage: Stage) -> Path | None:
        """Stage one sheet; gives its file, or None if it has no cell."""
        try:
            sheet = self._book.get_sheet_by_index(place)
        except calamine.CalamineError:
            raise damaged() from None
        if sheet.start is None:
            return None
        left, held = sheet.start[1], []
        for row, cells in enumerate(sheet.iter_rows(), start=1):
            held += [
                (row, left + column, self._text(cell), not isinstance(cell, str))
                for column, cell in enumerate(cells)
                if cell != ""
            ]
            if len(held) >= _CELLS_AT_ONCE:
                _add(stage, held)
                held = []
        _add(stage, held)
        corners = [
            (top + 1, first, bottom + 1, last) for (top, first), (bottom, last) in sheet.merged_cell_ranges or ()
        ]
        return stage.finish(areas(corners))

    def _text(self, cell) -> str:
        match cell:
            case str():
                return cell
            case bool():
                return "true" if cell else "false"
            case int() | float():
                return texts.number_text(repr(cell)).replace(".", self._decimal)
            case dt.date():  # and moments, which are dates too
                return self._days.iso(cell.isoformat())
            case dt.time():
                # To the nearest second, which may be the next day's first.
                return (dt.datetime.combine(dt.date.min, cell) + dt.timedelta(milliseconds=500)).strftime("%H:%M:%S")
            case dt.timedelta():
                return texts.duration(repr(cell / dt.timedelta(days=1)))
        raise damaged("a cell is of no known kind")


def _add(stage: Stage, held: list[tuple[int, int, str, bool]]) -> None:
    if held:
        rows, columns, said, typed = zip(*held, strict=True)
        stage.add(np.array(rows), np.array(columns), pa.array(said, pa.string()), np.array(typed))


def allow_for(path: Path) -> None:
    """Give the process the time that an .xls file deserves: it is not packed."""
    limits.allow(4 * path.stat().st_size)
