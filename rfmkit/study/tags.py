"""Which tags the clinic's rules put on the patients of a study."""

from __future__ import annotations

import difflib
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from rfmkit.cache import kept
from rfmkit.errors import ClinicFileError, NotEnoughData, Problem
from rfmkit.study.intake import Intake

if TYPE_CHECKING:
    from rfmkit.analysis.rules import Rule
    from rfmkit.analysis.tags import TagHistory


class Tags(Intake):
    """The part of a study that says who has which of the clinic's tags.

    Every month end is judged by the cuts of the last.
    """

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The rule of each tag, as the clinic file has it.

        Raises
        ------
        ClinicFileError
            With every rule that asks for what there is not, or that nobody can meet.
        """
        from rfmkit.analysis.contradictions import impossible
        from rfmkit.analysis.rules import RuleReader
        from rfmkit.analysis.tags import rule_columns

        clinic, found, problems = self.clinic, {}, []
        people = clinic.patients.columns.model_dump(exclude_none=True) if clinic.patients else {}
        lines = clinic.transactions.columns.model_dump(exclude_none=True)
        by_recall = clinic.rfm.recency_by == "recall"
        columns = rule_columns(self.scheme, by_recall=by_recall, of_people=people, bought=lines)
        for tag, terms in clinic.tags.items():
            where = f"{clinic.path.name} [tags.{tag}] when"
            reader = RuleReader(columns, where)
            rule = reader.read(terms.when)
            problems += reader.problems
            if rule is not None:
                if what := impossible(rule, columns, self.scheme):
                    problems.append(Problem(where, f"nobody can meet {what}", "Correct it, or remove the tag."))
                found[tag] = rule
            if tag in self.scheme.segments:
                fix = "Name the tag otherwise: lists to follow up are of either."
                problems.append(Problem(f"{clinic.path.name} [tags.{tag}]", "is the key of a group too", fix))
        problems += self._unknown_lists()
        if problems:
            raise ClinicFileError(problems)
        return found

    def _unknown_lists(self) -> list[Problem]:
        known, problems = [*self.clinic.tags, *self.scheme.segments], []
        for name in self.clinic.lists.follow_up:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
                where = f"{self.clinic.path.name} [lists] follow_up"
                problems.append(Problem(where, f"neither a tag nor a group is {name}", fix))
        return problems

    @kept
    def first_bought(self) -> pd.DataFrame:
        """When each patient first bought what a rule asks for: ``patient_id, column, name, first_day``.

        Raises
        ------
        ClinicFileError
            If no line names what a rule asks for.
        """
        from rfmkit.analysis.rules import comparisons
        from rfmkit.data.bought import first_bought, never_sold

        asked = {
            tag: {(one.column, one.value) for one in comparisons(rule) if one.kind == "bought"}
            for tag, rule in self.rules.items()
        }
        problems = []
        for tag, names in asked.items():
            for column, named in _by_column(names).items():
                where = f"{self.clinic.path.name} [tags.{tag}] when {column}"
                problems += never_sold(self.transactions, column, named, where)
        if problems:
            raise ClinicFileError(problems)
        return first_bought(self.transactions, _by_column(set().union(*asked.values())))

    @kept
    def tag_history(self) -> TagHistory:
        """Who had which tag at the last month ends, and at the one before them."""
        from rfmkit.analysis.tags import MonthEnd, tag_history

        if not self.rules:
            raise NotEnoughData("no_tags")
        bought, history = self.first_bought, self._rfm_history
        patients = history["patient_id"].cat.categories
        first = {
            key: days.set_index("patient_id")["first_day"].reindex(patients).to_numpy()
            for key, days in bought.groupby(["column", "name"])
        }
        standing = self._standing.reindex(patients)
        states = (
            MonthEnd(
                end,
                history[history["month_end"] == pd.Timestamp(end)],
                standing,
                first,
                lambda: self.cuts,
                self.scheme,
            )
            for end in self.month_ends
        )
        return tag_history(self.rules, states, self.month_ends, patients)

    @property
    def _standing(self) -> pd.DataFrame:
        """What the rules ask of the patients that has no history, as it stands now, by id."""
        from rfmkit.analysis.rules import comparisons

        asked = {one.column for rule in self.rules.values() for one in comparisons(rule)}
        known = self.patients.set_index("patient_id")
        if self.people is None:
            return known
        people = self.people.set_index("patient_id")
        return known.join(people[[name for name in people if name in asked and name not in known]].astype(object))

    @property
    def tag_counts(self) -> pd.DataFrame:
        """Patients with each tag by month: ``tag, month, patients, put_on, taken_off``."""
        from rfmkit.analysis.tags import tag_counts

        return tag_counts(self.tag_history)

    @property
    def tags(self) -> pd.DataFrame:
        """Who has which tag: ``patient_id, tag, since, put_on_this_month, taken_off_this_month``."""
        from rfmkit.analysis.tags import current_tags

        return current_tags(self.tag_history)

    def follow_up(self, key: str) -> pd.Index:
        """The ids of those who have a tag, or are in a group.

        Of a tag, those on whom it was put this month come first; then whoever has most at stake, and came last.
        """
        if key not in self.clinic.tags:
            return pd.Index(self.patients.loc[self.patients["segment"] == key, "patient_id"])
        held = self.tags[(self.tags["tag"] == key) & ~self.tags["taken_off_this_month"]]
        held = held.join(self.patients.set_index("patient_id")[["value_at_risk", "last_visit"]], on="patient_id")
        order = ["put_on_this_month", "value_at_risk", "last_visit"]
        return pd.Index(held.sort_values(order, ascending=False)["patient_id"])


def _by_column(bought: set[tuple[str, str]]) -> dict[str, set[str]]:
    return {column: {name for of, name in bought if of == column} for column in sorted({of for of, _ in bought})}
