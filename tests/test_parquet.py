"""Typed cells of Parquet files are read for what they are: no value is lost, guessed or made up."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from conftest import lines_of, open_one

from rfmkit.errors import ClinicFileError, ExportError


def test_parquet_with_types(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [7, 8, 9],
            "date": pd.to_datetime(["2026-10-01", "2026-10-02", "2026-10-03"]),
            "amount": [5.5, 7.25, 1.0],
        }
    )
    frame.to_parquet(tmp_path / "lines.parquet")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "lines.parquet"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "amount"\n'
    )
    amounts = [Decimal("5.5"), Decimal("7.25"), Decimal(1)]
    assert [line[::2] for line in lines_of(open_one(tmp_path / "c.toml"))] == list(zip("789", amounts, strict=True))


TYPED = """name = "C"
currency = "USD"
[transactions]
source = "lines.parquet"
decimal = ","
date_format = "%d.%m.%Y"
[transactions.columns]
patient_id = "id"
visit_date = "date"
amount = "amount"
quantity = "n"
"""


def parquet_study(folder, **columns):
    """A study of a Parquet file of 300 good lines in which the first has these values."""
    days = pd.Series(pd.to_datetime(["2026-10-01"] * 300))
    frame = pd.DataFrame({"id": range(300), "date": days, "amount": 5.0, "n": 0.333}).astype({"id": "object"})
    for name, value in columns.items():
        frame[name] = pd.Series([value, *frame[name].iloc[1:]], dtype=frame[name].dtype)
    frame["id"] = frame["id"].astype("float64") if isinstance(frame["id"].iloc[0], float) else frame["id"]
    frame.to_parquet(folder / "lines.parquet")
    (folder / "c.toml").write_text(TYPED)
    return open_one(folder / "c.toml")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"amount": float("nan")}, "«amount»: empty."),
        ({"amount": float("inf")}, "«amount»: not a number"),
        ({"amount": 10.005}, "«amount»: more than two decimals."),
        ({"amount": 1e17}, "«amount»: not a number"),
        ({"date": pd.NaT}, "«date»: empty."),
    ],
)
def test_faults_of_typed_cells(tmp_path, columns, said):
    study = parquet_study(tmp_path, **columns)
    assert said in str(study.problems[0])
    assert (study.rows["kept"], study.rows["rejected"]) == (299, 1)
    assert study.totals == {"patients": 299, "visits": 299, "revenue": 299 * 5}


def test_noise_of_floats_is_no_third_decimal(tmp_path):
    assert parquet_study(tmp_path, amount=0.1 + 0.2).totals["revenue"] == 299 * 5 + 0.3


def test_a_day_with_a_time_zone_is_refused(tmp_path):
    frame = pd.DataFrame(
        {"id": ["1"], "date": pd.to_datetime(["2026-10-01"]).tz_localize("Asia/Shanghai"), "amount": 5}
    )
    frame.assign(n=1).to_parquet(tmp_path / "lines.parquet")
    (tmp_path / "c.toml").write_text(TYPED)
    with pytest.raises(ExportError, match=r"lines\.parquet «date»: has a time zone, so its day is not certain"):
        _ = open_one(tmp_path / "c.toml").rows


def test_a_damaged_parquet_file(tmp_path):
    (tmp_path / "lines.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "c.toml").write_text(TYPED)
    with pytest.raises(ExportError, match=r"lines\.parquet: is no Parquet file, or a damaged one"):
        _ = open_one(tmp_path / "c.toml").rows


def arrow_study(folder, **columns):
    """A study of a Parquet file written by Arrow, which keeps NaN and missing apart."""
    import pyarrow as pa
    import pyarrow.parquet

    days = pa.array([dt.datetime(2026, 10, 1)] * 300, pa.timestamp("us"))
    given = {"id": pa.array(range(300)), "date": days, "amount": pa.array([5.0] * 300), "n": pa.array([1.0] * 300)}
    pa.parquet.write_table(pa.table(given | columns), folder / "lines.parquet")
    (folder / "c.toml").write_text(TYPED)
    return open_one(folder / "c.toml")


def test_not_a_number_is_no_value(tmp_path):
    import pyarrow as pa

    nan = [float("nan"), *[5.0] * 299]
    assert arrow_study(tmp_path, n=pa.array(nan)).rows["kept"] == 300
    study = arrow_study(tmp_path, amount=pa.array(nan))
    assert (study.rows["kept"], str(study.problems[0])[:32]) == (299, "lines.parquet:1 «amount»: empty.")
    with pytest.raises(ExportError, match=r"lines\.parquet:1 «id»: empty"):
        _ = arrow_study(tmp_path, id=pa.array([float("nan"), *range(1, 300)], pa.float64())).rows


def test_floats_of_four_bytes_are_sure_to_the_cent(tmp_path):
    import pyarrow as pa

    assert arrow_study(tmp_path, amount=pa.array([1234.56] * 300, pa.float32())).totals["revenue"] == 300 * 1234.56


def test_headings_that_differ_in_case_and_spaces(tmp_path):
    import pyarrow as pa

    assert arrow_study(tmp_path, ID=pa.array(["x"] * 300)).totals["patients"] == 300


def test_lines_that_differ_in_time_are_no_copies(tmp_path):
    import pyarrow as pa

    times = pa.array([dt.datetime(2026, 10, 1, 9 + n % 2) for n in range(300)], pa.timestamp("us"))
    one = {"id": pa.array(["p"] * 300), "date": times, "receipt": pa.array([f"R{n // 2}" for n in range(300)])}
    (tmp_path / "c.toml").write_text("")
    arrow_columns = one | {"amount": pa.array([5.0] * 300)}
    pa.parquet.write_table(pa.table(arrow_columns), tmp_path / "lines.parquet")
    (tmp_path / "c.toml").write_text(TYPED.replace('quantity = "n"', 'receipt_id = "receipt"'))
    assert open_one(tmp_path / "c.toml").rows["kept"] == 300


def test_damaged_pages_of_a_parquet_file(tmp_path):
    study = arrow_study(tmp_path)
    path = tmp_path / "lines.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"lines\.parquet: (is no Parquet file, or a damaged one|changed while)"):
        _ = open_one(study.clinic.path).rows


def test_csv_and_parquet_are_not_read_together(tmp_path):
    arrow_study(tmp_path)
    (tmp_path / "lines.csv").write_text("id,date,amount,n\n1,01.10.2026,5,1\n")
    (tmp_path / "c.toml").write_text(TYPED.replace("lines.parquet", "lines.*"))
    with pytest.raises(ClinicFileError, match="names CSV and Parquet files together"):
        _ = open_one(tmp_path / "c.toml").rows


@pytest.mark.parametrize(
    "place", ["branch=north/a.parquet", "sum=7/a.parquet", "year=2026/a.parquet", "pay[1].parquet"]
)
def test_the_path_of_a_file_says_nothing_of_its_rows(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    frame = pd.DataFrame({"id": ["1", "2"], "date": pd.to_datetime(["2026-10-01"] * 2), "sum": [1.0, 2.0]})
    frame.to_parquet(path)
    frame.head(1).to_parquet(tmp_path / "pay1.parquet")
    (tmp_path / "c.toml").write_text(
        f'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "{place}"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "sum"\n'
    )
    study = open_one(tmp_path / "c.toml")
    assert [line[2] for line in lines_of(study)] == [1, 2]
    assert study.transactions.execute()["_row"].tolist() == [1, 2]


def test_columns_may_have_any_names(tmp_path):
    frame = pd.DataFrame({"id": ["1"], "date": pd.to_datetime(["2026-10-01"]), "sum": [1.0]})
    frame = frame.assign(Note="a", NOTE="b", file_row_number=9, _row="c", filename="d")
    frame["Note"] = frame["Note"].astype("category")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "c.toml").write_text(
        'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "a.parquet"\n'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "sum"\n'
    )
    assert open_one(tmp_path / "c.toml").rows["kept"] == 1


@pytest.mark.parametrize("decimal", ["", 'decimal = ","\n', 'decimal = "."\n'])
def test_files_of_other_types_are_one_table_and_one_patient(tmp_path, decimal):
    # A missing id makes pandas keep the others as 7.0.
    day = dt.datetime(2026, 10, 1, 9)
    exact = [Decimal("5.120"), Decimal("6.000")]
    pd.DataFrame({"id": [7, 8], "date": [day.date()] * 2, "sum": exact}).to_parquet(tmp_path / "a1.parquet")
    pd.DataFrame({"id": [7.0, 9.0], "date": [day] * 2, "sum": [0.1 + 0.2, 1e6]}).to_parquet(tmp_path / "a2.parquet")
    pd.DataFrame({"id": ["7"], "date": ["02.10.2026"], "sum": ["3"]}).to_parquet(tmp_path / "a3.parquet")
    (tmp_path / "c.toml").write_text(
        f'name = "C"\ncurrency = "USD"\n[transactions]\nsource = "a*.parquet"\ndate_format = "%d.%m.%Y"\n{decimal}'
        '[transactions.columns]\npatient_id = "id"\nvisit_date = "date"\namount = "sum"\n'
    )
    amounts = [Decimal(text) for text in ("5.12", "6", "0.3", "1000000", "3")]
    days = ["2026-10-01"] * 4 + ["2026-10-02"]
    assert lines_of(open_one(tmp_path / "c.toml")) == list(zip("78797", days, amounts, strict=True))
