"""Files as they are: each becomes a table of its cells, with the file and row of every line."""

from __future__ import annotations

import codecs
import csv
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from rfmkit.data.inputs import InputFile
from rfmkit.errors import ExportError, Problem

FILE, ROW = "_file", "_row"
#: Columns of an export that the clinic file does not map keep their heading behind this mark.
UNMAPPED = "_cell:"
REJECT_COLUMNS = ["file", "row", "column", "reason", "line"]

_CHUNK_BYTES = 1 << 22
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Export:
    """The cells of an export.

    Attributes
    ----------
    cells : ibis.Table
        One row a line; rfmkit's column names where the clinic file maps a heading, ``_cell:<heading>`` for the
        rest; text from CSV, typed from Parquet; ``_file`` and ``_row``, as a spreadsheet counts them.
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

    Raises
    ------
    ExportError
        If a file is in another encoding, is damaged, lacks a heading or has it twice, or has no line; everything at
        once.
    """
    con = ibis.duckdb.connect(temp_directory=str(scratch))
    tables, broken, problems = [], [], []
    for number, file in enumerate(files):
        try:
            if file.path.suffix.lower() in {".parquet", ".pq"}:
                table = _read_parquet(con, file, spec)
            else:
                staged = scratch / f"{number}.parquet"
                broken.append(_stage_csv(file, spec, staged))
                table = con.read_parquet(str(staged))
            tables.append(table)
        except ExportError as error:
            problems += error.problems
    if problems:
        raise ExportError(problems)
    shared = [name for name in tables[0].columns if all(name in table.columns for table in tables)]
    cells = ibis.union(*[table.select(shared) for table in tables]) if len(tables) > 1 else tables[0]
    faults = pd.concat(broken, ignore_index=True) if broken else pd.DataFrame(columns=REJECT_COLUMNS)
    if not len(faults) and not cells.count().execute():
        raise ExportError(Problem(files[0].path.name, "has a header and no line", "Export it again."))
    return Export(cells, faults)


def _read_parquet(con, file: InputFile, spec) -> ir.Table:
    try:
        headings = pa.parquet.read_schema(file.path).names
        table = con.read_parquet(str(file.path), file_row_number=True)
    except (pa.ArrowException, OSError):
        raise ExportError(Problem(file.path.name, "is no Parquet file, or a damaged one", "Export it again.")) from None
    names = _names(file, headings, spec)
    columns = {name: table[headings[position]] for name, position in names.items()}
    return table.select(**columns, **{FILE: ibis.literal(file.path.name), ROW: table.file_row_number + 1})


def _stage_csv(file: InputFile, spec, staged: Path) -> pd.DataFrame:
    """Write the cells of a CSV file to `staged`; return the lines that have another number of fields."""
    text = staged.with_suffix(".csv")
    with text.open("w", encoding="utf-8", newline="") as stream:
        for chunk in _decoded(file, spec):
            stream.write(chunk)
    with text.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, delimiter=spec.delimiter)
        first = next(reader, [])
        headings = [heading.strip() for heading in first] if spec.header else [str(n + 1) for n in range(len(first))]
        skipped = reader.line_num if spec.header else 0
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
                columns += [pa.repeat(file.path.name, len(batch)), pa.array(rows)]
                writer.write_batch(_without_blank_lines(pa.record_batch(columns, schema=schema), len(names)))
                row = int(rows[-1]) + 1 if len(rows) else row
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise ExportError(Problem(file.path.name, "cannot be read as lines of cells", "Check delimiter.")) from None
        pa.parquet.write_table(schema.empty_table(), staged)
    finally:
        text.unlink()
    whole = pd.DataFrame(faults, columns=["row", "reason", "line"])
    return whole.assign(file=file.path.name, column="")[REJECT_COLUMNS]


def _without_blank_lines(batch: pa.RecordBatch, cells: int) -> pa.RecordBatch:
    blank = np.ones(len(batch), dtype=bool)
    for position in range(cells):
        blank &= pa.compute.equal(batch.column(position), "").to_numpy(zero_copy_only=False)
    return batch.filter(pa.array(~blank)) if blank.any() else batch


def _decoded(file: InputFile, spec) -> Iterator[str]:
    """Yield the text of a file, strictly decoded, in chunks of whole lines."""
    name = file.path.name
    encoding = spec.encoding or _found_encoding(file.path)
    decode = codecs.getincrementaldecoder(encoding)(errors="strict")
    lines, quotes, rest = 1, 0, ""
    with file.path.open("rb") as stream:
        while True:
            block = stream.read(_CHUNK_BYTES)
            try:
                chunk = rest + decode.decode(block, final=not block)
            except UnicodeDecodeError as error:
                row = lines + rest.count("\n") + error.object[: error.start].count(b"\n")
                fix = f'Write its real encoding in the clinic file, for example encoding = "{_other_than(encoding)}".'
                raise ExportError(Problem(f"{name}:{row}", f"is not {encoding} text", fix)) from None
            if lines == 1:
                chunk = chunk.removeprefix("\ufeff")
            if "\0" in chunk:
                fix = "Write its real encoding in the clinic file (utf-16?), or export it again."
                raise ExportError(Problem(f"{name}:{lines}", "holds zero bytes", fix))
            whole, newline, rest = chunk.rpartition("\n") if block else (chunk, "", "")
            lines += whole.count("\n") + len(newline)
            quotes += whole.count('"')
            yield (_single_spaced(whole) if spec.delimiter == " " else whole) + newline
            if not block:
                break
    if quotes % 2:
        raise ExportError(Problem(name, "ends inside a quoted cell", "The file is cut short; export it again."))


def _single_spaced(text: str) -> str:
    """Columns set apart by any number of spaces, as a fixed-width export writes them."""
    return re.sub(r"(?m)^ +| +(?=\r?$)", "", re.sub(" +", " ", text))


def _found_encoding(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(3)
    return next((encoding for bom, encoding in _BOMS.items() if start.startswith(bom)), "utf-8")


def _other_than(encoding: str) -> str:
    return "cp1251" if encoding.startswith("utf-8") else "utf-8"


def _names(file: InputFile, headings: list[str], spec) -> dict[str, int]:
    """The position of each column under its name in rfmkit; every heading that is missing or doubled is reported."""
    mapped = {name: heading for name, heading in spec.columns.model_dump().items() if heading is not None}
    problems = []
    for name, heading in mapped.items():
        times = headings.count(heading)
        if times == 1:
            continue
        where = f"{file.path.name}:1 «{heading}»" if spec.header else f"{file.path.name} column {heading}"
        near = difflib.get_close_matches(heading, headings, n=1)
        fix = f"Is it «{near[0]}»? " if near and not times else ""
        fix += f"Correct columns.{name} in the clinic file; the file has: {', '.join(f'«{one}»' for one in headings)}."
        problems.append(Problem(where, f"stands {times} times" if times else "no such column", fix))
    if problems:
        raise ExportError(problems)
    names = {name: headings.index(heading) for name, heading in mapped.items()}
    taken = set(names.values())
    for position, heading in enumerate(headings):
        if position not in taken:
            name = UNMAPPED + heading
            names[name if name not in names else f"{name} ({position + 1})"] = position
    return names
