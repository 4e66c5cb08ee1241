"""A notebook made ready for one clinic: without what its data do not carry, with prose in the report's language."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from rfmkit.errors import NOT_ASKED

if TYPE_CHECKING:
    from rfmkit.errors import NotEnoughData
    from rfmkit.present.wording import Reader

_NEEDS = "needs-"
#: Marks the cell that says why a part is missing; the page sets it apart.
REASON_TAG = "reason"


def needed_parts(node: NotebookNode) -> list[str]:
    """The parts of a study that the cells of a notebook ask for by their ``needs-<part>`` tags."""
    return sorted({part for cell in node.cells for part in _needs(cell)})


def prepare(node: NotebookNode, *, missing: Mapping[str, NotEnoughData], reader: Reader) -> NotebookNode:
    """Leave out what cannot be shown and translate the rest.

    Parameters
    ----------
    node : nbformat.NotebookNode
        A notebook as it is kept; not changed.
    missing : mapping
        The parts that the data do not carry, and why. Each run of cells that need such a part gives way to one cell
        with the reason; of what the clinic file does not ask for nothing is said.
    reader : Reader
        For whom.
    """
    cells = []
    gap = None
    for cell in node.cells:
        lacking = next((part for part in _needs(cell) if part in missing), None)
        if lacking is not None:
            if lacking != gap and missing[lacking].status != NOT_ASKED:
                reason = new_markdown_cell(reader.reason(missing[lacking]), id=cell["id"])
                reason.metadata["tags"] = [REASON_TAG]
                cells.append(reason)
            gap = lacking
            continue
        gap = None
        cell = copy.deepcopy(cell)
        if cell.cell_type == "markdown":
            cell.source = reader.markdown(cell.source)
        cells.append(cell)
    prepared = copy.deepcopy(node)
    prepared.cells = cells
    return prepared


def _needs(cell: NotebookNode) -> list[str]:
    return [tag.removeprefix(_NEEDS) for tag in cell.metadata.get("tags", []) if tag.startswith(_NEEDS)]
