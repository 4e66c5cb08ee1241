"""The clinic's own lists: whom of each group it may write to or call, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmkit.publish.audiences import audience_csv
from rfmkit.publish.free_text import each_harmless_line, each_on_one_line, on_one_line
from rfmkit.publish.quoted import quoted_csv
from rfmkit.publish.workbook.book import Column, Sheet, write_long_table

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from rfmkit.errors import NotEnoughData
    from rfmkit.present.wording import Reader
    from rfmkit.study import Study

README = "README.txt"
#: What a list may hold, in its order: no service, no sum, nothing that tells of a patient's health.
COLUMNS = ("patient_id", "name", "sms_phone", "call_phone", "email", "last_visit", "branch", "segment")
#: Under which name of `COLUMNS` the contact of a channel stands.
_CONTACTS = {"sms": "sms_phone", "phone": "call_phone", "email": "email"}
_FREE_TEXTS = ("patient_id", "name", "branch")


def lists(study: Study) -> dict[str, bytes]:
    """Every file of ``private/lists``, by name.

    Parameters
    ----------
    study : Study

    Returns
    -------
    dict
        ``segment_<key>.csv`` and ``.xlsx`` for each group of whom somebody can be reached, ``audience_<key>.csv`` for
        each of whom somebody may be advertised to, ``follow_up_<key>.csv`` and ``.xlsx`` for the tags and groups that
        the clinic file names, and ``README.txt``, which says what is there and why something is
        not. No file but the last where the clinic has no patients' consents or too few patients for groups.
    """
    files = {}
    if _nothing_since(study) is None:
        table = study.contact_table
        for key, contacts in table.groupby("segment", sort=True):
            files |= _both_forms(f"segment_{key}", contacts, study.reader.name("segment", key), study.reader)
            if audience := audience_csv(contacts):
                files[f"audience_{key}.csv"] = audience
        files |= _follow_up(study, table, files)
    return files | {README: _readme(study, files).encode("utf-8-sig")}


def _follow_up(study: Study, table: pd.DataFrame, files: dict[str, bytes]) -> dict[str, bytes]:
    """The lists of the tags and groups that the clinic file names, those who are newly tagged first."""
    found, reader = {}, study.reader
    for key in study.clinic.lists.follow_up:
        if key not in study.clinic.tags:  # a group's own list once more
            forms = [form for form in ("csv", "xlsx") if f"segment_{key}.{form}" in files]
            found |= {f"follow_up_{key}.{form}": files[f"segment_{key}.{form}"] for form in forms}
        elif study.part("tags").ok:
            ids = study.follow_up(key)
            contacts = table[table["patient_id"].isin(ids)]
            contacts = contacts.iloc[ids.get_indexer(contacts["patient_id"]).argsort()]
            found |= _both_forms(f"follow_up_{key}", contacts, reader.name("tag", key), reader)
    return found


def _both_forms(name: str, contacts: pd.DataFrame, title: str, reader: Reader) -> dict[str, bytes]:
    """A list as two files; none of nobody."""
    listed = list_table(contacts, reader)
    if listed.empty:
        return {}
    return {f"{name}.csv": list_csv(listed), f"{name}.xlsx": list_xlsx(listed, reader, title=title)}


def withheld(study: Study) -> dict[str, str]:
    """What the lists do not hold, and why, in English: "lists" for all of them, else by channel."""
    if reason := _nothing_since(study):
        return {"lists": str(reason)}
    return {channel: f"the file of patients has no column {lacks}" for channel, lacks in study.channel_gaps.items()}


def _nothing_since(study: Study) -> NotEnoughData | None:
    """Why there is no list at all."""
    parts = (study.part(name) for name in ("segments", "reach"))
    return next((part.reason for part in parts if not part.ok), None)


def list_table(contacts: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """The rows of a list: whoever can be reached through one of the clinic's own channels.

    Parameters
    ----------
    contacts : pandas.DataFrame
        As `study.contact_table`.
    reader : Reader
        In whose language the group is named.

    Returns
    -------
    pandas.DataFrame
        Those of `COLUMNS` that the clinic has; free text on one line.
    """
    contacts = contacts.rename(columns=_CONTACTS)
    there = [name for name in _CONTACTS.values() if name in contacts]
    rows = contacts[contacts[there].notna().any(axis=1)]
    always = {*there, "segment"}
    rows = rows[[name for name in COLUMNS if name in rows and (name in always or rows[name].notna().any())]]
    texts = {name: each_on_one_line(rows[name]) for name in _FREE_TEXTS if name in rows}
    names = {key: on_one_line(reader.name("segment", key)) for key in rows["segment"].unique()}
    return rows.assign(**texts, segment=rows["segment"].map(names))


def list_csv(listed: pd.DataFrame) -> bytes:
    """A list for the programs that send: every cell quoted, phones in E.164 as they are, days as ``YYYY-MM-DD``."""
    days = {"last_visit": listed["last_visit"].dt.strftime("%Y-%m-%d")} if "last_visit" in listed else {}
    texts = listed.assign(**days)
    return quoted_csv(texts.assign(**{name: each_harmless_line(values) for name, values in texts.items()}))


def list_xlsx(listed: pd.DataFrame, reader: Reader, *, title: str | None = None) -> bytes:
    """The same list for people: phones as text, days as days."""
    columns = [
        Column(name, reader.name("column", name), "date" if name == "last_visit" else "text") for name in listed.columns
    ]
    title = on_one_line(title or listed["segment"].iloc[0])
    return write_long_table(Sheet(title, listed, columns), title=title, reader=reader)


def _readme(study: Study, files: Collection[str]) -> str:
    reader = study.reader
    say = reader.say
    lines = [
        say("Lists of {name}, {month}", name=study.clinic.name, month=reader.month(study.month)),
        "",
        say("These files hold names, phones and addresses: they are for the clinic alone."),
    ]
    if reason := _nothing_since(study):
        return "\r\n".join([*lines, "", say("There are no lists."), reader.reason(reason), ""])
    lines += [
        say(
            "A phone or an address stands in a column only if the patient has consented to that very channel, the"
            " contact is valid, and neither the patient nor anybody else who has it has opted out."
        ),
        say("People open the .xlsx; the .csv is for programs that send, with phones in international form."),
        say(
            "audience_….csv holds no names and no contacts, only their SHA-256, of patients who have consented to"
            " advertising: upload it as it is."
        ),
        *(_followed_up(key, study, files) for key in study.clinic.lists.follow_up),
    ]
    for channel, lacks in study.channel_gaps.items():
        where = reader.name("column", lacks)
        lines.append(
            say(
                "{channel}: nobody, since the file of patients has no column «{column}».",
                channel=reader.name("reach", channel),
                column=where,
            )
        )
    return "\r\n".join([*lines, ""])


def _followed_up(key: str, study: Study, files: Collection[str]) -> str:
    """What became of a list that the clinic file asks for."""
    reader, is_tag = study.reader, key in study.clinic.tags
    file, name = f"follow_up_{key}", reader.name("tag" if is_tag else "segment", key)
    if f"{file}.csv" in files:
        return reader.say("{file}: “{name}”. Begin at the top.", file=file, name=name)
    if is_tag and (reason := study.part("tags").reason):
        return reader.say("{file}: there is no list. {reason}", file=file, reason=reader.reason(reason))
    return reader.say("{file}: there is no list, since nobody of “{name}” can be contacted.", file=file, name=name)
