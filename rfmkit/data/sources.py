"""Files as they are: each becomes a table of its cells as text, with the file and row of every line."""

from __future__ import annotations

import codecs
import collections
import csv
import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from rfmkit.data.inputs import InputFile, unreadable
from rfmkit.errors import ClinicFileError, ExportError, Problem, RfmkitError, SurroundingsError, raise_all

FILE, ROW = "_file", "_row"
#: Columns of an export that the clinic file does not map keep their heading behind this mark.
UNMAPPED = "_cell:"
REJECT_COLUMNS = ["file", "row", "column", "reason", "line"]

_CHUNK_BYTES = 1 << 22
_DELIMITERS = (";", ",", "\t", "|")
_PARQUET = {".parquet", ".pq"}
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Export:
    """The cells of an export.

    Attributes
    ----------
    cells : ibis.Table
        One row a line, all text; rfmkit's column names where the clinic file maps a heading, ``_cell:<heading>`` for
        the rest, in the order of the first file; ``_file`` and ``_row``, as a spreadsheet counts them.
    broken : pandas.DataFrame
        Lines with more or fewer fields than headings: ``file, row, column, reason, line``.
    """

    cells: ir.Table
    broken: pd.DataFrame


def read_export(files: list[InputFile], spec, scratch: Path) -> Export:
    """Read the files of one export into a table of cells.

    Parameters
    ----------
    files : list of InputFile
        CSV or Parquet, by their names' endings.
    spec : rfmkit.clinic.Transactions or rfmkit.clinic.Patients
        How the files are written and which headings are needed.
    scratch : pathlib.Path
        A private folder for the cells.

    Returns
    -------
    Export

    Raises
    ------
    ClinicFileError
        If a file is in another encoding or has another delimiter than the clinic file says, or lacks a heading.
    ExportError
        If a file is damaged, has a heading twice, or has no line. Everything is told at once.
    """
    con = ibis.duckdb.connect(temp_directory=str(scratch))
    con.raw_sql("SET TimeZone = 'UTC'")
    if len({file.path.suffix.lower() in _PARQUET for file in files}) > 1:
        fix = "Name files of one kind: the same lines in two kinds would be counted twice."
        raise ClinicFileError(Problem(spec.source, "names CSV and Parquet files together", fix))
    tables, broken, errors = [], [], []
    for number, file in enumerate(files):
        try:
            if file.path.suffix.lower() in _PARQUET:
                tables.append(_read_parquet(con, file, spec, f"file_{number}"))
            else:
                staged = scratch / f"{number}.parquet"
                broken.append(_stage_csv(file, spec, staged))
                tables.append(con.read_parquet(str(staged)))
        except RfmkitError as error:
            errors.append(error)
        except OSError as error:
            if error.filename and Path(error.filename) == file.path:
                raise SurroundingsError(unreadable(file.name, error)) from None
            raise
    raise_all(errors)
    cells = _together(tables)
    faults = pd.concat(broken, ignore_index=True) if broken else pd.DataFrame(columns=REJECT_COLUMNS)
    if not len(faults) and not cells.count().execute():
        raise ExportError(Problem(files[0].name, "has a header and no line", "Export it again."))
    return Export(cells, faults)


def _together(tables: list[ir.Table]) -> ir.Table:
    """Files as one table; a column that a file does not have is empty there."""
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    filled = [
        table.select(*[table[name] if name in table.columns else ibis.null(str).name(name) for name in names])
        for table in tables
    ]
    return ibis.union(*filled) if len(filled) > 1 else filled[0]


def _read_parquet(con, file: InputFile, spec, name: str) -> ir.Table:
    """The cells of a Parquet file, written as the clinic file says that text is written."""
    try:
        schema = pa.parquet.read_schema(file.path)
        table = con.read_parquet(str(file.path), file_row_number=True)
    except pa.ArrowException:
        raise ExportError(_damaged(file)) from None
    headings = [heading.strip() for heading in schema.names]
    places = _names(file, headings, spec)
    kinds = {one: schema.field(position).type for one, position in places.items()}
    zoned = [
        Problem(
            f"{file.name} «{headings[places[one]]}»",
            "has a time zone, so its day is not certain",
            "Export plain dates.",
        )
        for one, kind in kinds.items()
        if pa.types.is_timestamp(kind) and kind.tz and not one.startswith(UNMAPPED)
    ]
    if zoned:
        raise ExportError(zoned)
    # By position: the engine tells headings apart that differ in case alone by renaming them.
    columns = {one: _as_text(table[table.columns[position]], one, spec) for one, position in places.items()}
    if pa.types.is_timestamp(kinds["visit_date"] if "visit_date" in kinds else pa.null()):
        # The time of the day tells two lines apart that are no copies.
        columns[f"{UNMAPPED}{headings[places['visit_date']]}"] = table[table.columns[places["visit_date"]]].cast(str)
    cells = table.select(**columns, **{FILE: ibis.literal(file.name), ROW: table[table.columns[-1]] + 1})
    try:
        return con.create_table(name, cells, temp=True)
    except Exception as error:
        if type(error).__name__ in {"IOException", "OutOfMemoryException"}:
            raise
        raise ExportError(_damaged(file)) from None  # the engine's classes for damaged pages are behind its door


def _damaged(file: InputFile) -> Problem:
    return Problem(file.name, "is no Parquet file, or a damaged one", "Export it again.")


def _as_text(cell: ir.Column, name: str, spec) -> ir.StringColumn:
    """A typed cell in the words of the clinic file: one way of reading serves all files."""
    kind = cell.type()
    if name == "visit_date" and isinstance(kind, dtypes.Date | dtypes.Timestamp):
        return cell.cast("timestamp").strftime(spec.date_format)
    if isinstance(kind, dtypes.Floating):
        # Floats carry noise behind their last sure decimal; a whole number is written without decimals.
        scale = 2 if isinstance(kind, dtypes.Float32) else 6
        digits = cell.try_cast(f"decimal(38, {scale})").cast(str).re_replace(r"\.?0+$", "").replace(".", spec.decimal)
        return ibis.cases((cell.isnan(), ibis.null(str)), (cell.isinf(), "inf"), else_=digits)
    if isinstance(kind, dtypes.Decimal):
        return cell.cast(str).re_replace(r"(\.[0-9]*?)0+$", r"\1").re_replace(r"\.$", "").replace(".", spec.decimal)
    return cell.cast(str)


def _stage_csv(file: InputFile, spec, staged: Path) -> pd.DataFrame:
    """Write the cells of a CSV file to `staged`; return the lines that have another number of fields."""
    text = staged.with_suffix(".csv")
    with text.open("w", encoding="utf-8", newline="") as stream:
        for chunk in _decoded(file, spec):
            stream.write(chunk)
    with text.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, delimiter=spec.delimiter, strict=True)
        try:
            first = next(reader, [])
            skipped = reader.line_num if spec.header else 0
            # Read to the end for its errors alone: Arrow takes a stray quotation mark as meant and loses lines by it.
            collections.deque(reader, maxlen=0)
        except csv.Error:
            fix = "A quotation mark is missing or stray there, or the file is cut short: correct the export."
            raise ExportError(Problem(f"{file.name}:{reader.line_num}", "a quoted cell does not end", fix)) from None
    _check_delimiter(file, first, spec)
    headings = [heading.strip() for heading in first] if spec.header else [str(n + 1) for n in range(len(first))]
    names = _names(file, headings, spec)
    offset = int(spec.header)
    faults: list[tuple[int, str, str]] = []

    def keep_aside(row) -> str:
        reason = f"{row.actual_columns} fields where there are {row.expected_columns} headings"
        faults.append((row.number - skipped + offset, reason, row.text))
        return "skip"

    cells = [f"c{position}" for position in range(len(headings))]
    schema = pa.schema([(name, pa.string()) for name in names] + [(FILE, pa.string()), (ROW, pa.int64())])
    try:
        reader = pa.csv.open_csv(
            text,
            pa.csv.ReadOptions(use_threads=False, column_names=cells, skip_rows=skipped, block_size=_CHUNK_BYTES),
            pa.csv.ParseOptions(
                delimiter=spec.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=keep_aside,
            ),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(cells, pa.string()), strings_can_be_null=False),
        )
        with pa.parquet.ParquetWriter(staged, schema) as writer:
            row = 1 + offset
            for batch in reader:
                rows = np.arange(row, row + len(batch) + len(faults))
                rows = rows[~np.isin(rows, [fault[0] for fault in faults])][: len(batch)]
                columns = [batch.column(position) for position in names.values()]
                _refuse_swallowed_lines(file, columns, rows, spec.delimiter)
                columns += [pa.repeat(file.name, len(batch)), pa.array(rows)]
                writer.write_batch(_without_blank_lines(pa.record_batch(columns, schema=schema), len(names)))
                row = int(rows[-1]) + 1 if len(rows) else row
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            fix = "Check delimiter in the clinic file, and quotation marks in the export."
            raise ExportError(Problem(file.name, "cannot be read as lines of cells", fix)) from None
        pa.parquet.write_table(schema.empty_table(), staged)
    finally:
        text.unlink()
    whole = pd.DataFrame(faults, columns=["row", "reason", "line"])
    return whole.assign(file=file.name, column="")[REJECT_COLUMNS]


def _check_delimiter(file: InputFile, first: list[str], spec) -> None:
    """A first line of one cell that holds another delimiter was not parted."""
    inside = [sign for sign in _DELIMITERS if first and len(first) == 1 and sign in first[0]]
    if inside:
        sign = max(inside, key=first[0].count)
        where, what = f"{file.name}:1", "has a single cell"
        raise ClinicFileError(Problem(where, what, f"Write delimiter = {json.dumps(sign)} in the clinic file."))


def _refuse_swallowed_lines(file: InputFile, columns: list[pa.Array], rows: np.ndarray, delimiter: str) -> None:
    """A quoted cell may hold line breaks, but not whole lines: then its closing mark was that of another cell."""
    least = max(len(columns) - 1, 1)
    line = rf"\n([^\n]*{re.escape(delimiter)}){{{least}}}"
    for column in columns:
        if not pa.compute.any(pa.compute.match_substring(column, "\n")).as_py():
            continue
        swallowing = pa.compute.match_substring_regex(column, line).to_numpy(zero_copy_only=False)
        if swallowing.any():
            where = f"{file.name}:{rows[swallowing.argmax()]}"
            fix = "A quotation mark is missing or stray there: correct the export."
            raise ExportError(Problem(where, "a quoted cell holds whole lines", fix, int(swallowing.sum())))


def _without_blank_lines(batch: pa.RecordBatch, cells: int) -> pa.RecordBatch:
    blank = np.ones(len(batch), dtype=bool)
    for position in range(cells):
        blank &= pa.compute.equal(batch.column(position), "").to_numpy(zero_copy_only=False)
    return batch.filter(pa.array(~blank)) if blank.any() else batch


def _decoded(file: InputFile, spec) -> Iterator[str]:
    """Yield the text of a file, strictly decoded, in chunks of whole lines."""
    encoding = spec.encoding or _found_encoding(file.path)
    decode = codecs.getincrementaldecoder(encoding)(errors="strict")
    lines, rest = 1, ""
    with file.path.open("rb") as stream:
        while True:
            block = stream.read(_CHUNK_BYTES)
            try:
                chunk = rest + decode.decode(block, final=not block)
            except UnicodeDecodeError as error:
                row = lines + rest.count("\n") + error.object[: error.start].count(b"\n")
                fix = f"Write its real encoding in the clinic file, for example {_other_than(encoding)}."
                raise ClinicFileError(Problem(f"{file.name}:{row}", f"is not {encoding} text", fix)) from None
            if lines == 1:
                chunk = chunk.removeprefix("\ufeff")
            if "\0" in chunk:
                fix = "Write its real encoding in the clinic file (utf-16?), or export it again."
                raise ExportError(Problem(f"{file.name}:{lines}", "holds zero bytes", fix))
            whole, newline, rest = chunk.rpartition("\n") if block else (chunk, "", "")
            lines += whole.count("\n") + len(newline)
            yield (_single_spaced(whole) if spec.delimiter == " " else whole) + newline
            if not block:
                break


def _single_spaced(text: str) -> str:
    """Columns set apart by any number of spaces, as a fixed-width export writes them."""
    return re.sub(r"(?m)^ +| +(?=\r?$)", "", re.sub(" +", " ", text))


def _found_encoding(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(3)
    return next((encoding for bom, encoding in _BOMS.items() if start.startswith(bom)), "utf-8")


def _other_than(encoding: str) -> str:
    often = {"cp1251": "Russian", "gb18030": "Chinese", "utf-8": "any language"}
    return " or ".join(f'encoding = "{name}" ({of})' for name, of in often.items() if name != encoding)


def _names(file: InputFile, headings: list[str], spec) -> dict[str, int]:
    """The position of each column under its name in rfmkit, in the file's order; all missing or doubled are told."""
    mapped = {name: heading for name, heading in spec.columns.model_dump().items() if heading is not None}
    missing, doubled = [], []
    for name, heading in mapped.items():
        times = headings.count(heading)
        if times == 1:
            continue
        where = f"{file.name}:1 «{heading}»" if spec.header else f"{file.name} column {heading}"
        near = difflib.get_close_matches(heading, headings, n=1)
        # The other headings are not told: a file without a header has a patient in their place.
        fix = f"Correct columns.{name} in the clinic file, or the export; its first line has {len(headings)} cells."
        if times:
            doubled.append(Problem(where, f"stands {times} times", "Give every column a heading of its own."))
        else:
            missing.append(Problem(where, "no such column", f"Is it «{near[0]}»? {fix}" if near else fix))
    raise_all([*([ClinicFileError(missing)] if missing else []), *([ExportError(doubled)] if doubled else [])])
    places = [(headings.index(heading), name) for name, heading in mapped.items()]
    taken = {position for position, _ in places}
    seen: dict[str, int] = {}
    for position, heading in enumerate(headings):
        if position not in taken:
            seen[heading] = seen.get(heading, 0) + 1
            again = f" ({seen[heading]})" if seen[heading] > 1 else ""
            places.append((position, f"{UNMAPPED}{heading}{again}"))
    return {name: position for position, name in sorted(places)}
