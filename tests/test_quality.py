"""What the data can say: findings in order, how far the history reaches, the volume, the columns; and words for all."""

from __future__ import annotations

import ast
import datetime as dt
import re
from pathlib import Path
from types import SimpleNamespace

import ibis
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from conftest import open_one
from hypothesis import given
from hypothesis import strategies as st

from rfmkit.analysis import quality
from rfmkit.data.cells import FIRST_YEAR
from rfmkit.data.previous import Previous, against_last_month
from rfmkit.errors import ExportError, Problem
from rfmkit.present.wording import LOCALES

PACKAGE = Path(__file__).parent.parent / "rfmkit"
AS_OF = dt.date(2026, 10, 31)

#: What is done about each check; `rfmkit check` and reports have no others.
DONE = {
    "rejected": {
        *("empty", "not_a_number", "not_a_date", "more_than_two_decimals", "another_currency", "before_1900"),
        *("after_today", "broken_lines", "rounded_ids", "test_patients", "same_file", "other_ids"),
        "fewer_visits",
    },
    "accepted": {"same_file", "other_ids", "fewer_visits"},
    "left_out": {
        *("totals", "titles", "invalid_phones", "rounded_phones", "invalid_emails", "unreadable_sexes"),
        *("unreadable_dates", "unreadable_consents"),
    },
    "kept": {
        *("equal_lines", "likely_test_patients", "refunds_unmatched", "unknown_patients", "several_phones"),
        "family_phone",
    },
    "shown": {"days_without_visits", "ends_early", "half_volume"},
    "joined": {"refunds_matched", "conflicting_lines"},
    "dropped": {"copies"},
    "left_for_later": {"after_as_of"},
    "counted": {"prepaid"},
    "proposed": {"same_person"},
    "merged": {"same_person"},
}
CHECKS = set.union(*DONE.values())


# --- words


def worded(kind: str, locale: str = "en") -> set[str]:
    with (LOCALES / locale / "messages.po").open("rb") as file:
        return {message.id for message in read_po(file) if message.context == kind}


def strings(node: ast.AST) -> list[str]:
    return [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)]


def keys_in(source: str) -> tuple[set[str], set[str]]:
    """The keys of checks, and of what is done, that a module writes: in problems, and in tables of them."""
    checks, done, renamed = set(), set(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="Problem")):
                told = dict(zip(("where", "what", "fix", "count", "check", "done"), node.args, strict=False))
                told |= {keyword.arg: keyword.value for keyword in node.keywords}
                checks |= {told["check"].value} if isinstance(told.get("check"), ast.Constant) else set()
                done |= {told["done"].value} if isinstance(told.get("done"), ast.Constant) else set()
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)) if name.startswith("_CHECKS"):
                pairs = [strings(value) for value in values if not isinstance(value, ast.Call)]
                checks |= {pair[0] for pair in pairs if pair}
                done |= {pair[1] for pair in pairs if pair[1:]}
                calls = [value for value in values if isinstance(value, ast.Call)]
                checks |= {call.args[1].value for call in calls}
            case ast.Assign(targets=[ast.Name(id="_BESIDE")], value=ast.Dict(values=values)):
                checks |= {strings(value)[0] for value in values}
            case ast.Assign(targets=[ast.Name(id="check")], value=value):
                for inner in (inner for inner in ast.walk(value) if isinstance(inner, ast.Dict)):
                    renamed |= {key for name in inner.keys for key in strings(name)}
                    checks |= {key for name in inner.values for key in strings(name)}
                checks |= set(strings(value.body)) if isinstance(value, ast.IfExp) else set()
            case ast.Tuple(elts=[ast.Constant(value=str(first)), _, ast.Constant(value=str(last))]) if last in worded(
                "done"
            ):
                checks |= {first}
                done |= {last}
    return checks - renamed, done


def faults_of_cells() -> set[str]:
    """Why a cell cannot be read: the texts that the readers of cells choose from."""
    tree = ast.parse((PACKAGE / "data" / "cells.py").read_text(encoding="utf-8"))
    chosen = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2]
    chosen += [
        node for node in ast.walk(tree) if getattr(getattr(node, "func", None), "attr", "") in ("cases", "ifelse")
    ]
    texts = {text for node in chosen for text in strings(node) if re.fullmatch("[a-z]+( [a-z]+)+", text)}
    return {text.replace(" ", "_") for text in texts} | {"empty", f"before_{FIRST_YEAR}"}


def written() -> tuple[set[str], set[str]]:
    found = [keys_in(path.read_text(encoding="utf-8")) for path in (PACKAGE / "data").rglob("*.py")]
    return set.union(faults_of_cells(), *(checks for checks, _ in found)), set.union(*(done for _, done in found))


def test_the_checks_are_exhaustive():
    checks, done = written()
    assert checks == CHECKS
    assert done <= set(DONE)


@pytest.mark.parametrize("locale", sorted(folder.name for folder in LOCALES.iterdir()))
def test_every_check_and_what_was_done_has_words(locale):
    assert worded("check", locale) == CHECKS
    assert worded("done", locale) == set(DONE)


@pytest.mark.parametrize("locale", sorted(folder.name for folder in LOCALES.iterdir()))
def test_every_column_has_a_name_and_says_what_it_costs(locale):
    columns = {*quality.LINE_COLUMNS, *quality.PATIENT_COLUMNS, quality.PATIENTS_FILE}
    columns |= {*quality.LINE_PROGRAMME_COLUMNS, *quality.PATIENT_PROGRAMME_COLUMNS}
    assert worded("costs", locale) == columns
    assert columns <= worded("column", locale)


def test_every_column_is_one_that_a_clinic_file_can_name():
    from rfmkit.clinic import PatientColumns, TransactionColumns

    assert {*quality.LINE_COLUMNS, *quality.LINE_PROGRAMME_COLUMNS} <= set(TransactionColumns.model_fields)
    assert {*quality.PATIENT_COLUMNS, *quality.PATIENT_PROGRAMME_COLUMNS} <= set(PatientColumns.model_fields)


# --- findings


def found(*problems: tuple[str, str, int]) -> pd.DataFrame:
    return quality.findings(Problem("a.csv:2", "what", "", count, check, done) for check, done, count in problems)


def test_the_serious_stand_before_the_harmless():
    frame = found(
        ("refunds_matched", "joined", 900),
        ("invalid_phones", "left_out", 50),
        ("days_without_visits", "shown", 4),
        ("test_patients", "rejected", 70),
        ("not_a_date", "rejected", 2),
        ("other_ids", "accepted", 1),
        ("equal_lines", "kept", 60),
        ("not_a_number", "rejected", 5),
        ("half_volume", "shown", 1),
        ("same_person", "merged", 3000),
    )
    assert list(frame["check"]) == [
        "other_ids",
        *("not_a_number", "not_a_date"),  # 5 > 2
        *("days_without_visits", "half_volume"),
        *("equal_lines", "invalid_phones"),  # 60 > 50
        *("same_person", "refunds_matched", "test_patients"),  # 3000 > 900 > 70
    ]
    assert list(frame["serious"]) == [True] * 5 + [False] * 5


def test_what_is_on_the_export_as_a_whole_has_no_number():
    frame = found(("ends_early", "shown", 1), ("after_as_of", "left_for_later", 1), ("same_file", "accepted", 1))
    assert dict(zip(frame["check"], frame["count"].isna(), strict=True)) == {
        "same_file": True, "ends_early": True, "after_as_of": False,
    }  # fmt: skip


def test_a_problem_without_a_key_is_no_finding():
    assert list(found(("", "", 3), ("copies", "dropped", 2))["check"]) == ["copies"]


def test_nothing_found_is_a_frame_without_rows():
    frame = quality.findings([])
    assert list(frame.columns) == ["check", "count", "where", "done", "serious"]
    assert not len(frame)


# --- how far the history reaches


def summary(*histories: tuple[str, str]) -> pd.DataFrame:
    """Patients by their first and last visit."""
    days = pd.DataFrame(histories, columns=["first", "last"]).apply(pd.to_datetime)
    age = (pd.Timestamp(AS_OF) - days["first"]).dt.days
    return pd.DataFrame(
        {"patient_id": days.index.astype(str), "recency": (days["last"] - days["first"]).dt.days, "T": age}
    )


def reach(people: pd.DataFrame, *known: bool, **more) -> pd.Series:
    terms = {"period_months": 12, "active_months": 12} | more
    return quality.history_reach(people, pd.Series(known or [True] * len(people)), AS_OF, **terms).iloc[0]


def test_the_history_reaches_from_the_first_visit_to_the_last():
    row = reach(summary(("2026-02-10", "2026-10-28"), ("2025-12-31", "2026-03-01")), True, False)
    assert (row["first_day"], row["last_day"]) == (dt.date(2025, 12, 31), dt.date(2026, 10, 28))
    assert row["months"] == 1 + 10  # December, then January to October
    assert (row["patients"], row["known"], row["unknown"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("first", "period", "active", "reached", "month"),
    [
        # The period is November 2025 to October 2026; who was active before it is seen from November 2024 on.
        ("2024-11-30", 12, 12, True, "2026-10"),
        ("2024-12-01", 12, 12, False, "2026-11"),
        # 12 + 18 = 30 months up to October 2026 begin in May 2024.
        ("2024-05-02", 12, 18, True, "2026-10"),
        ("2024-06-01", 12, 18, False, "2026-11"),
        ("2026-10-01", 1, 1, False, "2026-11"),
    ],
)
def test_retention_needs_the_period_and_the_activity_before_it(first, period, active, reached, month):
    row = reach(summary((first, "2026-10-31")), period_months=period, active_months=active)
    assert row["retention_months"] == period + active
    assert (bool(row["retention_reached"]), row["retention_month"]) == (reached, month)


def test_retention_is_reached_where_it_can_be_computed(cdnow_visits):
    """The measure itself says the same: CDNOW begins in January 1997."""
    from rfmkit import NotEnoughData, Period, btyd_summary, customer_retention_rate

    for end, months in [(dt.date(1998, 6, 30), 9), (dt.date(1998, 5, 31), 9)]:
        people = btyd_summary(cdnow_visits, end)
        known = pd.Series(True, index=people.index)
        row = quality.history_reach(people, known, end, period_months=months, active_months=months).iloc[0]
        try:
            customer_retention_rate(cdnow_visits, Period.trailing(end, months), months)
            computed = True
        except NotEnoughData as reason:
            assert reason.numbers["needed"] == row["retention_start"]
            computed = False
        assert bool(row["retention_reached"]) is computed is (end.month == 6)
        assert row["retention_month"] == "1998-06"


@pytest.mark.parametrize("stated", [True, False, None])
def test_what_the_clinic_states_is_handed_on(stated):
    assert reach(summary(("2026-01-01", "2026-01-01")), complete_history=stated)["complete_history"] == stated


# --- volume


def by_day(**visits: int) -> pd.Series:
    days = pd.to_datetime([name.removeprefix("on_").replace("_", "-") for name in visits])
    return pd.Series(list(visits.values()), index=days)


def test_visits_are_counted_by_day():
    visits = pd.DataFrame(
        {"patient_id": ["a", "b", "a"], "visit_date": pd.to_datetime(["2026-10-02", "2026-10-02", "2026-09-30"])}
    )
    counted = quality.visits_by_day(visits)
    assert counted.to_dict() == {pd.Timestamp("2026-09-30"): 1, pd.Timestamp("2026-10-02"): 2}
    assert counted.index.is_monotonic_increasing


def test_months_without_a_visit_are_there_up_to_the_last():
    days = by_day(on_2026_06_30=4, on_2026_08_01=2, on_2026_08_09=3)
    closed = pd.DatetimeIndex(["2026-07-01", "2026-07-02", "2026-08-03"])
    frame = quality.visit_volume(days, closed, AS_OF)
    assert frame.to_dict("list") == {
        "month": ["2026-06", "2026-07", "2026-08", "2026-09", "2026-10"],
        "visits": [4, 0, 2 + 3, 0, 0],
        "days_without_visits": [0, 2, 1, 0, 0],
    }


@given(st.dictionaries(st.dates(dt.date(2023, 1, 1), AS_OF), st.integers(1, 50), min_size=1), st.data())
def test_no_visit_and_no_closed_day_is_lost(visits, data):
    days = pd.Series(visits).rename(index=pd.Timestamp).sort_index()
    inside = st.dates(days.index[0].date(), AS_OF)
    closed = pd.DatetimeIndex(sorted(data.draw(st.sets(inside, max_size=40))), dtype="datetime64[s]")
    frame = quality.visit_volume(days, closed, AS_OF)
    assert frame["visits"].sum() == sum(visits.values())
    assert frame["days_without_visits"].sum() == len(closed)
    assert (frame["month"].iloc[0], frame["month"].iloc[-1]) == (f"{days.index[0]:%Y-%m}", "2026-10")


# --- columns


LINES = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b", "c"],
        "receipt_id": ["1", "1", "2", None],
        "service": ["x", "y", "x", "x"],
        "bonus_redeemed": [None, None, None, 5.0],
    }
)
PEOPLE = pd.DataFrame(
    {
        "patient_id": ["a", "b", "d"],
        "phone": [None, "+353851234567", "+353851234568"],
        "phone_fault": ["too_short", None, None],
        "consent_sms": [False, True, True],
        "opted_out": [False, False, True],
        "sex": [None, None, "female"],
    }
)


def covered(people: pd.DataFrame | None = PEOPLE) -> pd.DataFrame:
    return quality.coverage(ibis.memtable(LINES), people, pd.Series(["a", "b", "c", "e"]))


def filled(frame: pd.DataFrame) -> dict[str, float]:
    there = frame[frame["mapped"]]
    return dict(zip(there["column"], there["filled"], strict=True))


def test_a_column_is_as_full_as_its_lines_or_patients():
    assert filled(covered()) == {
        "receipt_id": 3 / 4,
        "service": 4 / 4,
        "bonus_redeemed": 1 / 4,
        "phone": 1 / 4,  # b's; a's is not valid, and of c and e nothing is known
        "consent_sms": 2 / 4,  # a's no is an answer
        "opted_out": 2 / 4,
        "sex": 0 / 4,  # d never came
    }


def test_missing_columns_come_first_those_of_a_programme_last_among_them():
    frame = covered()
    missing = frame["column"][~frame["mapped"]]
    assert frame["mapped"].is_monotonic_increasing
    assert list(missing) == [
        *("category", "branch", "doctor", "days_supply", "email", "consent_phone", "consent_email", "consent_ads"),
        *("birth_date", "bonus_accrued", "discount", "member_since", "referred_by"),
    ]
    assert frame["filled"][frame["mapped"]].is_monotonic_increasing
    assert set(frame["part"][frame["column"].isin(PEOPLE.columns)]) == {"patients"}


def test_without_a_file_of_patients_one_row_says_so():
    frame = covered(None)
    assert frame["column"][frame["part"] == "patients"].to_list() == ["patients_file"]
    assert not frame["mapped"][frame["column"] == "patients_file"].item()


def test_an_export_of_needed_columns_alone_lacks_all_others():
    lines = ibis.memtable(LINES[["patient_id"]])
    assert not quality.coverage(lines, PEOPLE[["patient_id"]], pd.Series(["a"]))["mapped"].any()


# --- of a study


def test_a_study_tells_what_its_data_can_say(write_clinic):
    """Open on weekdays from March to October 2026, but not from 6 to 8 May; one line of the export has no date."""
    weekdays = [day for day in pd.date_range("2026-03-02", "2026-10-30") if day.day_of_week < 5]
    open_days = [day for day in weekdays if not pd.Timestamp("2026-05-06") <= day <= pd.Timestamp("2026-05-08")]
    lines = [f"p{place % 60},{day:%Y-%m-%d},10.00,check-up" for place, day in enumerate(open_days)]
    study = open_one(write_clinic("id,date,amount,what\n" + "\n".join([*lines, "p1,soon,10.00,"]) + "\n"))
    assert list(study.findings["check"])[:2] == ["not_a_date", "days_without_visits"]
    assert study.findings.loc[0, "where"] == f"clinic.csv:{len(lines) + 2} «date»"
    volume = study.visit_volume.set_index("month")
    assert volume["visits"].sum() == len(open_days)
    assert volume["days_without_visits"].to_dict() == {f"2026-{month:02d}": 3 * (month == 5) for month in range(3, 11)}
    row = study.history_reach.iloc[0]
    assert (row["first_day"], row["last_day"], row["months"]) == (dt.date(2026, 3, 2), dt.date(2026, 10, 30), 8)
    assert not row["retention_reached"]
    assert row["retention_month"] == "2028-02"  # 24 months from March 2026
    assert not study.coverage["mapped"].any()
    assert "patients_file" in set(study.coverage["column"])


# --- compared with last month

BEFORE = Previous(
    month="2026-09",
    inputs=frozenset({"a"}),
    rows_read=400,
    patients=frozenset("12345678"),
    visits={"2026-07": 60, "2026-08": 100, "2026-09": 90},
    digest="",
)


def compared(visits: dict[str, int], accept: dict[str, str] | None = None, **changed) -> list[Problem]:
    spec = SimpleNamespace(accept=accept or {})
    seen = {"inputs": {"b"}, "rows_read": 500, "patients": pd.Series(list("12345678")), "month_lines": 9} | changed
    return against_last_month(BEFORE, spec=spec, where="x.csv", visits=pd.Series(visits), **seen)


WHOLE = {"2026-07": 60, "2026-08": 100, "2026-09": 90, "2026-10": 95}


@pytest.mark.parametrize(
    ("visits", "gone"),
    [
        (WHOLE, False),
        (WHOLE | {"2026-09": 72}, False),  # 172 of 190: 90.5 %; a few were taken back
        (WHOLE | {"2026-09": 70}, True),  # 170 of 190: 89.5 %
        (WHOLE | {"2026-07": 1}, False),  # the first month of an export may be a part of it
        ({"2026-08": 3, "2026-09": 90, "2026-10": 95}, False),
        ({"2026-09": 5, "2026-10": 95}, False),  # nothing that both have whole
        ({"2026-07": 60, "2026-08": 100}, True),
    ],
)
def test_visits_that_were_reported_on_do_not_go_unnoticed(visits, gone):
    if not gone:
        assert compared(visits) == []
        return
    with pytest.raises(ExportError, match=r"x\.csv: has [0-9]+ visits of months up to 2026-09 in which there were 190"):
        compared(visits)
    (told,) = compared(visits, accept={"fewer_visits": "a branch was sold"})
    assert (told.check, told.done) == ("fewer_visits", "accepted")


def test_another_clinics_export_and_last_months_again_are_refused_together():
    with pytest.raises(ExportError) as refused:
        compared(WHOLE, inputs={"a"}, patients=pd.Series(["9"]), month_lines=0)
    assert [problem.check for problem in refused.value.problems] == ["same_file", "other_ids"]
    assert [one.check for one in compared(WHOLE, rows_read=199)] == ["half_volume"]
