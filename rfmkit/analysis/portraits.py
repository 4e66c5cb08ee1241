"""Who the patients of a group or a cohort are: how many, how old, how often they come, what they spend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from rfmkit.errors import ClinicFileError, NotEnoughData, Problem

#: The cohort of those whose sex or age is not known.
UNKNOWN = "unknown"
_OLDEST = 120


def ages_of(birth_date: pd.Series, as_of: dt.date) -> pd.Series:
    """Whole years from birth to `as_of`; missing where it is unknown, after `as_of`, or more than 120 years ago."""
    birthday_to_come = (birth_date.dt.month * 100 + birth_date.dt.day) > as_of.month * 100 + as_of.day
    years = as_of.year - birth_date.dt.year - birthday_to_come
    return years.where(years.between(0, _OLDEST)).astype("Float64")


def sex_and_age(people: pd.DataFrame | None, patient_ids: pd.Series, as_of: dt.date) -> pd.DataFrame:
    """Sex and age of patients.

    Parameters
    ----------
    people : pandas.DataFrame or None
        One row a person: ``patient_id`` and, where known, ``sex``, ``birth_date``.
    patient_ids : pandas.Series
        The patients asked for.
    as_of : datetime.date
        The day on which they are so old.

    Returns
    -------
    pandas.DataFrame
        In the rows of `patient_ids`: ``patient_id, sex, age`` (whole years), missing where nobody wrote them down.
    """
    columns = {"sex": pd.Series(dtype="str"), "birth_date": pd.Series(dtype="datetime64[s]")}
    there = people.set_index("patient_id") if people is not None else pd.DataFrame(index=pd.Index([], dtype="str"))
    told = pd.DataFrame({name: there.get(name, empty) for name, empty in columns.items()}).reindex(patient_ids.array)
    told["age"] = ages_of(told["birth_date"], as_of)
    return told[["sex", "age"]].rename_axis("patient_id").reset_index().set_axis(patient_ids.index)


def cohorts_of(
    known: pd.DataFrame, *, by: Sequence[str], ages: Sequence[int], bands: Sequence[str], min_patients: int
) -> pd.Series:
    """The cohort of every patient: sex, age band, or both.

    Parameters
    ----------
    known : pandas.DataFrame
        As `sex_and_age` gives it.
    by : sequence of str
        "sex", "age", or both.
    ages : sequence of int
        The years of age at which a band begins; the first begins at birth.
    bands : sequence of str
        The keys of the bands, one more than `ages`.
    min_patients : int
        With fewer whose cohort is known there are none.

    Returns
    -------
    pandas.Series
        In the rows of `known`: ``female_18_34``, ``female`` or ``age_18_34``; ``unknown`` where a part is not known.

    Raises
    ------
    NotEnoughData
        If too few patients' sex or age is known.
    """
    band = pd.cut(known["age"].astype("float64"), [-1, *(age - 1 for age in ages), _OLDEST], labels=list(bands))
    band = band.astype("str").where(band.notna())
    sex = known["sex"] if "sex" in by else "age"
    cohort = sex + "_" + band if "age" in by else sex
    if (have := int(cohort.notna().sum())) < min_patients:
        raise NotEnoughData("few_known_cohorts", have=have, need=min_patients)
    return cohort.fillna(UNKNOWN).rename("cohort")


def portrait_table(patients: pd.DataFrame, group: str, order: Sequence[str]) -> pd.DataFrame:
    """Describe each group of patients in one row.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: the column `group`; ``visit_count, total_spend`` (inside the RFM window); ``frequency,
        recency`` (whole history, days); ``clv`` (missing without a model); ``age`` (missing where unknown).
    group : str
        "segment" or "cohort".
    order : sequence of str
        All groups, in order; of `unknown` there is a row if anybody is in it.

    Returns
    -------
    pandas.DataFrame
        ``<group>, patients, patients_share, revenue`` (net, RFM window), ``revenue_share, median_age, ages_known,
        median_days_between_visits, returned, mean_total_spend, mean_clv``. A patient's days between visits are those
        from the first visit to the last ÷ repeat visits (BTYD: t_x ÷ x); the median is over the `returned` patients,
        who have any.
    """
    came_back = patients["frequency"] > 0
    between = (patients["recency"] / patients["frequency"].where(came_back)).astype("float64")
    rows = patients.assign(between=between, age=patients["age"].astype("float64")).groupby(group)
    table = pd.DataFrame(
        {
            "patients": rows.size(),
            "revenue": rows["total_spend"].sum(),
            "median_age": rows["age"].median(),
            "ages_known": rows["age"].count(),
            "median_days_between_visits": rows["between"].median(),
            "returned": rows["between"].count(),
            "mean_total_spend": rows["total_spend"].mean(),
            "mean_clv": rows["clv"].mean(),
        }
    ).reindex(pd.Index([*order, *({UNKNOWN} & set(patients[group]))], name=group))
    counted = ["patients", "revenue", "ages_known", "returned"]
    table[counted] = table[counted].fillna(0)
    table = table.astype({"patients": "int64", "ages_known": "int64", "returned": "int64"})
    table.insert(1, "patients_share", table["patients"] / table["patients"].sum())
    table.insert(3, "revenue_share", table["revenue"] / (table["revenue"].sum() or float("nan")))
    return table.reset_index()


def portrait_words(
    texts: Mapping[str, Mapping[str, str]], segments: Iterable[str], *, where: str
) -> dict[tuple[str, str], str]:
    """The clinic's own texts for cohorts, as a report looks for them: ("approach", "segment.cohort") → text.

    Raises
    ------
    ClinicFileError
        If a text is for a segment that the scheme does not have.
    """
    known = [*segments, "all"]
    unknown = sorted(set(texts) - set(known))
    if unknown:
        fix = f"Segments are: {', '.join(known[:-1])}; or all, for every segment."
        raise ClinicFileError(Problem(f"{where} [portraits.texts.{key}]", "no such segment", fix) for key in unknown)
    return {("approach", f"{key}.{cohort}"): text for key, own in texts.items() for cohort, text in own.items()}
