"""CSV of texts with every cell quoted, written a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.publish.columnwise import one_text, side_by_side, texts_of

if TYPE_CHECKING:
    import pandas as pd


def quoted_csv(texts: pd.DataFrame) -> bytes:
    """The texts as CSV; what is missing is an empty cell.

    Parameters
    ----------
    texts : pandas.DataFrame
        Columns of texts, harmless as they stand.

    Returns
    -------
    bytes
        UTF-8 with a byte order mark: spreadsheets take a file without one for the system's old encoding.
    """
    import pyarrow.compute as pc

    heading = ",".join(_quoted(name) for name in texts.columns)
    cells = [pc.replace_substring(pc.fill_null(texts_of(texts[name]), ""), '"', '""') for name in texts]
    between = [part for cell in cells for part in ('","', cell)][1:]
    rows = side_by_side('"', *between, '"\r\n')
    return f"{heading}\r\n{one_text(rows)}".encode("utf-8-sig")


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
