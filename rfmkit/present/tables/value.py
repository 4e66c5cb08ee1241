"""Tables of lifetime value: what it comes to, what it rests on, and how well it foretold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.disclosure import mask_small_cells
from rfmkit.present.tables.build import Table, table
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd


def historical_value(historical_value: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """What the patients brought lately: needs no model.

    Parameters
    ----------
    historical_value : pandas.DataFrame
        One row: `months`, `patients`, `visits`, `revenue`, `revenue_per_patient`, as `study.historical_value`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    row = historical_value.iloc[0]
    return table(
        reader.say("Patients and revenue in the last {months}", months=reader.months(row["months"])),
        [reader.say("Measure"), reader.say("Value")],
        [
            [reader.say("Patients who came"), reader.number(row["patients"])],
            [reader.say("Visits"), reader.number(row["visits"])],
            [reader.say("Revenue"), reader.money(row["revenue"])],
            [reader.say("Revenue per patient who came"), reader.money(row["revenue_per_patient"])],
        ],
    )


def clv_summary(clv_summary: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """What all patients together are worth, and on which assumptions.

    Parameters
    ----------
    clv_summary : pandas.DataFrame
        One row: `expected_visits`, `total`, `value_at_risk`, `historical_12_months`, `horizon_months`, `margin`,
        `annual_discount_rate`, as `study.clv_summary`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    row = clv_summary.iloc[0]
    return table(
        reader.say("What the patients are worth over the next {months}", months=reader.months(row["horizon_months"])),
        [reader.say("Measure"), reader.say("Value")],
        [
            [reader.say("Visits expected"), reader.number(row["expected_visits"])],
            [reader.name("column", "clv"), reader.money(row["total"])],
            [reader.name("column", "value_at_risk"), reader.money(row["value_at_risk"])],
            [
                reader.say("For comparison: the revenue of the last 12 months, before the margin"),
                reader.money(row["historical_12_months"]),
            ],
            [reader.say("Assumed margin"), reader.percent(row["margin"])],
            [reader.say("Assumed discount rate a year"), reader.percent(row["annual_discount_rate"])],
        ],
    )


def segment_value(segments: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """What each group is worth, and what of it is at stake.

    Parameters
    ----------
    segments : pandas.DataFrame
        One row a group, as `study.segments`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    patients = segments["patients"].sum()
    each = (segments["clv"] / segments["patients"]).where(segments["patients"] > 0)
    cents = reader.cents(each)
    return table(
        reader.say("Value and what is at stake, by group"),
        [
            reader.say("Group"),
            reader.say("Patients"),
            reader.name("column", "mean_probability_alive"),
            reader.name("column", "clv"),
            reader.say("Per patient"),
            reader.name("column", "value_at_risk"),
        ],
        [
            [
                reader.name("segment", row["segment"]),
                reader.number(row["patients"]),
                reader.percent(row["mean_probability_alive"], 0),
                reader.money(row["clv"]),
                reader.money(per_patient, cents),
                reader.money(row["value_at_risk"]),
            ]
            for row, per_patient in zip(segments.to_dict("records"), each, strict=True)
        ],
        total=[
            reader.say("All patients"),
            reader.number(patients),
            "",
            reader.money(segments["clv"].sum()),
            reader.money(segments["clv"].sum() / patients if patients else None, cents),
            reader.money(segments["value_at_risk"].sum()),
        ],
    )


def holdout(holdout, *, reader: Reader | None = None) -> Table:
    """How the model's forecast and a simple one compare with what came.

    Parameters
    ----------
    holdout : Holdout
        As `study.holdout`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    better = holdout.mae < holdout.naive_mae
    return table(
        reader.say("The test: a forecast made in the past, compared with what came"),
        [reader.say("Measure"), reader.say("Value")],
        [
            [reader.say("The model saw visits up to"), reader.date(holdout.calibration_end)],
            [reader.say("It was tested on visits up to"), reader.date(holdout.end)],
            [reader.say("Visits predicted"), reader.number(holdout.predicted)],
            [reader.say("Visits that came"), reader.number(holdout.actual)],
            [reader.say("Predicted against actual"), reader.change(holdout.predicted, holdout.actual)],
            [
                reader.say("Visits if every patient had gone on as in the year before the test"),
                reader.number(holdout.naive_predicted),
            ],
            [reader.say("Mean error, visits per patient: the model"), reader.number(holdout.mae, 2)],
            [
                reader.say("Mean error, visits per patient: the year before repeated"),
                reader.number(holdout.naive_mae, 2),
            ],
        ],
        notes=[
            reader.say("The model is closer to what came than repeating each patient's year before the test.")
            if better
            else reader.say(
                "Repeating each patient's last year is at least as close as the model: use the order of the groups, "
                "and treat the sums with caution."
            )
        ],
    )


def holdout_by_frequency(by_frequency: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """Predicted and actual visits per patient, by earlier repeat visits.

    Parameters
    ----------
    by_frequency : pandas.DataFrame
        One row a number of repeat visits: `frequency`, `patients`, `predicted`, `actual`.
    reader : Reader, optional
        Rows of fewer patients than its `min_count` show no means.
    """
    reader = reader or Reader()
    shown = mask_small_cells(by_frequency, columns=["predicted", "actual"], min_count=reader.min_count)
    return table(
        reader.say("Visits per patient in the test period"),
        [
            reader.say("Repeat visits before"),
            reader.say("Patients"),
            reader.say("Predicted"),
            reader.say("Actual"),
        ],
        [
            [
                row["frequency"],
                reader.count(row["patients"]),
                reader.number(row["predicted"], 2),
                reader.number(row["actual"], 2),
            ]
            for row in shown.to_dict("records")
        ],
    )


def clv_basis(clv, *, reader: Reader | None = None) -> Table:
    """Whom the model was made from, and who was left out.

    Parameters
    ----------
    clv : ClvModel
        As `study.clv`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    return table(
        reader.say("Who is in the model, and who is not"),
        [reader.say("Patients"), reader.say("How many")],
        [
            [reader.say("The model was made from"), reader.number(clv.patients)],
            [reader.say("of them came back at least once"), reader.number(clv.repeat_patients)],
            [reader.say("of these paid nothing on their repeat visits"), reader.number(clv.unpaid)],
            [reader.say("Left out: their history before the export is unknown"), reader.number(clv.left_out)],
        ],
        notes=[
            reader.say("Those left out have a value all the same, by the rules learned from the others.")
            if clv.left_out
            else ""
        ],
    )


def clv_gates(gates: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """The tests that the data passed before a value was shown.

    Parameters
    ----------
    gates : pandas.DataFrame
        One row a test: `gate`, `value`, `limit`, `passed`, as `study.clv_gates`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    rows = []
    for gate in gates.to_dict("records"):
        digits = 0 if gate["gate"] == "repeat_patients" else 2
        passed = reader.say("passed") if gate["passed"] else reader.say("warning")
        rows.append([reader.name("gate", gate["gate"]), *_numbers(gate, digits, reader), passed])
    return table(
        reader.say("Tests of the data"),
        [reader.say("Test"), reader.say("Value"), reader.say("Limit"), reader.say("Result")],
        rows,
        words=(0, 3),
        notes=[
            ""
            if gates["passed"].all()
            else reader.say(
                "A warning does not stop the model; it says which of its assumptions these patients do not keep to."
            )
        ],
    )


def _numbers(gate: dict, digits: int, reader: Reader) -> list[str]:
    return [reader.number(gate["value"], digits), reader.number(gate["limit"], digits)]


def clv_parameters(clv, *, reader: Reader | None = None) -> Table:
    """The fitted models and their parameters.

    Parameters
    ----------
    clv : ClvModel
        As `study.clv`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    visits, spend = reader.name("model", clv.model), reader.name("model", "gamma_gamma")
    rows = [[visits, key, reader.number(value, 4)] for key, value in clv.parameters.items()]
    rows += [
        [visits, reader.say("Log-likelihood"), reader.number(clv.log_likelihood, 1)],
        [visits, "AIC", reader.number(clv.aic, 1)],
        [visits, "BIC", reader.number(clv.bic, 1)],
    ]
    rows += [[spend, key, reader.number(value, 4)] for key, value in clv.spend_parameters.items()]
    rows.append([spend, reader.say("Log-likelihood"), reader.number(clv.spend_log_likelihood, 1)])
    return table(
        reader.say("The fitted models; time is in days"),
        [reader.say("Model"), reader.say("Parameter"), reader.say("Value")],
        rows,
        words=(0, 1),
    )
