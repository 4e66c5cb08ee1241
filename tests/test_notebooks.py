"""Notebooks: one question each, no logic, no output, prose without numbers, calls that exist."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import nbformat
import pytest

from rfmkit.present import Reader, plots, tables
from rfmkit.study import Study

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = [
    *("00_data_quality", "01_overview", "02_rfm_segments", "03_lifetime_value", "04_loyalty", "05_recommendations"),
    "06_portraits",
    "07_movement",
]
NOTEBOOKS = pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
#: What a table of the study needs, beyond the tables of the same name.
PART_OF = {
    "segments": "segments",
    "score_bands": "segments",
    "score_cuts": "segments",
    "score_grid": "segments",
    "portraits": "portraits",
    "portrait_traits": "portraits",
    "cohorts": "cohorts",
    "cohort_traits": "cohorts",
    "recommendations": "recommendations",
    "reach_by_segment": "reach",
    "channel_gaps": "reach",
    "next_services": "next_service",
    "next_rules": "next_service",
    "next_hit_rates": "next_service",
    "clv": "clv",
    "clv_summary": "clv",
    "clv_gates": "clv",
    "alive_grid": "clv",
    "holdout": "holdout",
    "loyalty": "loyalty",
    "retention": "crr",
    "tag_counts": "tags",
    "month_movement": "movement",
    "group_history": "movement",
    "year_movement": "movement_year",
}
PARTS = (
    "segments|portraits|cohorts|recommendations|reach|clv|holdout|loyalty|crr|movement|movement_year|tags|next_service"
)
_MOST_LINES = 8
_NUMBER_WORDS = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand)\b", re.I
)
_LOGIC = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If, ast.IfExp, ast.Try),
    *(ast.With, ast.Match, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.BinOp, ast.Compare),
)


def read(path: Path):
    return nbformat.read(path, as_version=4)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def pairs(path: Path) -> list:
    cells = read(path).cells[3:-1]
    return list(zip(cells[::2], cells[1::2], strict=True))


def calls(path: Path) -> list[tuple[ast.Call, object]]:
    """Calls of plots and tables in a notebook's cells, each with the function it names."""
    found = []
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                room = {"plots": plots, "tables": tables}.get(getattr(call.func.value, "id", None))
                if room:
                    found.append((call, getattr(room, call.func.attr)))
    return found


def study_attributes(source: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "study"
    }


def test_there_are_the_notebooks_of_a_report():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@NOTEBOOKS
def test_a_notebook_is_valid_and_written_as_nbformat_writes_it(path):
    node = read(path)
    nbformat.validate(node)
    assert (node.nbformat, node.nbformat_minor) == (4, 5)
    assert path.read_text(encoding="utf-8") == nbformat.writes(node) + "\n"
    assert node.metadata.kernelspec.name == "python3"


@NOTEBOOKS
def test_a_notebook_begins_and_ends_as_all_do(path):
    title, parameters, setup, *_, last = read(path).cells
    assert title.source == f"# {read(path).metadata.title}"
    assert [tags(cell) for cell in (parameters, setup, last)] == [["parameters"], ["setup"], ["provenance"]]
    assert last.source == "tables.provenance(study.provenance, reader=study.reader)"
    assert "study = rfmkit.open_study(clinic, month=month)" in setup.source


@NOTEBOOKS
def test_parameters_are_literals_with_a_type_and_a_help(path):
    source = read(path).cells[1].source
    for line, node in zip(source.splitlines(), ast.parse(source).body, strict=True):
        assert isinstance(node, ast.AnnAssign)
        ast.literal_eval(node.value)
        assert re.search(r"  # \w", line)


@NOTEBOOKS
def test_prose_and_call_stand_in_pairs(path):
    for prose, code in pairs(path):
        assert (prose.cell_type, code.cell_type) == ("markdown", "code")
        assert prose.id == f"{code.id}-text"
        assert tags(prose) == tags(code)
        assert re.match(r"## \S", prose.source)
        assert "\n\n" in prose.source, "a heading alone says nothing"


@NOTEBOOKS
def test_a_cell_shows_one_thing_and_holds_no_logic(path):
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        assert cell.outputs == []
        assert cell.execution_count is None
        assert len(cell.source.splitlines()) <= _MOST_LINES
        tree = ast.parse(cell.source)
        assert not [node for node in ast.walk(tree) if isinstance(node, _LOGIC)]
        assert ".groupby" not in cell.source
        if not {"parameters", "setup"} & set(tags(cell)):
            assert len(tree.body) == 1


@NOTEBOOKS
def test_ids_are_readable_and_unique(path):
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in ids)


@NOTEBOOKS
def test_prose_holds_no_number_typed_by_hand(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            prose = re.sub("the two parts|[Tt]wo lines|compare the two", "", cell.source)
            assert not re.search(r"\d", prose)
            assert not _NUMBER_WORDS.search(prose)


@NOTEBOOKS
def test_what_is_called_is_there_and_takes_these_arguments(path):
    assert calls(path)
    for call, function in calls(path):
        keywords = {keyword.arg: None for keyword in call.keywords}
        inspect.signature(function).bind(*call.args, **keywords)
        assert "reader" in keywords


@NOTEBOOKS
def test_what_is_asked_of_a_study_is_there(path):
    for cell in read(path).cells[2:]:
        if cell.cell_type == "code":
            for name in study_attributes(cell.source) - {"clinic", "reader"}:
                assert hasattr(Study, name), name


@NOTEBOOKS
def test_a_pair_says_which_parts_it_needs(path):
    for _, code in pairs(path):
        needed = {f"needs-{PART_OF[name]}" for name in study_attributes(code.source) if name in PART_OF}
        assert needed <= set(tags(code))
        assert all(re.fullmatch(f"needs-({PARTS})", tag) for tag in tags(code))


@NOTEBOOKS
def test_only_what_is_used_is_imported(path):
    setup, *rest = (cell.source for cell in read(path).cells[2:] if cell.cell_type == "code")
    imported = set(re.search("from rfmkit import (.+)", setup)[1].split(", "))
    assert imported == set(re.findall(r"\b(figure|plots|tables)\b(?=[.(])", "\n".join(rest)))


def test_every_table_and_every_figure_is_shown_somewhere():
    shown = {function.__name__ for path in FOLDER.glob("*.ipynb") for _, function in calls(path)}
    offered = {*plots.__all__, *tables.__all__} - {"Figure", "Table", "figure"}
    assert offered == shown


@NOTEBOOKS
@pytest.mark.parametrize("locale", ["ru", "zh"])
def test_no_prose_stays_english(path, locale):
    script = {"ru": "[а-я]", "zh": "[\u4e00-\u9fff]"}[locale]
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for paragraph in Reader(locale).markdown(cell.source).split("\n\n"):
                assert re.search(script, paragraph)
