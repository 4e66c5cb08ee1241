"""Recency by the recall: how far past the interval of what a patient mainly comes for."""

import datetime as dt
from collections import defaultdict

import pandas as pd
import pytest
from conftest import open_one
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rfmkit import Reader, rfm_table, tables, visits_from
from rfmkit.analysis.scores import average_cuts, cuts_as_thresholds, rfm_cuts, score_rfm, threshold_cuts
from rfmkit.clinic import Recall
from rfmkit.data.histories import rfm_history
from rfmkit.data.recall import main_services, treatments_from
from rfmkit.period import Period, month_ends

AS_OF = dt.date(2026, 10, 31)
RECALL = Recall(default=365, service={"Clean": 180}, category={"Ortho": 30})


def lines(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_id", "visit_date", "service", "category", "amount"])
    frame = frame.astype({"service": "str", "category": "str"})
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]), amount=frame["amount"].astype(float))


def mains(rows: list[tuple], window: int = 0) -> dict:
    """The main service of each patient, its interval, and the days past it."""
    frame = main_services(treatments_from(lines(rows), RECALL), AS_OF, window)
    return {patient: tuple(row) for patient, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)}


CASES = [
    ("most days", "10-01 Clean H | 09-01 Clean H | 10-30 Pull S", "Clean", 180, 30 - 180),
    ("a day counts once", "10-01 Clean H | 10-01 Clean H | 10-02 x Ortho | 10-09 y Ortho", "Ortho", 30, 22 - 30),
    ("a tie goes to the latest", "10-01 Clean H | 10-02 Pull S", "S", 365, 29 - 365),
    ("then by name", "10-01 Clean H | 10-01 Pull Ache", "Ache", 365, 30 - 365),
    ("no interval of its own: as its category", "08-02 Wire Ortho | 09-01 Band Ortho", "Ortho", 30, 60 - 30),
    ("its own stands before its category's", "09-01 Clean Ortho", "Clean", 180, 60 - 180),
    ("without a category it is the service", "09-01 Pull -", "Pull", 365, 60 - 365),
    ("a line that names nothing", "09-01 - -", None, 365, 60 - 365),
    ("what is named goes first", "09-01 - - | 09-01 Pull -", "Pull", 365, 60 - 365),
    ("what comes later is not known", "09-01 Clean H | 11-01 Pull S | 11-02 Pull S", "Clean", 180, 60 - 180),
]  # fmt: skip


@pytest.mark.parametrize(
    ("came", "service", "days", "overdue"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_main_service_and_how_far_it_is_overdue(came, service, days, overdue):
    cells = [[None if cell == "-" else cell for cell in line.split()] for line in came.split("|")]
    found = mains([("p", f"2026-{day}", *named, 10) for day, *named in cells])["p"]
    assert (found[0] if isinstance(found[0], str) else None, *found[1:]) == (service, days, overdue)


def test_a_refund_is_no_visit_and_the_window_ends_the_past():
    rows = [
        ("p", "2024-01-05", "Clean", "H", 10),
        ("p", "2024-02-05", "Clean", "H", 10),
        ("p", "2026-10-01", "x", "Ortho", 10),
    ]
    rows += [("p", "2026-10-20", "Clean", "H", -10)]
    assert mains(rows)["p"][0] == "Clean"
    assert mains(rows, window=24)["p"] == ("Ortho", 30, 30 - 30)


def naive(rows: list[tuple], as_of: dt.date, window: int) -> dict:
    """Word for word: most days, then the latest, then by name; what is left is days since, less the interval."""
    start = Period.trailing(as_of, window).start if window else dt.date.min
    came = defaultdict(lambda: defaultdict(set))
    for patient, day, service, category, amount in rows:
        if start <= day <= as_of and amount >= 0:
            of_service, of_category = RECALL.service.get(service), RECALL.category.get(category)
            name = service if of_service else category or service or ""
            came[patient][name, of_service or of_category or RECALL.default].add(day)
    found = {}
    for patient, kinds in came.items():
        most = max((len(days), max(days)) for days in kinds.values())
        tied = [kind for kind, days in kinds.items() if (len(days), max(days)) == most]
        name, interval = min(tied, key=lambda kind: (kind[0] == "", kind))
        found[patient] = (name or None, interval, (as_of - most[1]).days - interval)
    return found


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.dates(dt.date(2025, 1, 1), AS_OF),
        st.sampled_from(["Clean", "Pull", "Ortho", None]),
        st.sampled_from(["Ortho", "H", None]),
        st.sampled_from([10, 0, -5]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=15)
@given(rows=ROWS, window=st.sampled_from([0, 1, 6]))
@example(rows=[("a", dt.date(2025, 1, 1), "Clean", "Ortho", 10)], window=1)  # nobody inside any window
def test_every_month_end_is_as_the_words_say(rows, window):
    rows.append(("a", dt.date(2025, 1, 1), "Pull", None, 10))
    export = lines(rows)
    visits, treatments = visits_from(export), treatments_from(export, RECALL)
    history = rfm_history(visits, AS_OF, 6, window, treatments=treatments)
    for end in month_ends(AS_OF, 6):
        expected = naive(rows, end, window)
        rfm = rfm_table(visits, end, window, treatments=treatments).set_index("patient_id")
        then = history[history["inside"] & (history["month_end"] == pd.Timestamp(end))].set_index("patient_id")
        assert set(rfm.index) == set(then.index) == set(expected)
        for patient, (service, interval, overdue) in expected.items():
            found = rfm.loc[patient]
            assert (found["main_service"] if isinstance(found["main_service"], str) else None) == service
            assert tuple(found[["recall_days", "days_overdue"]]) == (interval, overdue)
            assert tuple(then.loc[patient, ["recall_days", "days_overdue"]]) == (interval, overdue)
            # The days since the last visit, for whatever it was, are what they always were.
            assert found["recency_days"] == then.loc[patient, "recency_days"]


# --- scores

OVERDUE = st.lists(
    st.tuples(st.integers(-400, 400), st.integers(1, 6), st.integers(0, 30).map(float)), min_size=1, max_size=40
).map(lambda rows: pd.DataFrame(rows, columns=["days_overdue", "visit_count", "total_spend"]).assign(recency_days=0))


@pytest.mark.parametrize("bins", range(2, 10))
@given(rfm=OVERDUE)
def test_overdue_is_scored_as_recency_is(bins, rfm):
    """Days overdue in the place of recency give the scores that the same numbers as recency would."""
    cuts = rfm_cuts(rfm, bins, recency="days_overdue")
    scored = score_rfm(rfm, cuts=cuts)
    same = rfm.assign(recency_days=rfm["days_overdue"])
    assert scored["rfm_score"].tolist() == score_rfm(same, bins)["rfm_score"].tolist()
    assert (
        score_rfm(rfm, cuts=threshold_cuts(cuts_as_thresholds(cuts)))["rfm_score"].tolist()
        == scored["rfm_score"].tolist()
    )


@given(rfm=OVERDUE)
def test_high_is_no_more_overdue_than_the_mean(rfm):
    days = rfm["days_overdue"].tolist()
    scored = score_rfm(rfm, cuts=average_cuts(rfm, "mean", recency="days_overdue"))
    assert (scored["recency_score"] == 2).tolist() == [day * len(days) <= sum(days) for day in days]


# --- a clinic

COLUMNS = 'service = "service"\n'
BY_RECALL = '[rfm]\nrecency_by = "recall"\n[recall]\ndefault = 90\nservice = {Yearly = 365}\n'


@pytest.fixture
def written(write_clinic):
    """Sixty patients of a monthly thing, last n days before the end, and one who comes for a yearly check-up."""
    day = pd.Timestamp(AS_OF)
    rows = [
        f"M{n},{day - pd.Timedelta(days=n + 30 * back):%Y-%m-%d},10,Monthly\n" for n in range(60) for back in (0, 1)
    ]
    rows += [f"yearly,{day - pd.Timedelta(days=304 + back):%Y-%m-%d},10,Yearly\n" for back in (0, 365)]

    def write(parts: str):
        return write_clinic("id,date,amount,service\n" + "".join(rows), transactions="", parts=COLUMNS + parts)

    return write


def test_a_yearly_check_up_at_month_ten_is_not_at_risk(written):
    by_visit = open_one(written("")).patients.set_index("patient_id").loc["yearly"]
    assert (by_visit["recency_days"], by_visit["recency_score"]) == (304, 1)  # nobody has stayed away for longer
    patients = open_one(written(BY_RECALL)).patients.set_index("patient_id")
    yearly = patients.loc["yearly"]
    assert (yearly["recency_days"], yearly["main_service"], yearly["recall_days"]) == (304, "Yearly", 365)
    # 304 − 365 = −61 days; the monthly ones are at 0 − 90 = −90 up to 59 − 90 = −31: thirty of them are later than −61.
    assert yearly["days_overdue"] == -61
    assert (patients["days_overdue"] > -61).sum() == 30
    assert yearly["recency_score"] == 3
    assert yearly["segment"] not in {"at_risk", "cant_lose", "lost"}
    assert by_visit["segment"] in {"at_risk", "cant_lose", "lost", "hibernating"}


def test_both_columns_stand_in_the_tables(written):
    study = open_one(written(BY_RECALL))
    assert {"median_recency_days", "median_days_overdue"} <= set(study.segments)
    assert set(study.score_cuts["measure"]) == {"days_overdue", "visit_count", "total_spend"}
    assert "Days overdue (median)" in tables.segments(study.segments, reader=study.reader).html
    cuts = tables.score_cuts(study.score_cuts, reader=study.reader).html
    assert "Recency: days overdue" in cuts
    assert "Recency is counted from the day on which" in cuts
    assert "Recency: days overdue" in tables.score_bands(study.score_bands, reader=study.reader).html
    assert "median_days_overdue" not in open_one(written("")).segments


@pytest.mark.parametrize(
    ("cut", "said"),
    [(1, "at most 1 day overdue"), (40, "at most 40 days overdue"), (0, "not overdue"), (-9, "due in 9 days or later")],
)
def test_a_cut_is_said_in_words(cut, said):
    frame = pd.DataFrame({"measure": ["days_overdue"], "score": [2], "cut": [float(cut)]})
    assert f">{said}</td>" in tables.score_cuts(frame, reader=Reader()).html


def test_a_patient_is_explained_by_the_recall(written):
    told = open_one(written(BY_RECALL)).explain("yearly")
    assert told.measures["measure"].tolist() == ["days_overdue", "visit_count", "total_spend"]
    assert told.measures["value"].iloc[0] == -61
    assert "  due again in 61 days: recency score 3" in str(told)
    assert "  main service Yearly, due again after 365 days; 304 days since the last visit" in str(told)


def test_frozen_cuts_are_those_of_the_recall(written, rfmkit_cli):
    path = written(BY_RECALL)
    then = open_one(path).patients
    answer = rfmkit_cli("freeze", path, "--month", "2026-10")
    assert answer.code == 0, answer.err
    assert 'recency_by = "recall"' in answer.out
    frozen = open_one(written(answer.out + BY_RECALL[BY_RECALL.index("[recall]") :]))
    assert frozen.clinic.rfm.scoring == "threshold"
    pd.testing.assert_frame_equal(frozen.patients, then)


def test_an_interval_of_what_nobody_buys_is_told(written):
    study = open_one(written("[recall]\ndefault = 90\nservice = {Yearli = 365, Monthly = 30}\n"))
    assert [str(problem) for problem in study.problems] == [
        "clinic.toml [recall.service] Yearli: no line has this service. Write it as the export does."
    ]
