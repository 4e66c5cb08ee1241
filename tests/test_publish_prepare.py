"""A notebook is made ready for one clinic without being changed itself."""

import copy

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rfmkit import NotEnoughData, Reader
from rfmkit.publish.prepare import needed_parts, prepare

FEW = NotEnoughData("few_repeat_patients", have=10, need=50)
SHORT = NotEnoughData("short_history", have_months=3, need_months=12)


def notebook():
    def pair(name, *tags):
        return [
            new_markdown_cell(f"## {name}", id=f"{name}-text", metadata={"tags": list(tags)}),
            new_code_cell(name, id=name, metadata={"tags": list(tags)}),
        ]

    node = new_notebook()
    node.cells = [
        new_markdown_cell("# Overview", id="title"),
        *pair("a", "needs-clv"),
        *pair("b", "needs-segments", "needs-clv"),
        *pair("c"),
        *pair("d", "needs-clv"),
        *pair("e", "needs-holdout"),
    ]
    return node


def ids(node):
    return [cell["id"] for cell in node.cells]


def test_what_it_needs():
    assert needed_parts(notebook()) == ["clv", "holdout", "segments"]


def test_with_everything_there_nothing_is_left_out():
    node = notebook()
    assert ids(prepare(node, missing={}, reader=Reader())) == ids(node)


def test_pairs_in_a_row_give_way_to_one_reason():
    prepared = prepare(notebook(), missing={"clv": FEW, "holdout": SHORT}, reader=Reader())
    assert ids(prepared) == ["title", "a-text", "c-text", "c", "d-text", "e-text"]
    reasons = [cell for cell in prepared.cells if "reason" in cell.metadata.get("tags", [])]
    assert [cell.source for cell in reasons] == [Reader().reason(reason) for reason in (FEW, FEW, SHORT)]
    assert all(cell.cell_type == "markdown" for cell in reasons)


def test_what_the_clinic_did_not_ask_for_is_left_out_without_a_word():
    prepared = prepare(notebook(), missing={"clv": NotEnoughData("no_tags"), "holdout": SHORT}, reader=Reader())
    assert ids(prepared) == ["title", "c-text", "c", "e-text"]


def test_prose_is_translated_and_code_is_not():
    prepared = prepare(notebook(), missing={}, reader=Reader("ru"))
    assert prepared.cells[0].source == "# Обзор"
    assert prepared.cells[2].source == "a"


def test_no_mutation():
    node = notebook()
    before = copy.deepcopy(node)
    prepare(node, missing={"clv": FEW}, reader=Reader("zh"))
    assert node == before
