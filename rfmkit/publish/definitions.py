"""What the words of a report mean, with the clinic's own settings in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rfmkit.clinic import Clinic
    from rfmkit.present.wording import Reader
    from rfmkit.study import Study


#: The parts of a study that bring words of their own.
_PARTS = ("segments", "movement", "portraits", "cohorts", "clv", "crr")


def missing_parts(study: Study) -> frozenset[str]:
    """The parts whose words a report on the study does not need."""
    return frozenset(name for name in _PARTS if study.part(name).status != "ok")


def definitions(clinic: Clinic, *, missing: frozenset[str] = frozenset(), reader: Reader) -> list[tuple[str, str]]:
    """The terms of a report and their meaning, in reading order.

    Parameters
    ----------
    clinic : Clinic
        For the periods, scores and rates that its file sets.
    missing : frozenset of str
        The parts that the report does not have; their words are left out.
    reader : Reader
        For whom.
    """
    say, name = reader.say, reader.name
    period, active = reader.months(clinic.loyalty.period_months), reader.months(clinic.active_months)
    terms = [
        (
            say("Visit"),
            say(
                "A day on which a patient came and was charged or treated. Several receipts on one day are one visit;"
                " a refund is none."
            ),
        ),
        (
            name("metric", "revenue"),
            say("Money received: after discounts, without bonuses, refunds taken off."),
        ),
        (
            name("metric", "active_patients"),
            say("Patients with at least one visit in the last {months}.", months=active),
        ),
        (
            name("metric", "rpr"),
            say(
                "Of the patients who came in the last {months}, the share who came on two days or more.",
                months=period,
            ),
        ),
        (
            name("metric", "aov"),
            say("The average sum of a paid visit, not of a receipt, over the last {months}.", months=period),
        ),
    ]
    if "crr" not in missing:
        text = say("Of the patients who were active {months} ago, the share who are active now.", months=period)
        terms.append((name("metric", "crr"), text))
        terms += _kept_in_catalogue(("new_patients", "reactivated_patients", "lost_patients"), reader)
    if "segments" not in missing:
        terms += _segment_terms(clinic, reader)
    if "movement" not in missing:
        terms += _movement_terms(reader)
    if "portraits" not in missing:
        terms += _portrait_terms(reader, cohorts="cohorts" not in missing)
    if "clv" not in missing:
        terms += _value_terms(clinic, reader)
    text = say(
        "Figures of fewer than {number} patients are merged or hidden, so that nobody can be recognised. The sizes"
        " of the groups are always shown.",
        number=reader.number(clinic.report.min_count),
    )
    return [*terms, (say("Small groups"), text)]


def _kept_in_catalogue(keys: tuple[str, ...], reader: Reader) -> list[tuple[str, str]]:
    """Terms whose meaning does not depend on a setting; the notebooks word them the same."""
    names = [(key, reader.words("metric", key) or reader.name("column", key)) for key in keys]
    return [(name, reader.words("definition", key)) for key, name in names]


def _segment_terms(clinic: Clinic, reader: Reader) -> list[tuple[str, str]]:
    say, best = reader.say, reader.number(clinic.rfm.bins)
    if clinic.rfm.window_months:
        scores = say(
            "Digits from 1 to {best} for how recently a patient came, how often, and how much they paid in the last"
            " {months}; {best} is best.",
            best=best,
            months=reader.months(clinic.rfm.window_months),
        )
    else:
        scores = say(
            "Digits from 1 to {best} for how recently a patient came, how often, and how much they paid;"
            " {best} is best.",
            best=best,
        )
    segment = say("A group of patients with similar scores. Every patient is in exactly one.")
    terms = [(say("Scores"), scores), (say("Group"), segment)]
    if clinic.rfm.recency_by == "recall":
        overdue = say(
            "Days since the last visit for the patient's main service, less the days after which it is due again;"
            " below zero it is not due yet. The main service is that of most visits in the window, the latest of equal"
            " ones. The recency score is of these days."
        )
        terms.append((say("Days overdue"), overdue))
    return terms


def _movement_terms(reader: Reader) -> list[tuple[str, str]]:
    say = reader.say
    return [
        (
            say("Move between groups"),
            say(
                "A patient was in one group on the earlier day and is in another on the later one. Both days are judged"
                " by the scores' cuts of the later one, so nobody moves because others did."
            ),
        ),
        (
            say("Revenue of a move"),
            say(
                "What the patients of a move paid in the month, or in the year, that ends on the later day, less what"
                " they paid in the month, or in the year, before."
            ),
        ),
        *_kept_in_catalogue(("entered", "reactivated", "moved_in", "moved_out", "became_inactive"), reader),
    ]


def _portrait_terms(reader: Reader, *, cohorts: bool) -> list[tuple[str, str]]:
    say, name = reader.say, reader.name
    cohort = say("Patients of one sex and one age band, or of one of the two where the clinic's settings say so.")
    return [
        *([(say("Cohort"), cohort)] if cohorts else []),
        (
            name("column", "median_days_between_visits"),
            say("Days between visits: of the patients who came back, half come more seldom, half more often."),
        ),
        (
            name("column", "times"),
            say(
                "The share of a group's or a cohort's patients who have something, such as a service or a usual"
                " weekday, ÷ that of all other patients. Only differences that pass a test are shown."
            ),
        ),
    ]


def _value_terms(clinic: Clinic, reader: Reader) -> list[tuple[str, str]]:
    say, name = reader.say, reader.name
    return [
        (
            name("column", "mean_probability_alive"),
            say("How likely it is that a patient has not left for good, judged by the rhythm of their own visits."),
        ),
        *_kept_in_catalogue(("expected_visits", "expected_visit_value"), reader),
        (
            name("column", "clv"),
            say(
                "What the patients are expected to bring in the next {months}: expected visits × expected value of a"
                " visit × a margin of {margin}, discounted by {rate} a year.",
                months=reader.months(clinic.clv.horizon_months),
                margin=reader.percent(clinic.clv.margin, 0),
                rate=reader.percent(clinic.clv.annual_discount_rate),
            ),
        ),
        (
            name("column", "value_at_risk"),
            say(
                "The value that the patients would have if it were certain that they have not left, less the value"
                " expected now."
            ),
        ),
    ]
