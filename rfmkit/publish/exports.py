"""Tables of a clinic-month for other programs and for the clinic alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.publish.free_text import each_harmless
from rfmkit.publish.quoted import quoted_csv

if TYPE_CHECKING:
    import pandas as pd

_REJECT_COLUMNS = ("file", "row", "column", "reason", "line")


def patients_parquet(patients: pd.DataFrame) -> bytes:
    """One row a patient, as Parquet: the same frame gives the same bytes.

    Parameters
    ----------
    patients : pandas.DataFrame
        With the vocabulary's column names; the index is not kept.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(patients, preserve_index=False).replace_schema_metadata(None)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue().to_pybytes()


def rejects_csv(rejects: pd.DataFrame) -> bytes:
    """The lines that were not taken, for the clinic's own eyes: every field quoted, none of them a formula.

    Parameters
    ----------
    rejects : pandas.DataFrame
        ``file, row, column, reason, line``.
    """
    return _private_csv(rejects.reindex(columns=list(_REJECT_COLUMNS)))


def identity_csv(identity: pd.DataFrame) -> bytes:
    """The cards that may be one person's, for somebody to decide on; written as `rejects_csv` is.

    Parameters
    ----------
    identity : pandas.DataFrame
        As `rfmkit.data.identity.identity_table` makes it; a reviewed copy is what ``merge`` in a clinic file names.
    """
    return _private_csv(identity)


def tags_csv(tags: pd.DataFrame) -> bytes:
    """Who has which tag, for the clinic's own programs; written as `rejects_csv` is.

    Parameters
    ----------
    tags : pandas.DataFrame
        ``patient_id, tag, since, put_on_this_month, taken_off_this_month``.
    """
    told = {True: "true", False: "false"}
    changed = {name: tags[name].map(told) for name in ("put_on_this_month", "taken_off_this_month")}
    return _private_csv(tags.assign(since=tags["since"].dt.strftime("%Y-%m-%d"), **changed))


def _private_csv(frame: pd.DataFrame) -> bytes:
    texts = {
        name: values if values.dtype == "str" else values.map(str, na_action="ignore") for name, values in frame.items()
    }
    return quoted_csv(frame.assign(**{name: each_harmless(values) for name, values in texts.items()}))
