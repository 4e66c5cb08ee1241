"""One notebook, executed from top to bottom or not at all."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode

from rfmkit.errors import Problem, RfmkitError, SurroundingsError
from rfmkit.publish.kernels import private_kernels
from rfmkit.publish.notebooks import Notebook, check_parameters

#: Seconds one cell may take, a kernel may take to start, and a cell's output may lag behind its end.
CELL_SECONDS, START_SECONDS, OUTPUT_SECONDS = 600, 120, 60
_FAULT = "This is a fault of rfmkit's."
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_OUR_ERRORS = {kind.__name__: kind for kind in (RfmkitError, *RfmkitError.__subclasses__())}


class HalfRun(Exception):
    """A notebook that did not reach its end.

    Attributes
    ----------
    error : RfmkitError
        What to tell, and with which exit code.
    node : nbformat.NotebookNode or None
        The notebook as far as it came; it may hold values from the export, so it is for private folders only.
    """

    def __init__(self, error: RfmkitError, node: NotebookNode | None = None):
        self.error = error
        self.node = node
        super().__init__(str(error))


def execute_notebook(
    notebook: Notebook,
    node: NotebookNode,
    parameters: Mapping[str, object],
    *,
    cwd: Path,
    scratch: Path,
    environment: Mapping[str, str] | None = None,
    cell_seconds: int = CELL_SECONDS,
) -> NotebookNode:
    """Execute a notebook and make sure that it was executed.

    Parameters
    ----------
    notebook : Notebook
        Which one: for its name and its parameters.
    node : nbformat.NotebookNode
        Its cells, as `prepare` left them; not changed.
    parameters : mapping
        Values for its parameters cell.
    cwd : pathlib.Path
        Where it runs; relative paths in `parameters` start there, so that no output holds a path of this machine.
    scratch : pathlib.Path
        A private folder on the disk of the reports.
    environment : mapping, optional
        What its kernel finds in the environment besides ours.
    cell_seconds : int, default 600
        How long one cell may take.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook; the same input gives the same bytes.

    Raises
    ------
    UsageError
        If a parameter is not one of the notebook's; nothing has run then.
    HalfRun
        If a cell failed, was killed, took too long or was not reached.
    """
    import papermill

    check_parameters(notebook, parameters)
    source, target = scratch / f"{notebook.name}.ipynb", scratch / f"{notebook.name}.executed.ipynb"
    nbformat.write(node, source)
    failure = None
    try:
        with private_kernels(environment) as kernel, _silent_logs():
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=dict(parameters),
                kernel_name="rfmkit",
                language="python",
                progress_bar=False,
                cwd=str(cwd),
                start_timeout=START_SECONDS,
                execution_timeout=cell_seconds,
                iopub_timeout=OUTPUT_SECONDS,
                kernel_manager_class=kernel,
                force_raise_errors=True,
                store_widget_state=False,
                record_timing=False,
            )
    except (papermill.PapermillExecutionError, CellTimeoutError, RuntimeError) as error:
        # RuntimeError: a kernel that died (DeadKernelError) or never answered.
        failure = error
    executed = nbformat.read(target, as_version=4) if target.exists() else node
    error = _verdict(notebook, executed, failure, cell_seconds)
    if error is not None:
        raise HalfRun(error, _tidy(executed))
    return _tidy(executed)


def _verdict(
    notebook: Notebook, node: NotebookNode, failure: Exception | None, cell_seconds: int
) -> RfmkitError | None:
    """Why a notebook does not count as executed, judged by its own cells: papermill's word is not enough.

    papermill marks cells of a killed kernel as completed and takes ``sys.exit(0)`` for success, so neither its metadata
    nor its silence is asked.
    """
    code = [place for place, cell in enumerate(node.cells) if cell.cell_type == "code" and cell.source.strip()]
    if isinstance(failure, CellTimeoutError):
        what = f"did not end within {cell_seconds} seconds"
        fix = "Run fewer jobs at once, or on a faster machine."
        return SurroundingsError(Problem(_last_begun(notebook, node), what, fix))
    if isinstance(failure, RuntimeError):
        what = "its process was ended from outside or did not start"
        fix = "Most often memory is short: run fewer jobs at once."
        return SurroundingsError(Problem(_last_begun(notebook, node), what, fix))
    for place in code:
        for output in node.cells[place].outputs:
            if output.output_type == "error":
                return _cell_error(_where(notebook, node, place), output.ename, output.evalue)
        if node.cells[place].execution_count is None:
            return RfmkitError(Problem(_where(notebook, node, place), "was not reached", _FAULT))
    where = f"notebook {notebook.name}"
    if failure is not None:
        return RfmkitError(Problem(where, f"stopped with {type(failure).__name__}", _FAULT))
    last = node.cells[code[-1]] if code else None
    if last is None or "provenance" not in last.metadata.get("tags", []) or not last.outputs:
        return RfmkitError(Problem(where, "its last cell is no provenance", _FAULT))
    return None


def _cell_error(where: str, name: str, message: str) -> RfmkitError:
    """An exception raised in a cell: one of ours with its message, any other by its class alone."""
    if name in _OUR_ERRORS:
        return _OUR_ERRORS[name](Problem(where, message.rstrip(".")))
    if name == "NotEnoughData":
        fix = "Tag the pair of cells with needs-<part>, so that the reason takes its place."
        return RfmkitError(Problem(where, message, fix))
    # The message of a foreign exception may quote the export: its class must do.
    return RfmkitError(Problem(where, f"raised {name}", _FAULT))


def _last_begun(notebook: Notebook, node: NotebookNode) -> str:
    """The cell that ran when a kernel was lost: the last that was begun."""
    begun = [place for place, cell in enumerate(node.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return _where(notebook, node, begun[-1]) if begun else f"notebook {notebook.name}"


def _where(notebook: Notebook, node: NotebookNode, place: int) -> str:
    """A cell by its id and, for a reader without the file, the heading above it."""
    headings = (
        line.lstrip("#").strip()
        for cell in reversed(node.cells[: place + 1])
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    )
    heading = next(headings, "")
    name = node.cells[place].get("id", str(place + 1))
    return f"notebook {notebook.name}, cell {name}" + (f" («{heading}»)" if heading else "")


def _tidy(node: NotebookNode) -> NotebookNode:
    """Take out what papermill and the kernel add that is no result: paths, times, random ids, addresses, streams."""
    node = copy.deepcopy(node)
    node.metadata.pop("papermill", None)
    node.metadata.pop("widgets", None)
    node.cells = [cell for cell in node.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    for cell in node.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        if cell.cell_type == "code":
            # Streams hold warnings with this machine's paths; notebooks show results, they do not print.
            cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
            for output in cell.outputs:
                if "text/plain" in output.get("data", {}):
                    output.data["text/plain"] = _ADDRESS.sub("", output.data["text/plain"])
    return node


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Keep papermill's and nbclient's own messages off the terminal; what matters is raised."""
    logger = logging.getLogger("papermill")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
