"""The process that reads a workbook, apart from the one that asks for it: what both of them must know."""

from __future__ import annotations

#: The text that stands for a formula without a saved value. XML holds no such sign, so no cell can spell it.
NO_VALUE = "\0formula"
#: The column that tells which cells of a row were filled from a merged area.
MERGED = "_merged"
#: The column that tells which cells of a row are numbers, days, times or truths, which this program wrote as text.
TYPED = "_typed"
#: What is wrong: with the export, with the clinic file, with the machine.
EXPORT, CLINIC, SURROUNDINGS = "export", "clinic", "surroundings"
#: What to do about most workbooks that cannot be read.
SAVE_AS_XLSX = "Open it in a spreadsheet program, save it as .xlsx, and use that."


def cell_name(column: int, row: int) -> str:
    """What a spreadsheet calls a cell.

    Parameters
    ----------
    column : int
        Its column, from 0 on.
    row : int
        Its row, from 1 on.

    Returns
    -------
    str
        ``"D2"`` for column 3 and row 2.
    """
    letters, column = "", column + 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row}"


class Refused(Exception):
    """Why a workbook is not read; never with any part of a cell's value.

    Parameters
    ----------
    what : str
        What is wrong.
    fix : str
        What to do about it, as a full sentence.
    sheet : str, optional
        Where, if not in the workbook as a whole.
    whose : str, default EXPORT
        Who must act.
    """

    def __init__(self, what: str, fix: str, sheet: str | None = None, whose: str = EXPORT):
        super().__init__(what)
        self.what, self.fix, self.sheet, self.whose = what, fix, sheet, whose


def damaged(how: str = "") -> Refused:
    """A workbook whose parts contradict the format, or each other."""
    fix = "Export it again, or open it in a spreadsheet program and save it anew as .xlsx."
    return Refused(f"is damaged{f': {how}' if how else ''}", fix)


def locked() -> Refused:
    """A workbook that opens with a password only."""
    return Refused("is protected by a password", "Save it without a password to open it.")
