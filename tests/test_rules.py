"""Rules of a clinic file: read into a tree, met as they say, refused where they ask for what there is not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmkit import load_scheme
from rfmkit.analysis.contradictions import impossible
from rfmkit.analysis.rules import RuleReader
from rfmkit.analysis.tags import rule_columns

SCHEME = load_scheme("eleven")
PEOPLE = ("sex", "consent_sms")
COLUMNS = rule_columns(SCHEME, by_recall=False, of_people=PEOPLE, bought=("category", "service"))


class Patients:
    """Patients at one moment, of a frame."""

    def __init__(self, frame: pd.DataFrame, bought: dict | None = None):
        self.frame, self._bought = frame, bought or {}

    def __len__(self) -> int:
        return len(self.frame)

    def of(self, column: str) -> np.ndarray:
        return self.frame[column].to_numpy()

    def bought(self, column: str, name: str) -> np.ndarray:
        return np.array(self._bought[column, name])


FOUR = Patients(
    pd.DataFrame(
        {
            "total_spend": [100.0, 20_000.0, 20_000.01, 5.0],
            "recency_days": [7, 8, 0, 400],
            "clv": [1.0, np.nan, 3.0, np.nan],
            "segment": np.array(["champions", "lost", "loyal", "inactive"], dtype=object),
            "consent_sms": np.array([True, False, None, True], dtype=object),
            "last_visit": pd.to_datetime(["2026-10-24", "2026-10-23", "2026-10-31", "2025-09-26"]),
        }
    ),
    {("category", "Laser"): [True, False, False, True], ("service", "Peel"): [False, False, True, True]},
)


def read(when) -> tuple:
    reader = RuleReader(COLUMNS, "c.toml [tags.t] when")
    return reader.read(when), [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("when", "met"),
    [
        ({"total_spend": ">= 20000"}, "0110"),
        ({"total_spend": "> 20000"}, "0010"),
        ({"total_spend": ">= 20000", "recency_days": "<= 7"}, "0010"),
        ({"recency_days": 8}, "0100"),
        ({"recency_days": [7, 8]}, "1100"),
        ({"recency_days": ">= 7 and < 400"}, "1100"),
        ({"recency_days": "!= 7"}, "0111"),
        ({"clv": ">= 1"}, "1010"),  # what is unknown meets no comparison
        ({"clv": "< 100"}, "1010"),
        ({"not": {"clv": "< 100"}}, "0101"),
        ({"segment": "champions"}, "1000"),
        ({"segment": ["champions", "loyal"]}, "1010"),
        ({"segment": "!= inactive"}, "1110"),
        ({"segment": "= 'lost'"}, "0100"),
        ({"consent_sms": True}, "1001"),
        ({"consent_sms": False}, "0100"),
        ({"last_visit": dt.date(2026, 10, 31)}, "0010"),
        ({"last_visit": ">= 2026-10-24"}, "1010"),
        ({"category": "Laser"}, "1001"),
        ({"category": "!= Laser"}, "0110"),
        ({"category": "Laser", "service": "Peel"}, "0001"),
        ({"any": [{"category": "Laser"}, {"service": "Peel"}]}, "1011"),
        ({"any": [{"category": "Laser"}, {"service": "Peel"}], "not": {"segment": "inactive"}}, "1010"),
        ({"all": [{"recency_days": "> 0"}, {"any": [{"clv": 1}, {"segment": "lost"}]}]}, "1100"),
    ],
    ids=str,
)
def test_a_rule_is_met_as_it_says(when, met):
    rule, problems = read(when)
    assert problems == []
    assert "".join(str(int(one)) for one in rule.met(FOUR)) == met


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({}, "c.toml [tags.t] when: is no table of conditions. "),
        ({"total_spent": ">= 2"}, "when total_spent: no such column in this clinic's data. Did you mean total_spend?"),
        ({"not": {"zzz": 1}}, "when zzz: no such column in this clinic's data. There are: recency_days, visits, "),
        ({"consent_ads": True}, "when consent_ads: no such column in this clinic's data. Did you mean consent_sms?"),
        ({"segment": "champion"}, "when segment: there is no champion. Did you mean champions?"),
        ({"segment": "zzz"}, "when segment: there is no zzz. There are: champions, loyal, "),
        ({"segment": ">= lost"}, 'when segment: is compared with what it cannot be. Write for example segment = "'),
        ({"recency_days": "seven"}, "when recency_days: is compared with what it cannot be. Write for example rec"),
        ({"recency_days": ">= seven"}, "when recency_days: is compared with what it cannot be"),
        ({"recency_days": True}, "when recency_days: is compared with what it cannot be"),
        ({"recency_days": []}, "when recency_days: is an empty list"),
        ({"consent_sms": "perhaps"}, "when consent_sms: is compared with what it cannot be"),
        ({"last_visit": ">= 31.10.2026"}, 'Write for example last_visit = ">= 2026-01-31".'),
        ({"total_spend": "__import__('os').system('true')"}, "when total_spend: is compared with what it cannot be"),
        ({"any": {"visits": 1}}, "when any: is no list of tables"),
        ({"all": []}, "when all: is no list of tables"),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_read_is_named(when, said):
    rule, problems = read(when)
    assert rule is None
    assert len(problems) == 1
    assert said in problems[0]


def test_all_that_is_wrong_is_told_at_once():
    _, problems = read({"zzz": 1, "any": [{"yyy": 2}, {"segment": "xxx"}]})
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ({"recency_days": "< 0"}, "recency_days < 0.0"),
        ({"visits": 0}, "visits = 0.0"),
        ({"visits": 2.5}, "visits = 2.5"),
        ({"probability_alive": "> 1"}, "probability_alive > 1.0"),
        ({"recency_score": 6}, "recency_score = 6.0"),
        ({"visit_count": "> 4 and < 5"}, "visit_count > 4.0 and visit_count < 5.0"),
        ({"total_spend": "> 4 and < 5"}, None),
        ({"total_spend": "> 4 and < 4"}, "total_spend > 4.0 and total_spend < 4.0"),
        ({"total_spend": ">= 4 and <= 4"}, None),
        ({"total_spend": ">= 4 and <= 4 and != 4"}, "total_spend >= 4.0 and total_spend <= 4.0 and total_spend != 4.0"),
        ({"visit_count": ">= 4 and <= 5 and != 4 and != 5"}, "visit_count"),
        ({"visit_count": ">= 4 and <= 6 and != 4 and != 5"}, None),
        ({"last_visit": "> 2026-10-01 and < 2026-10-02"}, "last_visit > 2026-10-01 and last_visit < 2026-10-02"),
        ({"segment": "lost", "all": [{"segment": "new"}]}, "segment = lost and segment = new"),
        ({"segment": "champions", "recency_score": 1}, "segment = champions and recency_score = 1.0"),
        ({"segment": "champions", "recency_score": 4}, None),
        ({"segment": "inactive", "rfm_score": "111"}, "segment = inactive and rfm_score = 111"),
        ({"consent_sms": True, "not": {"consent_sms": True}}, "consent_sms = True and consent_sms != True"),
        ({"not": {"any": [{"consent_sms": True}, {"consent_sms": False}]}}, None),  # it may be unknown
        ({"not": {"segment": "inactive"}, "recency_score": "<= 2 and >= 2"}, None),
        ({"segment": "inactive", "not": {"recency_score": ">= 1"}}, None),
        ({"category": "a", "not": {"category": "a"}}, "category = a and category != a"),
        ({"category": "a", "all": [{"category": "b"}]}, None),  # one may have bought both
        ({"any": [{"visits": "> 3"}, {"recency_days": "< 0"}]}, "recency_days < 0.0"),
        ({"not": {"recency_days": ">= 0"}}, "recency_days < 0.0"),
        ({"not": {"clv": ">= 0"}}, None),  # where no model stands it is unknown
        ({"not": {"any": [{"visits": "<= 3"}, {"visits": "> 3"}]}}, "visits > 3.0 and visits <= 3.0"),
        ({"not": {"all": [{"visits": "<= 3"}, {"visits": "> 3"}]}}, None),
        ({"sex": ["female", "male"]}, None),
    ],
    ids=str,
)
def test_what_nobody_can_meet_is_found(when, what):
    rule, problems = read(when)
    assert problems == []
    said = impossible(rule, COLUMNS, SCHEME)
    assert said is None if what is None else said.startswith(what)


SIGNS = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
LEAF = st.builds(lambda sign, n: {"visit_count": f"{sign} {n}"}, SIGNS, st.integers(-1, 4))
RULES = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(lambda rule: {"not": rule}, inner),
        st.builds(lambda rules: {"all": rules}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda rules: {"any": rules}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


def naive(when: dict, count: int) -> bool:
    """The same by words, for one number of visits."""
    ((key, value),) = when.items()
    if key == "not":
        return not naive(value, count)
    if key in {"all", "any"}:
        return {"all": all, "any": any}[key]([naive(one, count) for one in value])
    sign, limit = value.split()
    n = int(limit)
    return {"<": count < n, "<=": count <= n, ">": count > n, ">=": count >= n, "=": count == n, "!=": count != n}[sign]


def leaves(when: dict) -> list[dict]:
    ((key, value),) = when.items()
    if key == "visit_count":
        return [when]
    return [leaf for one in ([value] if key == "not" else value) for leaf in leaves(one)]


@given(when=RULES)
def test_a_rule_is_met_and_impossible_as_by_trying_every_number(when):
    counts = range(8)  # no limit lies above 4, so that beyond 5 nothing changes
    rule, problems = read(when)
    assert problems == []
    met = rule.met(Patients(pd.DataFrame({"visit_count": counts})))
    assert met.tolist() == [naive(when, count) for count in counts]
    nobody = not met.any() or any(not any(naive(leaf, count) for count in counts) for leaf in leaves(when))
    assert (impossible(rule, COLUMNS, SCHEME) is not None) == nobody
