"""The next service: courses are one, rules are counted as by hand, and chance is not taken for knowledge."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence

import pandas as pd
import pytest
from conftest import open_one
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from rfmkit.analysis.next_service import (
    HitRates,
    count_steps,
    hit_rates,
    last_services,
    next_by_group,
    next_rules,
    popular_next,
    recommend,
    service_days,
    steps_of,
)
from rfmkit.data.bought import names_in, sales_of
from rfmkit.errors import ClinicFileError, NotEnoughData
from rfmkit.present import Reader, tables
from rfmkit.rows import numbered

SERVICES = "ABCDEFGHIJKL"
FOLLOWS = dict(zip(SERVICES, SERVICES[5:] + SERVICES[:5], strict=True))
START, END = dt.date(2026, 8, 1), dt.date(2026, 10, 31)


def lines(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_id", "visit_date", "service", "amount"])
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]))


class Taken:
    """Who took what when, as a study prepares it: numbers, and the names that they stand for."""

    def __init__(self, rows: pd.DataFrame, leave_out: Sequence[str] = ()):
        sales = sales_of(rows)
        names = names_in(sales)
        self.patients, self.services = sorted(set(rows["patient_id"])), names["service"]
        sales = numbered(sales, {"patient_id": pd.Index(self.patients)} | names)
        self.days = service_days(sales, [names["service"].get_loc(name) for name in leave_out])
        self.counts, self.early = count_steps(steps_of(self.days), self.services, START)

    def steps(self) -> list[tuple]:
        """Patient, taken, day of the next, next."""
        told = steps_of(self.days).execute()
        patients, *names = (
            [known[number] for number in told[column]]
            for column, known in (("patient", self.patients), ("taken", self.services), ("next", self.services))
        )
        return list(zip(patients, names[0], told["next_day"].dt.day, names[1], strict=True))

    def recommended(self, rules: pd.DataFrame) -> pd.DataFrame:
        offered = recommend(last_services(self.days, self.services), rules, popular_next(self.counts))
        return offered.assign(patient_id=[self.patients[number] for number in offered["patient"]])


BY_HAND = lines(
    [
        (patient, f"2026-01-{day:02}", service, amount)
        for patient, day, services, amount in [
            ("p1", 1, "A", 5.0),
            ("p1", 2, "A", 5.0),  # the same course: one step A → B
            ("p1", 3, "B", 0.0),
            ("p1", 4, "CA", 5.0),  # B → A and C, one step
            ("p2", 1, "AB", 5.0),  # B → A
            ("p2", 2, "A", 5.0),
            ("p2", 3, "C", 5.0),  # A → C, from both days
            ("p3", 1, "A", 5.0),
            ("p3", 2, "A", 5.0),  # nothing else ever
            ("p4", 1, "A", 5.0),
            ("p4", 9, "C", 5.0),
            ("p5", 1, "A", 5.0),
            ("p5", 2, "B", -5.0),  # given back
            ("p5", 3, "C", 5.0),
        ]
        for service in services
    ]
)


def test_rules_are_counted_as_by_hand():
    counts = Taken(BY_HAND).counts
    rules = next_rules(counts, min_count=1).set_index(["taken", "next"])
    # Six steps: four from A (p1, p2, p4, p5), two from B (p1, p2). To C lead four of the six that do not begin at C,
    # to A two of the two that do not begin at A, to B one of the four that do not begin at B.
    expected = {
        ("B", "A"): (2, 2, 2, 2 / 6, 2 / 2, 2 / 2),
        ("A", "C"): (3, 3, 4, 3 / 6, 3 / 4, 4 / 6),
        ("B", "C"): (1, 1, 2, 1 / 6, 1 / 2, 4 / 6),
        ("A", "B"): (1, 1, 4, 1 / 6, 1 / 4, 1 / 4),
    }
    assert list(rules.index) == list(expected)
    for rule, (patients, count, of, support, confidence, usual) in expected.items():
        row = rules.loc[rule]
        assert (row["patients"], row["steps"], row["of"]) == (patients, count, of)
        assert row[["support", "confidence", "usual"]].tolist() == pytest.approx([support, confidence, usual])
        assert row["lift"] == pytest.approx(confidence / usual)
    assert popular_next(counts).to_dict() == pytest.approx({"A": 1, "C": 4 / 6, "B": 1 / 4})
    assert list(next_rules(counts, min_count=2)["next"]) == ["A", "C"]


def test_recommended_is_what_followed_and_never_what_was_just_taken():
    taken = Taken(BY_HAND)
    offered = taken.recommended(next_rules(taken.counts, min_count=1))
    told = {patient: list(rows["service"]) for patient, rows in offered.groupby("patient_id")}
    # p1 had A and C last: only B is left. After C nothing is known: by popularity, A before B.
    assert told == {"p1": ["B"], "p2": ["A", "B"], "p3": ["C", "B"], "p4": ["A", "B"], "p5": ["A", "B"]}
    scores = offered.set_index(["patient_id", "service"])["score"]
    assert scores["p1", "B"] == pytest.approx((1 / 4 + 0) / 2)
    assert scores["p2", "A"] == 0
    patients = pd.DataFrame({"patient_id": list(told), "segment": ["all", "all", "one", "all", "all"]})
    by_group = next_by_group(offered, patients, ["one", "all"])
    assert by_group.values.tolist() == [["one", "C", 1, 1.0], ["all", "A", 3, 3 / 4], ["all", "B", 1, 1 / 4]]


def test_what_is_not_offered_by_itself_is_as_if_it_had_not_been_taken():
    left, without = Taken(BY_HAND, ["B"]).steps(), Taken(BY_HAND[BY_HAND["service"] != "B"]).steps()
    assert sorted(left) == sorted(without)
    assert ("p1", "A", 4, "C") in left, "over the B that stood between them"
    assert "B" not in {name for _, taken, _, following in left for name in (taken, following)}


@settings(max_examples=12)
@given(st.integers(0, 10_000))
def test_steps_are_those_of_a_naive_search(seed):
    draw = random.Random(seed)
    rows = {(f"p{draw.randrange(5)}", draw.randrange(1, 12), draw.choice("AAABC")) for _ in range(60)}
    found = Taken(lines([(who, f"2026-03-{day:02}", what, 1.0) for who, day, what in rows])).steps()
    expected = set()
    for who, day, taken in rows:
        others = sorted((later, what) for one, later, what in rows if one == who and later > day and what != taken)
        expected |= {(who, taken, later, what) for later, what in others if later == others[0][0]}
    assert len(found) == len(set(found))
    assert set(found) == expected


def histories(seed: int, *, follows: dict[str, str], patients: int = 400) -> pd.DataFrame:
    """Patients who come every forty days for one of twelve services; after some, mostly for a certain other."""
    draw = random.Random(seed)
    rows = []
    for number in range(patients):
        day, service = dt.date(2025, 6, 1) + dt.timedelta(days=draw.randrange(60)), draw.choice(SERVICES)
        while day <= END:
            rows.append((f"p{number}", day, service, 1.0))
            day += dt.timedelta(days=draw.randrange(20, 60))
            usual = follows.get(service)
            service = usual if usual and draw.random() < 0.6 else draw.choice("AAABB" + SERVICES)
    return lines(rows)


def held_back(rows: pd.DataFrame) -> HitRates:
    taken = Taken(rows)
    return hit_rates(taken.days, taken.services, taken.early, START, END)


def test_a_planted_sequence_is_found_and_recommended():
    rows = histories(1, follows=FOLLOWS)
    found = held_back(rows)
    assert found.better
    assert (found.start, found.end) == (START, END)
    taken = Taken(rows)
    rules = next_rules(taken.counts)
    strongest = rules.drop_duplicates("taken")
    assert dict(zip(strongest["taken"], strongest["next"], strict=True)) == FOLLOWS
    offered = taken.recommended(rules)
    first = offered[offered["place"] == 1].set_index("patient_id")["service"]
    last = rows.sort_values("visit_date").groupby("patient_id")["service"].last()
    assert (first[last.index] == last.map(FOLLOWS)).all()


def test_steps_before_a_day_are_those_of_the_days_before_it():
    rows = histories(3, follows=FOLLOWS, patients=60)
    early = Taken(rows[rows["visit_date"] < pd.Timestamp(START)]).counts
    pd.testing.assert_frame_equal(Taken(rows).early, early)


def test_on_shuffled_services_nothing_is_better_than_the_popular():
    """Where no service follows another, at most 5 % of comparisons may look better: of 6, 2 in 997 of 1,000 cases."""
    rows = histories(2, follows={}, patients=150)
    draw = random.Random(3)
    better = 0
    for _ in range(6):
        services = list(rows["service"])
        draw.shuffle(services)
        better += held_back(rows.assign(service=services)).better
    assert better <= binom.ppf(0.997, 6, 0.05)


@pytest.mark.parametrize(
    ("hits", "popular", "p", "better"), [(60, 40, 0.01, True), (60, 40, 0.06, False), (40, 60, 0.01, False)]
)
def test_better_is_what_passes_the_test(hits, popular, p, better):
    assert HitRates(100, hits, popular, p, START, END).better is better


@pytest.mark.parametrize("mapped", [True, False])
def test_a_clinic_without_services_has_no_recommendation(write_clinic, mapped):
    rows = "".join(f"p{number},2026-0{1 + number % 9}-05,10,x\n" for number in range(80))
    path = write_clinic("id,date,amount,what\n" + rows)
    if mapped:
        text = path.read_text(encoding="utf-8").replace('amount = "amount"', 'amount = "amount"\nservice = "what"')
        path.write_text(text, encoding="utf-8")
    study = open_one(path)
    assert study.part("next_service").reason.numbers == {"have": 0, "need": 50}
    with pytest.raises(NotEnoughData, match="0 patients took another service in the last 3 months"):
        _ = study.patient_next_services


def test_from_the_export_to_the_report(write_clinic):
    rows = histories(1, follows=FOLLOWS, patients=250)
    export = rows.assign(visit_date=rows["visit_date"].dt.strftime("%Y-%m-%d")).to_csv(index=False)
    path = write_clinic(export.replace("patient_id,visit_date,service,amount", "id,date,what,amount", 1))
    text = path.read_text(encoding="utf-8").replace('amount = "amount"', 'amount = "amount"\nservice = "what"')
    path.write_text(text, encoding="utf-8")
    study = open_one(path)
    assert study.next_hit_rates == held_back(rows)
    each = study.patient_next_services
    assert set(each["patient_id"]) == set(rows["patient_id"])
    assert each.groupby("patient_id")["place"].max().eq(3).all()
    assert study.next_services["patients"].sum() == 250
    html = tables.next_services(study.next_services, study.next_hit_rates, reader=study.reader).html
    assert "recommended what patients with the same last services took next" in html
    assert "A" in tables.next_rules(study.next_rules, reader=study.reader).html

    path.write_text(text + '[next_service]\nleave_out = ["A", "zz"]\n', encoding="utf-8")
    without = open_one(path)
    assert "A" not in set(without.patient_next_services["service"])
    assert [str(problem) for problem in without.problems if "leave_out" in problem.where] == [
        f"{path.name} [next_service] leave_out zz: no line has this service. Write it as the export does."
    ]


def test_what_to_leave_out_needs_a_column_of_services(write_clinic):
    path = write_clinic("id,date,amount\n")
    path.write_text(path.read_text(encoding="utf-8") + '[next_service]\nleave_out = ["A"]\n', encoding="utf-8")
    with pytest.raises(ClinicFileError, match=r"\[next_service\] needs the column service of \[transactions\]"):
        open_one(path)


def test_where_it_is_not_better_the_report_says_so_and_small_numbers_stay_hidden():
    table = pd.DataFrame(
        [("new", "Peel", 40, 0.9), ("new", "Laser", 3, 0.07), ("lost", "Peel", 2, 1.0)],
        columns=["segment", "service", "patients", "share"],
    )
    html = tables.next_services(table, HitRates(200, 90, 95, 0.8, START, END), reader=Reader(min_count=5)).html
    assert "45.0% took one of those recommended, 47.5% one of the most popular" in html
    assert "what is most popular is recommended to everybody" in html
    assert "Peel" not in html.split("Lost")[1].split("</tr>")[0]
    assert "Laser" not in html
