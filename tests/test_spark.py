"""A table that a real Spark reads: opened where Spark can read it, or refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from engines import SMALL, WHERE, of_spark, refusal, write_parquet

from rfmkit.data import databases
from rfmkit.data.databases import open_table, table_digest
from rfmkit.errors import ClinicFileError, ExportError, SurroundingsError

# One server and one session serve all of these, in one process.
pytestmark = pytest.mark.xdist_group("engines")


@pytest.mark.parametrize(("source", "count"), [("month=*/*.parquet", 4), ("", 4), ("month=2026-10/part.parquet", 2)])
def test_parquet_where_spark_can_read_it(chain, source, count):
    sources = [
        source or ".",
        str(chain).replace("[", "\\[") + "/" + source,
        f"file://{chain}/{source}".replace("[", "\\["),
    ]
    digests = set()
    for one in sources:
        opened = open_table(of_spark(source=one), chain, WHERE)
        assert opened.table.count().execute() == count
        assert table_digest(opened) == opened.digest
        digests.add(opened.digest)
        opened.close()
    assert len(digests) == 1


def test_a_table_of_sparks_catalog(chain):
    for name in ("payments", "default.payments", "spark_catalog.default.payments"):
        opened = open_table(of_spark(table=name), chain, WHERE)
        assert opened.name == name
        assert sorted(opened.table.execute()["Код"]) == ["7", "8"]
        opened.close()


@pytest.mark.parametrize(
    "name", ["paymnets", "x`; DROP TABLE payments", f"csv.`{__file__}`", "no.such.thing.here", "a..b"]
)
def test_names_in_sparks_catalog_are_names(chain, name):
    said = refusal(of_spark(table=name), chain, ClinicFileError)
    assert f"no such table: {name}" in said
    assert ("«payments»" in said) == (name == "paymnets")


@pytest.mark.parametrize("source", ["x.csv", "x.CSV.gz", "s3a://bucket/x.xlsx", "data/*.txt"])
def test_spark_reads_no_text(chain, source):
    said = refusal(of_spark(source=source), chain, ClinicFileError)
    assert "replaces what it cannot read, and says nothing. Write the file as Parquet once" in said


SPARKS = {
    "no such file": ({"source": "other.parquet"}, "source: no such file", ClinicFileError),
    "no such file by a pattern": ({"source": "other-*.parquet"}, "source: no such file", ClinicFileError),
    "text under another name": ({"source": "text.parquet"}, "text.parquet: is no Parquet", ExportError),
    "an empty folder": ({"source": "nothing"}, "nothing: is no Parquet, or holds no file", ExportError),
    "cut": ({"source": "cut.parquet"}, "cut.parquet: is no Parquet", ExportError),
    "two places": ({"source": "x.parquet", "table": "t"}, "source and table name two places", ClinicFileError),
    "no library": (
        {"source": "s3a://key:s3cret@bucket/x.parquet"},
        "x.parquet: Spark stopped (Class",
        SurroundingsError,
    ),
    "an unknown scheme": ({"source": "nowhere://s3cret/x.parquet"}, "x.parquet: Spark stopped (", SurroundingsError),
}


@pytest.mark.parametrize(("keys", "said", "kind"), SPARKS.values(), ids=SPARKS.keys())
def test_what_spark_cannot_read_is_one_line(chain, tmp_path, keys, said, kind):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "text.parquet").write_text("id,date,amount\n" * 50)
    whole = (chain / "month=2026-09" / "part.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    message = refusal(of_spark(**keys), tmp_path, kind)
    assert said in message
    assert "s3cret" not in message


def test_a_damaged_page_of_parquet_on_spark(chain, tmp_path):
    many = pa.table({name: [f"{n}" for n in range(5000)] for name in SMALL.column_names})
    write_parquet(tmp_path / "x.parquet", many)
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    content[200:2000] = bytes(1800)
    (tmp_path / "x.parquet").write_bytes(content)
    assert "x.parquet: " in refusal(of_spark(source="x.parquet"), tmp_path, ExportError)


def test_headings_that_differ_in_case_are_two_on_spark(chain, tmp_path):
    table = pa.table({"id": ["1"], "ID": ["2"], "a`b": ["3"], "x.y": ["4"]})
    write_parquet(tmp_path / "x.parquet", table)
    opened = open_table(of_spark(source="x.parquet"), tmp_path, WHERE)
    assert opened.table.execute().to_dict("list") == table.to_pydict()
    opened.close()


def test_types_of_spark(chain, spark, tmp_path):
    spark.sql(
        "SELECT map('a', 1) AS m, array(1) AS a, named_struct('x', 1) AS s, CAST('abc' AS BINARY) AS b, 1.5BD AS d,"
        " TIMESTAMP_NTZ '2026-10-01 02:00:00' AS clock, TIMESTAMP '2026-10-01 02:00:00Z' AS instant, 1S AS small"
    ).write.mode("overwrite").parquet(str(tmp_path / "x"))
    opened = open_table(of_spark(source="x"), tmp_path, WHERE)
    schema = opened.table.schema()
    assert {name for name, kind in schema.items() if kind.is_string()} == {"m", "a", "s", "b"}
    assert (schema["instant"].timezone, schema["clock"].timezone) == ("UTC", None)
    row = opened.table.execute().iloc[0]
    assert row[["m", "a", "s", "b", "d", "small"]].tolist() == ["{a -> 1}", "[1]", "{1}", "abc", Decimal("1.5"), 1]
    opened.close()


def test_what_spark_failed_on_is_told_nowhere(chain, capfd, recwarn):
    opened = open_table(of_spark(table="payments"), chain, WHERE)
    with pytest.raises(SurroundingsError) as refused, databases.answering(opened.name):
        opened.table.mutate(day=opened.table["Сумма, ₽"].cast("date")).execute()
    said = str(refused.value) + "".join(capfd.readouterr()) + "".join(str(one.message) for one in recwarn)
    assert said.startswith("payments: Spark stopped (CAST_INVALID_INPUT).")
    assert "5.00" not in said
    assert "6.50" not in said
    opened.close()


def test_a_changed_table_of_spark_has_another_digest(chain, tmp_path):
    digests = []
    for table in (SMALL, SMALL.slice(0, 1), pa.concat_tables([SMALL.slice(1, 1), SMALL.slice(0, 1)])):
        write_parquet(tmp_path / "x.parquet", table)
        opened = open_table(of_spark(source="x.parquet"), tmp_path, WHERE)
        digests.append(opened.digest)
        opened.close()
    # The order of lines is none of a table's.
    assert digests[0] == digests[2] != digests[1]


IMPORTS = "from pathlib import Path\nfrom engines import of_spark\nfrom rfmkit.data.databases import open_table\n"


def run_apart(tmp_path, code: str, **environment) -> str:
    """What a process says that has no session of Spark yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK", "JAVA"))}
    script = (
        "from pathlib import Path\nfrom engines import of_spark\nfrom rfmkit.data.databases import open_table\n" + code
    )
    command = [sys.executable, "-c", script]
    clean |= {"PYTHONPATH": str(Path(__file__).parent), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=clean, cwd=tmp_path, timeout=120).stderr


OPEN = "open_table(of_spark(table='t'), Path(), 'c.toml [transactions]')"
HIDDEN = "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda name: name != 'pyspark' and f(name)\n"
ABSENT = {
    "no Spark": (HIDDEN + OPEN, {}, 'Spark is not installed. Install it: pip install "rfmkit[spark]".'),
    "no Java": (OPEN, {"PATH": "/nonexistent"}, "Java is not installed. Spark needs Java 17 or later: install it"),
    "another Java": (OPEN, {"JAVA_HOME": "/nonexistent"}, "Java did not start. Spark needs Java 17 or later"),
}


@pytest.mark.parametrize(("code", "environment", "said"), ABSENT.values(), ids=ABSENT.keys())
def test_what_spark_needs_is_told_where_it_is_missing(chain, tmp_path, code, environment, said):
    assert said in run_apart(tmp_path, code, **environment)


SUBMITTED = """
import subprocess, sys
from pathlib import Path
from engines import of_spark
from rfmkit.data.databases import open_table
opened = open_table(of_spark(source="x.parquet"), Path(), "c.toml [transactions]")
print(opened.table.get_backend()._session.sparkContext.applicationId, opened.table.count().execute())
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "a notebook"], check=True)
"""


def test_under_spark_submit_notebooks_use_the_one_application(chain, tmp_path):
    import pyspark

    write_parquet(tmp_path / "x.parquet", SMALL)
    (tmp_path / "run.py").write_text(SUBMITTED)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK"))}
    clean |= {"PYTHONPATH": str(Path(__file__).parent), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    submit = [Path(pyspark.__file__).parent / "bin" / "spark-submit", "--master", "local[1]", "run.py"]
    told = subprocess.run(
        submit, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    parent, notebook = told.splitlines()
    assert parent == notebook
    assert parent.endswith(" 2")
