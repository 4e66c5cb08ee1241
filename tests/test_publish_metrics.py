"""metrics.json: the numbers of the report and nothing that it hides."""

import datetime as dt
import json
from types import SimpleNamespace

import pandas as pd

from rfmkit import NotEnoughData
from rfmkit.publish.metrics import metrics, to_json

PORTRAITS = pd.DataFrame(
    [["a", 9, 0.9, 90.0, 0.9, 40.0, 9, 30.0, 3, 10.0, 1.0], ["b", 1, 0.1, 10.0, 0.1, 50.0, 1, 60.0, 1, 10.0, 9.0]],
    columns=[
        *("segment", "patients", "patients_share", "revenue", "revenue_share", "median_age", "ages_known"),
        *("median_days_between_visits", "returned", "mean_total_spend", "mean_clv"),
    ],
)
TRAITS = pd.DataFrame(
    [["a", "service", "x", 9, 9, 1.0, 0, 20, 0.0, float("inf"), 0.001, 0.002, True]],
    columns=[
        *("group", "kind", "item", "patients", "of", "share", "others", "others_of", "others_share", "times"),
        *("p", "p_adjusted", "over"),
    ],
)
FEW = NotEnoughData("few_repeat_patients", have=3, need=50)
START, END = dt.date(2025, 11, 1), dt.date(2026, 10, 31)


def rate(value):
    return SimpleNamespace(value=value, numerator=1, denominator=2, start=START, end=END)


def frame(**columns):
    return pd.DataFrame(columns)


MOVES = frame(
    from_segment=["loyal", "not_yet", "loyal"],
    to_segment=["lost", "champions", "loyal"],
    patients=[3, 9, 0],
    revenue_change=[-80.0, 70.0, 0.0],
    colour=["#123456"] * 3,
)
MOVEMENT = SimpleNamespace(
    start=START,
    end=END,
    transitions=MOVES,
    moves=MOVES[:2],
    flows=frame(segment=["champions", "lost"], start=[4, 0], entered=[9, 0], moved_in=[0, 3], end=[13, 3]),
)


def study(**missing):
    history = frame(month=["2026-10"], revenue=[2.0], visits=[3], active_patients=[4], rpr=[0.5], aov=[1.0], crr=[None])
    holdout = {"calibration_end": START, "end": END, "predicted": 9.5, "actual": 9, "mae": 0.5}

    def part(name):
        return SimpleNamespace(status="not_enough_data" if name in missing else "ok", reason=missing.get(name))

    model = {"model": "mbg_nbd", "parameters": {"r": 0.5}, "log_likelihood": -9.0, "aic": 20.0, "bic": 21.0}
    return SimpleNamespace(
        clinic=SimpleNamespace(key="dental", currency="EUR", report=SimpleNamespace(min_count=5)),
        month="2026-10",
        as_of=END,
        totals={"patients": 9, "visits": 20, "revenue": 100.0},
        part=part,
        headline=frame(metric=["crr"], value=[float("nan")], last_month=[0.5], last_year=[0.25]),
        loyalty_history=history,
        loyalty=SimpleNamespace(
            rpr=rate(0.5),
            aov=rate(10.0),
            crr=rate(0.5),
            bridge={"start": 1, "new": 1, "reactivated": 0, "lost": 1, "end": 1},
            month=SimpleNamespace(visits=3, revenue=2.0, rpr=rate(0.1), aov=None),
        ),
        segments=frame(segment=["champions"], colour=["#123456"], patients=[9], clv=[1.5]),
        score_cuts=frame(measure=["visit_count"], score=[2], cut=[2.0]),
        score_bands=frame(measure=["visit_count"] * 2, score=[1, 2], low=[1.0, 2.0], high=[1.0, 2.0], patients=[4, 5]),
        score_grid=frame(recency_score=[1, 1], frequency_score=[1, 2], patients=[0, 3], revenue=[0.0, 30.0]),
        historical_value=frame(months=[12], revenue=[50.0]),
        findings=frame(check=["copies"], count=[2], where=["a.csv:3"], done=["dropped"], serious=[False]),
        history_reach=frame(first_day=[START], months=[12]),
        visit_volume=frame(month=["2026-10"], visits=[3], days_without_visits=[1]),
        portraits=PORTRAITS,
        portrait_traits=TRAITS,
        cohorts=PORTRAITS.rename(columns={"segment": "cohort"}),
        cohort_traits=TRAITS,
        coverage=frame(part=["patients"], column=["phone"], mapped=[False], filled=[float("nan")]),
        clv=SimpleNamespace(
            **model, spend_parameters={}, spend_log_likelihood=-1.0, patients=9, repeat_patients=8, left_out=0,
            unpaid=0, correlation=0.1,
        ),
        clv_summary=frame(expected_visits=[12.5], total=[300.0], horizon_months=[12]),
        clv_gates=frame(gate=["q"], value=[3.0], limit=[1.0], passed=[True]),
        alive_grid=frame(visit_count_band=["1"], recency_band=["0-1"], patients=[3], probability_alive=[0.9]),
        holdout=SimpleNamespace(
            **holdout, naive_predicted=8.0, naive_mae=0.6,
            by_frequency=frame(frequency=["0", "1"], patients=[2, 7], predicted=[0.5, 1.0], actual=[0.0, 1.0]),
        ),
        tag_counts=frame(tag=["vip"], month=["2026-10"], patients=[9], put_on=[4], taken_off=[0]),
        month_movement=MOVEMENT,
        year_movement=MOVEMENT,
        next_hit_rates=SimpleNamespace(
            patients=40, hits=20, popular_hits=15, p=0.01, start=START, end=END, better=True
        ),
        next_rules=frame(taken=["Peel"], next=["Laser"], patients=[9], lift=[2.0]),
        next_services=frame(segment=["champions"] * 3, service=["a", "b", "c"], patients=[30, 6, 2],
                            share=[30 / 38, 6 / 38, 2 / 38]),
        group_history=frame(month=["2026-10"], segment=["champions"], colour=["#123456"], patients=[9]),
        reach_by_segment=frame(segment=["champions", "lost"], patients=[60, 40], sms=[12, 4], any=[57, 0]),
        recommendations=frame(segment=["champions"], colour=["#123456"], value_at_risk=[7.0]),
    )  # fmt: skip


def test_the_keys_that_others_rely_on():
    made = json.loads(to_json(metrics(study())))
    assert (made["clinic"], made["month"], made["as_of"], made["currency"]) == (
        "dental",
        "2026-10",
        "2026-10-31",
        "EUR",
    )
    assert (made["patients"], made["visits"], made["revenue"]) == (9, 20, 100.0)
    assert made["loyalty"]["rpr"] == {
        "value": 0.5, "numerator": 1, "denominator": 2, "start": "2025-11-01", "end": "2026-10-31",
    }  # fmt: skip
    assert made["loyalty"]["month"]["aov"] is None
    assert made["segments"] == [{"segment": "champions", "patients": 9, "clv": 1.5}]
    clv = made["clv"]
    assert (clv["status"], clv["model"], clv["expected_visits"], clv["total"]) == ("ok", "mbg_nbd", 12.5, 300.0)
    assert clv["holdout"]["actual"] == 9
    assert "interval" not in clv
    assert made["headline"]["crr"] == {"value": None, "last_month": 0.5, "last_year": 0.25}


def test_cells_that_the_report_hides_are_hidden_here():
    made = metrics(study())
    assert made["score_bands"][0] == {"measure": "visit_count", "score": 1, "low": None, "high": None, "patients": None}
    assert made["score_bands"][1]["patients"] == 5
    # Nine have the tag; of the four on whom it was put nothing is said.
    assert made["tags"] == [{"tag": "vip", "month": "2026-10", "patients": 9, "put_on": None, "taken_off": 0}]
    assert made["score_grid"][0]["patients"] == 0
    assert made["score_grid"][1] == {"recency_score": 1, "frequency_score": 2, "patients": None, "revenue": None}
    assert made["clv"]["alive_grid"][0]["probability_alive"] is None
    assert made["clv"]["holdout"]["by_frequency"][0] == {
        "frequency": "0", "patients": None, "predicted": None, "actual": None,
    }  # fmt: skip


def test_services_that_few_are_recommended_are_not_named_here_either():
    # c is 2 patients, below 5: it joins the next smallest, b.
    shown = metrics(study())["next_service"]["segments"]["champions"]
    assert [(one["service"], one["patients"]) for one in shown] == [("a", 30), ("other", 8)]


def test_few_who_can_be_reached_are_not_counted_here_either():
    assert metrics(study())["reach"] == [
        {"segment": "champions", "patients": 60, "sms": 12.0, "any": None},  # 3 of 60 are left over
        {"segment": "lost", "patients": 40, "sms": None, "any": 0},
    ]


def test_portraits_are_those_that_the_report_shows():
    made = metrics(study())
    assert made["portraits"][0]["median_days_between_visits"] is None, "of three patients who came back"
    assert made["portraits"][1] == {
        "segment": "b", "patients": 1, "patients_share": 0.1, "revenue": 10.0, "revenue_share": 0.1,
        "median_age": None, "ages_known": None, "median_days_between_visits": None, "returned": None,
        "mean_total_spend": None, "mean_clv": None,
    }  # fmt: skip
    assert [row["cohort"] for row in made["cohorts"]] == ["other"]
    assert made["portrait_traits"] == [
        {
            "group": "a", "kind": "service", "item": "x", "patients": 9, "of": 9, "share": 1.0, "others": 0,
            "others_of": 20, "others_share": 0.0, "times": None, "p": 0.001, "p_adjusted": 0.002,
        }
    ]  # fmt: skip


def test_moves_of_few_patients_are_hidden_and_sizes_are_not():
    made = metrics(study())["movement"]
    assert (made["status"], made["start"], made["end"]) == ("ok", "2025-11-01", "2026-10-31")
    assert made["transitions"] == [
        {"from_segment": "loyal", "to_segment": "lost", "patients": None, "revenue_change": None},
        {"from_segment": "not_yet", "to_segment": "champions", "patients": 9, "revenue_change": 70.0},
    ]
    assert made["moves"] == made["transitions"][1:]
    assert made["flows"] == [
        {"segment": "champions", "start": 4, "entered": 9, "moved_in": 0, "end": 13},
        {"segment": "lost", "start": 0, "entered": 0, "moved_in": None, "end": 3},
    ]
    assert metrics(study(movement_year=FEW))["movement_year"] == {"status": "not_enough_data", "reason": str(FEW)}


def test_a_part_that_cannot_be_computed_says_so_and_the_rest_stands():
    made = metrics(study(clv=FEW, crr=FEW))
    assert made["clv"] == {"status": "not_enough_data", "reason": str(FEW)}
    assert made["loyalty"]["crr"] == made["loyalty"]["bridge"] == made["clv"]
    assert made["loyalty"]["rpr"]["value"] == 0.5
    assert metrics(study(holdout=FEW))["clv"]["holdout"] == made["clv"]
    assert metrics(study(segments=FEW))["segments"] == made["clv"]
