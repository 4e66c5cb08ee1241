"""What a reviewer has decided: which cards are one person's, and which are not."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from rfmkit.data.answers import says_yes
from rfmkit.data.identity import PAIR, kept, merged_ids
from rfmkit.errors import ClinicFileError, Problem

#: An apostrophe that keeps a spreadsheet from taking a cell for a formula.
_GUARD = r"^'(?=\s*[=+\-@\t\r\n＝＋－＠])"


def read_merges(path: Path, known: Collection[str] | None = None) -> pd.DataFrame:
    """Read which cards a reviewer has found to be one person's.

    Parameters
    ----------
    path : pathlib.Path
        A CSV in UTF-8 with columns ``patient_id`` and ``same_as``, in any order. Of others, ``merge`` alone is read:
        yes or no; pairs with no stay apart. The ``identity.csv`` of a run is such a file.
    known : collection of str, optional
        All ids of the exports; any other is a fault.

    Returns
    -------
    pandas.DataFrame
        ``patient_id``, ``same_as`` of the pairs to join.

    Raises
    ------
    ClinicFileError
        With everything that is wrong, each by its row.
    """
    table = _read_csv(path)
    ids = [table[column].str.replace(_GUARD, "", regex=True).str.strip() for column in PAIR]
    answers = says_yes(table["merge"]) if "merge" in table else pd.Series(True, table.index, dtype="boolean")
    faults = []
    for column, values in zip(PAIR, ids, strict=True):
        faults.append((column, values == "", "is empty", "Every line needs two ids."))
        if known is not None:
            fix = "If a spreadsheet has cut its zeros, open the file as text there."
            faults.append((column, (values != "") & ~values.isin(list(known)), "no card has this id", fix))
    faults.append(
        ("same_as", (ids[0] != "") & (ids[0] == ids[1]), "is the same card", "Name another, or drop the line.")
    )
    faults.append(("merge", answers.isna(), "is neither yes nor no", "Write yes or no."))
    pairs = pd.DataFrame(dict(zip(PAIR, ids, strict=True)))
    if not any(wrong.any() for _, wrong, _, _ in faults):
        person = merged_ids(pairs[answers.astype(bool)])
        same = kept(ids[0], person) == kept(ids[1], person)
        fix = "Correct one of them."
        faults.append(("merge", same & ~answers.astype(bool), "says no to cards that other lines join", fix))
    problems = [
        (row, Problem(f"{path.name}:{row} «{column}»", what, fix))
        for column, wrong, what, fix in faults
        for row in table.index[wrong]
    ]
    if problems:
        raise ClinicFileError(problem for _, problem in sorted(problems, key=lambda one: one[0]))
    return pairs[answers.astype(bool)].reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    """The cells of a reviewed file, by its rows as a spreadsheet counts them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        fix = 'Give its path beside the clinic file, or write merge = "proposed".'
        raise ClinicFileError(Problem(path.name, "no such file of reviewed cards", fix)) from None
    except UnicodeDecodeError:
        raise ClinicFileError(Problem(path.name, "is not UTF-8 text", "Save it as CSV UTF-8.")) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error:
        raise ClinicFileError(Problem(path.name, "a quoted cell does not end", "Save it as CSV again.")) from None
    headings = [heading.strip() for heading in lines[0]] if lines else []
    missing = [column for column in PAIR if headings.count(column) != 1]
    if missing:
        fix = "The first line names the columns: patient_id,same_as."
        raise ClinicFileError(Problem(f"{path.name}:1 «{column}»", "must stand there once", fix) for column in missing)
    columns = dict(enumerate(itertools.zip_longest(*lines, fillvalue="")))
    table = pd.DataFrame(columns, index=range(1, len(lines) + 1), dtype="str").iloc[1:]
    longer = (table.iloc[:, len(headings) :] != "").any(axis=1)
    if longer.any():
        fix = "Quote cells that hold the delimiter."
        raise ClinicFileError(
            Problem(f"{path.name}:{row}", "has more cells than headings", fix) for row in table.index[longer]
        )
    table = table.iloc[:, : len(headings)].set_axis(headings, axis=1)
    return table[(table != "").any(axis=1)]
