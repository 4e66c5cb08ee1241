"""Tables of loyalty: the numbers of the month, the rates, and who came and went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.tables.build import Table, table
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd

#: Metrics that are shares: their change is in percentage points.
_SHARES = ("rpr", "crr")


def _write(metric: str, value: float, reader: Reader) -> str:
    if metric in _SHARES:
        return reader.percent(value)
    return reader.number(value) if metric == "active_patients" else reader.money(value)


def headline(headline: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """The headline numbers, and how they changed.

    Parameters
    ----------
    headline : pandas.DataFrame
        One row a metric: `metric`, `value`, `last_month`, `last_year`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    rows = []
    for row in headline.to_dict("records"):
        change = reader.points if row["metric"] in _SHARES else reader.change
        rows.append(
            [
                reader.name("metric", row["metric"]),
                _write(row["metric"], row["value"], reader),
                change(row["value"], row["last_month"]),
                change(row["value"], row["last_year"]),
            ]
        )
    return table(
        reader.say("Now, and how it changed"),
        [reader.say("Measure"), reader.say("Now"), reader.say("Since a month ago"), reader.say("Since a year ago")],
        rows,
        notes=[reader.say("pp: percentage points, the difference between two shares.")],
    )


def rates(loyalty, *, reader: Reader | None = None) -> Table:
    """The rates with what they are made of, over the trailing period and in the month alone.

    Parameters
    ----------
    loyalty : Loyalty
        `rpr`, `aov` and `month` (its rates may be None), as `study.loyalty`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    found = [
        ("rpr", loyalty.rpr),
        ("aov", loyalty.aov),
        ("rpr", loyalty.month.rpr),
        ("aov", loyalty.month.aov),
    ]
    return table(
        reader.say("The measures and what they are made of"),
        [
            reader.say("Rate"),
            reader.say("Value"),
            reader.say("Numerator"),
            reader.say("Denominator"),
            reader.say("Period"),
        ],
        [
            [
                reader.name("metric", metric),
                _write(metric, rate.value, reader),
                reader.money(rate.numerator) if metric == "aov" else reader.number(rate.numerator),
                reader.number(rate.denominator),
                reader.period(rate.start, rate.end),
            ]
            for metric, rate in found
            if rate is not None
        ],
        words=(0, 4),
        notes=[
            reader.say(
                "In a single month few patients can come twice, so the month's repeat purchase rate is always small."
            ),
            reader.say(
                "The average order value counts paid visits alone; revenue also takes off refunds on days without a "
                "visit."
            ),
        ],
    )


def retention(retention, *, active_months: int, reader: Reader | None = None) -> Table:
    """From the active patients before the period to those at its end, and the rate that stayed.

    Parameters
    ----------
    retention : Retention
        A rate with its `bridge` of `start`, `new`, `reactivated`, `lost`, `end`, as `study.retention`.
    active_months : int
        Months with a visit that make a patient active.
    reader : Reader, optional
    """
    reader = reader or Reader()
    bridge = retention.bridge
    steps = [
        (reader.say("Active before the period"), bridge["start"]),
        (reader.say("+ new: their first visit ever was in the period"), bridge["new"]),
        (reader.say("+ reactivated: came back after a pause"), bridge["reactivated"]),
        (reader.say("− lost in the period: no longer active"), bridge["lost"]),
    ]
    return table(
        reader.say("Active patients: {period}", period=reader.period(retention.start, retention.end)),
        [reader.say("Step"), reader.say("Patients")],
        [[label, reader.number(patients)] for label, patients in steps],
        total=[reader.say("= Active at the end of the period"), reader.number(bridge["end"])],
        notes=[
            reader.say(
                "Retention rate (CRR): {rate}. Of {start} patients active before the period, {kept} were still active "
                "at its end.",
                rate=reader.percent(retention.value),
                kept=reader.number(retention.numerator),
                start=reader.number(retention.denominator),
            ),
            reader.say(
                "A patient is active on a day if they had at least one visit in the {months} that end on it.",
                months=reader.months(active_months),
            ),
        ],
    )


def loyalty_history(history: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """The rates month by month, the latest first.

    Parameters
    ----------
    history : pandas.DataFrame
        One row a month: `month`, `revenue`, `visits`, `active_patients`, `rpr`, `aov`, `crr`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    return table(
        reader.say("The last {months}", months=reader.months(len(history))),
        [
            reader.say("Month"),
            reader.say("Revenue"),
            reader.say("Visits"),
            reader.say("Active patients"),
            reader.say("RPR"),
            reader.say("AOV"),
            reader.say("CRR"),
        ],
        [
            [
                reader.month(row["month"]),
                reader.money(row["revenue"]),
                reader.number(row["visits"]),
                reader.number(row["active_patients"]),
                reader.percent(row["rpr"]),
                reader.money(row["aov"]),
                reader.percent(row["crr"]),
            ]
            for row in history.iloc[::-1].to_dict("records")
        ],
        notes=[
            reader.say(
                "Revenue and visits are of the month; RPR, AOV and CRR are of the trailing period that ends with it."
            )
        ],
    )
