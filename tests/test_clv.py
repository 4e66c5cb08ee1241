"""Models of lifetime value reproduce the literature, keep their units and refuse what data do not carry."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import CDNOW

from rfmkit import btyd_summary, calibration_holdout, fit_clv, visits_from
from rfmkit.analysis.clv import (
    MONTH_DAYS,
    alive_grid,
    known_from_start,
    patient_values,
    value_at_risk,
)
from rfmkit.analysis.holdout import check_beats_history, evaluate_holdout, holdout_start
from rfmkit.errors import NotEnoughData

CALIBRATION, END = dt.date(1997, 9, 30), dt.date(1998, 6, 30)
WEEK = 7

# Parameters per week and log-likelihood in weeks, as published: Fader, Hardie & Lee (2005) for BG/NBD and Pareto/NBD,
# Batislam, Denizel & Filiztekin (2007) for MBG/NBD; the holdout's total is of its 39 weeks (1,882 happened).
PUBLISHED = {
    "bg_nbd": ({"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, -9582.429, 1653.4),
    "pareto_nbd": ({"r": 0.5533, "alpha": 10.578, "s": 0.6062, "beta": 11.669}, -9594.976, 1665.5),
    "mbg_nbd": ({"r": 0.5248, "alpha": 6.1831, "a": 0.8914, "b": 1.6140}, -9582.136, 1576.7),
}


@pytest.fixture(scope="module")
def summary(cdnow_visits) -> pd.DataFrame:
    return calibration_holdout(cdnow_visits, CALIBRATION, END)


@pytest.fixture(scope="module")
def models(summary) -> dict:
    return {name: fit_clv(summary, name) for name in PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_reproduces_its_paper(models, summary, name):
    parameters, log_likelihood, total = PUBLISHED[name]
    model = models[name]
    for parameter, weekly in parameters.items():
        scale = WEEK if parameter in {"alpha", "beta"} else 1
        assert model.parameters[parameter] / scale == pytest.approx(weekly, rel=1e-3)
    assert model.log_likelihood + summary["frequency"].sum() * np.log(WEEK) == pytest.approx(log_likelihood, abs=0.01)
    assert model.expected_visits(summary, (END - CALIBRATION).days).sum() == pytest.approx(total, abs=0.5)


def test_bg_nbd_predicts_the_published_visits_by_past_visits(models, summary):
    expected = models["bg_nbd"].expected_visits(summary, 39 * WEEK).groupby(summary["frequency"].clip(upper=7)).mean()
    published = [0.2251, 0.5231, 1.0441, 1.5203, 2.1638, 2.6538, 3.5040, 6.1570]
    assert expected.to_numpy() == pytest.approx(published, abs=5e-4)


def test_bg_nbd_on_one_customer(models):
    # Customer 1516 of the paper: x = 26, t_x = 30.857, T = 31 weeks.
    customer = pd.DataFrame({"frequency": [26], "recency": [30.857 * WEEK], "T": [31 * WEEK]})
    assert models["bg_nbd"].expected_visits(customer, 52 * WEEK).iloc[0] == pytest.approx(25.757, abs=0.005)
    assert models["bg_nbd"].probability_alive(customer).iloc[0] == pytest.approx(0.96885, abs=5e-5)


@pytest.mark.parametrize(("name", "mean"), [("bg_nbd", 0.813), ("mbg_nbd", 0.449), ("pareto_nbd", 0.446)])
def test_mean_probability_alive(models, summary, name, mean):
    assert models[name].probability_alive(summary).mean() == pytest.approx(mean, abs=5e-4)


def test_bg_nbd_believes_every_single_visit_alive_and_mbg_nbd_does_not(models, summary):
    single = summary[summary["frequency"] == 0]
    assert (models["bg_nbd"].probability_alive(single) == 1).all()
    assert (models["mbg_nbd"].probability_alive(single) < 1).all()


def test_gamma_gamma_reproduces_its_note(models, summary):
    model = models["mbg_nbd"]
    assert model.spend_parameters == pytest.approx({"p": 6.249, "q": 3.744, "v": 15.447}, rel=1e-3)
    assert model.spend_log_likelihood == pytest.approx(-4055.918, abs=0.01)
    assert model.expected_visit_value(summary).head(3).tolist() == pytest.approx([24.66, 18.91, 35.17], abs=0.01)
    assert model.repeat_patients == 946


def test_undiscounted_value_is_visits_times_value_times_margin(models, summary):
    model = models["mbg_nbd"]
    product = 0.35 * model.expected_visits(summary, 12 * MONTH_DAYS) * model.expected_visit_value(summary)
    np.testing.assert_allclose(model.clv(summary, 12, 0.0, 0.35), product, rtol=1e-9)


def test_discounting_one_month_is_by_hand(models, summary):
    model = models["mbg_nbd"]
    by_hand = model.clv(summary, 1) / 1.12 ** (1 / 12)
    np.testing.assert_allclose(model.clv(summary, 1, annual_discount_rate=0.12), by_hand, rtol=1e-12)


def test_value_never_falls_with_the_horizon(models, summary):
    values = [models["mbg_nbd"].clv(summary, months, 0.1) for months in (1, 3, 6, 12, 24)]
    assert all((after >= before).all() for before, after in pairwise(values))


def test_units_do_not_matter(models, summary):
    weeks = summary.assign(recency=summary["recency"] / WEEK, T=summary["T"] / WEEK)
    in_weeks, in_days = fit_clv(weeks), models["mbg_nbd"]
    np.testing.assert_allclose(
        in_weeks.expected_visits(weeks, 39), in_days.expected_visits(summary, 39 * WEEK), rtol=1e-4
    )


@pytest.mark.parametrize(
    "terms",
    [
        {"margin": 35},
        {"margin": 0},
        {"annual_discount_rate": -0.1},
        {"annual_discount_rate": 12},
        {"horizon_months": 0},
    ],
)
def test_terms_that_cannot_be_meant_are_refused(models, summary, terms):
    with pytest.raises(ValueError, match="margin up to 1"):
        models["mbg_nbd"].clv(summary, **terms)


def test_pareto_nbd_holds_on_the_whole_of_cdnow_with_its_170_visits():
    lines = pd.read_csv(CDNOW / "CDNOW_master.txt", sep=r"\s+", dtype={"customer_id": str, "date": str})
    lines = lines.rename(columns={"customer_id": "patient_id", "dollar_value": "amount"})
    visits = visits_from(lines.assign(visit_date=pd.to_datetime(lines["date"], format="%Y%m%d")))
    data = btyd_summary(visits, END)
    assert data["frequency"].max() == 170
    model = fit_clv(data, "pareto_nbd")
    values = patient_values(model, data, 12, 0.0, 1.0)
    assert np.isfinite(model.log_likelihood)
    assert values["probability_alive"].between(0, 1).all()


def test_value_at_risk_is_the_value_if_alive_times_the_chance_of_being_gone():
    # Worth 30 at a chance of 0.6 is worth 50 if alive; 0.4 of that is at risk.
    assert value_at_risk(pd.Series([30.0]), pd.Series([0.6])).tolist() == pytest.approx([30 / 0.6 * 0.4])


def test_holdout_and_the_naive_rate(summary, cdnow_visits):
    result = evaluate_holdout(summary, summary["frequency"] + 1, "mbg_nbd", CALIBRATION, END)
    assert result.actual == 1882
    assert result.predicted == pytest.approx(1576.7, abs=0.5)
    # Naively everybody goes on as in the last year: Σ visits × 273/365 days.
    assert result.naive_predicted == pytest.approx((summary["frequency"] + 1).sum() * 273 / 365)
    bands = result.by_frequency
    assert bands["frequency"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    assert bands["patients"].sum() == 2357
    assert (bands["patients"] * bands["actual"]).sum() == pytest.approx(1882)


def test_a_model_that_comes_no_closer_than_habit_is_not_used(summary):
    won = evaluate_holdout(summary, summary["frequency"] + 1, "mbg_nbd", CALIBRATION, END)
    check_beats_history(won)
    with pytest.raises(NotEnoughData) as reason:
        check_beats_history(replace(won, mae=won.naive_mae))
    assert reason.value.status == "no_model_beats_history"


@pytest.mark.parametrize(
    ("first", "as_of", "horizon", "end"),
    [
        (dt.date(2021, 11, 3), dt.date(2026, 10, 31), 12, dt.date(2025, 10, 31)),  # 60 months: the horizon
        (dt.date(2025, 1, 1), dt.date(2026, 6, 30), 12, dt.date(2025, 12, 31)),  # 18 months: a third
    ],
)
def test_what_is_held_out(first, as_of, horizon, end):
    assert holdout_start(first, as_of, horizon) == end


def test_a_short_history_holds_nothing_out():
    with pytest.raises(NotEnoughData) as reason:
        holdout_start(dt.date(2025, 6, 1), dt.date(2026, 6, 30), 12)
    assert reason.value.code == "short_history"


def histories(rows) -> pd.DataFrame:
    columns = ["frequency", "recency", "T", "monetary_value"]
    return pd.DataFrame(rows, columns=columns).astype("float64").assign(log_intervals=0.0)


DEGENERATE = {
    "nobody came back": histories([(0, 0, 300, 0)] * 500),
    "one patient": histories([(3, 200, 300, 50)]),
    "all on one day": histories([(0, 0, 0, 0)] * 500),
    "49 came back": histories([(2, 100, 300, 50)] * 49 + [(0, 0, 300, 0)] * 500),
    "nobody paid": histories([(2, 100, 300, 0)] * 100),
    "everybody the same": histories([(3, 90, 100, 50)] * 200),
    "one whale": histories([(2, 100, 300, 10)] * 60 + [(500, 299, 300, 1e7)]),
    "refunds exceed": histories([(2, 100, 300, -5)] * 100),
}


@pytest.mark.parametrize("data", DEGENERATE.values(), ids=DEGENERATE.keys())
@pytest.mark.parametrize("name", ["mbg_nbd", "bg_nbd"])
def test_degenerate_data_end_in_finite_numbers_or_a_reason(data, name):
    try:
        values = patient_values(fit_clv(data, name), data, 12, 0.1, 1.0)
    except NotEnoughData as reason:
        assert str(reason)
        return
    assert np.isfinite(values.to_numpy()).all()
    assert (values.to_numpy() >= 0).all()


def test_an_unknown_model_is_refused_by_name(summary):
    with pytest.raises(ValueError, match="mbg_nbd"):
        fit_clv(summary, "mbg")


def test_lifetimes_leaves_no_trace(summary):
    import warnings

    filters, option = list(warnings.filters), pd.get_option("mode.chained_assignment")
    fit_clv(summary)
    assert warnings.filters == filters
    assert pd.get_option("mode.chained_assignment") == option


def newcomers(per_month: list[int]) -> pd.DataFrame:
    """Patients first seen on the 15th of each month from 2024-01 on, as of 2024-12-31."""
    days = [dt.date(2024, month, 15) for month, count in enumerate(per_month, 1) for _ in range(count)]
    return pd.DataFrame({"T": [(dt.date(2024, max(len(per_month), 12), 31) - day).days for day in days]})


@pytest.mark.parametrize(
    ("per_month", "said", "left_out"),
    [
        ([90, 60, 45] + [20] * 9, None, 90 + 60 + 45),  # old patients look new: mid-life
        ([20] * 12, None, 0),  # a clinic that opened
        ([500, 300, 200], None, 0),  # a cohort: nobody new afterwards
        ([5, 5], None, 0),  # two months are no life to be in the middle of
        ([90, 60, 45] + [20] * 9, True, 0),  # the clinic says that this is all there is
        ([20] * 12, False, 60),  # … or that it is not
    ],
)
def test_newcomers_of_an_export_that_begins_in_mid_life(per_month, said, left_out):
    known = known_from_start(newcomers(per_month), dt.date(2024, 12, 31), said)
    assert (~known).sum() == left_out


def test_alive_grid_counts_everybody_once(models, summary):
    people = summary.assign(probability_alive=models["mbg_nbd"].probability_alive(summary))
    grid = alive_grid(people)
    assert grid["patients"].sum() == len(people)
    assert len(grid) == 6 * 6


def test_bands_of_the_alive_grid():
    days = [0, 30, 31, 91, 92, 365, 366, 731]  # a month is 30.44 days, three are 91.3, a year is 365.25
    people = pd.DataFrame({"frequency": 0, "recency": 0, "T": days, "probability_alive": 0.5})
    counts = alive_grid(people).query("visit_count_band == '1'").set_index("recency_band")["patients"].to_dict()
    assert counts == {"< 1": 2, "1-2": 2, "3-5": 1, "6-11": 1, "12-23": 1, "24+": 1}


def test_a_fit_is_repeatable(cdnow_visits):
    data = btyd_summary(cdnow_visits, CALIBRATION)
    assert fit_clv(data, "pareto_nbd") == fit_clv(data.sample(frac=1, random_state=1), "pareto_nbd")
