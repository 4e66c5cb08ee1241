"""The notebooks that make a report: where they are, what they are called, what they can be asked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat

from rfmkit.errors import Problem, UsageError

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell, ``name: kind = default  # help``."""

    name: str
    kind: str
    default: str
    help: str


@dataclass(frozen=True)
class Notebook:
    """One notebook of the report.

    Attributes
    ----------
    name : str
        The file's name without ``.ipynb``: ``02_rfm_segments``.
    path : pathlib.Path
        The file.
    title : str
        The heading of its first cell, in English.
    parameters : tuple of Parameter
        What it can be asked, in the order of its parameters cell.
    """

    name: str
    path: Path
    title: str
    parameters: tuple[Parameter, ...]


def notebooks_folder() -> Path:
    """Where the notebooks are: what ``RFMKIT_NOTEBOOKS`` names, else the installed package's, else the repository's."""
    if own := os.environ.get("RFMKIT_NOTEBOOKS"):
        return Path(own)
    inside = _PACKAGE / "notebooks"
    return inside if inside.is_dir() else _PACKAGE.parent / "notebooks"


def find_notebooks(folder: Path | None = None) -> list[Notebook]:
    """List the notebooks of a folder in reading order.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where to look; the packaged notebooks by default.
    """
    return [_inspect(path) for path in sorted((folder or notebooks_folder()).glob("[!.]*.ipynb"))]


def notebook_named(name: str, folder: Path | None = None) -> Notebook:
    """Find a notebook by its name, with or without the leading number.

    Raises
    ------
    UsageError
        If there is none of that name; the known ones are named.
    """
    known = find_notebooks(folder)
    for notebook in known:
        if name in (notebook.name, notebook.name.partition("_")[2]):
            return notebook
    names = ", ".join(notebook.name for notebook in known)
    raise UsageError(Problem("--notebook", f"there is no notebook of that name. Known: {names}"))


def check_parameters(notebook: Notebook, given: Mapping[str, object]) -> None:
    """Refuse parameters that the notebook does not declare; papermill would only log them.

    Raises
    ------
    UsageError
        With every unknown name, the nearest known one, and all that are known.
    """
    known = [parameter.name for parameter in notebook.parameters]
    problems = []
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            problems.append(
                Problem(notebook.path.name, f"unknown parameter {name}", f"{hint}Known: {', '.join(known)}.")
            )
    if problems:
        raise UsageError(problems)


def _inspect(path: Path) -> Notebook:
    import papermill

    node = nbformat.read(path, as_version=4)
    first = node.cells[0].source.lstrip() if node.cells else ""
    parameters = (
        Parameter(found["name"], found["inferred_type_name"], found["default"], found["help"])
        for found in papermill.inspect_notebook(node).values()
    )
    return Notebook(path.stem, path, split_title(first)[0], tuple(parameters))


def split_title(markdown: str) -> tuple[str, str]:
    """Take the heading off a title cell: the heading's text, and what follows it."""
    heading, _, rest = markdown.lstrip().partition("\n")
    if not heading.startswith("# "):
        return "", markdown
    return heading[2:].strip(), rest.strip()
