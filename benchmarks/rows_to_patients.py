"""From transactions to visits and patients, against hand-written DuckDB SQL, lifetimes, pandas and polars.

The data are made first, by DuckDB from a seed: a patient comes about eleven times in seven years, a visit has 1.75
lines as in the demo clinics, 2 % of the lines are refunds. Every measurement is a process of its own that imports its
libraries, starts the clock, and stops it when the result is there: visits in a Parquet file, and the tables for RFM (24
months) and for the buy-till-you-die models as pandas frames. Usage::

    python benchmarks/rows_to_patients.py FOLDER                           # 10⁶ and 10⁷ rows, and the rates of loyalty
    python benchmarks/rows_to_patients.py FOLDER --rows 1e6 1e8 --repeats 1
    python benchmarks/rows_to_patients.py FOLDER --only csv
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

AS_OF = dt.date(2026, 10, 31)
WINDOW_MONTHS = 24
WINDOW_START = dt.date(2024, 11, 1)
FIRST_DAY = dt.date(2019, 11, 1)
HISTORY_MONTHS = 36
COLUMNS = ["patient_id", "visit_date", "amount"]
MIB = 1024 * 1024
#: Beyond this the peers in pandas do not fit beside others on a machine of 24 GiB.
PANDAS_ROWS = 10**7
VISITS = 10**7
CSV_ROWS = 10**7


# The data


def make_lines(path: Path, rows: int) -> None:
    """Lines of a clinic in the order of their days, as Parquet: `rows` of them, of `rows` / 20 patients."""
    connection = connect(path.parent)
    connection.execute("SET memory_limit = '4GB'")
    connection.execute(
        f"""
        COPY (
            WITH numbered AS (SELECT range AS line, range * 4 // 7 AS visit FROM range({rows})),
            drawn AS (
                SELECT visit, hash(visit, 1) / power(2, 64) AS who, hash(visit, 2) AS day, hash(line, 3) AS cents,
                    hash(line, 4) AS kind
                FROM numbered
            )
            SELECT
                'P' || lpad((power(who, 2) * {rows // 20})::BIGINT::VARCHAR, 8, '0') AS patient_id,
                DATE '{FIRST_DAY}' + (day % {(AS_OF - FIRST_DAY).days + 1})::INTEGER AS visit_date,
                (if(kind % 50 = 0, -1, 1) * (cents % 1500000)::BIGINT / 100)::DECIMAL(18, 2) AS amount,
                ['Центр', 'Север', 'Юг'][1 + (visit % 3)] AS branch,
                'Услуга ' || (kind % 40) AS service
            FROM drawn ORDER BY visit_date, visit
        ) TO '{path}'
        """
    )


def make_visits(path: Path) -> None:
    """`VISITS` visits of a twentieth as many patients, in no order, as a study keeps them."""
    from rfmkit.rows import as_table, write_rows

    lines = path.with_name("visits-lines.parquet")
    make_lines(lines, VISITS * 2)
    table = as_table(lines)
    patient = "P" + table.patient_id.substr(1, 8).cast("int64").__floordiv__(2).cast("string").lpad(8, "0")
    visits = table.group_by(patient_id=patient, visit_date=table.visit_date).aggregate(amount=table.amount.max())
    write_rows(visits.limit(VISITS), path)
    lines.unlink()


def make_csv(folder: Path) -> None:
    """`CSV_ROWS` lines as Russian software exports them, in Windows-1251, and the same text as UTF-8."""
    lines = folder / f"lines-{CSV_ROWS}.parquet"
    if not lines.exists():
        make_lines(lines, CSV_ROWS)
    connect(folder).execute(
        f"""
        COPY (
            SELECT patient_id AS "Код пациента", strftime(visit_date, '%d.%m.%Y') AS "Дата",
                replace(amount::VARCHAR, '.', ',') AS "Сумма", branch AS "Филиал", service AS "Услуга"
            FROM '{lines}'
        ) TO '{folder / "utf-8.csv"}' (HEADER, DELIMITER ';', QUOTE '')
        """
    )
    with (
        (folder / "utf-8.csv").open(encoding="utf-8", newline="") as text,
        (folder / "windows-1251.csv").open("w", encoding="cp1251", newline="") as made,
    ):
        while block := text.read(16 * MIB):
            made.write(block)
    (folder / "clinic.toml").write_text(
        """
name = "Export"
locale = "ru"
currency = "RUB"
[transactions]
source = "windows-1251.csv"
encoding = "cp1251"
delimiter = ";"
decimal = ","
date_format = "%d.%m.%Y"
[transactions.columns]
patient_id = "Код пациента"
visit_date = "Дата"
amount = "Сумма"
branch = "Филиал"
service = "Услуга"
""",
        encoding="utf-8",
    )


def connect(folder: Path):
    """DuckDB in memory that spills into the folder."""
    import duckdb

    connection = duckdb.connect(config={"temp_directory": str(folder / "spill")})
    connection.execute("SET enable_progress_bar = false")
    return connection


# What is measured: each imports what it needs, and returns what is to be timed


def rfmkit_tables(folder: Path, lines: Path) -> Callable[[], dict]:
    """The public functions, as a study uses them."""
    import pandas  # noqa: F401

    from rfmkit import btyd_summary, rfm_table, visits_from
    from rfmkit.rows import as_table, write_rows

    kept = folder / "visits-rfmkit.parquet"
    as_table(lines)  # starts the engine, as `connect` does for the peer

    def work() -> dict:
        write_rows(visits_from(as_table(lines)), kept)
        return {"rfm": rfm_table(kept, AS_OF, WINDOW_MONTHS), "btyd": btyd_summary(kept, AS_OF)}

    return work


def duckdb_tables(folder: Path, lines: Path) -> Callable[[], dict]:
    """The same by hand: as exact, and as deterministic."""
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401

    connection, kept = connect(folder), folder / "visits-duckdb.parquet"

    def work() -> dict:
        connection.execute(
            f"""
            CREATE TEMP TABLE visits AS
            SELECT patient_id, visit_date, sum(amount)::DECIMAL(18, 2) AS amount FROM '{lines}'
            GROUP BY ALL HAVING bool_or(amount >= 0)
            """
        )
        connection.execute(f"COPY visits TO '{kept}'")
        rfm = connection.execute(
            f"""
            SELECT patient_id, DATE '{AS_OF}' - max(visit_date) AS recency_days, count(*) AS visit_count,
                sum(amount)::DOUBLE AS total_spend
            FROM visits WHERE visit_date BETWEEN '{WINDOW_START}' AND '{AS_OF}'
            GROUP BY patient_id ORDER BY patient_id
            """
        ).df()
        btyd = connection.execute(
            f"""
            WITH history AS (
                SELECT *, lag(visit_date) OVER (PARTITION BY patient_id ORDER BY visit_date) AS before
                FROM visits WHERE visit_date <= '{AS_OF}'
            )
            SELECT patient_id, count(*) - 1 AS frequency, max(visit_date) - min(visit_date) AS recency,
                DATE '{AS_OF}' - min(visit_date) AS "T",
                coalesce(sum(amount) FILTER (before IS NOT NULL)::DOUBLE, 0) / greatest(count(*) - 1, 1)
                    AS monetary_value,
                coalesce(sum(round(ln(visit_date - before) * 1e9)::BIGINT), 0) / 1e9 AS log_intervals
            FROM history GROUP BY patient_id ORDER BY patient_id
            """
        ).df()
        return {"rfm": rfm, "btyd": btyd}

    return work


def _pandas_lines(lines: Path):
    """The lines with the types that pandas computes with, read in the way that is quickest."""
    import pyarrow as pa
    import pyarrow.parquet

    types = pa.schema([("patient_id", pa.string()), ("visit_date", pa.timestamp("s")), ("amount", pa.float64())])
    return pyarrow.parquet.read_table(lines, columns=COLUMNS).cast(types).to_pandas(self_destruct=True)


def lifetimes_table(folder: Path, lines: Path) -> Callable[[], dict]:
    """lifetimes' own summary: one table of the two, and neither visits nor intervals."""
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    def work() -> dict:
        read = pd.read_parquet(lines, columns=COLUMNS).astype({"amount": "float64"})
        summary_data_from_transaction_data(read, *COLUMNS, observation_period_end=str(AS_OF))
        return {}

    return work


def lifetimes_table_of_floats(folder: Path, lines: Path) -> Callable[[], dict]:
    """The same, its frame not read by pandas but by Arrow, which makes no objects of decimals and days."""
    from lifetimes.utils import summary_data_from_transaction_data

    def work() -> dict:
        read = _pandas_lines(lines)
        summary_data_from_transaction_data(read, *COLUMNS, observation_period_end=str(AS_OF))
        return {}

    return work


def pandas_tables(folder: Path, lines: Path) -> Callable[[], dict]:
    """pandas by hand, in whole cents."""
    import numpy as np
    import pandas as pd
    import pyarrow  # noqa: F401

    kept, as_of = folder / "visits-pandas.parquet", pd.Timestamp(AS_OF)

    def work() -> dict:
        read = _pandas_lines(lines)
        read["sold"] = read["amount"] >= 0
        read["amount"] = (read["amount"] * 100).round().astype("int64")
        days = read.groupby(COLUMNS[:2], as_index=False).agg(amount=("amount", "sum"), sold=("sold", "any"))
        del read
        visits = days.loc[days["sold"], COLUMNS]
        visits.to_parquet(kept)
        inside = visits[visits["visit_date"].between(pd.Timestamp(WINDOW_START), as_of)]
        rfm = inside.groupby("patient_id", as_index=False).agg(
            last=("visit_date", "max"), visit_count=("visit_date", "size"), total_spend=("amount", "sum")
        )
        rfm.insert(1, "recency_days", (as_of - rfm.pop("last")).dt.days)
        rfm["total_spend"] /= 100
        # groupby has sorted by patient and day.
        who, day, cents = (visits[name].to_numpy() for name in COLUMNS)
        first = np.r_[True, who[1:] != who[:-1]]
        gaps = np.r_[0, np.diff(day).astype("timedelta64[D]").astype("int64")]
        repeats = pd.DataFrame({"patient_id": visits["patient_id"], "visit_date": visits["visit_date"]})
        repeats["cents"], repeats["log"] = np.where(first, 0, cents), np.log(np.where(first, 1, gaps))
        grouped = repeats.groupby("patient_id", sort=False)
        begin, end = grouped["visit_date"].min(), grouped["visit_date"].max()
        frequency = grouped.size() - 1
        btyd = pd.DataFrame(
            {
                "frequency": frequency,
                "recency": (end - begin).dt.days,
                "T": (as_of - begin).dt.days,
                "monetary_value": grouped["cents"].sum() / 100 / frequency.clip(lower=1),
                "log_intervals": grouped["log"].sum(),
            }
        )
        return {"rfm": rfm, "btyd": btyd.reset_index()}

    return work


def polars_tables(folder: Path, lines: Path) -> Callable[[], dict]:
    """polars by hand, lazily."""
    import pandas  # noqa: F401
    import polars as pl
    import pyarrow  # noqa: F401

    kept = folder / "visits-polars.parquet"

    def work() -> dict:
        amount, day = pl.col("amount"), pl.col("visit_date")
        days = pl.scan_parquet(lines).group_by(COLUMNS[:2]).agg(amount.sum(), sold=(amount >= 0).any())
        days.filter("sold").drop("sold").sink_parquet(kept)
        visits = pl.scan_parquet(kept).filter(day <= AS_OF)
        rfm = visits.filter(day >= WINDOW_START).group_by("patient_id")
        rfm = rfm.agg(recency_days=(AS_OF - day.max()).dt.total_days(), visit_count=pl.len(), total_spend=amount.sum())
        repeats = amount.sum() - amount.sort_by(day).first()
        btyd = visits.group_by("patient_id").agg(
            frequency=pl.len().cast(pl.Int64) - 1,
            recency=(day.max() - day.min()).dt.total_days(),
            T=(AS_OF - day.min()).dt.total_days(),
            monetary_value=repeats.cast(pl.Float64) / pl.max_horizontal(pl.len().cast(pl.Int64) - 1, 1),
            log_intervals=day.sort().diff().dt.total_days().log().sum(),
        )
        rfm = rfm.with_columns(pl.col("total_spend").cast(pl.Float64))
        frames = pl.collect_all([rfm.sort("patient_id"), btyd.sort("patient_id")], engine="streaming")
        return {name: frame.to_pandas() for name, frame in zip(["rfm", "btyd"], frames, strict=True)}

    return work


def rfmkit_loyalty(folder: Path, visits: Path) -> Callable[[], dict]:
    """RPR, AOV and CRR of twelve months at the end of each of 36 months."""
    import pandas as pd

    from rfmkit.analysis.loyalty import loyalty_history
    from rfmkit.rows import as_table

    as_table(visits)  # starts the engine
    refunds = pd.DataFrame({"patient_id": ["P"], "visit_date": [pd.Timestamp(AS_OF)], "amount": [-1.0]})

    def work() -> dict:
        terms = {"period_months": 12, "active_months": 12, "months": HISTORY_MONTHS}
        history = loyalty_history(visits, refunds, AS_OF, **terms)
        assert history[["rpr", "aov", "crr"]].notna().all(axis=None)
        return {}

    return work


def rfmkit_csv(folder: Path, clinic: Path) -> Callable[[], dict]:
    """The export in Windows-1251 as a study reads, checks and keeps it."""
    import shutil

    import ibis
    import pandas  # noqa: F401

    import rfmkit

    _ = ibis.duckdb, rfmkit.open_study  # imports too, that wait until they are asked for
    shutil.rmtree(folder / "cache", ignore_errors=True)
    os.environ["RFMKIT_CACHE"] = str(folder / "cache")

    def work() -> dict:
        study = rfmkit.open_study(clinic, month=f"{AS_OF:%Y-%m}")
        assert study.rows["kept"] == CSV_ROWS, study.rows
        assert set(study.transactions.columns) >= set(COLUMNS)
        return {}

    return work


def duckdb_csv(folder: Path, clinic: Path) -> Callable[[], dict]:
    """DuckDB's own reading of the same text as UTF-8, kept as Parquet."""
    connection = connect(folder)

    def work() -> dict:
        connection.execute(
            f"""
            COPY (
                SELECT * FROM read_csv('{folder / "utf-8.csv"}', header = true, delim = ';', quote = '', escape = '',
                    auto_detect = false, decimal_separator = ',', dateformat = '%d.%m.%Y', columns = {{
                        'patient_id': 'VARCHAR', 'visit_date': 'DATE', 'amount': 'DECIMAL(18, 2)',
                        'branch': 'VARCHAR', 'service': 'VARCHAR'
                    }})
            ) TO '{folder / "csv-duckdb.parquet"}'
            """
        )
        return {}

    return work


TABLES = {
    "rfmkit": rfmkit_tables,
    "DuckDB by hand": duckdb_tables,
    "lifetimes": lifetimes_table,
    "lifetimes, Arrow's floats": lifetimes_table_of_floats,
    "pandas by hand": pandas_tables,
    "polars by hand": polars_tables,
}
ALL = {**TABLES, "loyalty": rfmkit_loyalty, "rfmkit CSV": rfmkit_csv, "DuckDB CSV": duckdb_csv}


# Measuring


def measure_here(name: str, folder: Path, source: Path) -> None:
    """In a process of its own: print the seconds and the peak of memory, then keep the tables to be compared."""
    work = ALL[name](folder, source)
    start, spent = time.perf_counter(), time.process_time()
    tables = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for table, frame in tables.items():
        frame.to_pickle(folder / f"{table}-{name.split()[0].lower()}.pickle")
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def in_child(*arguments: object) -> str:
    """What this script prints, run anew: a process with nothing in memory but what it needs itself."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def measured(names: list[str], folder: Path, source: Path, repeats: int) -> dict[str, dict]:
    """Median seconds and highest peak of each, all of them in turns."""
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            runs[name].append(json.loads(in_child(folder, "--child", name, source)))
    return {
        name: {
            "seconds": statistics.median(run["seconds"] for run in own),
            "cpu": statistics.median(run["cpu"] for run in own),
            "peak": max(run["peak"] for run in own),
        }
        for name, own in runs.items()
    }


def compare(folder: Path) -> None:
    """Assert that what was made by hand equals what rfmkit made: DuckDB's to the last bit."""
    import pandas as pd

    ours = {table: pd.read_pickle(folder / f"{table}-rfmkit.pickle") for table in ("rfm", "btyd")}
    for peer in ("duckdb", "pandas", "polars"):
        for table, frame in ours.items():
            if (path := folder / f"{table}-{peer}.pickle").exists():
                theirs = pd.read_pickle(path)
                how = {"check_exact": True} if peer == "duckdb" else {"rtol": 1e-9, "atol": 1e-9}
                pd.testing.assert_frame_equal(theirs, frame, check_dtype=False, **how)
                path.unlink()
    sums = "SELECT count(*), sum(amount), sum(hash(patient_id, visit_date, amount)::HUGEINT) FROM"
    both = [f"{sums} '{folder}/visits-{name}.parquet'" for name in ("rfmkit", "duckdb")]
    mine, other = (connect(folder).execute(query).fetchone() for query in both)
    assert mine == other, (mine, other)


def say(goal: str, value: float, limit: float, unit: str = "", *, least: bool = False) -> None:
    """Print whether a goal is met."""
    met = value >= limit if least else value <= limit
    print(f"  {'met    ' if met else 'NOT MET'}  {goal}: {value:.2f}{unit} ({'≥' if least else '≤'} {limit:g}{unit})")


def table(rows: dict[str, dict], against: str) -> None:
    """Print seconds, their ratio to one of the rows, seconds of processors, and peaks of memory."""
    base = rows[against]["seconds"]
    for name, row in rows.items():
        seconds = f"{row['seconds']:8.2f} s {row['seconds'] / base:8.2f} × {row['cpu']:8.2f} s CPU"
        print(f"  {name:<26} {seconds} {row['peak'] / MIB:9.0f} MiB", flush=True)


def tables(folder: Path, sizes: list[int], repeats: int) -> None:
    """Lines to visits and to the tables of patients."""
    per_row = {}
    for rows in sizes:
        lines = folder / f"lines-{rows}.parquet"
        if not lines.exists():
            in_child(folder, "--make", lines, rows)
        names = [name for name in TABLES if rows <= PANDAS_ROWS or "DuckDB" in name or name == "rfmkit"]
        result = measured(names, folder, lines, repeats)
        in_child(folder, "--compare")
        print(f"{rows:.0e} lines of {rows // 20:.0e} patients; ratios to DuckDB by hand", flush=True)
        table(result, "DuckDB by hand")
        ours, hand = result["rfmkit"], result["DuckDB by hand"]
        per_row[rows] = ours["seconds"] / rows
        if rows == 10**7:
            say("to DuckDB by hand", ours["seconds"] / hand["seconds"], 1.15, " ×")
            for name in [name for name in result if "lifetimes" in name]:
                say(f"times as fast as {name}", result[name]["seconds"] / ours["seconds"], 5, least=True)
        if limit := {10**7: 1, 10**8: 8}.get(rows):
            say("peak", ours["peak"] / 1024 / MIB, limit, " GiB")
        if rows == 10**8 and 10**6 in per_row:
            say("cost of a row against 10⁶ rows", per_row[rows] / per_row[10**6], 1.25, " ×")


def loyalty(folder: Path, repeats: int) -> None:
    """Visits to the rates of 36 months."""
    visits = folder / f"visits-{VISITS}.parquet"
    if not visits.exists():
        in_child(folder, "--make", visits, 0)
    result = measured(["loyalty"], folder, visits, repeats)["loyalty"]
    print(f"RPR, AOV and CRR over {HISTORY_MONTHS} months of {VISITS:.0e} visits, peak {result['peak'] / MIB:.0f} MiB")
    say("seconds", result["seconds"], 3, " s")


def csv(folder: Path, repeats: int) -> None:
    """An export in Windows-1251 with decimal commas, read, checked and kept."""
    clinic = folder / "clinic.toml"
    if not clinic.exists():
        in_child(folder, "--make", clinic, 0)
    result = measured(["rfmkit CSV", "DuckDB CSV"], folder, clinic, repeats)
    print(f"A CSV of {CSV_ROWS:.0e} lines: Windows-1251 read by rfmkit, UTF-8 by DuckDB")
    table(result, "DuckDB CSV")
    say("to DuckDB", result["rfmkit CSV"]["seconds"] / result["DuckDB CSV"]["seconds"], 3, " ×")


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the data are made, and kept for the next time")
    parser.add_argument("--rows", nargs="+", type=lambda text: int(float(text)), default=[10**6, 10**7])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["tables", "loyalty", "csv"])
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if chosen.child:
        measure_here(chosen.child[0], folder, Path(chosen.child[1]))
    elif chosen.make:
        path, rows = Path(chosen.make[0]), int(chosen.make[1])
        if path.name == "clinic.toml":
            make_csv(folder)
        elif rows:
            make_lines(path, rows)
        else:
            make_visits(path)
    elif chosen.compare:
        compare(folder)
    else:
        if chosen.only in {None, "tables"}:
            tables(folder, chosen.rows, chosen.repeats)
        if chosen.only in {None, "loyalty"}:
            loyalty(folder, chosen.repeats)
        if chosen.only in {None, "csv"}:
            csv(folder, chosen.repeats)


if __name__ == "__main__":
    main()
