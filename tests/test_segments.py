"""Every cell of a scheme's cube belongs to exactly one segment, and every segment can be reached."""

import itertools
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfmkit
from rfmkit import assign_segments, load_scheme, score_rfm
from rfmkit.analysis.explanation import explain_segment
from rfmkit.analysis.scores import RfmCuts
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
        ({"a": ["1 12 12"], "not_yet": ["2 12 12"]}, "a segment may not be called not_yet"),
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


def own_scheme(path: Path, bins: int, cells: dict[str, list[str]]) -> Path:
    """A scheme file in which each group lists its cells one by one: "423" is written "4 2 3"."""
    parts = [
        f'[[segments]]\nkey = "{key}"\ncolour = "#000000"\ncells = {[" ".join(cell) for cell in held]}\n'
        for key, held in cells.items()
    ]
    path.write_text(f"bins = {bins}\n" + "".join(parts))
    return path


@pytest.mark.parametrize("bins", range(2, 10))
@settings(max_examples=5)
@given(draw=st.data())
def test_every_fault_is_told_with_its_cells_whatever_the_bins(tmp_path_factory, bins, draw):
    path = tmp_path_factory.mktemp("scheme") / "own.toml"
    cube = ["".join(cell) for cell in itertools.product("123456789"[:bins], repeat=3)]
    middle = draw.draw(st.integers(1, len(cube) - 1))
    halves = {"low": cube[:middle], "high": cube[middle:]}
    whole = load_scheme(own_scheme(path, bins, halves), bins=bins)
    assert whole.segment_of == {cell: "low" if cell in cube[:middle] else "high" for cell in cube}
    some = draw.draw(
        st.lists(st.sampled_from(cube), min_size=1, max_size=4, unique=True).filter(lambda s: len(s) < middle)
    )
    for told, faulty in [
        (
            "no segment holds the cells",
            {key: [cell for cell in held if cell not in some] for key, held in halves.items()},
        ),
        ("several segments hold the cells", halves | {"again": some}),
        ("segments that nobody can reach", halves | {"nobody": [], "none": []}),
    ]:
        with pytest.raises(ClinicFileError) as refused:
            load_scheme(own_scheme(path, bins, faulty))
        named = {problem.what for problem in refused.value.problems}
        expected = "nobody, none" if "nobody" in faulty else ", ".join(sorted(some))
        assert f"{told} {expected}" in named


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


def test_ten_gives_the_middle_of_the_cube_to_its_neighbours():
    eleven, ten = load_scheme("eleven").segment_of, load_scheme("ten").segment_of
    for cell, segment in eleven.items():
        middle = "loyal" if int(cell[1]) >= 3 else "about_to_sleep"
        assert ten[cell] == (middle if segment == "needs_attention" else segment)


def test_eight_are_the_corners():
    corners = {"222": "important_value", "212": "important_development", "122": "important_retention"}
    corners |= {"112": "important_rescue", "221": "ordinary_value", "211": "ordinary_development"}
    assert load_scheme("eight").segment_of == corners | {"121": "ordinary_retention", "111": "ordinary_rescue"}


OWN = """
bins = 2
[[segments]]
key = "a"
colour = "#000000"
cells = ["2 12 12"]
name = {en = "Recent", ru = "Недавние"}
who = "Came lately"
[[segments]]
key = "b"
colour = "#111111"
cells = ["1 12 12"]
"""


def test_a_scheme_may_have_words_of_its_own(tmp_path):
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    scheme = load_scheme(tmp_path / "own.toml")
    assert scheme.words("ru") == {("segment", "a"): "Недавние", ("who", "a"): "Came lately"}
    assert scheme.words("zh")["segment", "a"] == "Recent"
    assert scheme.words("ru", renamed={"a": "Класс A"})["segment", "a"] == "Класс A"
    with pytest.raises(
        ClinicFileError, match=r"north.toml \[rfm.names\] c: no such segment. Segments are: a, b, inactive"
    ):
        scheme.words("ru", renamed={"c": "C"}, where="north.toml")


CUTS = RfmCuts(recency_days=(90, 30), visit_count=(2, 4), total_spend=(100.0, 500.0))
THREE = """
bins = 3
[[segments]]
key = "best"
colour = "#000000"
cells = ["3 3 3"]
[[segments]]
key = "good"
colour = "#111111"
cells = ["3 2 123", "3 3 12", "2 23 123"]
[[segments]]
key = "rest"
colour = "#222222"
cells = ["1 123 123", "23 1 123"]
"""


def test_an_explanation_says_what_would_move_a_patient(tmp_path):
    (tmp_path / "three.toml").write_text(THREE)
    rfm = pd.DataFrame(
        {"patient_id": ["p", "q"], "recency_days": [40, 1], "visit_count": [1, 9], "total_spend": [600.0, 900.0]}
    )
    scheme = load_scheme(tmp_path / "three.toml")
    told = explain_segment(score_rfm(rfm, cuts=CUTS), "p", CUTS, scheme)
    assert (told.segment, told.rfm_score) == ("rest", "213")
    assert told.measures[["value", "score"]].to_numpy().tolist() == [[40, 2], [1, 1], [600, 3]]
    assert told.measures["cut"].tolist()[::2] == [90, 500]  # the lowest score of visits needs none
    assert told.measures["next_cut"].tolist()[:2] == [30, 2]
    # One more visit is enough for "good"; "best" needs recency 3 (one step) and frequency 3 (two).
    assert told.better[["segment", "steps"]].to_numpy().tolist() == [["good", 1], ["best", 3]]
    assert told.better["visit_count"].tolist() == [2, 4]
    assert told.better["recency_days"].iloc[1] == 30
    assert "to good: 2 visits" in str(told)
    assert explain_segment(score_rfm(rfm, cuts=CUTS), "q", CUTS, scheme).better.empty
    with pytest.raises(KeyError):
        explain_segment(score_rfm(rfm, cuts=CUTS), "nobody", CUTS, scheme)
