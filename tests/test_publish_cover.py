"""The headline numbers and the accent colour."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmkit import Reader
from rfmkit.publish.cover import headline_cards, logo_uri, readable

NAN = float("nan")


def cards(*rows, locale="en"):
    frame = pd.DataFrame(rows, columns=["metric", "value", "last_month", "last_year"])
    return headline_cards(frame, reader=Reader(locale, "EUR"))


@pytest.mark.parametrize(
    ("row", "value", "changes"),
    [
        (("revenue", 110.0, 100.0, 220.0), "€110", [("up", "+10.0%"), ("down", "-50.0%")]),
        (("active_patients", 50, 50, NAN), "50", [("same", "0.0%"), ("unknown", "–")]),
        (("crr", 0.5, 0.45, 0.52), "50.0%", [("up", "+5.0 pp"), ("down", "-2.0 pp")]),
        (("crr", NAN, 0.45, 0.52), "–", [("unknown", "–"), ("unknown", "–")]),
        (("revenue", 1010.0, 0.0, -5.0), "€1,010", [("unknown", "–"), ("unknown", "–")]),
        (("rpr", 0.1, 0.0, 0.1), "10.0%", [("up", "+10.0 pp"), ("same", "0.0 pp")]),
    ],
    ids=[
        "money",
        "equal and unknown",
        "rate in points",
        "unknown now",
        "nothing to divide by",
        "a rate may have been 0",
    ],
)
def test_a_number_and_how_it_moved(row, value, changes):
    (card,) = cards(row)
    assert card.value == value
    assert [(change.direction, change.text) for change in card.changes] == changes


def test_direction_is_also_said_in_words():
    (card,) = cards(("revenue", 2.0, 1.0, 4.0))
    assert [change.words for change in card.changes] == ["up", "down"]
    (russian,) = cards(("revenue", 2.0, 1.0, 4.0), locale="ru")
    assert [change.words for change in russian.changes] != ["up", "down"]


def contrast_on_white(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@given(st.integers(0, 0xFFFFFF))
def test_any_accent_can_be_read_as_text(number):
    colour = f"#{number:06x}"
    ink = readable(colour)
    assert contrast_on_white(ink) >= 4.5
    if contrast_on_white(colour) >= 4.5:
        assert ink == colour


def test_a_logo_is_part_of_the_page(tmp_path):
    (tmp_path / "logo.PNG").write_bytes(b"\x89PNG")
    assert logo_uri(tmp_path / "logo.PNG") == "data:image/png;base64,iVBORw=="
    (tmp_path / "logo.jpg").write_bytes(b"\xff\xd8")
    assert logo_uri(tmp_path / "logo.jpg") == "data:image/jpeg;base64,/9g="
