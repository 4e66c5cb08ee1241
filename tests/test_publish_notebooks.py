"""The notebooks of a report: found in order, with titles and parameters."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rfmkit.errors import UsageError
from rfmkit.publish.notebooks import check_parameters, find_notebooks, notebook_named, notebooks_folder, split_title


def write(path, *, title="# Two", parameters='month: str = "2026-10"  # the month'):
    node = new_notebook(metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}})
    node.cells = [new_markdown_cell(title), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(node, path)


def test_found_in_reading_order(tmp_path):
    for name in ("10_last", "02_two", "01_one"):
        write(tmp_path / f"{name}.ipynb")
    (tmp_path / ".02_two-checkpoint.ipynb").write_text("no notebook")
    assert [notebook.name for notebook in find_notebooks(tmp_path)] == ["01_one", "02_two", "10_last"]


def test_its_parameters_cell_is_its_signature(tmp_path):
    write(tmp_path / "02_two.ipynb", parameters='month: str = "2026-10"  # the month\nbins: int = 5')
    (notebook,) = find_notebooks(tmp_path)
    month, bins = notebook.parameters
    assert (month.name, month.kind, month.default, month.help) == ("month", "str", '"2026-10"', "the month")
    assert (bins.name, bins.kind, bins.default, bins.help) == ("bins", "int", "5", "")


def test_unknown_parameters_are_refused_naming_the_known(tmp_path):
    write(tmp_path / "02_two.ipynb", parameters='clinic: str = "a.toml"\nmonth: str = "2026-10"')
    (notebook,) = find_notebooks(tmp_path)
    check_parameters(notebook, {"clinic": "b.toml"})
    with pytest.raises(UsageError) as refused:
        check_parameters(notebook, {"clinik": "b.toml", "zzz": 1, "month": "2026-10"})
    first, second = refused.value.problems
    assert "clinik" in str(first)
    assert "Did you mean clinic?" in str(first)
    assert "Known: clinic, month" in str(second)


def test_named_with_or_without_its_number(tmp_path):
    write(tmp_path / "02_rfm_segments.ipynb")
    assert notebook_named("rfm_segments", tmp_path) == notebook_named("02_rfm_segments", tmp_path)
    with pytest.raises(UsageError, match="02_rfm_segments"):
        notebook_named("segments", tmp_path)


@pytest.mark.parametrize(
    ("markdown", "title", "rest"),
    [("# One\n\nText", "One", "Text"), ("\n# One", "One", ""), ("Text", "", "Text"), ("## Two", "", "## Two")],
)
def test_a_title_is_taken_off_its_cell(markdown, title, rest):
    assert split_title(markdown) == (title, rest)


@pytest.mark.parametrize("notebook", find_notebooks(), ids=lambda notebook: notebook.name)
def test_every_packaged_notebook_can_be_asked_for_a_clinic_and_a_month(notebook):
    assert notebook.title
    assert {"clinic", "month"} <= {parameter.name for parameter in notebook.parameters}
    assert all(parameter.help for parameter in notebook.parameters)
    assert notebook.path.parent == notebooks_folder()
