"""Who of the patients of a study can be reached, and through which channel."""

from __future__ import annotations

import pandas as pd

from rfmkit.cache import kept
from rfmkit.errors import NotEnoughData
from rfmkit.study.groups import Groups
from rfmkit.study.sales import Sales


class Reach(Groups, Sales):
    """The part of a study that says who can be reached."""

    @property
    def channel_gaps(self) -> dict[str, str]:
        """Channels that cannot be used at all, and the column that they lack."""
        from rfmkit.analysis.reach import channel_gaps

        return channel_gaps(self.people)

    @kept
    def permitted_contacts(self) -> pd.DataFrame:
        """By patient and channel, the contact that may be used: for the clinic's private lists alone."""
        from rfmkit.analysis.reach import closed_contacts, permitted_contacts

        if self.people is None:
            raise NotEnoughData("no_patients_file")
        return permitted_contacts(self.people, closed_contacts(self._cards[2]))

    @property
    def reach(self) -> pd.DataFrame:
        """Of each person of the file of patients, whether a channel reaches them: ``sms, phone, email, any, ads``."""
        from rfmkit.analysis.reach import reach

        return reach(self.permitted_contacts)

    @kept
    def reach_by_segment(self) -> pd.DataFrame:
        """How many of each segment every channel reaches: ``segment, patients, sms, phone, email, any, ads``."""
        from rfmkit.analysis.reach import reach_by_segment

        return reach_by_segment(self.patients, self.reach, self.segments["segment"])

    @kept
    def usual_branch(self) -> pd.Series:
        """The branch where each patient usually comes, by id; nobody's where the export names no branches."""
        names, traits = self.names_sold, self.patient_traits
        found = traits.filter(traits.kind == "branch").order_by("patient_id").execute()
        branches = names["branch"][found["item"]] if "branch" in names else []
        return pd.Series(branches, index=names["patient_id"][found["patient_id"]], dtype="str", name="branch")

    @property
    def contact_table(self) -> pd.DataFrame:
        """One row a patient who may be contacted, with names and contacts: for the clinic's private lists alone."""
        from rfmkit.analysis.reach import contact_table

        _ = self.segments  # raises where there are no groups to list
        return contact_table(self.patients, self.people, self.permitted_contacts, self.usual_branch)
