"""One person under two cards: what is proposed, what is left to a reviewer, what is joined, and how it is undone."""

from __future__ import annotations

import datetime as dt
import itertools

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from rfmkit.clinic import Patients
from rfmkit.data.identity import (
    family_phones,
    identity_problems,
    identity_table,
    merged_ids,
    merged_people,
    propose_same_person,
    undoubted,
)
from rfmkit.data.origin import REJECT_COLUMNS, Export
from rfmkit.data.people import read_people
from rfmkit.data.reviews import read_merges
from rfmkit.demo import history
from rfmkit.errors import ClinicFileError

ONE, OTHER = "+79160000001", "+79160000002"
COLUMNS = ["patient_id", "phone", "name", "birth_date", "sex"]


def cards(rows) -> pd.DataFrame:
    """Cards as they are read: id, phone, name, birth date, sex; what is left out is not known."""
    rows = [(*row, *[None] * (len(COLUMNS) - len(row))) for row in rows]
    people = pd.DataFrame(rows, columns=COLUMNS).astype("str")
    people["birth_date"] = pd.to_datetime(people["birth_date"]).astype("datetime64[s]")
    people["phone_key"] = people["phone"]
    people["phone_fault"] = pd.Series(None, people.index, dtype="str").mask(people["phone"].isna(), "empty")
    people["consent_sms_date"] = pd.Series(None, people.index, dtype="datetime64[s]")
    return people.assign(opted_out=False, consent_sms=True, _file="p.csv", _row=range(2, len(people) + 2))


def proposed(rows) -> list[tuple]:
    """Kept card, other card, rule, doubt."""
    proposals = propose_same_person(cards(rows))
    return [*proposals[["patient_id", "same_as", "rule", "doubt"]].itertuples(index=False, name=None)]


# Proposals


ANNA = "Иванова Анна Петровна"
PAIRS = {
    "phone and name": ((ANNA,), (ANNA,), "phone_name", ""),
    "words in another order": ((ANNA,), ("Анна Петровна Иванова",), "phone_name", ""),
    "case, blanks, hyphens": (("Петрова-Водкина  Анна",), ("ПЕТРОВА ВОДКИНА АННА",), "phone_name", ""),
    "ё and е": (("Фёдорова Алёна",), ("Федорова Алена",), "phone_name", ""),
    "composed and not": (("Кой Лия",), ("Кои\u0306 Лия",), "phone_name", ""),
    "Latin look-alikes": (("Анна Рот",), ("Aннa Poт",), "phone_name", ""),
    "Chinese with a blank": (("张伟",), ("张 伟",), "phone_name", ""),
    "name and birth date": ((ANNA, "1980-01-01"), (ANNA, "1980-01-01"), "phone_name", ""),
    "birth date not known": ((ANNA, "1980-01-01"), (ANNA,), "phone_name", ""),
    "a word is missing": ((ANNA, "1980-01-01"), ("Анна Иванова", "1980-01-01"), "phone_birth_date", ""),
    # what a reviewer must decide
    "parent and child of one name": ((ANNA, "1950-01-01"), (ANNA, "1980-01-01"), "phone_name", "birth_dates_differ"),
    "one name, two sexes": (("Ким Саша", None, "female"), ("Ким Саша", None, "male"), "phone_name", "sexes_differ"),
    "initials": (("Иванов И. И.",), ("Иванов И.И.",), "phone_name", "initials"),
    "initials and birth date": (("Иванов И. И.", "1980-01-01"), ("Иванов И.И.", "1980-01-01"), "phone_name", ""),
    "twins": ((ANNA, "2015-01-01"), ("Иванова Ольга Петровна", "2015-01-01"), "phone_birth_date", "names_differ"),
    "a new surname": ((ANNA, "1980-01-01"), ("Ким Анна Петровна", "1980-01-01"), "phone_birth_date", "names_differ"),
    "a surname alone": ((ANNA, "1980-01-01"), ("Иванова", "1980-01-01"), "phone_birth_date", "names_differ"),
    "no name": ((ANNA, "1980-01-01"), (None, "1980-01-01"), "phone_birth_date", "no_name"),
    "no names": ((None, "1980-01-01"), (None, "1980-01-01"), "phone_birth_date", "no_name"),
}


@pytest.mark.parametrize(("one", "other", "rule", "doubt"), PAIRS.values(), ids=PAIRS.keys())
def test_two_cards_on_one_phone(one, other, rule, doubt):
    for first, second in ((one, other), (other, one)):
        assert proposed([("7", ONE, *first), ("8", ONE, *second)]) == [("7", "8", rule, doubt)]
    # The phone is needed.
    assert proposed([("7", ONE, *one), ("8", OTHER, *other)]) == []
    assert proposed([("7", None, *one), ("8", None, *other)]) == []


NOT_PROPOSED = {
    "a family": ((ANNA, "1980-01-01"), ("Иванов Лев", "1978-01-01")),
    "a name that lacks a word": ((ANNA,), ("Иванова Анна",)),
    "nothing known": ((None,), (None,)),
    "a name and a birth date": ((ANNA,), (None, "1980-01-01")),
}


@pytest.mark.parametrize(("one", "other"), NOT_PROPOSED.values(), ids=NOT_PROPOSED.keys())
def test_others_on_one_phone_are_a_family(one, other):
    rows = [("7", ONE, *one), ("8", ONE, *other)]
    assert proposed(rows) == []
    assert family_phones(cards(rows)) == 1


def test_the_smallest_id_is_kept():
    assert proposed([(number, ONE, ANNA) for number in ("P10", "P9", "P100")]) == [
        ("P9", "P10", "phone_name", ""),
        ("P9", "P100", "phone_name", ""),
    ]


def test_a_mother_and_her_twins_and_a_second_card():
    rows = [
        ("1", ONE, "Иванова Ада Львовна", "1985-01-01"),
        ("2", ONE, "Иванова Ева Петровна", "2015-01-01"),
        ("3", ONE, "Иванова Лия Петровна", "2015-01-01"),
        ("4", ONE, "Лия Иванова", "2015-01-01"),
    ]
    assert proposed(rows) == [("2", "3", "phone_birth_date", "names_differ"), ("3", "4", "phone_birth_date", "")]
    assert merged_ids(undoubted(propose_same_person(cards(rows)))) == {"4": "3"}
    assert family_phones(cards(rows)) == 1


def test_a_card_that_fits_two_others_joins_neither():
    """Father and son of one name, and a card without a birth date: whose it is, nobody knows."""
    rows = [("1", ONE, ANNA, "1950-01-01"), ("2", ONE, ANNA), ("3", ONE, ANNA, "1980-01-01")]
    assert [row[3] for row in proposed(rows)] == ["others_differ"] * 2
    assert merged_ids(undoubted(propose_same_person(cards(rows)))) == {}


def test_the_receptions_own_number_is_nobodys():
    # 10 are a large family; of 11 different persons it is believed no more.
    guests = [(f"{n:02}", ONE, f"Гость Номер{n}") for n in range(9)]
    again = [("98", ONE, ANNA), ("99", ONE, ANNA)]
    assert proposed([*guests, *again]) == [("98", "99", "phone_name", "")]
    assert proposed([*guests, ("97", ONE, "Ким Лев"), *again]) == []


def test_many_cards_of_one_person():
    rows = [(f"{n:03}", ONE, ANNA) for n in range(200)]
    assert proposed(rows) == [("000", f"{n:03}", "phone_name", "") for n in range(1, 200)]


def test_without_phones_nothing_is_proposed():
    people = cards([("1", ONE, ANNA), ("2", ONE, ANNA)]).drop(columns=["phone", "phone_key", "phone_fault"])
    assert not len(propose_same_person(people))
    assert family_phones(people) == 0
    assert len(merged_people(people, {})) == 2
    assert not len(propose_same_person(cards([])))


SMALL = st.tuples(
    st.sampled_from([ONE, OTHER, None]),
    st.sampled_from([ANNA, "Анна Иванова", "Иванов И. И.", "Иванова Ольга Петровна", None]),
    st.sampled_from(["1980-01-01", "2015-01-01", None]),
    st.sampled_from(["female", "male", None]),
)


def naive_groups(pairs) -> dict[str, frozenset]:
    """The connected components of some pairs, by repeated joining."""
    groups = {card: frozenset([card]) for pair in pairs for card in pair}
    for one, other in pairs:
        both = groups[one] | groups[other]
        groups |= dict.fromkeys(both, both)
    return groups


@settings(max_examples=40)
@given(st.lists(SMALL, max_size=9), st.randoms())
def test_laws_of_proposals(facts, random):
    rows = [(str(number), *fact) for number, fact in enumerate(facts, 1)]
    people = cards(rows)
    proposals = propose_same_person(people)
    shuffled = [*rows]
    random.shuffle(shuffled)
    assert_frame_equal(propose_same_person(cards(shuffled)), proposals)
    assert proposals["same_as"].is_unique
    known = {row[0]: row[1:] for row in rows}
    merged = merged_ids(undoubted(proposals))
    persons = naive_groups([(card, merged.get(card, card)) for card in known])
    for group in persons.values():
        # Nobody who is joined differs from another in anything that is known of both.
        for place in (0, 2, 3):
            assert len({known[card][place] for card in group} - {None}) <= 1
        names = {known[card][1] for card in group}
        assert names <= {ANNA, "Анна Иванова", None} or len(names) == 1
    for one, other in itertools.combinations(known, 2):
        # Every pair that the rule names is in one group of proposals.
        (phone, name, birth, _), (phone_2, name_2, birth_2, _) = known[one], known[other]
        if phone and phone == phone_2 and ((name and name == name_2) or (birth and birth == birth_2)):
            groups = naive_groups([*zip(proposals["patient_id"], proposals["same_as"], strict=True)])
            assert other in groups[one]


# Joining


IDS = st.sampled_from([*"123456789", "10", "11", "P1", "Ж"])


@given(st.lists(st.tuples(IDS, IDS), max_size=15), st.randoms())
def test_laws_of_merged_ids(pairs, random):
    frame = pd.DataFrame(pairs, columns=["patient_id", "same_as"], dtype="str")
    merged = merged_ids(frame)
    groups = naive_groups(pairs)
    # transitive: all that are connected become one, the shortest and then the first by its signs
    kept = {card: min(group, key=lambda one: (len(one), one)) for card, group in groups.items()}
    assert merged == {card: to for card, to in kept.items() if card != to}
    # idempotent
    assert not set(merged) & set(merged.values())
    # whatever the order of rows, and of the two in a row
    turned = [random.choice([pair, pair[::-1]]) for pair in random.sample(pairs, len(pairs))]
    assert merged_ids(pd.DataFrame(turned, columns=["patient_id", "same_as"], dtype="str")) == merged


def test_one_person_of_two_cards():
    people = cards([("7", ONE, ANNA), ("8", OTHER, "Анна", "1980-01-01", "female"), ("9", ONE, "Ким Лев")])
    people["opted_out"] = [False, True, False]
    people["consent_sms"] = [True, False, True]
    people["consent_sms_date"] = pd.to_datetime(["2024-01-01", None, None]).astype("datetime64[s]")
    merged = merged_people(people, {"8": "7"})
    seven = merged.set_index("patient_id").loc["7"]
    # The kept card's own words; what it does not say, the other's.
    assert (seven["phone"], seven["name"], seven["sex"]) == (ONE, ANNA, "female")
    assert seven["birth_date"] == pd.Timestamp("1980-01-01")
    assert (seven["opted_out"], seven["consent_sms"]) == (True, False)
    assert pd.isna(seven["consent_sms_date"])
    assert merged["patient_id"].tolist() == ["7", "9"]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8), st.data())
def test_opting_out_is_never_lost_by_joining(answers, data):
    people = cards([(f"{n}", ONE, ANNA) for n in range(len(answers))])
    people["opted_out"], people["consent_sms"] = zip(*answers, strict=True)
    ids = people["patient_id"].tolist()
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=8))
    merged = merged_ids(pd.DataFrame(pairs, columns=["patient_id", "same_as"], dtype="str"))
    persons = merged_people(people, merged).set_index("patient_id")
    assert set(persons.index) == {merged.get(card, card) for card in ids}
    for person, row in persons.iterrows():
        mine = [answer for card, answer in zip(ids, answers, strict=True) if merged.get(card, card) == person]
        assert row["opted_out"] == any(out for out, _ in mine)
        assert row["consent_sms"] == all(consent for _, consent in mine)


def test_without_merges_every_card_is_as_it_was():
    people = cards([("7", ONE, ANNA), ("8", ONE, ANNA)])
    assert_frame_equal(merged_people(people, {}), people)


# The list for a reviewer, and what comes back


TWINS = [("7", ONE, ANNA, "1980-01-01"), ("8", ONE, ANNA), ("9", ONE, "Иванова Ольга Петровна", "1980-01-01")]


def test_the_list_shows_both_cards_and_what_was_done():
    people = cards(TWINS)
    proposals = propose_same_person(people)
    table = identity_table(proposals, undoubted(proposals), people)
    assert table.columns.tolist() == [
        *["group", "patient_id", "same_as", "merge", "rule", "doubt", "name", "same_as_name", "phone", "same_as_phone"],
        *["birth_date", "same_as_birth_date"],
    ]
    assert table[["group", "patient_id", "same_as", "merge", "rule", "doubt"]].to_numpy().tolist() == [
        [1, "7", "8", "yes", "phone_name", ""],
        [1, "7", "9", "no", "phone_birth_date", "names_differ"],
    ]
    assert table["same_as_name"].tolist() == [ANNA, "Иванова Ольга Петровна"]
    assert table["birth_date"].tolist() == ["1980-01-01"] * 2
    assert table["same_as_birth_date"].fillna("").tolist() == ["", "1980-01-01"]
    nothing = identity_table(proposals, undoubted(proposals)[:0], people)
    assert nothing["merge"].tolist() == ["no", "no"]


def test_a_reviewer_may_join_what_was_not_proposed():
    people = cards([*TWINS, ("10", OTHER, "Ким Лев")])
    reviewed = pd.DataFrame({"patient_id": ["10", "8"], "same_as": ["7", "7"]}, dtype="str")
    table = identity_table(propose_same_person(people), reviewed, people)
    rows = set(table[["patient_id", "same_as", "merge", "rule"]].itertuples(index=False, name=None))
    assert rows == {
        ("7", "8", "yes", "phone_name"),
        ("7", "9", "no", "phone_birth_date"),
        ("10", "7", "yes", "reviewed"),
    }
    assert table["group"].nunique() == 1


def test_what_is_told():
    people = cards([*TWINS, ("10", OTHER, "Ким Лев"), ("11", OTHER, "Ким Ада")])
    proposals = propose_same_person(people)
    problems = identity_problems(people, proposals, undoubted(proposals), "Телефон")
    assert [(problem.where, problem.check, problem.done, problem.count) for problem in problems] == [
        ("p.csv:3 «Телефон»", "same_person", "merged", 1),
        ("p.csv:4 «Телефон»", "same_person", "proposed", 1),
        ("p.csv:2 «Телефон»", "family_phone", "kept", 2),  # the twins', and 10 and 11
    ]
    text = "".join(map(str, problems))
    assert not any(value in text for value in ("Анна", "Иванов", "Ким", "7916", "1980"))


@pytest.fixture
def review(tmp_path):
    """Write a reviewed file and read it."""

    def read(content, known=("007", "008", "009", "-5")):
        path = tmp_path / "reviewed.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [*read_merges(path, known).itertuples(index=False, name=None)]

    return read


REVIEWED = {
    "as it should be": "patient_id,same_as\n007,008\n009,-5\n",
    "other columns": "note,same_as,name,patient_id\n?,008,Анна,007\n\n,-5,,009\n",
    "with a decision": "patient_id,same_as,merge\n007,008,yes\n009,-5,ДА\n007,009,no\n",
    "by a Russian spreadsheet": '\ufeffpatient_id;same_as;name\r\n"007";"008";"а,б"\r\n 009;-5;\r\n',
    "guarded from formulas": "patient_id,same_as\n007,008\n009,'-5\n",
    "by tabs": "patient_id\tsame_as\n007\t008\n009\t-5\n",
}


@pytest.mark.parametrize("content", REVIEWED.values(), ids=REVIEWED.keys())
def test_a_reviewed_file(review, content):
    assert review(content) == [("007", "008"), ("009", "-5")]


def test_a_review_that_joins_nobody(review):
    assert review("patient_id,same_as\n") == []
    assert review("patient_id,same_as,merge\n007,008,no\n") == []


def refusals(review, content) -> list[str]:
    with pytest.raises(ClinicFileError) as refused:
        review(content)
    return [f"{problem.where}: {problem.what}" for problem in refused.value.problems]


def test_all_faults_of_a_reviewed_file_are_told_at_once(review):
    content = "patient_id,same_as,merge\n007,008,yes\n7,008,yes\n,009,no\n009,,\n008,008,yes\n007,Canary,maybe\n"
    assert refusals(review, content) == [
        "reviewed.csv:3 «patient_id»: no card has this id",
        "reviewed.csv:4 «patient_id»: is empty",
        "reviewed.csv:5 «same_as»: is empty",
        "reviewed.csv:5 «merge»: is neither yes nor no",
        "reviewed.csv:6 «same_as»: is the same card",
        "reviewed.csv:7 «same_as»: no card has this id",
        "reviewed.csv:7 «merge»: is neither yes nor no",
    ]


def test_a_no_that_other_lines_overrule(review):
    content = "patient_id,same_as,merge\n007,008,yes\n008,009,yes\n009,007,no\n"
    assert refusals(review, content) == ["reviewed.csv:4 «merge»: says no to cards that other lines join"]
    content = "patient_id,same_as,merge\n007,008,yes\n008,007,no\n"
    assert refusals(review, content) == ["reviewed.csv:3 «merge»: says no to cards that other lines join"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["reviewed.csv:1 «patient_id»: must stand there once", "reviewed.csv:1 «same_as»: must stand there once"]),
        ("patient_id,id\n", ["reviewed.csv:1 «same_as»: must stand there once"]),
        ("patient_id,same_as,same_as\n", ["reviewed.csv:1 «same_as»: must stand there once"]),
        ("patient_id,same_as\n007,008,x\n", ["reviewed.csv:2: has more cells than headings"]),
        ('patient_id,same_as\n007,"008\n', ["reviewed.csv: a quoted cell does not end"]),
        ("patient_id,same_as\n007,008,Анна\n".encode("cp1251"), ["reviewed.csv: is not UTF-8 text"]),
    ],
)
def test_no_reviewed_file(review, content, said):
    assert refusals(review, content) == said


def test_no_such_reviewed_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ClinicFileError, match="no such file of reviewed cards"):
            read_merges(path)


@settings(max_examples=40)
@given(st.lists(SMALL, max_size=8), st.data())
def test_the_list_of_a_run_is_a_reviewed_file(tmp_path_factory, facts, data):
    people = cards([(f"{number:03}", *fact) for number, fact in enumerate(facts)])
    proposals = propose_same_person(people)
    chosen = proposals.loc[[data.draw(st.booleans()) for _ in range(len(proposals))], ["patient_id", "same_as"]]
    path = tmp_path_factory.mktemp("review") / "identity.csv"
    identity_table(proposals, chosen, people).to_csv(path, index=False)
    assert merged_ids(read_merges(path, people["patient_id"])) == merged_ids(chosen)


# The demo clinics, whose truth is known


@pytest.mark.parametrize(("clinic", "country"), [("dental-north", "RU"), ("aesthetic-lotus", "CN")])
def test_second_cards_of_a_demo_clinic(clinic, country):
    past = history(clinic, through="2023-12")
    cells = past.people.drop(columns="referred_by", errors="ignore")
    names = [name for name in cells.columns if name in {"patient_id", "name", "phone", "birth_date", "sex"}]
    cells = cells[names].assign(birth_date=cells["birth_date"].dt.strftime("%Y-%m-%d"))
    cells["sex"] = cells["sex"].astype("str")
    export = Export(
        ibis.memtable(cells.assign(_file="p.csv", _row=range(2, len(cells) + 2))), pd.DataFrame(columns=REJECT_COLUMNS)
    )
    spec = Patients(source="p.csv", date_format="%Y-%m-%d", columns={name: name for name in names})
    people = read_people(export, spec, country, dt.date(2026, 1, 1)).people
    truth = past.truth.patients.dropna(subset="same_person_as")
    reachable = set(past.people["patient_id"][past.people["phone"].notna()])
    twice = truth[truth["patient_id"].isin(reachable)][["patient_id", "same_person_as"]]
    assert len(twice) >= 5
    expected = merged_ids(twice.set_axis(["patient_id", "same_as"], axis=1).astype("str"))
    # Everybody with a second card and a phone, and nobody else: namesakes of a family differ in birth date.
    assert merged_ids(undoubted(propose_same_person(people))) == expected
    merged = merged_people(people, expected)
    assert len(merged) == len(people) - len(expected)
    alone = ~people["patient_id"].isin({*expected, *expected.values()})
    assert_series_equal(
        merged.set_index("patient_id")["name"].loc[people.loc[alone, "patient_id"]],
        people.set_index("patient_id")["name"].loc[people.loc[alone, "patient_id"]],
    )
