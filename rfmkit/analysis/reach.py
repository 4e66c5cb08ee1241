"""Who can be reached, and through which channel: a consent, a valid contact, and nobody who has opted out."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from rfmkit.errors import NotEnoughData

#: What a channel asks for: a consent of its own, and a valid contact of one of these columns.
NEEDS = {
    "sms": ("consent_sms", ("phone",)),
    "phone": ("consent_phone", ("phone",)),
    "email": ("consent_email", ("email",)),
    "ads": ("consent_ads", ("phone", "email")),
}
#: The channels in which the clinic speaks to a patient; advertising speaks through a platform.
CHANNELS = ("sms", "phone", "email")
#: Kinds of number that an SMS arrives at.
_SMS_KINDS = ("mobile", "fixed_line_or_mobile")


def channel_gaps(people: pd.DataFrame | None) -> dict[str, str]:
    """Say why a channel cannot be used at all.

    Parameters
    ----------
    people : pandas.DataFrame or None
        One row a person of the file of patients; None where there is no such file.

    Returns
    -------
    dict
        Channel → the column it lacks: that of its consent, else that of its contact; "patients_file" without a file.
    """
    if people is None:
        return dict.fromkeys(NEEDS, "patients_file")
    gaps = {}
    for channel, (consent, contacts) in NEEDS.items():
        if consent not in people.columns:
            gaps[channel] = consent
        elif not set(contacts) & set(people.columns):
            gaps[channel] = contacts[0]
    return gaps


def closed_contacts(cards: pd.DataFrame) -> set[str]:
    """Phones and addresses on the cards of those who have opted out.

    A number rings for everybody who has it: it is closed on every other card too.

    Parameters
    ----------
    cards : pandas.DataFrame
        The cards of the file of patients, not merged.
    """
    if "opted_out" not in cards.columns:
        return set()
    closed = cards[cards["opted_out"].ne(False)]
    names = ("phone", "phone_key", "phone_all", "email", "email_all")
    return {text for name in names if name in cards for texts in closed[name].dropna() for text in texts.split()}


def permitted_contacts(people: pd.DataFrame, closed: Collection[str] = ()) -> pd.DataFrame:
    """The contacts that may be used, by channel; whatever leaves for a list or an audience is one of these.

    Parameters
    ----------
    people : pandas.DataFrame
        One row a person: ``patient_id``; ``phone`` (E.164) with ``phone_kind``, ``email``, both missing unless valid;
        the consents; ``opted_out``. Columns may be absent.
    closed : collection of str, optional
        Contacts that nobody may use, as `closed_contacts` gives them.

    Returns
    -------
    pandas.DataFrame
        By ``patient_id`` (the index), for every channel without a gap: ``sms``, ``phone`` and ``email``, and of
        advertising ``ads_phone`` and ``ads_email``: the contact, missing where it may not be used.

    Raises
    ------
    NotEnoughData
        ``no_consents``, where no channel has a column of consents and one of contacts.
    """
    gaps = channel_gaps(people)
    if len(gaps) == len(NEEDS):
        raise NotEnoughData("no_consents")
    person = people.set_index("patient_id")
    willing = ~person["opted_out"].ne(False) if "opted_out" in person else pd.Series(True, person.index)
    open_to = {
        name: person[name].where(~person[name].isin(list(closed))) for name in ("phone", "email") if name in person
    }
    contacts = {}
    for channel, (consent, columns) in NEEDS.items():
        given = willing & person[consent].eq(True).fillna(False) if channel not in gaps else None
        for name in columns if given is not None else ():
            if name in open_to:
                contacts[channel if len(columns) == 1 else f"{channel}_{name}"] = open_to[name].where(given)
    if "sms" in contacts and "phone_kind" in person:
        contacts["sms"] = contacts["sms"].where(person["phone_kind"].isin(_SMS_KINDS))
    return pd.DataFrame(contacts, index=person.index)


def reach(contacts: pd.DataFrame) -> pd.DataFrame:
    """Say of every person through which channels they can be reached.

    Parameters
    ----------
    contacts : pandas.DataFrame
        As `permitted_contacts` gives them.

    Returns
    -------
    pandas.DataFrame
        By ``patient_id`` (the index), a bool for each of ``sms, phone, email, ads`` that has no gap; ``any``: through
        one of the clinic's own channels at least.
    """
    known = contacts.notna()
    found = {channel: known[channel] for channel in CHANNELS if channel in known}
    found["any"] = known[list(found)].any(axis=1)
    ads = [name for name in known if name.startswith("ads_")]
    return pd.DataFrame(found | ({"ads": known[ads].any(axis=1)} if ads else {}), index=contacts.index)


def reach_by_segment(patients: pd.DataFrame, reach: pd.DataFrame, segments: Collection[str]) -> pd.DataFrame:
    """Count who can be reached in each segment.

    Parameters
    ----------
    patients : pandas.DataFrame
        ``patient_id, segment``. Whoever the file of patients does not know cannot be reached.
    reach : pandas.DataFrame
        As `reach` gives it.
    segments : collection of str
        In the order of the rows.

    Returns
    -------
    pandas.DataFrame
        One row a segment: ``segment, patients``, and how many of them each channel of `reach` reaches.
    """
    known = reach.reindex(patients["patient_id"], fill_value=False).astype("int64")
    counts = known.groupby(patients["segment"].to_numpy()).sum()
    counts.insert(0, "patients", patients["segment"].value_counts())
    return counts.reindex(pd.Index(segments, name="segment"), fill_value=0).reset_index()


def contact_table(
    patients: pd.DataFrame, people: pd.DataFrame, contacts: pd.DataFrame, branches: pd.Series | None = None
) -> pd.DataFrame:
    """Put together what a clinic needs to reach its patients.

    Parameters
    ----------
    patients : pandas.DataFrame
        ``patient_id, segment, last_visit, value_at_risk``.
    people : pandas.DataFrame
        ``patient_id`` and, where the clinic has it, ``name``.
    contacts : pandas.DataFrame
        As `permitted_contacts` gives them for `people`.
    branches : pandas.Series, optional
        By ``patient_id``, where each usually comes.

    Returns
    -------
    pandas.DataFrame
        One row a patient who may be contacted or advertised to: ``patient_id, segment, name, last_visit, branch`` (the
        last ones missing where not known) and the columns of `contacts`. Whoever has most at stake comes first, then
        whoever came last, then by id.
    """
    # The cards of `people` and of `contacts` are the same: each id is looked for once.
    card = contacts.index.get_indexer(patients["patient_id"])
    known = np.append(contacts.notna().any(axis=1), False)[card]  # the last one is of those without a card, -1
    rows = patients.loc[known, ["patient_id", "segment", "last_visit", "value_at_risk"]].assign(card=card[known])
    rows = rows.sort_values("patient_id").sort_values(
        ["value_at_risk", "last_visit"], ascending=False, kind="stable", ignore_index=True
    )
    card = rows["card"].to_numpy()
    table = rows[["patient_id", "segment", "last_visit"]].assign(
        name=people["name"].array.take(card) if "name" in people else None,
        branch=branches.reindex(rows["patient_id"]).array if branches is not None else None,
    )
    return pd.concat([table, contacts.take(card).reset_index(drop=True)], axis=1)
