"""Sources as they are, one function a kind: each becomes a table of its cells, with the file and row of every line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from rfmkit.data.cells import TYPED as TYPED_CELL
from rfmkit.data.cells import digits, text
from rfmkit.data.databases import worked_on
from rfmkit.data.delimited import DelimitedFile
from rfmkit.data.inputs import InputFile, InputTable, unreadable
from rfmkit.data.origin import FILE, HEADER_LINES, REJECT_COLUMNS, ROW, UNMAPPED, Export, header_line, places
from rfmkit.errors import ClinicFileError, ExportError, Problem, RfmkitError, SurroundingsError, raise_all

PARQUET = {".parquet", ".pq"}
WORKBOOKS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}
#: Merged cells repeat their value for every line, except amounts: one payment is one payment.
_MONEY = ("amount", "discount", "bonus_accrued", "bonus_redeemed")
_NUMBERS = (*_MONEY, "quantity", "days_supply")
_ISO_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NONE_BROKEN = pd.DataFrame(columns=REJECT_COLUMNS)
_DAYS = (
    "visit_date",
    "birth_date",
    "member_since",
    "opted_out",
    *(f"consent_{by}" for by in ("sms", "email", "phone", "ads")),
)


def read_export(sources: list[InputFile | InputTable], spec, scratch: Path) -> Export:
    """Read the files of one export, or a table of a database, into a table of cells.

    Parameters
    ----------
    sources : list of InputFile, or an InputTable
        CSV, Excel or Parquet, by their names' endings; or a table of a database or a cluster.
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
    if isinstance(sources[0], InputTable):
        return _read_table(sources[0], spec, scratch)
    con = ibis.duckdb.connect(temp_directory=str(scratch))
    con.raw_sql("SET TimeZone = 'UTC'")
    kinds = {kind_of(file.path) for file in sources}
    if len(kinds) > 1:
        fix = "Name files of one kind: the same lines in two kinds would be counted twice."
        raise ClinicFileError(Problem(spec.source, f"names {' and '.join(sorted(kinds))} files together", fix))
    read = {"CSV": _read_delimited, "Excel": _read_workbook, "Parquet": _read_parquet}
    exports, errors = [], []
    for number, file in enumerate(sources):
        try:
            exports.append(read[kind_of(file.path)](con, file, spec, f"file_{number}", scratch))
        except RfmkitError as error:
            errors.append(error)
        except OSError as error:
            if error.filename and Path(error.filename) == file.path:
                raise SurroundingsError(unreadable(file.name, error)) from None
            raise
    raise_all(errors)
    export = _together(exports)
    if not len(export.broken) and not export.cells.count().execute():
        raise ExportError(Problem(export.first, "has a header and no line", "Export it again."))
    return export


def kind_of(path: Path) -> str:
    """ "CSV", "Excel" or "Parquet", by a file's ending."""
    ending = path.suffix.lower()
    return "Parquet" if ending in PARQUET else "Excel" if ending in WORKBOOKS else "CSV"


def _together(exports: list[Export]) -> Export:
    """Files as one export."""
    broken = [export.broken for export in exports if len(export.broken)]
    return Export(
        _in_one_table([export.cells for export in exports]),
        pd.concat(broken, ignore_index=True) if broken else exports[0].broken,
        sum(export.titles for export in exports),
        exports[0].first,
        tidy=frozenset.intersection(*[export.tidy for export in exports]),
    )


def _in_one_table(tables: list[ir.Table]) -> ir.Table:
    """A column that a file does not have is empty there, one of two types is text."""
    if len(tables) == 1:
        return tables[0]
    # An engine does not tell small letters from capitals in names: a heading is spelled as the first file has it.
    spelled: dict[str, str] = {}
    for table in tables:
        for name in table.columns:
            spelled.setdefault(name.lower(), name)
    tables = [table.rename({spelled[name.lower()]: name for name in table.columns}) for table in tables]
    types: dict[str, set] = {}
    for table in tables:
        for name, kind in table.schema().items():
            types.setdefault(name, set()).add(kind)
    shared = {name: next(iter(kinds)) if len(kinds) == 1 else ibis.dtype(str) for name, kinds in types.items()}
    filled = [
        table.select(
            *[
                (_of_kind(table[name], kind, name) if name in table.columns else ibis.null(kind)).name(name)
                for name, kind in shared.items()
            ]
        )
        for table in tables
    ]
    return ibis.union(*filled)


def _of_kind(cell: ir.Column, kind, name: str) -> ir.Column:
    """A cell as it is, or as text that says the same: the id 7.0 is 7; a day and a number are marked as such."""
    if cell.type() == kind or cell.type().is_string():
        return cell
    if name in _NUMBERS and cell.type().is_numeric():
        return TYPED_CELL + digits(cell, ".").cast(str)
    if name in _DAYS and (cell.type().is_date() or cell.type().is_timestamp()):
        said = cell.cast(str)
        return said.re_search(_ISO_DAY).ifelse(TYPED_CELL + said, said)
    return text(cell)


def _read_delimited(con, file: InputFile, spec, name: str, scratch: Path) -> Export:
    """The cells of a text file."""
    lines = DelimitedFile(file, spec)
    table = _staged(con, name, lines.schema, lines.batches(), scratch)
    cells = table.mutate(**{FILE: ibis.literal(file.name)})
    return Export(cells, lines.broken, lines.titles, file.name, tidy=lines.tidy)


def _staged(con, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], scratch: Path) -> ir.Table:
    """Batches as a table that the engine reads where it lies: in a file, so that it need not fit into memory."""
    path = scratch / f"{name}.arrow"
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_stream(stream, schema) as staged:
        for batch in batches:
            staged.write_batch(batch)
    con.con.register(name, pa.ipc.open_stream(pa.memory_map(str(path))).read_all())  # past Ibis, which would copy them
    return con.table(name)


def _read_workbook(con, file: InputFile, spec, name: str, scratch: Path) -> Export:
    """The cells of the one sheet that has every heading the clinic file names."""
    from rfmkit.data.workbooks import MERGED, NO_VALUE, TYPED, stage_workbook

    folder = scratch / name
    folder.mkdir()
    found, errors = [], []
    # What the workbook keeps as numbers and days is read as such, whatever the clinic file says of text.
    plain = spec.model_copy(update={"decimal": ".", "date_format": "%Y-%m-%d"})
    for sheet in stage_workbook(file, plain, folder):
        table = con.read_parquet(str(sheet.path))
        letters = [column for column in table.columns if column.startswith("c")]
        head = table.order_by("_row").limit(HEADER_LINES).execute()
        lines = [
            (int(row["_row"]), ["" if pd.isna(row[cell]) else str(row[cell]) for cell in letters])
            for row in head.to_dict("records")
        ]
        at = header_line(lines, spec) if spec.header else 0
        row, headings = lines[at]
        # A heading over several columns names the first of them.
        across = head[MERGED].iloc[at]
        across = set() if across is None or across is pd.NA else {int(place) for place in across}
        headings = [
            "" if place in across and place and one == headings[place - 1] else one
            for place, one in enumerate(headings)
        ]
        headings = [one.strip() for one in headings] if spec.header else [str(n + 1) for n in range(len(headings))]
        try:
            found.append((sheet, table, at if spec.header else 0, row, places(file.name, row, headings, spec)))
        except RfmkitError as error:
            errors.append(error)
    if len(found) > 1:
        names = ", ".join(f"«{one[0].name}»" for one in found)
        fix = "Name the one to read: sheet = … in the clinic file."
        raise ClinicFileError(Problem(file.name, f"has these headings on {len(found)} sheets: {names}", fix))
    if not found:
        raise min(errors, key=lambda error: len(error.problems)) if errors else _no_cell(file)
    _, table, above, row, positions = found[0]
    lines = table.filter(table["_row"] > row) if spec.header else table
    _refuse_missing_values(lines, positions, file, spec)
    columns = {}
    for one, position in positions.items():
        cell = table[f"c{position}"]
        if MERGED in table.columns and one in _MONEY:
            cell = table[MERGED].contains(position).fill_null(False).ifelse(ibis.null(str), cell)
        cell, kept_so = cell.nullif(NO_VALUE), table[TYPED].contains(position).fill_null(False)
        if one in _DAYS:
            kept_so &= cell.re_search(_ISO_DAY)
        columns[one] = kept_so.ifelse(TYPED_CELL + cell, cell) if one in (*_DAYS, *_NUMBERS) else cell
    read = lines.select(**columns, **{FILE: ibis.literal(file.name), ROW: lines["_row"].cast("int64")})
    blank = ibis.and_(*[read[one].fill_null("") == "" for one in positions])
    return Export(read.filter(~blank), _NONE_BROKEN, above, file.name)


def _no_cell(file: InputFile) -> ExportError:
    return ExportError(Problem(file.name, "has no sheet with any cell", "Export it again."))


def _refuse_missing_values(lines: ir.Table, positions: dict[str, int], file: InputFile, spec) -> None:
    """Formulas that were never computed have no value to read."""
    from rfmkit.data.workbooks import NO_VALUE, cell_name

    problems = []
    for name, position in positions.items():
        if name.startswith(UNMAPPED):
            continue
        empty = lines.filter(lines[f"c{position}"] == NO_VALUE)
        row = empty.aggregate(first=empty["_row"].min(), count=empty.count()).execute().iloc[0]
        if row["count"]:
            where = f"{file.name} {cell_name(position, int(row['first']))} «{getattr(spec.columns, name)}»"
            fix = "Open the workbook in a spreadsheet program, save it, and try again."
            problems.append(Problem(where, "a formula without a saved value", fix, int(row["count"])))
    if problems:
        raise ExportError(problems)


def _read_parquet(con, file: InputFile, spec, name: str, scratch: Path) -> Export:
    """The cells of a Parquet file, typed as they are.

    Arrow reads it, since the engine takes some damaged pages for others, folders for columns and a name for a pattern.
    """
    try:
        with pa.parquet.ParquetFile(file.path, page_checksum_verification=True) as parquet:
            _refuse_misplaced_pages(parquet.metadata, file)
            fields = parquet.schema_arrow
            headings = [heading.strip() for heading in fields.names]
            positions = places(file.name, 1, headings, spec)
            kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in fields.types]
            schema = pa.schema([*((f"c{place}", kind) for place, kind in enumerate(kinds)), (ROW, pa.int64())])
            table = _staged(con, name, schema, _numbered(parquet, schema), scratch)
    except (pa.ArrowException, UnicodeError):
        raise ExportError(_damaged(file)) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise ExportError(_damaged(file)) from None  # Arrow's word for a footer that makes no sense
    return Export(_typed_cells(table, headings, positions, file.name, spec), _NONE_BROKEN, first=file.name)


def _numbered(parquet: pa.parquet.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file with their numbers, from 1 on."""
    row = 1
    for batch in parquet.iter_batches():
        batch.validate(full=True)
        columns = [column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=False)]
        yield pa.record_batch([*columns, pa.array(np.arange(row, row + len(batch)))], schema=schema)
        row += len(batch)


def _refuse_misplaced_pages(footer: pa.parquet.FileMetaData, file: InputFile) -> None:
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for group in groups:
        for page in (group.column(place) for place in range(group.num_columns)):
            if page.dictionary_page_offset is not None and page.dictionary_page_offset >= page.data_page_offset:
                raise ExportError(_damaged(file))


def _damaged(file: InputFile) -> Problem:
    return Problem(file.name, "is no Parquet file, or a damaged one", "Export it again.")


def _read_table(source: InputTable, spec, scratch: Path) -> Export:
    """The cells of a table of a database, typed as they are; its lines have no number."""
    table = worked_on(source.opened, scratch)
    headings = [heading.strip() for heading in table.columns]
    if not spec.header:
        spec = spec.model_copy(update={"header": True})
    table = table.mutate(_no_row=ibis.null("int64"))
    cells = _typed_cells(table, headings, places(source.name, 1, headings, spec), source.name, spec)
    if not cells.count().execute():
        raise ExportError(Problem(source.name, "has no line", "Export it again."))
    return Export(cells, _NONE_BROKEN, first=source.name, numbered=False)


def _typed_cells(table: ir.Table, headings: list[str], positions: dict[str, int], source: str, spec) -> ir.Table:
    """Columns under rfmkit's names; `table` has one more column, the number of the row."""
    # By position: engines tell headings apart that differ in case alone by renaming them.
    cells = {one: table[table.columns[position]] for one, position in positions.items()}
    zoned = [
        Problem(
            f"{source} «{headings[positions[one]]}»",
            "has a time zone, so its day is not certain",
            "Export plain dates.",
        )
        for one, cell in cells.items()
        if cell.type().is_timestamp() and cell.type().timezone and not one.startswith(UNMAPPED)
    ]
    if zoned:
        raise ExportError(zoned)
    return table.select(**cells, **{FILE: ibis.literal(source), ROW: table[table.columns[-1]].cast("int64")})
