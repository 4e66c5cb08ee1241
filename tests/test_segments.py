"""Every cell of a scheme's cube belongs to exactly one segment, and every segment can be reached."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

import rfmkit
from rfmkit import assign_segments, load_scheme
from rfmkit.analysis.segments import segment_table
from rfmkit.errors import ClinicFileError

SCHEMES = sorted((Path(rfmkit.__file__).parent / "analysis" / "schemes").glob("*.toml"), key=lambda path: path.name)

# The table of the scheme as it was agreed: segment, then R, F and M; digits listed are alternatives.
ELEVEN = """
champions 45 45 45 | loyal 45 3 345 | loyal 45 45 3 | loyal 3 45 45 | potential_loyalist 45 12 345
promising 45 345 12 | promising 45 2 12 | new 45 1 12 | hibernating 2 12 12 | hibernating 1 12 345
needs_attention 3 3 12345 | needs_attention 3 45 123 | needs_attention 3 12 345 | about_to_sleep 3 12 12
about_to_sleep 2 12 345 | at_risk 2 345 12345 | at_risk 1 3 12345 | at_risk 1 45 123 | cant_lose 1 45 45 | lost 1 12 12
"""


@pytest.mark.parametrize("path", SCHEMES, ids=lambda path: path.stem)
def test_a_scheme_divides_its_cube(path):
    scheme = load_scheme(path.stem)
    digits = "123456789"[: scheme.bins]
    assert set(scheme.segment_of) == {"".join(cell) for cell in itertools.product(digits, repeat=3)}
    assert set(scheme.segment_of.values()) == set(scheme.segments) - {"inactive"}
    assert scheme.segments[-1] == "inactive"


def test_eleven_is_the_agreed_table():
    expected = {}
    for line in ELEVEN.replace("|", "\n").split("\n"):
        if line.strip():
            key, *box = line.split()
            expected |= {"".join(cell): key for cell in itertools.product(*box)}
    assert load_scheme("eleven").segment_of == expected


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"a": ["1 12 12"]}, "no segment holds the cells 211, 212, 221, 222"),
        ({"a": ["12 12 12"], "b": ["2 2 2"]}, "several segments hold the cells 222"),
        ({"a": ["12 12 12"], "b": []}, "segments that nobody can reach b"),
        ({"a": ["12 12 123"]}, "cells lie outside scores of 1 to 2 113, 123, 213, 223"),
        ({"a": ["1 12 12"], "inactive": ["2 12 12"]}, "a segment may not be called inactive"),
        ({"a": ["12 12"]}, "is no scheme file"),
    ],
)
def test_a_bad_scheme_is_refused_with_its_cells(tmp_path, cells, said):
    path = tmp_path / "own.toml"
    parts = [f'[[segments]]\nkey = "{key}"\ncolour = "#000000"\ncells = {boxes}\n' for key, boxes in cells.items()]
    path.write_text("bins = 2\n" + "".join(parts))
    with pytest.raises(ClinicFileError) as refused:
        load_scheme(path)
    assert said in str(refused.value)


def test_every_fault_of_a_scheme_is_told_at_once(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('bins = 2\n[[segments]]\nkey = "a"\ncolour = "#000000"\ncells = ["1 12 12", "1 1 1"]\n')
    with pytest.raises(ClinicFileError) as refused:
        load_scheme(path, bins=3)
    assert [problem.what.split(" 1")[0] for problem in refused.value.problems] == [
        "no segment holds the cells 211, 212, 221, 222",
        "several segments hold the cells",
        "is for 2 bins, not 3",
    ]


def test_patients_without_a_score_are_inactive():
    scored = pd.DataFrame({"patient_id": ["1", "2", "3"], "rfm_score": ["555", None, "111"]})
    assert assign_segments(scored, load_scheme("eleven"))["segment"].tolist() == ["champions", "inactive", "lost"]


def test_the_segments_add_up_to_all_patients():
    patients = pd.DataFrame(
        {
            "segment": ["champions", "champions", "lost", "inactive"],
            "visit_count": [5, 7, 1, 0],
            "total_spend": [100.0, 200.0, 10.0, 0.0],
            "recency_days": [3, 9, 500, 900],
            "probability_alive": [0.9, 0.7, 0.1, 0.0],
            "clv": [50.0, 70.0, 1.0, 0.0],
            "value_at_risk": [5.0, 30.0, 9.0, 0.0],
        }
    )
    rows = segment_table(patients, load_scheme("eleven")).set_index("segment")
    assert rows["patients"].sum() == 4
    assert rows["visits"].sum() == 5 + 7 + 1
    assert rows["revenue"].sum() == 100 + 200 + 10
    assert rows.loc["champions", ["patients_share", "revenue_share"]].tolist() == [2 / 4, 300 / 310]
    assert rows.loc["champions", ["median_recency_days", "mean_visit_count", "mean_total_spend"]].tolist() == [
        6,
        6,
        150,
    ]
    assert rows.loc["champions", ["clv", "value_at_risk"]].tolist() == [120, 35]
    assert rows.loc["loyal", ["patients", "clv"]].tolist() == [0, 0]
