"""The paper that figures are drawn on: size, type, colours, and SVG that the reader's own fonts set."""

from __future__ import annotations

import base64
import html
import io
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

#: Inches: 720 px at 96 dots an inch, where 9 pt are 12 px.
WIDTH = 7.5

TEXT = "#2b2f33"
MUTED = "#5f6771"
LINE = "#d9dde2"
PALE = "#f3f5f7"
GREY = "#b4bac2"

#: What a browser sets the text in: the system's own face first, then faces that have Chinese.
FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', 'PingFang SC', "
    "'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif"
)

_MEASURED_WITH = "DejaVu Sans"  # comes with matplotlib, so that the layout is the same on every machine
_STYLE = {
    "font.family": [_MEASURED_WITH],
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": False,
    "figure.facecolor": "white",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "rfmkit",
    "text.color": TEXT,
    "xtick.color": LINE,
    "xtick.labelcolor": TEXT,
    "xtick.labelsize": 9,
    "ytick.color": LINE,
    "ytick.labelcolor": TEXT,
    "ytick.labelsize": 9,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style and leave no trace of it."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Only measured here; the reader's browser has the glyphs.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        yield


def new_axes(height: float, *, left: float = 0.0, right: float = 0.0, top: float = 0.0, bottom: float = 0.0) -> Axes:
    """Axes on a new sheet of the report's width; all measures in inches, none depends on the length of a text."""
    sheet = MatplotlibFigure(figsize=(WIDTH, height))
    width = WIDTH - left - right
    return sheet.add_axes((left / WIDTH, bottom / height, width / WIDTH, (height - bottom - top) / height))


def tint(colour: str, share: float) -> str:
    """`colour` thinned with white: 1 is the colour, 0 is white."""
    return to_hex([1 - share * (1 - part) for part in to_rgb(colour)])


def line_colour(colour: str) -> str:
    """`colour`, darkened until a line of it can be seen on white (contrast 3 : 1)."""
    parts = to_rgb(colour)
    while 1.05 / (_luminance(parts) + 0.05) < 3:
        parts = tuple(0.95 * part for part in parts)
    return to_hex(parts)


def shade(colour: str, share: float) -> str:
    """The tint of `colour` for a share of the highest value: never so deep that text cannot be read on it (4.5 : 1)."""
    deepest = 1.0
    while (_luminance(to_rgb(tint(colour, deepest))) + 0.05) / (_luminance(to_rgb(TEXT)) + 0.05) < 4.5:
        deepest -= 0.05
    return tint(colour, deepest * (0.08 + 0.92 * share))


def _luminance(parts) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def name_mark(ax: Axes, mark: str, colour: str, label: str, *, offset: float) -> None:
    """Say above the axes, `offset` points from their left, what a mark of `colour` means."""
    sheet = ax.get_figure(root=True)
    at = ax.transAxes + ScaledTranslation((offset + 4) / 72, 12 / 72, sheet.dpi_scale_trans)
    ax.add_artist(Line2D([0], [1], marker=mark, markersize=6, color=colour, linestyle="", transform=at, clip_on=False))
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    ax.annotate(label, (0, 1), (offset + 13, 12), va="center", **place)


def draw_cell(ax: Axes, x: float, y: float, colour: str, label: str, note: str = "", *, size: float = 9) -> None:
    """A cell of a matrix around (x, y): one line of text of `size` points, and a smaller one under it."""
    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
    # Two texts and not one of two lines: SVG text of several lines would be placed by the wrong font's measures.
    if label:
        ax.text(x, y + (0.14 if note else 0), label, ha="center", va="center", fontsize=size)
    if note:
        ax.text(x, y - 0.24, note, ha="center", va="center", fontsize=8)


def frame_matrix(ax: Axes, columns: list[str], rows: list[str], *, xlabel: str, ylabel: str) -> None:
    """Name the columns and rows of a matrix of cells whose first row is the lowest."""
    ax.set(
        xlim=(-0.5, len(columns) - 0.5),
        ylim=(-0.5, len(rows) - 0.5),
        xlabel=xlabel,
        ylabel=ylabel,
    )
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


@dataclass(frozen=True)
class Figure:
    """A finished figure, shown as it will stand in the report.

    Parameters
    ----------
    svg : str
        The drawing; its text is text.
    alt : str
        What it shows, in words, with the numbers that matter.
    """

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.svg.encode()).decode()
        return f'<figure><img alt="{html.escape(self.alt)}" src="data:image/svg+xml;base64,{source}"></figure>'


def figure(ax: Axes) -> Figure:
    """Finish a plot: the figure of `ax` as SVG, the same bytes every time.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        What a function of `rfmkit.plots` returned.

    Returns
    -------
    Figure
        The last expression of a notebook's cell shows it.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmkit import plots
    >>> cells = pd.DataFrame({"recency_score": [1, 2], "frequency_score": [1, 1], "patients": [30, 70]})
    >>> plots.figure(plots.score_heatmap(cells)).alt
    'Most patients, 70 (70.0%), have recency score 2 and frequency score 1.'
    """
    sheet = ax.get_figure(root=True)
    written = io.StringIO()
    with drawing():
        sheet.savefig(written, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(sheet)  # an analyst's own subplots would otherwise be shown a second time
    svg = re.sub(f"font-family: '{_MEASURED_WITH}'", f"font-family: {FONTS}", written.getvalue())
    return Figure(svg, getattr(ax, "alt_text", ""))
