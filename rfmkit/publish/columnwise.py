"""Texts of many rows put together a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def texts_of(values: pd.Series) -> pa.Array:
    """A column of texts as Arrow has them; null where one is missing."""
    import pyarrow as pa

    made = pa.array(values.astype("str"), pa.large_string(), from_pandas=True)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def side_by_side(*parts: str | pa.Array) -> pa.Array:
    """Of every row the parts one behind another, null where one of them is; a plain text is the same in every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*whole, pa.scalar("", pa.large_string()))


def one_text(rows: pa.Array) -> str:
    """All rows one behind another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join(pa.LargeListArray.from_arrays([0, len(rows)], rows), pa.scalar("", pa.large_string()))[
        0
    ].as_py()
