"""Which group a patient is in: schemes as data, every cell of the score cube in exactly one segment."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from rfmkit.errors import ClinicFileError, Problem

#: No visit in the window, and no visit yet at all: what a scheme may not call a segment of its own.
INACTIVE, NOT_YET = "inactive", "not_yet"
#: What a scheme may say of a segment in words of its own, and where a report looks for them.
WORDS = {"name": "segment", "who": "who", "what": "advice-what", "why": "advice-why"}
_INACTIVE_COLOUR = "#9aa3ab"
_FOLDER = Path(__file__).parent / "schemes"


@dataclass(frozen=True)
class Scheme:
    """A division of the score cube into named segments.

    Attributes
    ----------
    name : str
    bins : int
        Scores run from 1 to `bins`.
    colours : dict of str to str
        Segment → colour, in the order in which segments are shown; `inactive` last.
    segment_of : dict of str to str
        ``rfm_score`` → segment, for every cell of the cube.
    texts : dict
        What a clinic's own scheme says of its segments: (kind, segment) → language → text. A text that is the same for
        all languages stands under "".
    """

    name: str
    bins: int
    colours: dict[str, str]
    segment_of: dict[str, str]
    texts: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    @property
    def segments(self) -> list[str]:
        """All segments in order, `inactive` last."""
        return list(self.colours)

    def words(
        self, locale: str, *, renamed: Mapping[str, str] | None = None, where: str = ""
    ) -> dict[tuple[str, str], str]:
        """What is said of the segments in words that no catalogue knows.

        Parameters
        ----------
        locale : str
            The language: a text in it, else one for all languages, else the English one, else any.
        renamed : mapping, optional
            Segment → the clinic's own name for it, which stands before the scheme's.
        where : str, optional
            The clinic file, for messages.

        Returns
        -------
        dict
            (kind, segment) → text.

        Raises
        ------
        ClinicFileError
            If a segment is renamed that the scheme does not have.
        """
        unknown = sorted(set(renamed or {}) - set(self.segments))
        if unknown:
            fix = f"Segments are: {', '.join(self.segments)}."
            raise ClinicFileError(Problem(f"{where} [rfm.names] {key}", "no such segment", fix) for key in unknown)
        said = {
            place: next(texts[one] for one in (locale, "", "en", *texts) if one in texts)
            for place, texts in self.texts.items()
        }
        return said | {("segment", key): name for key, name in (renamed or {}).items()}


def load_scheme(name_or_path: str | Path, *, bins: int | None = None) -> Scheme:
    """Read a segment scheme and refuse one that is not a partition.

    Parameters
    ----------
    name_or_path : str or pathlib.Path
        A file of ``rfmkit/analysis/schemes`` without its ending, or the path of a scheme file.
    bins : int, optional
        The number of scores in use; a scheme for another number is refused.

    Returns
    -------
    Scheme

    Raises
    ------
    ClinicFileError
        With the cells that no segment holds, the cells that several hold, and the segments that hold none.
    """
    path = Path(name_or_path)
    path = path if path.is_file() else _FOLDER / f"{name_or_path}.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        scheme_bins = int(document["bins"])
        segments = document["segments"]
        colours = {segment["key"]: segment["colour"] for segment in segments}
        boxes = [(segment["key"], cells.split()) for segment in segments for cells in segment["cells"]]
        if not 2 <= scheme_bins <= 9 or not all(re.fullmatch("#[0-9a-fA-F]{6}", one) for one in colours.values()):
            raise ValueError
        held = [(key, "".join(cell)) for key, (r, f, m) in boxes for cell in itertools.product(r, f, m)]
        texts = {
            (kind, segment["key"]): _by_language(segment[name])
            for segment in segments
            for name, kind in WORDS.items()
            if name in segment
        }
    except FileNotFoundError:
        fix = f"Schemes are: {', '.join(sorted(file.stem for file in _FOLDER.glob('*.toml')))}."
        raise ClinicFileError(Problem(path.name, "no such scheme", fix)) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        fix = (
            'It needs bins (2 to 9) and [[segments]] with key, colour = "#1b6e5a" and cells = ["45 45 3"]; name, who, '
            'what and why may be added, each a text or {en = "…", ru = "…"}.'
        )
        raise ClinicFileError(Problem(path.name, "is no scheme file", fix)) from None
    problems = _faults(path.name, scheme_bins, [segment["key"] for segment in segments], held)
    if bins not in {None, scheme_bins}:
        problems.append(
            Problem(path.name, f"is for {scheme_bins} bins, not {bins}", f"Set bins = {scheme_bins} under [rfm].")
        )
    if problems:
        raise ClinicFileError(problems)
    order = {**colours, INACTIVE: _INACTIVE_COLOUR}
    return Scheme(path.stem, scheme_bins, order, {cell: key for key, cell in held}, texts)


def _by_language(text: str | dict[str, str]) -> dict[str, str]:
    texts = {"": text} if isinstance(text, str) else text
    if not texts or not all(isinstance(one, str) and one.strip() for one in texts.values()):
        raise ValueError
    return texts


def _faults(where: str, bins: int, keys: list[str], held: list[tuple[str, str]]) -> list[Problem]:
    """Everything that keeps a scheme from being a partition of its cube."""
    cube = {"".join(cell) for cell in itertools.product("123456789"[:bins], repeat=3)}
    times = Counter(cell for _, cell in held)
    reached = {key for key, _ in held}
    faults = {
        "no segment holds the cells": sorted(cube - times.keys()),
        "several segments hold the cells": sorted(cell for cell, count in times.items() if count > 1),
        f"cells lie outside scores of 1 to {bins}": sorted(times.keys() - cube),
        "segments that nobody can reach": [key for key in keys if key not in reached],
        "segments that stand twice": sorted(key for key, count in Counter(keys).items() if count > 1),
        "a segment may not be called": [key for key in keys if key in {INACTIVE, NOT_YET}],
        # A key becomes the name of a file.
        "keys are small letters, digits and _, not": [key for key in keys if not re.fullmatch("[a-z][a-z0-9_]*", key)],
    }
    fix = "Every cell belongs to exactly one segment, and every segment has a cell."
    return [Problem(where, f"{what} {', '.join(found)}", fix) for what, found in faults.items() if found]


def assign_segments(scored: pd.DataFrame, scheme: Scheme) -> pd.DataFrame:
    """Put every scored patient into the one segment that holds the patient's cell.

    Parameters
    ----------
    scored : pandas.DataFrame
        As `score_rfm` gives it; a missing ``rfm_score`` (no visit in the window) becomes `inactive`.
    scheme : Scheme

    Returns
    -------
    pandas.DataFrame
        A copy with ``segment``.
    """
    return scored.assign(segment=scored["rfm_score"].map(scheme.segment_of).fillna(INACTIVE).astype("str"))


def segment_table(patients: pd.DataFrame, scheme: Scheme) -> pd.DataFrame:
    """Describe each segment in one row.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient with ``segment``, the RFM inputs and, where a model stands, ``probability_alive``, ``clv``
        and ``value_at_risk``.
    scheme : Scheme

    Returns
    -------
    pandas.DataFrame
        In the scheme's order: ``segment, colour, patients, patients_share, visits, revenue, revenue_share`` (inside the
        RFM window), ``median_recency_days`` (and ``median_days_overdue`` where recency is scored by the recall),
        ``mean_visit_count, mean_total_spend, mean_probability_alive``, ``clv``, ``value_at_risk`` (sums; missing
        without a model).
    """
    groups = patients.groupby("segment")
    overdue = {}
    if "days_overdue" in patients:
        days = patients["days_overdue"].astype("float64")
        overdue = {"median_days_overdue": days.groupby(patients["segment"]).median()}
    table = pd.DataFrame(
        {
            "patients": groups.size(),
            "visits": groups["visit_count"].sum(),
            "revenue": groups["total_spend"].sum(),
            "median_recency_days": groups["recency_days"].median(),
            **overdue,
            "mean_visit_count": groups["visit_count"].mean(),
            "mean_total_spend": groups["total_spend"].mean(),
            "mean_probability_alive": groups["probability_alive"].mean(),
            "clv": groups["clv"].sum(min_count=1),
            "value_at_risk": groups["value_at_risk"].sum(min_count=1),
        }
    ).reindex(pd.Index(scheme.segments, name="segment"))
    counted = ["patients", "visits", "revenue"]
    table[counted] = table[counted].fillna(0)
    table[["patients", "visits"]] = table[["patients", "visits"]].astype("int64")
    # A segment nobody is in has no value either; one whose patients' value is unknown keeps it unknown.
    empty = table["patients"] == 0
    if patients["clv"].notna().any():
        table.loc[empty, ["clv", "value_at_risk"]] = 0.0
    table.insert(0, "colour", pd.Series(scheme.colours))
    table.insert(2, "patients_share", table["patients"] / table["patients"].sum())
    table.insert(5, "revenue_share", table["revenue"] / (table["revenue"].sum() or float("nan")))
    return table.reset_index()
