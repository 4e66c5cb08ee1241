"""Tables of what the data can say: what was found in them, how far they reach, what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.present.tables.build import Table, sentence, table
from rfmkit.present.wording import Reader

if TYPE_CHECKING:
    import pandas as pd

#: A column with so many of its cells filled lacks nothing that a reader must know of.
_ENOUGH = 0.8
#: Columns that are empty where there is nothing to say: a low share is no lack.
_SELDOM_FILLED = ("days_supply", "discount", "bonus_accrued", "bonus_redeemed", "member_since", "referred_by")


def findings(findings: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """What the checks of the export found, the serious first.

    Parameters
    ----------
    findings : pandas.DataFrame
        One row a finding, in order: `check`, `count` (may be missing), `where`, `done`, `serious`, as `study.findings`.
    reader : Reader, optional

    Returns
    -------
    Table
        A sentence where nothing was found.
    """
    reader = reader or Reader()
    if not len(findings):
        return sentence(reader.say("The checks found nothing to report."))
    serious = int(findings["serious"].sum())
    return table(
        reader.say("What was found, the most serious first"),
        [reader.say("What was seen"), reader.say("How many"), reader.say("Where first"), reader.say("What was done")],
        [
            [
                reader.name("check", row["check"]),
                reader.number(row["count"]),
                row["where"],
                reader.name("done", row["done"]),
            ]
            for row in findings.to_dict("records")
        ],
        words=(0, 2, 3),
        notes=[
            reader.say(
                "Findings that can change the numbers of this report: {number}. They stand first; look into them "
                "before the others.",
                number=reader.number(serious),
            )
            if serious
            else reader.say("None of this stands in the way of the numbers of this report."),
            reader.say("Where: the file, the line as a spreadsheet counts it, and the heading of the column."),
        ],
    )


def history_reach(history_reach: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """How far the data reach, for how many patients the first visit is known, and what follows.

    Parameters
    ----------
    history_reach : pandas.DataFrame
        One row, as `study.history_reach`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    reach = history_reach.iloc[0]
    return table(
        reader.say("The history of visits"),
        [reader.say("What"), reader.say("Value")],
        [
            [reader.say("First day with a visit"), reader.date(reach["first_day"])],
            [reader.say("Last day with a visit"), reader.date(reach["last_day"])],
            [reader.say("Length of the history"), reader.months(reach["months"])],
            [reader.say("Patients"), reader.number(reach["patients"])],
            [reader.say("Patients whose first visit is known"), reader.number(reach["known"])],
            [reader.say("Patients who may have come before the export begins"), reader.number(reach["unknown"])],
        ],
        words=(0, 1),
        notes=[
            _why_known(reach, reader),
            _who_is_new(reach, reader),
            _retention(reach, reader),
            _models(reach, reader),
        ],
    )


def _why_known(reach: pd.Series, reader: Reader) -> str:
    if reach["complete_history"] is not None:
        if reach["complete_history"]:
            return reader.say("The clinic states that the export holds its whole life: every first visit is known.")
        return reader.say("The clinic states that it is older than its export.")
    if reach["unknown"]:
        return reader.say(
            "The first months of the export have far more newcomers than a usual month: the clinic is older than its "
            "export, and many of them were patients already."
        )
    return reader.say(
        "The first months of the export have no more newcomers than a usual month, so it is taken to hold the clinic's "
        "whole life."
    )


def _who_is_new(reach: pd.Series, reader: Reader) -> str:
    if not reach["unknown"]:
        return ""
    return reader.say(
        "A patient who was last here before {day} and came again later looks new: some of the new patients are in "
        "truth reactivated.",
        day=reader.date(reach["first_day"]),
    )


def _retention(reach: pd.Series, reader: Reader) -> str:
    words = {"months": reader.months(reach["retention_months"]), "day": reader.date(reach["retention_start"])}
    if reach["retention_reached"]:
        return reader.say(
            "The retention rate (CRR) looks back {months}, to {day}: the export reaches back far enough.", **words
        )
    return reader.say(
        "The retention rate (CRR) looks back {months}, to {day}: the export begins too late. If later exports "
        "begin on the same day, the rate will be known from the report on {month}.",
        month=reader.month(reach["retention_month"]),
        **words,
    )


def _models(reach: pd.Series, reader: Reader) -> str:
    if not reach["unknown"]:
        return ""
    return reader.say("The models of lifetime value learn from the patients whose first visit is known.")


def coverage(coverage: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """The columns that the data lack, and what cannot be said without them.

    Parameters
    ----------
    coverage : pandas.DataFrame
        One row a column, missing ones first: `column`, `mapped`, `filled` (share), as `study.coverage`.
    reader : Reader, optional

    Returns
    -------
    Table
        A sentence where nothing is lacking.
    """
    reader = reader or Reader()
    seldom = coverage["column"].isin(_SELDOM_FILLED)
    lacking = ~coverage["mapped"] | (~seldom & (coverage["filled"] < _ENOUGH))
    if not lacking.any():
        return sentence(reader.say("The data have every column that this report can use."))
    shown = coverage[lacking].assign(name=coverage["column"].map(lambda column: reader.name("column", column)))
    shown["costs"] = shown["column"].map(lambda column: reader.name("costs", column))
    # Columns that cost the same and are missing alike share a row.
    alike = shown.groupby(["mapped", "costs", shown["filled"].fillna(-1)], sort=False)
    names = alike["name"].agg(reader.say(", ").join)
    contacts = shown["mapped"] & shown["column"].isin(["phone", "email"])
    others = [reader.name("column", column) for column in coverage["column"][~lacking]]
    return table(
        reader.say("Columns that are missing or have gaps"),
        [reader.say("Column"), reader.say("Without it"), reader.say("Filled")],
        [
            [name, costs, reader.percent(filled, 0) if mapped else reader.say("none")]
            for (mapped, costs, filled), name in names.items()
        ],
        words=(0, 1),
        notes=[
            ""
            if shown["mapped"].all()
            else reader.say("A column that is not there may only be left unnamed in the clinic file."),
            reader.say("Of phones and e-mail addresses only valid ones count.") if contacts.any() else "",
            reader.say("Also there: {columns}.", columns=reader.say(", ").join(others)) if others else "",
        ],
    )
