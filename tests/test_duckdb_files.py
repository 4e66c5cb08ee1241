"""A table of a DuckDB file: opened to be read alone, or refused in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from engines import SMALL, SMALL_COLUMNS, WHERE, part, refusal, write_duckdb

from rfmkit.data import databases
from rfmkit.data.databases import names_table, open_table, table_digest
from rfmkit.errors import ClinicFileError, ExportError, SurroundingsError


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("duckdb") / "clinic.duckdb"
    write_duckdb(path, {"payments": SMALL, 'x"; DROP TABLE payments; --': SMALL})
    return path


def small_file(path, **keys):
    return part(**{"source": path.name, "table": "payments", "columns": SMALL_COLUMNS, **keys})


def test_a_table_of_a_duckdb_file_is_only_read(duckdb_file):
    before = duckdb_file.read_bytes()
    opened = open_table(small_file(duckdb_file), duckdb_file.parent, WHERE)
    assert opened.name == "clinic.duckdb payments"
    assert opened.table.count().execute() == 2
    with pytest.raises(Exception, match="read-only"):
        opened.table.get_backend().raw_sql("DROP TABLE source.payments")
    assert table_digest(opened) == opened.digest
    opened.close()
    assert [path.name for path in duckdb_file.parent.iterdir()] == ["clinic.duckdb"]
    assert duckdb_file.read_bytes() == before


def test_two_tables_of_a_duckdb_file_at_once(tmp_path):
    folder = tmp_path / "Anna's"
    folder.mkdir()
    write_duckdb(folder / "clinic.duckdb", {"payments": SMALL, "people": SMALL.slice(1)})
    both = [
        open_table(small_file(folder / "clinic.duckdb", table=name), folder, WHERE) for name in ("payments", "people")
    ]
    assert [opened.table.count().execute() for opened in both] == [2, 1]
    for opened in both:
        opened.close()


def test_names_in_a_duckdb_file_are_names(duckdb_file):
    name = 'x"; DROP TABLE payments; --'
    opened = open_table(small_file(duckdb_file, table=name), duckdb_file.parent, WHERE)
    assert opened.table.count().execute() == 2
    opened.close()
    said = refusal(small_file(duckdb_file, table="x'; DROP TABLE payments; --"), duckdb_file.parent, ClinicFileError)
    assert "no such table" in said


def test_a_view_of_a_duckdb_file_is_refused_because_it_may_read_other_files(tmp_path):
    import duckdb

    write_duckdb(tmp_path / "clinic.db", {"payments": SMALL})
    with duckdb.connect(str(tmp_path / "clinic.db")) as connection:
        connection.execute("CREATE VIEW seen AS SELECT * FROM read_csv('/etc/passwd', delim=':', header=false)")
    assert "no such table: seen" in refusal(small_file(tmp_path / "clinic.db", table="seen"), tmp_path, ClinicFileError)


def damaged(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    match how:
        case "cut":
            content = content[: len(content) // 2]
        case "no header":
            content[4096:] = bytes(len(content) - 4096)
        case "text":
            content = bytearray(b"id;date;amount\n1;2026-10-01;5\n" * 100)
        case "a page":
            content[3 * 4096 + 8 : 3 * 4096 + 4000] = bytes(3992)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "said"),
    [("cut", "damaged"), ("no header", "damaged"), ("text", "no DuckDB database"), ("a page", "damaged")],
)
def test_damaged_duckdb_files_end_as_one_error(tmp_path, how, said):
    many = pa.table({name: [f"{n * 7919}" for n in range(50_000)] for name in SMALL.column_names})
    write_duckdb(tmp_path / "clinic.duckdb", {"payments": many})
    damaged(tmp_path / "clinic.duckdb", how)

    def read():
        with databases.answering("clinic.duckdb"):
            open_table(small_file(tmp_path / "clinic.duckdb"), tmp_path, WHERE).table.execute()

    with pytest.raises(ExportError, match=f"clinic.duckdb.*{said}"):
        read()


def test_a_duckdb_file_that_is_not_there_or_names_no_table(duckdb_file):
    missing = small_file(Path("other.duckdb"))
    assert "source: no such file" in refusal(missing, duckdb_file.parent, ClinicFileError)
    assert "table is missing" in refusal(small_file(duckdb_file, table=None), duckdb_file.parent, ClinicFileError)


def test_a_duckdb_file_that_another_program_writes_to(duckdb_file, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_WAITS", (0.0, 0.0))
    shutil.copy(duckdb_file, tmp_path)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "clinic.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "open\n"
        assert "is open for writing in another program" in refusal(small_file(duckdb_file), tmp_path, SurroundingsError)
        writer.stdin.close()
    open_table(small_file(duckdb_file), tmp_path, WHERE).close()


def test_which_parts_name_a_table():
    assert names_table(part(source="x.duckdb", table="t"))
    assert names_table(part(connection_env="A", table="t"))
    assert names_table(part(engine="spark", table="t"))
    assert not names_table(part(source="x.csv"))
