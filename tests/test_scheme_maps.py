"""The maps of the schemes are those of the files, and every cell is on them."""

import re

import pytest
from conftest import REPOSITORY

from rfmkit import load_scheme
from rfmkit.clinic import SCHEMES
from rfmkit.publish.scheme_maps import scheme_map, scheme_maps


def test_the_document_is_as_new_as_the_schemes():
    written = (REPOSITORY / "docs" / "schemes.md").read_text(encoding="utf-8")
    assert written == scheme_maps(), "write it anew: make schemes"


@pytest.mark.parametrize("name", SCHEMES)
def test_a_map_read_back_is_the_scheme(name):
    scheme = load_scheme(name)
    scores = range(1, scheme.bins + 1)
    found = {}
    for recency, line in re.findall(r"^\| \*\*R (\d)\*\* \| (.*) \|$", scheme_map(name), re.MULTILINE):
        for frequency, field in enumerate(line.split(" | "), 1):
            for part in field.split("<br>"):
                key, low, high = re.fullmatch(r"`(\w+)`(?: \(M (\d)(?:–(\d))?\))?", part).groups()
                for money in range(int(low), int(high or low) + 1) if low else scores:
                    found[f"{recency}{frequency}{money}"] = key
    assert found == scheme.segment_of


def test_a_scheme_of_one_s_own_is_drawn_too(tmp_path):
    path = tmp_path / "own.toml"
    groups = [("a", "2 12 12", 'name = {en = "Here", ru = "Здесь"}'), ("b", "1 12 12", "")]
    path.write_text(
        "bins = 2\n"
        + "".join(
            f'[[segments]]\nkey = "{key}"\ncolour = "#000000"\ncells = ["{box}"]\n{more}\n' for key, box, more in groups
        ),
        encoding="utf-8",
    )
    text = scheme_map(path)
    assert "| **R 2** | `a` | `a` |" in text
    assert "| `a` | Here | Здесь | Here | 4 |" in text
