"""Portraits: who is in a group, and claims of what sets it apart that chance does not make."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter, defaultdict
from statistics import mean, median

import frames
import numpy as np
import pandas as pd
import pytest
from conftest import open_one
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from rfmkit.analysis.portraits import ages_of, cohorts_of, portrait_table, sex_and_age
from rfmkit.analysis.traits import count_cohorts, count_traits, over_represented, traits_of
from rfmkit.data.bought import sales_of
from rfmkit.errors import ClinicFileError, NotEnoughData
from rfmkit.present import Reader, tables
from rfmkit.present.disclosure import ONE_EACH, shown_portraits, shown_traits

AS_OF = dt.date(2026, 10, 31)


# --- sex, age and cohorts


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("2008-10-31", 18),  # today is the birthday
        ("2008-11-01", 17),  # tomorrow is
        ("2004-02-29", 22),
        ("2026-10-31", 0),
        ("2026-11-01", None),  # not born yet
        ("1905-10-31", None),  # 121 years ago: a slip of the pen
        (None, None),
    ],
)
def test_age_is_whole_years(born, age):
    found = ages_of(pd.Series(pd.to_datetime([born]).astype("datetime64[s]")), AS_OF).item()
    assert (found == age) if age is not None else pd.isna(found)


PEOPLE = pd.DataFrame(
    {
        "patient_id": ["a", "b", "c", "d", "e"],
        "sex": ["female", "male", "female", None, "male"],
        "birth_date": pd.to_datetime(["1991-10-31", "1991-11-01", "2010-01-01", "1950-01-01", None]),
    }
)
PATIENTS = pd.Series(["e", "a", "b", "c", "d", "nobody knows"])


@pytest.mark.parametrize(
    ("by", "cohorts"),
    [
        (["sex", "age"], ["unknown", "female_35_54", "male_18_34", "female_0_17", "unknown", "unknown"]),
        (["age", "sex"], ["unknown", "female_35_54", "male_18_34", "female_0_17", "unknown", "unknown"]),
        (["sex"], ["male", "female", "male", "female", "unknown", "unknown"]),
        (["age"], ["unknown", "age_35_54", "age_18_34", "age_0_17", "age_55", "unknown"]),
    ],
)
def test_cohorts_by_sex_and_age(by, cohorts):
    known = sex_and_age(PEOPLE, PATIENTS, AS_OF)
    bands = {"ages": [18, 35, 55], "bands": ["0_17", "18_34", "35_54", "55"]}
    assert cohorts_of(known, by=by, **bands, min_patients=3).tolist() == cohorts
    with pytest.raises(NotEnoughData, match="sex and age of"):
        cohorts_of(known, by=by, **bands, min_patients=6)


@pytest.mark.parametrize("people", [None, PEOPLE[["patient_id"]]], ids=["no file", "no columns"])
def test_nobody_is_known_without_a_file(people):
    assert sex_and_age(people, PATIENTS, AS_OF)[["sex", "age"]].isna().all().all()


# --- sizes


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_portraits_are_those_of_a_naive_count(seed, patients):
    draw = random.Random(seed)
    rows = [
        {
            "segment": draw.choice(["a", "b"]),
            "visit_count": 1,
            "total_spend": draw.choice([0.0, 10.0, 250.0]),
            "frequency": (times := draw.randrange(3)),
            "recency": times * draw.randrange(1, 90),
            "clv": draw.choice([0.0, 5.5]),
            "age": draw.choice([None, 20.0, 41.0, 77.0]),
        }
        for _ in range(patients)
    ]
    frame = pd.DataFrame(rows).astype({"age": "Float64"})
    table = portrait_table(frame, "segment", ["b", "a", "nobody"]).set_index("segment")
    assert list(table.index) == ["b", "a", "nobody"]
    assert table["patients"].sum() == patients
    assert table["patients_share"].sum() == pytest.approx(1)
    for group in ("a", "b"):
        own = [row for row in rows if row["segment"] == group]
        ages = [row["age"] for row in own if row["age"] is not None]
        between = [row["recency"] / row["frequency"] for row in own if row["frequency"]]
        told = table.loc[group]
        assert (told["patients"], told["ages_known"], told["returned"]) == (len(own), len(ages), len(between))
        for column, values, summary in [
            ("median_age", ages, median),
            ("median_days_between_visits", between, median),
            ("mean_total_spend", [row["total_spend"] for row in own], mean),
            ("mean_clv", [row["clv"] for row in own], mean),
            ("revenue", [row["total_spend"] for row in own], sum),
        ]:
            expected = summary(values) if values else (0 if summary is sum else float("nan"))
            assert told[column] == pytest.approx(expected, nan_ok=True)


# --- traits


def lines(rows: list[tuple], columns: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns.split())
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]))


def test_what_a_patient_has():
    told = traits_of(
        sales_of(
            lines(
                [
                    ("a", "2026-10-05", 5.0, "check", "basic", "North", "09:05"),  # a Monday
                    ("a", "2026-10-05", 9.0, "crown", None, "North", "8:50"),  # the day begins with this line
                    ("a", "2026-10-12", 7.0, "check", "basic", "South", "2:15 PM"),  # a Monday
                    ("a", "2026-10-13", 7.0, "seal", "basic", "South", "下午3:20"),
                    ("a", "2026-10-14", -9.0, "crown", "back", "South", "10:00"),  # a refund is nothing that is taken
                    ("b", "2026-10-14", 0.0, None, None, None, "12:10 AM"),  # a Wednesday
                    ("b", "2026-10-15", 1.0, "seal", None, None, "half past"),
                ],
                "patient_id visit_date amount service category branch visit_time",
            )
        )
    )
    found = {tuple(row) for row in told.execute().itertuples(index=False)}
    assert len(found) == told.count().execute()
    assert found == {
        *(("a", "service", item) for item in ("check", "crown", "seal")),
        ("a", "category", "basic"),
        *(("a", "first_service", item) for item in ("check", "crown")),
        ("a", "branch", "South"),  # two days of three
        ("a", "weekday", "0"),
        ("a", "hour", "15"),  # 8, 14 and 15, once each: the latest
        ("b", "service", "seal"),
        ("b", "weekday", "3"),  # Wednesday and Thursday, once each: the latest
        ("b", "hour", "0"),
    }


def test_days_alone_tell_a_weekday():
    told = traits_of(sales_of(lines([("a", "2026-10-05", 5.0)], "patient_id visit_date amount"))).execute()
    assert told.to_dict("list") == {"patient_id": ["a"], "kind": ["weekday"], "item": ["0"]}


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_counts_are_those_of_a_naive_count(seed):
    draw = random.Random(seed)
    rows = [
        (f"p{draw.randrange(12)}", f"2026-10-{draw.randrange(1, 6):02}", 1.0, draw.choice(["x", "y", "z", None]))
        for _ in range(60)
    ]
    group = {f"p{number}": draw.choice("ab") for number in range(12)}
    known = {patient: draw.random() < 0.7 for patient in group}
    members = pd.DataFrame({"patient_id": list(group), "group": list(group.values()), "known": list(known.values())})
    told = count_traits(traits_of(sales_of(lines(rows, "patient_id visit_date amount service"))), members)
    first_day = {patient: min(day for who, day, *_ in rows if who == patient) for patient, *_ in rows}
    has = defaultdict(set)
    for patient, day, _, service in rows:
        if service:
            has[group[patient], "service", service].add(patient)
            if day == first_day[patient] and known[patient]:
                has[group[patient], "first_service", service].add(patient)
    of = defaultdict(set)
    for (name, kind, _), patients in has.items():
        of[name, kind] |= patients
    expected = {key: (len(patients), len(of[key[:2]])) for key, patients in has.items()}
    told = told[told["kind"] != "weekday"]
    assert {tuple(row[:3]): tuple(row[3:]) for row in told.itertuples(index=False)} == expected


def test_cohorts_are_counted_where_they_are_known():
    counts = count_cohorts(pd.Series(list("aabb")), pd.Series(["female", "unknown", "female", "male"]))
    assert {tuple(row) for row in counts.itertuples(index=False)} == {
        ("a", "cohort", "female", 1, 1),
        ("b", "cohort", "female", 1, 2),
        ("b", "cohort", "male", 1, 2),
    }


def counted(group: list, has: dict[str, list[bool]]) -> pd.DataFrame:
    """Counts of services as `count_traits` gives them, where every patient took something."""
    of = Counter(group)
    rows = [
        (name, "service", item, sum(taken for one, taken in zip(group, having, strict=True) if one == name), of[name])
        for item, having in has.items()
        for name in of
    ]
    return pd.DataFrame(rows, columns=["group", "kind", "item", "patients", "of"]).query("patients > 0")


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_the_test_is_fishers_and_the_adjustment_benjamini_and_hochbergs(seed):
    draw = random.Random(seed)
    group = [draw.choice("aabc") for _ in range(80)]
    has = {f"s{n}": [draw.random() < rate for _ in group] for n, rate in enumerate((0.5, 0.2, 0.05, 0.9))}
    table = over_represented(counted(group, has), "abc", min_count=5)
    tested = table.dropna(subset="p")
    for row in tested.to_dict("records"):
        square = [
            [row["patients"], row["of"] - row["patients"]],
            [row["others"], row["others_of"] - row["others"]],
        ]
        assert sum(map(sum, square)) == len(group)
        assert row["p"] == pytest.approx(fisher_exact(square, alternative="greater").pvalue)
    ordered = sorted(tested["p"], reverse=True)
    smallest = 1.0
    stepped = {}
    for place, p in enumerate(ordered):
        smallest = min(smallest, p * len(ordered) / (len(ordered) - place))
        stepped[p] = smallest
    assert tested["p_adjusted"].tolist() == pytest.approx([stepped[p] for p in tested["p"]])
    assert (table["over"] == ((table["p_adjusted"] <= 0.05) & (table["patients"] >= 5))).all()
    untested = table[table["p"].isna()]
    having = untested["patients"] + untested["others"]
    assert ((having < 5) | (having == len(group)) | (untested["of"] < 5)).all()


def test_shuffled_patients_make_no_claims():
    """Where groups are drawn by lot, no more than 5 % of tables may claim anything.

    Of 80 tables a true 5 % gives at most 11 in 999 of 1,000 cases.
    """
    draw = np.random.default_rng(4)
    rates = draw.uniform(0.02, 0.6, 25)
    has = draw.uniform(size=(600, 25)) < rates
    items = [f"s{number}" for number in range(25)]
    frame = pd.DataFrame(has, columns=items)
    groups = np.repeat(list("abcdef"), [200, 150, 100, 80, 50, 20])
    claims = 0
    for _ in range(80):
        group = pd.Series(draw.permutation(groups), name="group")
        counts = frame.groupby(group).sum().stack().rename("patients").rename_axis(["group", "item"]).reset_index()
        counts = counts.assign(kind="service", of=counts["group"].map(group.value_counts()))
        claims += over_represented(counts, "abcdef")["over"].any()
    assert claims <= binom.ppf(0.999, 80, 0.05)


# --- disclosure


def world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients with a branch each and several services, some of them rare, and the traits that are claimed of them."""
    draw = random.Random(seed)
    rows = []
    for number in range(draw.randrange(20, 160)):
        group = draw.choice("aaabbc")
        branch = draw.choice("NNSS" + {"a": "NNN", "b": "SSK", "c": "K"}[group])
        took = [item for item, rate in {"x": 0.4, "y": 0.04, "z": 0.9}.items() if draw.random() < rate]
        took += ["own"] * (group == "b" and draw.random() < 0.5) + ["own"] * (draw.random() < 0.01)
        rows += [(number, group, "branch", branch), *((number, group, "service", item) for item in {*took})]
    frame = pd.DataFrame(rows, columns=["patient", "group", "kind", "item"])
    counts = frame.groupby(["group", "kind", "item"]).size().rename("patients").reset_index()
    of = frame.groupby(["group", "kind"])["patient"].nunique().rename("of").reset_index()
    traits = over_represented(counts.merge(of), "abc", min_count=2)
    # All that stands out counts as claimed, so that there is much to hide.
    return frame, traits.assign(over=traits["share"] > traits["others_share"])


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 5, 8]))
def test_nothing_of_few_patients_can_be_told_from_what_is_shown(seed, least):
    frame, traits = world(seed)
    shown = shown_traits(traits, min_count=least)
    enough = lambda number: number == 0 or number >= least  # noqa: E731
    for row in shown.to_dict("records"):
        assert row["patients"] >= least
        assert enough(row["of"] - row["patients"])
        assert pd.isna(row["others"]) or enough(row["others"])
    for (kind, item), rows in frame.groupby(["kind", "item"]):
        own = shown[(shown["kind"] == kind) & (shown["item"] == item)]
        # The clinic's total is known of a branch, and of a service where what the others have is shown.
        if len(own) and (kind in ONE_EACH or own["others"].notna().any()):
            assert enough(rows["patient"].nunique() - own["patients"].sum())
    for group, rows in frame[frame["kind"] == "branch"].groupby("group"):
        own = shown[(shown["kind"] == "branch") & (shown["group"] == group)]
        if len(own):
            assert enough(len(rows) - own["patients"].sum())


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_what_is_large_enough_is_shown(seed):
    _, traits = world(seed)
    assert len(shown_traits(traits, min_count=1)) == traits["over"].sum()
    assert not shown_traits(traits.assign(over=False), min_count=1).size


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 15))
def test_portraits_of_few_patients_are_not_shown(counts, least):
    table = frames.PORTRAITS.head(len(counts)).assign(patients=counts, ages_known=counts, returned=counts)
    shown = shown_portraits(table, group="segment", min_count=least)
    attributes = ["median_age", "median_days_between_visits", "mean_total_spend", "mean_clv"]
    few = [0 < count < least for count in counts]
    assert shown["patients"].tolist() == counts
    assert shown[attributes].isna().all(axis=1).tolist() == few
    cohorts = shown_portraits(table.rename(columns={"segment": "cohort"}), group="cohort", min_count=least)
    assert cohorts["patients"].sum() == sum(counts)
    assert cohorts["patients"].between(1, least - 1).sum() == (0 < sum(counts) < least)
    assert cohorts.loc[cohorts["cohort"] == "other", ["median_age", "median_days_between_visits"]].isna().all().all()


# --- from the clinic file to the report


@pytest.fixture
def clinic(write_clinic, tmp_path):
    """Two hundred patients; those who come often, and only they, take implants; half of them are women of sixty."""

    def write(parts: str = "", *, people: bool = True):
        rows, persons = ["id,date,amount,what\n"], ["id,sex,born\n"]
        for number in range(200):
            often = number < 60
            for time in range(6 if often else 1 + number % 2):
                day = pd.Timestamp("2026-10-30") - pd.Timedelta(days=7 * time + (number if not often else 0))
                what = "implant" if often and time == 0 else ("check", "clean")[number // 10 % 2]
                rows.append(f"p{number},{day:%Y-%m-%d},{100 if often else 10},{what}\n")
            old = number < 30 or number % 10 == 0
            persons.append(f"p{number},{'f' if old else 'm'},{'1965-01-01' if old else '1995-01-01'}\n")
        path = write_clinic("".join(rows))
        (tmp_path / "data" / "people.csv").write_text("".join(persons), encoding="utf-8")
        patients = """
[patients]
source = "../data/people.csv"
[patients.columns]
patient_id = "id"
sex = "sex"
birth_date = "born"
"""
        text = path.read_text(encoding="utf-8").replace('amount = "amount"', 'amount = "amount"\nservice = "what"')
        path.write_text(text + (patients if people else "") + parts, encoding="utf-8")
        return path

    return write


def test_planted_differences_are_found(clinic):
    study = open_one(clinic())
    traits = study.portrait_traits
    best = set(study.patients.loc[study.patients["visit_count"] == 6, "segment"])
    assert len(best) == 1
    row = traits[(traits["group"] == best.pop()) & (traits["item"] == "implant") & (traits["kind"] == "service")].iloc[
        0
    ]
    # All 60 who come often took one, none of the other 140: p = 1 / C(200, 60).
    assert (row["patients"], row["of"], row["others"], row["others_of"]) == (60, 60, 0, 140)
    assert row["over"]
    assert row["times"] == float("inf")
    cohort = traits[(traits["kind"] == "cohort") & traits["over"]]
    # 30 of the 60 and each tenth of the rest, 3 and 14, are women of 61.
    assert cohort[["item", "patients", "of", "others"]].values.tolist() == [["female_55", 33, 60, 14]]
    own = study.cohort_traits
    assert own[own["over"] & (own["kind"] == "service")][["group", "item"]].values.tolist() == [
        ["female_55", "implant"]
    ]
    assert study.cohorts.set_index("cohort")["patients"].to_dict() == {
        **dict.fromkeys(["female_0_17", "female_18_34", "female_35_54", "male_0_17", "male_35_54", "male_55"], 0),
        "female_55": 47,
        "male_18_34": 153,
    }


def test_without_sex_and_age_the_rest_stands(clinic):
    study = open_one(clinic(people=False))
    assert study.part("portraits").ok
    assert study.part("cohorts").reason.numbers == {"have": 0, "need": 50}
    assert study.portraits["median_age"].isna().all()
    assert "cohort" not in set(study.portrait_traits["kind"])
    for name in ("cohorts", "cohort_traits"):
        with pytest.raises(NotEnoughData):
            getattr(study, name)
    shown = tables.portraits(study.portraits, reader=study.reader).html
    assert "Age (median)" not in shown
    assert "<p>The export does not tell this" in tables.traits(study.portrait_traits, kinds=["branch"]).html


def test_the_clinics_own_texts_stand_before_ours(clinic):
    texts = """
[portraits]
ages = [40]
[portraits.texts.all]
male = "For all men."
[portraits.texts.champions]
female_40 = "For the best women from forty."
"""
    study = open_one(clinic(texts))
    assert study.clinic.portraits.keys == ["female_0_39", "female_40", "male_0_39", "male_40"]
    html = tables.approaches(study.cohorts, study.portrait_traits, reader=study.reader).html
    assert html.count("For all men.") == 1
    assert html.count("For the best women from forty.") == 1
    assert "Speak of a result that lasts" in html  # rfmkit's for women from forty, whatever their group
    assert ">Men, under\xa040<" in html


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("[portraits]\nages = [35, 18]\n", "ages: must be in ascending order"),
        ('[portraits]\ncohorts = ["sex", "sex"]\n', "must name each once"),
        ('[portraits.texts.lost]\nfemale_19 = "x"\n', "there is no cohort female_19; there are female, female_0_17"),
        (
            '[portraits.texts.lots]\nfemale_55 = "x"\n',
            r"\[portraits.texts.lots\]: no such segment. Segments are: champ",
        ),
        ('[portraits]\nage = "x"\n', "Did you mean ages?"),
    ],
)
def test_a_clinic_file_is_told_what_is_wrong(clinic, part, message):
    with pytest.raises(ClinicFileError, match=message.replace("ages: ", "ages.*")):
        open_one(clinic(part))


# --- what is shown


def test_claims_of_few_others_show_no_share_of_theirs():
    html = tables.traits(frames.TRAITS, kinds=["service"], reader=Reader(min_count=5)).html
    assert 'Implant &lt;3&gt;</td><td class="number">29%</td><td class="number">20%</td>' in html
    # Two of the others have a veneer.
    assert 'Veneer</td><td class="number">19%</td><td class="number">–</td><td class="number">–</td>' in html
    assert (
        "1%"
        not in tables.traits(frames.TRAITS, kinds=["service"], reader=Reader(min_count=5)).html.split("Veneer")[1][:90]
    )


def test_nothing_is_claimed_that_no_test_passed():
    nothing = frames.TRAITS.assign(over=False)
    assert tables.traits(nothing, kinds=["service"]).html.startswith("<p>No difference")
    html = tables.traits(frames.TRAITS, kinds=["weekday"], reader=Reader()).html
    assert "Wednesday" in html
    assert "No difference that passes the test: Loyal." in html
