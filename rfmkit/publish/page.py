"""Executed notebooks as one page: no code, no request, nothing unsanitised."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from rfmkit.errors import Problem, RfmkitError
from rfmkit.publish.cover import Card, logo_uri, readable
from rfmkit.publish.notebooks import split_title
from rfmkit.publish.sanitise import clean

if TYPE_CHECKING:
    from rfmkit.clinic import Clinic
    from rfmkit.present.wording import Reader

_TEMPLATES = Path(__file__).parent
_TEMPLATE = "template"
#: How the ids of cells begin that a notebook explains its words with; a whole report does so once.
_DEFINITIONS = "definitions"
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_CAPTION = re.compile(r"<caption[^>]*>(.*?)</caption>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_NO_WORDS = re.compile(r'<img(?![^>]*\salt="[^"])[^>]*>')


@dataclass(frozen=True)
class Page:
    """What a page shows besides its notebooks.

    Attributes
    ----------
    month, as_of : str
        As the reader writes them.
    cards : sequence of Card
        The headline numbers; none on the page of a single notebook.
    definitions : sequence of (str, str)
        Terms and their meaning; the section is left out when there are none.
    version : str
        rfmkit's.
    """

    month: str
    as_of: str
    version: str
    cards: Sequence[Card] = ()
    definitions: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class _Section:
    key: str
    title: str
    kind: str


def render(notebooks: Mapping[str, NotebookNode], page: Page, *, clinic: Clinic, reader: Reader) -> str:
    """Make the page.

    Parameters
    ----------
    notebooks : mapping
        Executed notebooks by name, in reading order.
    page : Page
        What surrounds them.
    clinic : Clinic
        For the clinic's name and the consultant's brand.
    reader : Reader
        For whom.

    Returns
    -------
    str
        One HTML document that needs nothing but itself.

    Raises
    ------
    RfmkitError
        If a figure has no alternative text: such a page does not leave the house.
    """
    import nbconvert

    combined, sections = _combine(notebooks, page, reader)
    style = stylesheet(clinic.report.colour)
    exporter = nbconvert.HTMLExporter(
        template_name=_TEMPLATE,
        extra_template_basedirs=[str(_TEMPLATES)],
        exclude_anchor_links=True,
        default_preprocessors=[],
        filters={"prose": _prose, "result": _result},
    )
    exporter.environment.autoescape = True
    exporter.environment.globals.update(
        say=reader.say,
        report={
            "language": reader.language,
            "policy": policy(style),
            "style": style,
            "name": clinic.name,
            "brand": clinic.report.brand_name,
            "logo": logo_uri(clinic.logo) if clinic.logo else "",
            "heading": "" if page.cards else sections[0].title,
            "month": page.month,
            "as_of": page.as_of,
            "version": page.version,
            "cards": page.cards,
            "definitions": page.definitions,
            "sections": sections,
        },
    )
    document, _ = exporter.from_notebook_node(combined)
    return document + "\n"


def _combine(notebooks: Mapping[str, NotebookNode], page: Page, reader: Reader) -> tuple[NotebookNode, list[_Section]]:
    """All cells in one notebook, each marked with its section; the provenance, which all share, once and last."""
    cells, sections, provenance = [], [], []
    for name, node in notebooks.items():
        key = _key(name)
        title, rest = split_title(node.cells[0].source)
        sections.append(_Section(key, title or key, "notebook"))
        for place, cell in enumerate(node.cells):
            cell = copy.deepcopy(cell)
            cell.metadata.setdefault("tags", [])
            cell.metadata["section"] = key
            cell["id"] = f"{len(sections)}-{place}"
            if place == 0:
                cell.source = rest
            if "provenance" in cell.metadata["tags"]:
                cell.metadata["section"] = "provenance"
                provenance = [cell]
            elif page.definitions and node.cells[place].get("id", "").startswith(_DEFINITIONS):
                continue
            elif cell.cell_type == "code" or cell.source.strip():
                cells.append(cell)
    if page.definitions:
        sections.append(_Section("definitions", reader.say("Definitions"), "definitions"))
    sections.append(_Section("provenance", reader.say("Provenance"), "provenance"))
    combined = new_notebook()
    combined.cells = cells + provenance
    return combined, sections


def _key(name: str) -> str:
    """A notebook's name as an anchor: "02_rfm_segments" is "rfm-segments"."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"^\d+_", "", name.lower())).strip("-") or "section"


class Trusted(str):
    """Text of our own, which the template takes as it is."""

    def __html__(self) -> str:
        return self


def _prose(text: str) -> Trusted:
    return Trusted(_framed(clean(text, shift_headings=1)))


def _result(text: str | list[str]) -> Trusted:
    return Trusted(_framed(clean("".join(text), shift_headings=1, highest=4)))


def _framed(text: str) -> str:
    """Let wide tables and figures scroll in their own box, also from the keyboard; refuse pictures without words."""
    # Here and not on the finished page: nbconvert gives a picture without words the words that it has none.
    if _NO_WORDS.search(text):
        raise RfmkitError(Problem("report.html", "a figure has no alternative text", "This is a fault of rfmkit's."))

    def frame(found: re.Match) -> str:
        caption = _CAPTION.search(found[0])
        label = html.escape(html.unescape(_TAG.sub("", caption[1])).strip()) if caption else ""
        return f'<div class="scroll" role="group" tabindex="0" aria-label="{label}">{found[0]}</div>'

    return _TABLE.sub(frame, text).replace("<figure", '<figure tabindex="0"')


def stylesheet(colour: str = "#1f5f8b") -> Trusted:
    """Our stylesheet with an accent colour in front."""
    sheet = (_TEMPLATES / _TEMPLATE / "style.css").read_text(encoding="utf-8")
    return Trusted(f":root {{ --accent: {colour.lower()}; --accent-ink: {readable(colour)}; }}\n{sheet}")


def policy(style: str) -> str:
    """Allow pictures in data URIs and this very stylesheet; forbid everything else, requests of any kind included."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
