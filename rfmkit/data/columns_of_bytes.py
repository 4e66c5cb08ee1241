"""Cells as columns of bytes: decoded and looked through a column at a time."""

from __future__ import annotations

import codecs
import functools
import importlib
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute

from rfmkit.data.cells import BLANKS

_LAST_OF_ASCII = 127
_ASCII = "".join(map(chr, range(_LAST_OF_ASCII + 1)))
_AROUND = f"^[{BLANKS}]|[{BLANKS}]$"
#: By byte: whether a blank begins with it, and whether one ends with it.
_FIRST, _LAST = (np.isin(np.arange(256), [blank.encode()[at] for blank in BLANKS]) for at in (0, -1))


@functools.lru_cache
def signs_of(encoding: str) -> str | None:
    """The sign of each byte, where an encoding has one for every byte and those of ASCII are its own."""
    name = codecs.lookup(encoding).name.replace("-", "_")
    with suppress(ModuleNotFoundError):
        table = getattr(importlib.import_module(f"encodings.{name}"), "decoding_table", "")
        return table if len(table) == 256 and table.startswith(_ASCII) else None


def as_text(column: pa.BinaryArray | pa.DictionaryArray, encoding: str) -> pa.StringArray | pa.DictionaryArray:
    """Cells of bytes that are signs as text."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, as_text(column.dictionary, encoding))
    ends, content = _laid_out(column)
    if content[: ends[-1]].max(initial=0) <= _LAST_OF_ASCII:
        return column.cast(pa.string())
    # What is more than digits is mostly the same few words again and again.
    words = column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(words.indices, _decoded(words.dictionary, encoding)).dictionary_decode()


def _decoded(column: pa.BinaryArray, encoding: str) -> pa.StringArray:
    ends, content = _laid_out(column)
    content = content[: ends[-1]]
    text = content.tobytes().decode(encoding).encode()
    lengths = np.array([len(sign.encode(errors="replace")) for sign in signs_of(encoding)], np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths[content])]).astype(np.int32)
    return pa.StringArray.from_buffers(len(column), pa.py_buffer(starts[ends]), pa.py_buffer(text))


def padded(column: pa.StringArray | pa.DictionaryArray) -> bool:
    """Whether any cell has blanks at its ends."""
    column = column.dictionary if pa.types.is_dictionary(column.type) else column
    ends, content = _laid_out(column)
    long = np.flatnonzero(np.diff(ends))
    # Few cells begin or end with a byte that a blank begins or ends with: only these are searched.
    likely = long[_FIRST[content[ends[long]]] | _LAST[content[ends[long + 1] - 1]]]
    return bool(pa.compute.any(pa.compute.match_substring_regex(column.take(likely), _AROUND)).as_py())


def _laid_out(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells of a column end, each behind the one before, and their bytes."""
    _, offsets, content = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return ends, np.frombuffer(content or b"", np.uint8)


def empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def without_blank_lines(batch: pa.RecordBatch, cells: int) -> pa.RecordBatch:
    blank = pa.compute.equal(batch.column(0), "")
    for position in range(1, cells):
        if not pa.compute.any(blank).as_py():
            return batch
        blank = pa.compute.and_(blank, pa.compute.equal(batch.column(position), ""))
    return batch.filter(pa.compute.invert(blank)) if pa.compute.any(blank).as_py() else batch
