"""Small frames shaped as a study's, for what shows them."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pandas as pd

SEGMENTS = pd.DataFrame(
    [
        ("champions", 312, 520, 1_911_000.0, 21.0, 6.2, 0.96),
        ("loyal", 205, 410, 830_000.0, 33.0, 4.1, 0.93),
        ("potential_loyalist", 128, 180, 505_000.0, 30.0, 1.7, 0.82),
        ("new", 244, 244, 161_000.0, 28.0, 1.0, 0.71),
        ("promising", 91, 190, 92_000.0, 35.0, 2.4, 0.84),
        ("needs_attention", 180, 360, 420_000.0, 120.0, 2.6, 0.66),
        ("about_to_sleep", 220, 260, 310_000.0, 210.0, 1.3, 0.48),
        ("at_risk", 143, 430, 610_000.0, 300.0, 3.6, 0.29),
        ("cant_lose", 21, 110, 240_000.0, 520.0, 6.4, 0.08),
        ("hibernating", 260, 290, 340_000.0, 380.0, 1.3, 0.31),
        ("lost", 330, 350, 150_000.0, 610.0, 1.1, 0.22),
        ("inactive", 866, 0, 0.0, 1100.0, 0.0, 0.11),
    ],
    columns=[
        "segment",
        "patients",
        "visits",
        "revenue",
        "median_recency_days",
        "mean_visit_count",
        "mean_probability_alive",
    ],
)
SEGMENTS.insert(1, "colour", "#1b6e5a")
SEGMENTS["patients_share"] = SEGMENTS["patients"] / SEGMENTS["patients"].sum()
SEGMENTS["revenue_share"] = SEGMENTS["revenue"] / SEGMENTS["revenue"].sum()
SEGMENTS["mean_total_spend"] = SEGMENTS["revenue"] / SEGMENTS["patients"]
SEGMENTS["clv"] = 0.2 * SEGMENTS["revenue"] * SEGMENTS["mean_probability_alive"]
SEGMENTS["value_at_risk"] = 0.2 * SEGMENTS["revenue"] * (1 - SEGMENTS["mean_probability_alive"])

RECOMMENDATIONS = SEGMENTS.sort_values("value_at_risk", ascending=False, ignore_index=True)[
    [
        "segment",
        "colour",
        "patients",
        "revenue",
        "clv",
        "value_at_risk",
        "mean_probability_alive",
        "median_recency_days",
    ]
]

REACH = pd.DataFrame(
    {"segment": ["champions", "new", "lost"], "patients": [312, 0, 40]}
    | {"sms": [12, 0, 4], "email": 0, "any": [309, 0, 4]}
)

_CELLS = {
    1: (200, 0, 60, 3, 21),
    2: (90, 0, 70, 34, 40),
    3: (80, 0, 66, 60, 61),
    4: (51, 0, 90, 80, 95),
    5: (244, 0, 130, 90, 102),
}
SCORE_GRID = pd.DataFrame(
    [
        (recency, frequency, patients, 1000.0 * patients)
        for recency, row in _CELLS.items()
        for frequency, patients in enumerate(row, 1)
    ],
    columns=["recency_score", "frequency_score", "patients", "revenue"],
)

SCORE_CUTS = pd.DataFrame(
    [
        *[("recency_days", score, days) for score, days in enumerate((399, 239, 119, 1), 2)],
        *[("visit_count", score, visits) for score, visits in enumerate((2, 3, 5), 2)],
        *[("total_spend", score, money) for score, money in enumerate((1200.01, 2400.01, 5000.01, 20000.01), 2)],
    ],
    columns=["measure", "score", "cut"],
)
SCORE_BANDS = pd.DataFrame(
    [
        ("recency_days", 1, 400, 729, 427),
        ("recency_days", 2, 240, 399, 425),
        ("recency_days", 3, 120, 239, 428),
        ("recency_days", 4, 40, 119, 426),
        ("recency_days", 5, 0, 39, 428),
        ("visit_count", 1, 1, 1, 900),
        ("visit_count", 3, 2, 2, 620),
        ("visit_count", 4, 3, 4, 400),
        ("visit_count", 5, 5, 31, 3),
        ("total_spend", 1, -500.0, 1200.0, 427),
        ("total_spend", 2, 1210.0, 2400.0, 427),
        ("total_spend", 3, 2410.0, 4000.0, 427),
        ("total_spend", 4, 4020.0, 9100.0, 427),
        ("total_spend", 5, 9200.0, 88123.0, 426),
    ],
    columns=["measure", "score", "low", "high", "patients"],
)

_VISITS, _MONTHS = ["1", "2", "3", "4-5", "6-9", "10+"], ["< 1", "1-2", "3-5", "6-11", "12-23", "24+"]
ALIVE_GRID = pd.DataFrame(
    [
        (visits, months, 0 if (i, j) == (5, 5) else 3 if (i, j) == (5, 4) else 20 + 7 * i + 3 * j,
         None if (i, j) == (5, 5) else max(0.02, 0.97 - 0.13 * j - 0.03 * i * j))
        for i, visits in enumerate(_VISITS)
        for j, months in enumerate(_MONTHS)
    ],
    columns=["visit_count_band", "recency_band", "patients", "probability_alive"],
)  # fmt: skip

BY_FREQUENCY = pd.DataFrame(
    {
        "frequency": ["0", "1", "2", "3", "4", "5", "6", "7+"],
        "patients": [900, 410, 220, 130, 70, 34, 4, 41],
        "predicted": [0.21, 0.62, 1.04, 1.41, 1.92, 2.33, 2.9, 5.2],
        "actual": [0.19, 0.66, 1.1, 1.35, 2.05, 2.2, 4.0, 5.6],
    }
)
HOLDOUT = SimpleNamespace(
    calibration_end=dt.date(2025, 10, 31),
    end=dt.date(2026, 10, 31),
    predicted=1653.4,
    actual=1710,
    mae=0.71,
    naive_predicted=1500.0,
    naive_mae=0.83,
    by_frequency=BY_FREQUENCY,
)

HISTORY = pd.DataFrame(
    {
        "month": [str(month) for month in pd.period_range("2024-11", "2026-10", freq="M")],
        "revenue": [400_000.0 + 9_000 * (i % 7) for i in range(24)],
        "visits": [190 + 3 * i for i in range(24)],
        "active_patients": [900.0 + 11 * i for i in range(24)],
        "rpr": [0.41 + 0.002 * i for i in range(24)],
        "aov": [2100.0 + 14 * (i % 9) for i in range(24)],
        "crr": [float("nan")] * 6 + [0.52 + 0.004 * (i % 5) for i in range(18)],
    }
)
HEADLINE = pd.DataFrame(
    {
        "metric": ["active_patients", "revenue", "rpr", "aov", "crr"],
        "value": [1153.0, 418_000.0, 0.456, 2170.0, 0.528],
        "last_month": [1142.0, 400_000.0, 0.454, 2170.0, 0.52],
        "last_year": [1021.0, 436_000.0, 0.432, 2100.0, float("nan")],
    }
)


#: A tag that gains a patient a month, seven put on and a few taken off at the end, and one that nobody has.
TAG_COUNTS = pd.DataFrame(
    {
        "tag": ["vip"] * 24 + ["due_soon"] * 24,
        "month": [*HISTORY["month"], *HISTORY["month"]],
        "patients": [*range(100, 124), *[0] * 24],
        "put_on": [*[1] * 23, 7, *[0] * 24],
        "taken_off": [*[0] * 23, 3, *[0] * 24],
    }
)


def rate(value: float, numerator: float, denominator: int, **more) -> SimpleNamespace:
    period = {"start": dt.date(2025, 11, 1), "end": dt.date(2026, 10, 31)}
    return SimpleNamespace(value=value, numerator=numerator, denominator=denominator, **period | more)


LOYALTY = SimpleNamespace(
    rpr=rate(0.456, 526, 1153),
    aov=rate(2170.0, 4_990_000.0, 2300),
    month=SimpleNamespace(visits=259, revenue=418_000.0, rpr=rate(0.05, 12, 240, start=dt.date(2026, 10, 1)), aov=None),
)
RETENTION = rate(0.528, 539, 1021, bridge={"start": 1021, "new": 380, "reactivated": 234, "lost": 482, "end": 1153})

CLV_SUMMARY = pd.DataFrame(
    {
        "expected_visits": [2210.4],
        "total": [1_250_000.0],
        "value_at_risk": [410_000.0],
        "historical_12_months": [4_990_000.0],
        "horizon_months": [12],
        "annual_discount_rate": [0.12],
        "margin": [0.35],
    }
)
HISTORICAL_VALUE = pd.DataFrame(
    {"months": [12], "patients": [1153], "visits": [2300], "revenue": [4_990_000.0], "revenue_per_patient": [4327.8]}
)
CLV = SimpleNamespace(
    model="mbg_nbd",
    parameters={"r": 0.5248, "alpha": 43.28, "a": 0.8914, "b": 1.614},
    log_likelihood=-14364.2,
    aic=28736.4,
    bic=28759.5,
    spend_parameters={"p": 6.249, "q": 3.744, "v": 15.447},
    spend_log_likelihood=-4055.9,
    patients=2357,
    repeat_patients=946,
    left_out=643,
    unpaid=2,
    correlation=0.11,
)
GATES = pd.DataFrame(
    [("repeat_patients", 946, 50, True), ("mean_spend", 3.744, 1, True), ("correlation", 0.41, 0.3, False)],
    columns=["gate", "value", "limit", "passed"],
)

ROWS = {
    "read": 12_034,
    "kept": 11_800,
    "rejected": 12,
    "duplicates": 22,
    "after_as_of": 200,
    "money_read": 9_100_000.0,
    "money_kept": 8_900_000.0,
    "money_rejected": 10_000.0,
    "money_duplicates": 20_000.0,
    "money_after_as_of": 170_000.0,
}
PROVENANCE = {
    "version": "0.1.0",
    "clinic": "dental-north",
    "name": "Dental <North> & Co",
    "month": "2026-10",
    "as_of": dt.date(2026, 10, 31),
    "first_day": dt.date(2022, 1, 10),
    "rows": ROWS,
    "patients": 3000,
    "input_digest": "3f" * 32,
}

FINDINGS = pd.DataFrame(
    [
        ("half_volume", pd.NA, "payments.csv", "shown", True),
        ("not_a_date", 12, "payments.csv:17 «<Date>»", "rejected", True),
        ("family_phone", 1344, "patients.csv:5 «Phone»", "kept", False),
    ],
    columns=["check", "count", "where", "done", "serious"],
).astype({"count": "Int64"})
HISTORY_REACH = pd.DataFrame(
    [
        {
            "first_day": dt.date(2022, 1, 10),
            "last_day": dt.date(2026, 10, 30),
            "months": 58,
            "patients": 3000,
            "known": 2357,
            "unknown": 643,
            "complete_history": None,
            "retention_months": 24,
            "retention_start": dt.date(2024, 11, 1),
            "retention_reached": True,
            "retention_month": "2023-12",
        }
    ]
)
VISIT_VOLUME = pd.DataFrame(
    {
        "month": HISTORY["month"],
        "visits": [150 + 4 * i for i in range(24)],
        "days_without_visits": [0, 0, 7, 0, 0, 0, 1, *[0] * 17],
    }
)
COVERAGE = pd.DataFrame(
    [
        ("transactions", "receipt_id", False, float("nan")),
        ("transactions", "bonus_accrued", False, float("nan")),
        ("transactions", "bonus_redeemed", False, float("nan")),
        ("transactions", "discount", True, 0.05),
        ("patients", "email", True, 0.588),
        ("transactions", "category", True, 0.998),
        ("patients", "sex", True, 1.0),
    ],
    columns=["part", "column", "mapped", "filled"],
)

PORTRAITS = SEGMENTS[["segment", "patients", "patients_share", "revenue", "revenue_share", "mean_total_spend"]].assign(
    median_age=[41.0 + place for place in range(12)],
    ages_known=SEGMENTS["patients"] - 10,
    median_days_between_visits=[60.0 + 9 * place for place in range(12)],
    returned=[312, 205, 80, 3, 91, 150, 90, 143, 21, 70, 40, 400],
    mean_clv=SEGMENTS["clv"] / SEGMENTS["patients"],
)
_COHORTS = {"female_0_17": 3, "female_18_34": 900, "female_55": 740, "male_18_34": 420, "male_55": 30, "unknown": 907}
COHORTS = pd.DataFrame(
    {
        "cohort": list(_COHORTS),
        "patients": list(_COHORTS.values()),
        "revenue": [1800.0 * patients for patients in _COHORTS.values()],
        "median_age": [11.0, 27.0, 61.0, 29.0, 63.0, 40.0],
        "ages_known": [3, 900, 740, 420, 30, 0],
        "median_days_between_visits": [100.0, 90.0, 80.0, 95.0, 70.0, 120.0],
        "returned": [2, 500, 400, 200, 4, 300],
        "mean_total_spend": 1800.0,
        "mean_clv": [100.0, 420.5, 380.0, 300.0, 250.0, 90.0],
    }
)
COHORTS["patients_share"] = COHORTS["patients"] / COHORTS["patients"].sum()
COHORTS["revenue_share"] = COHORTS["revenue"] / COHORTS["revenue"].sum()


def traits_table(rows: list[tuple]) -> pd.DataFrame:
    """Traits of two groups: group, kind, item, patients, of, others, others_of, p, over."""
    names = ["group", "kind", "item", "patients", "of", "others", "others_of", "p", "over"]
    table = pd.DataFrame(rows, columns=names)
    table["share"], table["others_share"] = table["patients"] / table["of"], table["others"] / table["others_of"]
    table["times"] = table["share"] / table["others_share"]
    return table.assign(p_adjusted=table["p"])


TRAITS = traits_table(
    [
        ("champions", "service", "Implant <3>", 90, 312, 40, 205, 0.001, True),
        ("champions", "service", "Veneer", 60, 312, 2, 205, 0.001, True),
        ("champions", "service", "Cleaning", 150, 312, 140, 205, 0.9, False),
        ("champions", "weekday", "2", 250, 312, 100, 205, 0.001, True),
        ("champions", "weekday", "5", 62, 312, 105, 205, 0.9, False),
        ("champions", "hour", "17", 100, 312, 20, 205, 0.001, True),
        ("champions", "hour", "9", 212, 312, 185, 205, 0.9, False),
        ("champions", "cohort", "female_55", 200, 312, 50, 205, 0.001, True),
        ("champions", "cohort", "male_18_34", 112, 312, 155, 205, 0.9, False),
        ("loyal", "service", "Implant <3>", 40, 205, 90, 312, 0.9, False),
        ("loyal", "service", "Veneer", 2, 205, 60, 312, 0.9, False),
        ("loyal", "service", "Cleaning", 140, 205, 150, 312, 0.004, True),
        ("loyal", "weekday", "2", 100, 205, 250, 312, 0.9, False),
        ("loyal", "weekday", "5", 105, 205, 62, 312, 0.2, False),
        ("loyal", "hour", "17", 20, 205, 100, 312, 0.9, False),
        ("loyal", "hour", "9", 185, 205, 212, 312, 0.2, False),
        ("loyal", "cohort", "female_55", 50, 205, 200, 312, 0.9, False),
        ("loyal", "cohort", "male_18_34", 155, 205, 112, 312, 0.3, False),
    ]
)
_MOVED = {
    ("champions", "champions"): (240, 900_000.0, 910_000.0),
    ("champions", "at_risk"): (52, 310_000.0, 4_000.0),
    ("champions", "lost"): (3, 9_000.0, 0.0),
    ("loyal", "champions"): (61, 80_000.0, 290_000.0),
    ("loyal", "loyal"): (120, 300_000.0, 300_000.0),
    ("at_risk", "lost"): (44, 20_000.0, 1_000.0),
    ("inactive", "loyal"): (9, 0.0, 30_000.0),
    ("lost", "inactive"): (71, 5_000.0, 0.0),
    ("inactive", "inactive"): (800, 0.0, 0.0),
    ("not_yet", "loyal"): (30, 0.0, 60_000.0),
}
_STATES = ["champions", "loyal", "at_risk", "lost", "inactive"]
_COLOURS = dict(
    zip(["not_yet", *_STATES], ["#3d444b", "#1b6e5a", "#2f8f6f", "#c8553d", "#5c6670", "#9aa3ab"], strict=True)
)
TRANSITIONS = pd.DataFrame(
    [
        (was, now, *_MOVED.get((was, now), (0, 0.0, 0.0)), _COLOURS[was])
        for was in ["not_yet", *_STATES]
        for now in _STATES
    ],
    columns=["from_segment", "to_segment", "patients", "revenue_before", "revenue_after", "colour"],
)
TRANSITIONS.insert(5, "revenue_change", TRANSITIONS["revenue_after"] - TRANSITIONS["revenue_before"])
_MOVES = TRANSITIONS[TRANSITIONS["from_segment"].ne(TRANSITIONS["to_segment"]) & TRANSITIONS["patients"].gt(0)]
MOVEMENT = SimpleNamespace(
    start=dt.date(2026, 9, 30),
    end=dt.date(2026, 10, 31),
    before=(dt.date(2026, 9, 1), dt.date(2026, 9, 30)),
    after=(dt.date(2026, 10, 1), dt.date(2026, 10, 31)),
    transitions=TRANSITIONS,
    moves=_MOVES.sort_values("revenue_change", key=abs, ascending=False, ignore_index=True),
    flows=pd.DataFrame(
        [
            ("champions", 295, 0, 0, 61, 55, 0, 301),
            ("loyal", 181, 30, 9, 0, 61, 0, 159),
            ("at_risk", 44, 0, 0, 52, 44, 0, 52),
            ("lost", 71, 0, 0, 47, 0, 71, 47),
            ("inactive", 809, 0, 0, 71, 9, 0, 871),
        ],
        columns=["segment", "start", "entered", "reactivated", "moved_in", "moved_out", "became_inactive", "end"],
    ),
)
GROUP_HISTORY = pd.DataFrame(
    [
        (month, segment, _COLOURS[segment], 40 * (5 - place) + 3 * at)
        for at, month in enumerate(HISTORY["month"])
        for place, segment in enumerate(_STATES)
    ],
    columns=["month", "segment", "colour", "patients"],
)

NEXT_SERVICES = pd.DataFrame(
    [
        *(("champions", "Implant <3>", 200, 200 / 312), ("champions", "Veneer", 110, 110 / 312)),
        *(("champions", "Peel", 2, 2 / 312), ("loyal", "Veneer", 4, 1.0)),
    ],
    columns=["segment", "service", "patients", "share"],
)
HIT_RATES = SimpleNamespace(
    **{"patients": 813, "hits": 475, "popular_hits": 407, "p": 0.0001, "better": True},
    start=dt.date(2026, 8, 1),
    end=dt.date(2026, 10, 31),
)
NEXT_RULES = pd.DataFrame(
    [
        ("Check-up", "Implant <3>", 90, 120, 300, 0.06, 0.4, 0.2, 2.0),
        ("Veneer", "Peel", 3, 3, 4, 0.001, 0.75, 0.1, 7.5),
    ],
    columns=["taken", "next", "patients", "steps", "of", "support", "confidence", "usual", "lift"],
)
