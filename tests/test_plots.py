"""Figures: what is drawn is what was given, small groups are not, and the text is the reader's."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import frames
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Sheet

from rfmkit.present import Reader, plots
from rfmkit.present.plots import canvas

CASES = {
    "cohorts": frames.COHORTS,
    "group_history": frames.GROUP_HISTORY,
    "holdout": frames.BY_FREQUENCY,
    "loyalty_history": frames.HISTORY,
    "movement_flows": frames.TRANSITIONS,
    "probability_alive": frames.ALIVE_GRID,
    "revenue_history": frames.HISTORY,
    "score_distribution": frames.SCORE_BANDS,
    "score_heatmap": frames.SCORE_GRID,
    "segment_sizes": frames.SEGMENTS,
    "transition_matrix": frames.TRANSITIONS,
    "visit_volume": frames.VISIT_VOLUME,
}
ALL = pytest.mark.parametrize("name", CASES)
READERS = {locale: Reader(locale, currency, 5) for locale, currency in [("en", "EUR"), ("ru", "RUB"), ("zh", "CNY")]}
SVG = "{http://www.w3.org/2000/svg}"


def draw(name: str, **more):
    return getattr(plots, name)(CASES[name], **more)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_the_cases_are_exhaustive():
    assert {*CASES, "figure", "Figure"} == set(plots.__all__)


# --- the contract of every plot


@ALL
def test_a_plot_draws_on_the_axes_it_is_given(name):
    ax = Sheet().add_subplot()
    assert draw(name, ax=ax) is ax
    assert draw(name) is not draw(name)


@ALL
def test_a_plot_leaves_no_trace(name):
    style, given = dict(matplotlib.rcParams), CASES[name].copy(deep=True)
    plots.figure(draw(name, reader=READERS["zh"]))
    assert dict(matplotlib.rcParams) == style
    pd.testing.assert_frame_equal(CASES[name], given)


@ALL
@pytest.mark.parametrize("locale", READERS)
def test_text_stays_text_and_the_reader_s_fonts_set_it(name, locale):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = plots.figure(draw(name, reader=READERS[locale])).svg
    words = [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    script = {"en": "[a-z]{3}", "ru": "[а-я]{3}", "zh": "[\u4e00-\u9fff]{2}"}[locale]
    assert any(re.search(script, word) for word in words)
    assert "DejaVu" not in svg
    assert svg.count("font-family") == svg.count("'Noto Sans CJK SC'") == len(words)


@ALL
def test_text_can_be_read_on_a_page_720_pixels_wide(name):
    svg = plots.figure(draw(name)).svg
    width = float(ElementTree.fromstring(svg).get("viewBox").split()[2])
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert min(sizes) * 720 / width >= 10


@ALL
def test_a_figure_has_the_same_bytes_every_time(name):
    first, second = (plots.figure(draw(name, reader=READERS["ru"])) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first.svg


@ALL
@pytest.mark.parametrize("locale", READERS)
def test_alternative_text_tells_the_numbers(name, locale):
    html = plots.figure(draw(name, reader=READERS[locale]))._repr_html_()
    alt = re.fullmatch(r'<figure><img alt="([^"]+)" src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+"></figure>', html)[
        1
    ]
    assert len(re.findall(r"\d+", alt)) >= 3
    assert not re.search(r"[{}]|nan|None", alt)


def test_alternative_text_is_escaped():
    frame = frames.SEGMENTS.assign(segment='"><script>')
    assert "<script" not in plots.figure(plots.segment_sizes(frame))._repr_html_()


def test_nothing_of_a_figure_stays_in_memory_and_presenting_is_cheap():
    program = """
import sys
import rfmkit.present, rfmkit.present.tables, rfmkit.present.disclosure
heavy = {"matplotlib", "pandas", "numpy", "seaborn", "duckdb"} & set(sys.modules)
assert not heavy, heavy
import frames
from rfmkit.present import plots
plots.figure(plots.holdout(frames.BY_FREQUENCY))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=frames.__file__.rpartition("/")[0], timeout=60)


def test_an_analyst_s_own_subplots_are_not_shown_twice():
    from matplotlib import pyplot

    sheet, (left, right) = pyplot.subplots(1, 2)
    draw("score_heatmap", ax=left)
    draw("loyalty_history", ax=right)
    plots.figure(left)
    assert sheet.number not in pyplot.get_fignums()


# --- colours


@pytest.mark.parametrize("colour", ["#1f5f8b", "#ffe94d", "#000000", "#ffffff", "#e2007a"])
def test_text_reads_on_every_shade_and_lines_are_seen(colour):
    def contrast(first, second):
        light, dark = sorted((canvas._luminance(canvas.to_rgb(part)) + 0.05 for part in (first, second)), reverse=True)
        return light / dark

    assert all(contrast(canvas.TEXT, canvas.shade(colour, share)) >= 4.5 for share in np.linspace(0, 1, 11))
    assert contrast(canvas.line_colour(colour), "#ffffff") >= 3


# --- what is drawn


def test_bars_are_the_shares():
    ax = draw("segment_sizes")
    bars = {(round(bar.get_y() + bar.get_height() / 2, 2), bar.get_width()) for bar in ax.patches}
    rows = len(frames.SEGMENTS)
    for place, row in enumerate(frames.SEGMENTS.to_dict("records")):
        assert (round(rows - 1 - place + 0.18, 2), row["patients_share"]) in bars
        assert (round(rows - 1 - place - 0.18, 2), row["revenue_share"]) in bars
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "Champions"
    assert "34.3% · 1.9M" in texts(ax)


def test_a_cell_of_few_patients_has_neither_number_nor_tint():
    ax = draw("score_heatmap", reader=READERS["en"])
    cells = dict(zip([text.get_position() for text in ax.texts], texts(ax), strict=True))
    colours = {(patch.get_x() + 0.5, patch.get_y() + 0.5): canvas.to_hex(patch.get_facecolor()) for patch in ax.patches}
    assert cells[3, 0] == "< 5"
    assert cells[1, 0] == "0"
    assert colours[3, 0] == colours[1, 0] == canvas.PALE
    assert cells[0, 4] == "244"
    assert texts(draw("score_heatmap"))[3] == "3", "without a reader's min_count nothing is hidden"


def test_rows_of_a_matrix_rise_and_columns_run():
    ax = draw("score_heatmap")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3", "4", "5"]
    alive = draw("probability_alive")
    assert [label.get_text() for label in alive.get_yticklabels()] == ["1", "2", "3", "4–5", "6–9", "10+"]
    assert [label.get_text() for label in alive.get_xticklabels()] == ["< 1", "1–2", "3–5", "6–11", "12–23", "24+"]


def test_probabilities_of_few_patients_are_not_drawn():
    written = texts(draw("probability_alive", reader=READERS["en"]))
    assert written.count("< 5") == 1
    assert "97%" in written
    assert len(written) == 2 * 34 + 1, "34 cells of two lines and a small one; in an empty one nothing is written"


def test_bars_of_few_patients_have_no_height():
    panels = draw("score_distribution", reader=READERS["en"]).child_axes
    assert [bar.get_height() for bar in panels[1].patches] == [900, 620, 400, 0]
    assert texts(panels[1]) == ["900", "620", "400", "< 5"]
    assert len(panels) == 3


def test_predicted_and_actual_are_two_lines_that_also_differ_without_colour():
    ax = draw("holdout", reader=READERS["en"])
    actual, predicted = (
        next(line for line in ax.lines if line.get_label() == label) for label in ("Actual", "Predicted")
    )
    expected = frames.BY_FREQUENCY.assign(actual=lambda frame: frame["actual"].where(frame["patients"] >= 5))
    np.testing.assert_array_equal(actual.get_ydata(), expected["actual"])
    assert np.isnan(predicted.get_ydata()[6])
    assert (actual.get_linestyle(), actual.get_marker()) != (predicted.get_linestyle(), predicted.get_marker())


def test_an_unknown_rate_leaves_a_gap():
    rpr, _, crr = draw("loyalty_history").child_axes
    np.testing.assert_array_equal(crr.lines[0].get_ydata(), frames.HISTORY["crr"])
    assert rpr.lines[1].get_ydata() == [frames.HISTORY["rpr"].iloc[-1]]


def test_a_rate_that_is_never_known_has_no_panel():
    history = frames.HISTORY.assign(crr=float("nan"))
    assert len(plots.loyalty_history(history).child_axes) == 2


def test_months_with_open_days_without_a_visit_stand_out_and_say_how_many():
    ax = draw("visit_volume", reader=READERS["en"])
    assert [bar.get_height() for bar in ax.patches] == list(frames.VISIT_VOLUME["visits"])
    colours = [canvas.to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert [place for place, colour in enumerate(colours) if colour != colours[0]] == [2, 6]
    assert [(text.get_text(), text.xy[0]) for text in ax.texts if text.get_text().isdigit()] == [("7", 2), ("1", 6)]


def test_a_full_calendar_marks_nothing():
    ax = plots.visit_volume(frames.VISIT_VOLUME.assign(days_without_visits=0))
    assert texts(ax) == ["Visits in the month"]
    assert ax.alt_text.endswith("There are no working days without a visit.")


def test_the_volume_is_told_in_words():
    # Months of 150, 154 … 242 visits: the middle lies between the 12th and the 13th, 194 and 198.
    assert draw("visit_volume", reader=READERS["en"]).alt_text == (
        "Visits a month from November 2024 to October 2026: 196 in a usual month, 242 in the last one. "
        "Working days without a visit: 8 in 2 months; the most, 7, in January 2025."
    )


def test_months_of_many_years_have_no_numbers_that_run_into_each_other():
    months = pd.period_range("2010-01", "2026-10", freq="M").astype(str)
    years = pd.DataFrame({"month": months, "visits": 100, "days_without_visits": 3})
    ax = plots.visit_volume(years)
    assert not [text for text in texts(ax) if text.isdigit()]
    assert len(ax.get_xticks()) <= 8


def test_small_ripples_stay_small():
    flat = frames.HISTORY.assign(rpr=[0.5 + 0.001 * (place % 2) for place in range(24)])
    low, high = plots.loyalty_history(flat).child_axes[0].get_ylim()
    assert high - low >= 0.2 * 0.5


# --- movement


def test_a_matrix_of_moves_tints_who_moved_and_hides_the_few():
    ax = draw("transition_matrix", reader=READERS["en"])
    rows, columns = ([label.get_text() for label in labels()] for labels in (ax.get_yticklabels, ax.get_xticklabels))
    assert columns == ["Champions", "Loyal", "At risk", "Lost", "Long absent"]
    assert rows == ["Not yet a patient", *reversed(columns)]
    written = dict(zip([text.get_position() for text in ax.texts], texts(ax), strict=True))
    colours = {(patch.get_x() + 0.5, patch.get_y() + 0.5): canvas.to_hex(patch.get_facecolor()) for patch in ax.patches}

    def at(was: str, now: str) -> tuple[float, float]:
        return columns.index(now), rows.index(was)

    assert written[at("Champions", "Champions")] == "240"
    assert written[at("Champions", "Lost")] == "< 5"
    assert at("Loyal", "Lost") not in written, "where nobody moved nothing is written"
    plain = [at("Champions", "Champions"), at("Champions", "Lost"), at("Loyal", "Lost")]
    assert {colours[place] for place in plain} == {canvas.PALE}
    assert colours[at("Lost", "Long absent")] == canvas.shade(READERS["en"].colour, 1), "the largest move, of 71"
    assert written[at("Not yet a patient", "Loyal")] == "30"


def test_flows_keep_their_breadth_and_small_ones_do_not_tell_it():
    def bands(transitions):
        ax = plots.movement_flows(transitions, most=9, reader=READERS["en"])
        drawn = [patch for patch in ax.patches if hasattr(patch, "get_path") and len(patch.get_path().vertices) == 9]
        starts = [patch.get_path().vertices for patch in drawn]
        assert all(one[0][1] - one[7][1] == pytest.approx(one[3][1] - one[4][1]) for one in starts)
        return sorted(one[0][1] - one[7][1] for one in starts), ax

    widths, ax = bands(frames.TRANSITIONS)
    # 3 of "< 5" are as 2.5; 9, 30, 44, 52, 61, 71 as they are.
    assert [width / widths[-1] for width in widths] == pytest.approx([one / 71 for one in (2.5, 9, 30, 44, 52, 61, 71)])
    few = frames.TRANSITIONS["patients"].eq(3)
    assert bands(frames.TRANSITIONS.assign(patients=frames.TRANSITIONS["patients"].where(~few, 1)))[0] == widths
    assert {"Champions · 55", "Not yet a patient · 30", "Loyal · 39", "Long absent · 9", "Long absent · 71"} <= set(
        texts(ax)
    )
    bars = [(bar.get_x(), bar.get_height()) for bar in ax.patches if hasattr(bar, "get_height")]
    left, right = (sum(height for x, height in bars if (x == 0) == first) for first in (True, False))
    assert left == pytest.approx(right) == pytest.approx(sum(widths))


def test_the_least_moved_groups_are_joined():
    told = texts(plots.movement_flows(frames.TRANSITIONS, most=1, reader=READERS["en"]))
    # The lost moved most: 71 out, and 3 + 44 in. Moves of the others among themselves are none any more.
    assert [text for text in told if "·" in text] == [
        *("Lost · 71", "Other groups · 47", "Long absent · 9", "Not yet a patient · 30"),
        *("Lost · 47", "Other groups · 39", "Long absent · 71"),
    ]


def test_the_groups_of_a_month_stand_one_upon_the_other():
    ax = draw("group_history")
    sizes = frames.GROUP_HISTORY.pivot(index="month", columns="segment", values="patients")
    tops = [max(layer.get_paths()[0].vertices[:, 1]) for layer in ax.collections]
    assert tops == sizes[["champions", "loyal", "at_risk", "lost", "inactive"]].cumsum(axis=1).max().tolist()
    assert texts(ax)[0] == f"Long absent · {sizes['inactive'].iloc[-1]}"


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("group_history", frames.GROUP_HISTORY.assign(patients=0)),
        ("movement_flows", frames.TRANSITIONS.assign(patients=0)),
        ("movement_flows", frames.TRANSITIONS.assign(patients=1)),
        ("transition_matrix", frames.TRANSITIONS.assign(patients=0)),
        ("transition_matrix", frames.TRANSITIONS.assign(patients=1)),
        ("loyalty_history", frames.HISTORY.assign(rpr=np.nan, aov=np.nan, crr=np.nan)),
        ("probability_alive", frames.ALIVE_GRID.assign(patients=0, probability_alive=np.nan)),
        ("score_heatmap", frames.SCORE_GRID.assign(patients=0)),
        ("holdout", frames.BY_FREQUENCY.assign(patients=2)),
        ("score_distribution", frames.SCORE_BANDS.assign(patients=1)),
        ("segment_sizes", frames.SEGMENTS.assign(patients_share=np.nan, revenue_share=np.nan)),
        ("segment_sizes", frames.SEGMENTS.head(0)),
        ("visit_volume", frames.VISIT_VOLUME.assign(visits=0, days_without_visits=0)),
        ("visit_volume", frames.VISIT_VOLUME.head(0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_there_may_be_nothing_to_draw(name, frame):
    shown = plots.figure(getattr(plots, name)(frame, reader=READERS["en"]))
    assert shown.alt
    assert ElementTree.fromstring(shown.svg) is not None
