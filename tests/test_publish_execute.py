"""A notebook is executed whole, or it did not happen; and no kernel stays behind."""

import os
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rfmkit.errors import ExportError, RfmkitError, SurroundingsError, UsageError
from rfmkit.publish.execute import HalfRun, execute_notebook
from rfmkit.publish.notebooks import find_notebooks

SHOW = "from IPython.display import HTML; HTML(month)"


def notebook(*sources, last=SHOW, tags=()):
    node = new_notebook(metadata={"kernelspec": {"name": "of-nobody", "language": "python", "display_name": "?"}})
    parameters = 'clinic: str = "a.toml"  # the clinic file\nmonth: str = "2026-09"  # the month'
    node.cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
    ]
    for number, source in enumerate(sources):
        node.cells.append(new_markdown_cell(f"## Step {number}", id=f"text-{number}"))
        node.cells.append(new_code_cell(source, id=f"step-{number}", metadata={"tags": list(tags)}))
    if last:
        node.cells.append(new_code_cell(last, id="provenance", metadata={"tags": ["provenance"]}))
    return node


def run(folder, node, parameters=None, **options):
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "scratch").mkdir(exist_ok=True)
    nbformat.write(node, folder / "notebooks" / "01_one.ipynb")
    (found,) = find_notebooks(folder / "notebooks")
    parameters = {"clinic": "b.toml", "month": "2026-10"} if parameters is None else parameters
    return execute_notebook(found, node, parameters, cwd=folder, scratch=folder / "scratch", **options)


def gone(is_meant):
    """Whether no process fits, at last."""
    deadline = time.monotonic() + 5
    while any(is_meant(process.info) for process in psutil.process_iter(["cmdline", "status", "ppid"])):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(autouse=True)
def _no_kernel_left():
    yield
    assert gone(lambda info: "ipykernel_launcher" in (info["cmdline"] or []) and info["ppid"] == os.getpid())


def outputs(node, id):
    (cell,) = [cell for cell in node.cells if cell["id"] == id]
    return [output["data"]["text/plain"] for output in cell.outputs]


def test_the_same_notebook_gives_the_same_bytes(tmp_path, monkeypatch):
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("month_of_somebody = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home" / ".ipython"))
    (tmp_path / "pandas.py").write_text("raise ImportError('a stray file')")
    node = notebook(
        "import sys; sys.executable",
        "import os, pandas; sorted(os.listdir('.'))[0], clinic, os.environ['TODAY']",
        "print('loud', file=sys.stderr)\nobject()",
        "'month_of_somebody' in globals()",
        "import subprocess; subprocess.Popen(['sleep', '6007']) and None",
    )
    first = run(tmp_path, node, environment={"TODAY": "now"})
    assert outputs(first, "step-0") == [repr(sys.executable)]
    assert outputs(first, "step-1") == ["('home', 'b.toml', 'now')"]
    assert outputs(first, "step-2") == ["<object>"]
    assert outputs(first, "step-3") == ["False"]
    assert gone(lambda info: info["cmdline"] == ["sleep", "6007"] and info["status"] != psutil.STATUS_ZOMBIE)
    text = nbformat.writes(first)
    assert str(tmp_path) not in text.replace(sys.executable, "")
    assert "papermill" not in text
    assert text == nbformat.writes(run(tmp_path, node, environment={"TODAY": "now"}))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", SurroundingsError, "ended from outside"),
        ("import time; time.sleep(60)", SurroundingsError, "did not end within 2 seconds"),
        ("import sys; sys.exit(0)", RfmkitError, "raised SystemExit"),
        ("raise ValueError('Иван Петров')", RfmkitError, "raised ValueError"),
    ],
    ids=["killed", "endless", "exit 0", "tolerated exception"],
)
def test_what_did_not_run_to_its_end_has_failed(tmp_path, source, error, message):
    # The tag makes nbclient go on after an error; it must not help.
    with pytest.raises(HalfRun) as half:
        run(tmp_path, notebook(source, tags=["raises-exception"]), cell_seconds=2)
    assert type(half.value.error) is error
    text = str(half.value.error)
    assert message in text
    assert "cell step-0 («Step 0»)" in text
    assert "Иван" not in text
    assert half.value.node.cells[0].source == "# Title"


def pretend(monkeypatch, change):
    """Let papermill say that all went well, and write a notebook in which `change` was made."""

    def execute(source, target, **options):
        node = nbformat.read(source, as_version=4)
        for count, cell in enumerate(cell for cell in node.cells if cell.cell_type == "code"):
            cell.execution_count = count + 1
            cell.outputs = [new_output("display_data", {"text/html": "x"})]
        change({cell["id"]: cell for cell in node.cells})
        nbformat.write(node, target)

    monkeypatch.setattr("papermill.execute_notebook", execute)


def error_output(name, message):
    return new_output("error", ename=name, evalue=message, traceback=[])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda cells: cells["provenance"].update(outputs=[]), RfmkitError, "its last cell is no provenance"),
        (lambda cells: cells["provenance"].metadata.pop("tags"), RfmkitError, "its last cell is no provenance"),
        (
            lambda cells: cells["step-0"].update(execution_count=None),
            RfmkitError,
            "cell step-0 («Step 0»): was not reached",
        ),
        (
            lambda cells: cells["step-0"].update(
                outputs=[error_output("ExportError", "payments.csv:17: not a number.")]
            ),
            ExportError,
            "payments.csv:17: not a number.",
        ),
        (
            lambda cells: cells["step-0"].update(outputs=[error_output("NotEnoughData", "1 patient came back")]),
            RfmkitError,
            "1 patient came back. Tag the pair of cells",
        ),
    ],
    ids=["silent provenance", "no provenance", "not reached", "our error", "not enough data"],
)
def test_papermill_is_not_taken_at_its_word(tmp_path, monkeypatch, change, error, message):
    pretend(monkeypatch, lambda cells: None)
    assert run(tmp_path, notebook("1"))
    pretend(monkeypatch, change)
    with pytest.raises(HalfRun) as half:
        run(tmp_path, notebook("1"))
    assert type(half.value.error) is error
    assert message in str(half.value.error)


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match="Did you mean month"):
        run(tmp_path, notebook("open('ran', 'w')"), {"moth": "2026-10"})
    assert not (tmp_path / "ran").exists()
