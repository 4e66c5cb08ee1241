"""docs/schemes.md: each scheme as a map of its cube, written from the scheme files.

``python -m rfmkit.publish.scheme_maps`` (or ``make schemes``) writes it anew; a test fails where it is older than they.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from rfmkit import Reader, load_scheme
from rfmkit.clinic import LOCALES, SCHEMES

DOCUMENT = Path(__file__).parents[2] / "docs" / "schemes.md"
_INACTIVE = "inactive"
_HEAD = """# The schemes

Written by `make schemes` from the files of `rfmkit/analysis/schemes/`; do not edit.

Every patient who came inside the window has a score for recency (R), for frequency (F) and for money (M), the highest
is best. A map shows the group of each score: recency from above, frequency from the left, and inside a field money,
the lowest first. A group without a number in brackets takes all scores of money. Patients who did not come inside the
window are `inactive`.
"""


def scheme_maps() -> str:
    """The maps of all schemes of rfmkit, as Markdown."""
    return "\n".join([_HEAD, *(scheme_map(name) for name in SCHEMES)])


def scheme_map(name_or_path: str | Path) -> str:
    """One scheme as Markdown: its groups with their names and cells, and which group holds each cell.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        As for `rfmkit.load_scheme`.
    """
    scheme = load_scheme(name_or_path)
    scores = [str(score) for score in range(1, scheme.bins + 1)]
    readers = {locale: Reader(locale, own=scheme.words(locale)) for locale in LOCALES}
    held = list(scheme.segment_of.values())
    groups = [key for key in scheme.segments if key != _INACTIVE]
    legend = [
        [f"`{key}`", *(reader.name("segment", key) for reader in readers.values()), str(held.count(key))]
        for key in groups
    ]
    rows = [
        [f"**R {r}**", *(_field([scheme.segment_of[r + f + m] for m in scores]) for f in scores)]
        for r in reversed(scores)
    ]
    return "\n".join(
        [
            f"## {scheme.name}",
            "",
            f"{len(groups)} groups in {scheme.bins} × {scheme.bins} × {scheme.bins} = {len(held)} cells.",
            "",
            *_table(["", *(f"F {f}" for f in scores)], rows),
            "",
            *_table(["group", *readers, "cells"], legend),
            "",
        ]
    )


def _field(by_money: list[str]) -> str:
    """The groups of one field, each with its scores of money."""
    runs, start = [], 1
    for key, run in itertools.groupby(by_money):
        end = start + len(list(run)) - 1
        runs.append((f"`{key}`", f"{start}" if start == end else f"{start}–{end}"))
        start = end + 1
    if len(runs) == 1:
        return runs[0][0]
    return "<br>".join(f"{key} (M {scores})" for key, scores in runs)


def _table(heading: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    DOCUMENT.write_text(scheme_maps(), encoding="utf-8")
