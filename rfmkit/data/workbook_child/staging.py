"""Cells of a sheet, as they come, become one Parquet file; merged areas are filled at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rfmkit.data.workbook_child import MERGED, TYPED, Refused, cell_name, damaged, limits

ROW = "_row"
_LISTS = {TYPED: pa.list_(pa.int32()), MERGED: pa.list_(pa.int32())}
#: A group of rows is written when it has so many cells or bytes: wide sheets get fewer rows a group.
_GROUP_CELLS, _GROUP_BYTES = 1 << 19, 16 * limits.MEGABYTE


class Stage:
    """One sheet on its way to a Parquet file.

    Parameters
    ----------
    folder : pathlib.Path
        Where the file is written.
    number : int
        The sheet's place in the workbook: the file's name.
    last_row : int
        Where sheets of this kind end.
    """

    def __init__(self, folder: Path, number: int, last_row: int = limits.LAST_ROW):
        self._folder, self._number, self._last_row = folder, number, last_row
        self._held: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._parts: list[Path] = []
        self._last = -1
        self.rows, self.columns = 0, 0

    def add(self, rows: np.ndarray, columns: np.ndarray, texts: pa.Array, typed: np.ndarray) -> None:
        """Take the cells of whole rows, none of them blank.

        Parameters
        ----------
        rows, columns : numpy.ndarray
            Where they stand, from 1 and from 0 on, in the order of the sheet.
        texts : pyarrow.Array
            What they say.
        typed : numpy.ndarray
            Which of them are no text in the workbook.
        """
        if not len(rows):
            return
        order = rows.astype(np.int64) * limits.LAST_COLUMN + columns
        if order[0] <= self._last or (np.diff(order) <= 0).any():
            raise damaged("cells do not stand in their order")
        self._last = int(order[-1])
        self._check_place(rows, columns)
        new = np.r_[True, np.diff(rows) > 0]
        line = np.cumsum(new) - 1
        table = self._table(rows[new], line, columns, texts)
        table = table.append_column(TYPED, _lists(line[typed], columns[typed], len(table)))
        self.rows += len(table)
        self._held.append(table)
        count = sum(len(held) for held in self._held)
        if count * self.columns >= _GROUP_CELLS or sum(held.nbytes for held in self._held) >= _GROUP_BYTES:
            self._write()

    def finish(self, merged: np.ndarray) -> Path | None:
        """Write what is left, and fill merged areas.

        Parameters
        ----------
        merged : numpy.ndarray
            One line an area: its first row and column, its last row and column.

        Returns
        -------
        pathlib.Path or None
            The Parquet file; None if the sheet has no cell.
        """
        self._write()
        if self._writer is None:
            return None
        self._writer.close()
        if len(self._parts) == 1 and not len(merged):
            return self._parts[0]
        path, areas = self._folder / f"{self._number}.parquet", _Areas(merged, self.columns)
        with pq.ParquetWriter(path, _schema(self.columns)) as writer:
            for table in self._groups():
                writer.write_table(areas.fill(_widened(table, self.columns)))
        for part in self._parts:
            part.unlink()
        return path

    def _check_place(self, rows: np.ndarray, columns: np.ndarray) -> None:
        if columns.max() >= limits.COLUMNS:
            at = columns.argmax()
            name = cell_name(int(columns[at]), int(rows[at]))
            what = f"has a cell {name}, beyond the {limits.COLUMNS:,} columns that are read"
            raise Refused(what, "Delete the stray cells at the right of the sheet, or export fewer columns.")
        if rows[-1] == self._last_row:
            what = (
                f"reaches row {self._last_row:,}, the last that such a file can have: the export was probably cut there"
            )
            fix = "Export it in parts or as CSV; if that row is a stray cell, delete it."
            if self._last_row < limits.LAST_ROW:
                fix = "Export it as .xlsx or CSV, or in parts."
            raise Refused(what, fix)

    def _table(self, lines: np.ndarray, line: np.ndarray, columns: np.ndarray, texts: pa.Array) -> pa.Table:
        """The cells as columns: `line` says which of `lines` each stands in."""
        order = np.argsort(columns, kind="stable")
        ends = np.searchsorted(columns[order], np.arange(columns.max() + 2))
        arrays = [pa.array(lines, pa.int64())]
        for first, last in itertools.pairwise(ends):
            cells = order[first:last]
            place = np.full(len(lines), -1)
            place[line[cells]] = cells
            arrays.append(
                texts.take(pa.array(place, mask=place < 0)) if len(cells) else pa.nulls(len(lines), pa.string())
            )
        self.columns = max(self.columns, len(arrays) - 1)
        return pa.table(arrays, names=_names(len(arrays) - 1))

    def _write(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables([_widened(table, self.columns) for table in self._held])
        self._held.clear()
        if self._writer is None or len(self._writer.schema) < len(table.schema):
            # A column more than any row before had: what is written already is widened at the end.
            if self._writer is not None:
                self._writer.close()
            self._parts.append(self._folder / f"{self._number}-{len(self._parts)}.parquet")
            self._writer = pq.ParquetWriter(self._parts[-1], table.schema)
        self._writer.write_table(table)

    def _groups(self) -> Iterator[pa.Table]:
        for part in self._parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, use_threads=False)


class _Areas:
    """Merged areas, whose first cell's text fills their blank cells from group to group of rows."""

    def __init__(self, merged: np.ndarray, columns: int):
        merged = merged[np.argsort(merged[:, 0], kind="stable")]
        self._top, self._left, self._bottom = merged[:, 0], merged[:, 1], merged[:, 2]
        self._right = np.minimum(merged[:, 3], columns - 1)
        self._text = np.full(len(merged), None, dtype=object)
        self._typed = np.zeros(len(merged), dtype=bool)
        self._columns = columns
        self._filled = 0

    def fill(self, table: pa.Table) -> pa.Table:
        """A group of rows, in order, with what areas say in them."""
        lines = table[ROW].to_numpy()
        near = np.flatnonzero((self._top <= lines[-1]) & (self._bottom >= lines[0]) & (self._left < self._columns))
        if not len(near):
            return table
        first = np.searchsorted(lines, self._top[near])
        last = np.searchsorted(lines, self._bottom[near], side="right")
        for area, line in zip(near, first, strict=True):
            if line < len(lines) and lines[line] == self._top[area]:
                self._text[area] = table[f"c{self._left[area]}"][int(line)].as_py()
                self._typed[area] = self._left[area] in (table[TYPED][int(line)].as_py() or ())
        said = np.array([self._text[area] is not None for area in near], dtype=bool)
        return self._filled_in(table, near[said], first[said], last[said])

    def _filled_in(self, table: pa.Table, areas: np.ndarray, first: np.ndarray, last: np.ndarray) -> pa.Table:
        wide, high = self._right[areas] - self._left[areas] + 1, last - first
        cells = wide * high
        self._filled += int(cells.sum())
        if self._filled > limits.FILLED:
            raise Refused(f"has merged areas of more than {limits.FILLED:,} cells", "Undo the merging of cells.")
        # Each area's cells one after the other: their place in the area gives their line and column.
        place = np.arange(cells.sum()) - np.repeat(np.cumsum(cells) - cells, cells)
        line = np.repeat(first, cells) + place // np.repeat(wide, cells)
        column = np.repeat(self._left[areas], cells) + place % np.repeat(wide, cells)
        area = np.repeat(areas, cells)
        blank = np.ones(len(line), dtype=bool)
        for one in np.unique(column):
            here = np.flatnonzero(column == one)
            name = f"c{one}"
            old = table[name].combine_chunks()
            blank[here] = old.is_null().to_numpy(zero_copy_only=False)[line[here]]
            here = here[blank[here]]
            source = np.arange(len(old))
            source[line[here]] = len(old) + np.arange(len(here))
            both = pa.concat_arrays([old, pa.array(list(self._text[area[here]]), pa.string())])
            table = _put(table, name, both.take(pa.array(source)))
        line, column, area = line[blank], column[blank], area[blank]
        typed_line, typed_column = _pairs(table[TYPED])
        typed_line = np.r_[typed_line, line[self._typed[area]]]
        typed_column = np.r_[typed_column, column[self._typed[area]]]
        table = _put(table, TYPED, _lists(typed_line, typed_column, len(table)))
        return _put(table, MERGED, _lists(line, column, len(table)))


def _put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def _lists(line: np.ndarray, column: np.ndarray, lines: int) -> pa.Array:
    """Cells as one list of columns a line; none where there is no cell."""
    place = np.unique(line * limits.LAST_COLUMN + column)
    counts = np.bincount(place // limits.LAST_COLUMN, minlength=lines)
    offsets = pa.array(np.r_[0, np.cumsum(counts)], pa.int32())
    columns = pa.array(place % limits.LAST_COLUMN, pa.int32())
    return pa.ListArray.from_arrays(offsets, columns, mask=pa.array(counts == 0))


def _pairs(lists: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The lines and columns of the cells in lists."""
    lengths = lists.combine_chunks().value_lengths().fill_null(0).to_numpy()
    columns = lists.combine_chunks().flatten().to_numpy().astype(np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), columns


def _names(columns: int) -> list[str]:
    return [ROW, *(f"c{column}" for column in range(columns))]


def _schema(columns: int) -> pa.Schema:
    cells = [pa.string()] * columns
    return pa.schema(list(zip([*_names(columns), *_LISTS], [pa.int64(), *cells, *_LISTS.values()], strict=True)))


def _widened(table: pa.Table, columns: int) -> pa.Table:
    """A table with as many columns as its sheet, and all lists."""
    schema = _schema(columns)
    arrays = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema
    ]
    return pa.table(arrays, schema=schema)


def areas(found: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Merged areas of more than one cell."""
    if len(found) > limits.MERGES:
        raise Refused(f"has more than {limits.MERGES:,} merged areas", "Undo the merging of cells.")
    merged = np.array(found, dtype=np.int64).reshape(-1, 4)
    return merged[(merged[:, 2] > merged[:, 0]) | (merged[:, 3] > merged[:, 1])]
