"""Which cards are the same person's: proposed by what they share, joined when the clinic says so, undone at will."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping

import pandas as pd
import scipy.sparse
import scipy.sparse.csgraph

from rfmkit.data.origin import FILE, ROW, place
from rfmkit.data.people import one_row_each
from rfmkit.errors import Problem

#: More different persons than these on one phone are no family: it is the reception's own, or any that came to mind.
MOST_ON_ONE_PHONE = 10
PAIR = ["patient_id", "same_as"]
#: What a reviewer sees of both cards.
_SHOWN = ["name", "phone", "birth_date"]
#: Latin letters that look like Cyrillic ones: a word of both alphabets was typed on the wrong keyboard.
_CYRILLIC = str.maketrans("aceopxykmthb", "асеорхукмтнв")


def propose_same_person(people: pd.DataFrame) -> pd.DataFrame:
    """Propose which cards are the same person's.

    Two cards are proposed if they have the same phone and the same name or birth date. Names are the same if they have
    the same words in any order; case, ё and е, hyphens, Unicode's forms and look-alike letters make no difference. A
    proposal is doubtful, and is left to a reviewer, if what else is known does not bear it out: a parent and a child of
    one name differ in birth date, twins in name.

    Parameters
    ----------
    people : pandas.DataFrame
        ``patient_id`` and ``phone_key``; and ``name``, ``birth_date``, ``sex`` where there are any.

    Returns
    -------
    pandas.DataFrame
        One row a card that is proposed to be another's: ``group``, counted from 1; ``patient_id``, the card to keep;
        ``same_as``, the other; ``rule``, "phone_name" or "phone_birth_date"; ``doubt``, "" if there is none:
        "names_differ", "no_name", "initials", "birth_dates_differ", "sexes_differ", or "others_differ": cards that were
        to be joined with the same one do not fit each other. The smallest id is kept: the shortest, then by its signs.
        Doubtless cards come as one person, and doubtful ones are proposed to be one with it.

    Notes
    -----
    What is not known does not differ. Where the birth dates are the same, a name may lack words of the other, if at
    least two are the same (Anna Ivanova, Anna Maria Ivanova). A number on which more than `MOST_ON_ONE_PHONE` different
    persons stand proposes nobody.
    """
    cards = _comparable(people)
    persons = cards.drop_duplicates("person")
    pairs = persons.merge(persons, on="phone_key", suffixes=("", "_other"))
    pairs = _judged(pairs[pairs["place"] < pairs["place_other"]].reset_index(drop=True))
    edges = pd.concat([_alike(cards, persons), pairs[pairs["rule"].notna()]], ignore_index=True)
    sure = edges[edges["doubt"] == ""]
    person = _smallest(cards["place"], sure["place"], sure["place_other"])
    # A card without a birth date would join two that differ in it: then nobody is joined without a reviewer.
    clash = pairs[pairs["differ"] & (pairs["place"].map(person) == pairs["place_other"].map(person))]
    clashing = edges["place"].map(person).isin(clash["place"].map(person)) & (edges["doubt"] == "")
    edges["doubt"] = edges["doubt"].mask(clashing, "others_differ")
    sure = edges[edges["doubt"] == ""]
    person = _smallest(cards["place"], sure["place"], sure["place_other"])
    group = _smallest(cards["place"], edges["place"], edges["place_other"])
    return _rows(cards, edges, person, group)


def _comparable(people: pd.DataFrame) -> pd.DataFrame:
    """Cards that share a phone: ``place``, in the order of their ids, and ``person``, the first that says the same."""
    known = _on_shared_phones(people)
    cards = known[["patient_id", "phone_key"]].assign(
        words=_name_words(known["name"]) if "name" in known else "",
        birth_date=known.get("birth_date", pd.NaT),
        sex=known["sex"].fillna("") if "sex" in known else "",
    )
    cards = _by_id(cards, "patient_id").reset_index(drop=True)
    cards["place"] = cards.index
    same = ["phone_key", "words", "birth_date", "sex"]
    cards["person"] = cards.groupby(same, dropna=False, sort=False)["place"].transform("first")
    crowded = cards.groupby("phone_key")["person"].transform("nunique") > MOST_ON_ONE_PHONE
    return cards[~crowded]


def _on_shared_phones(people: pd.DataFrame) -> pd.DataFrame:
    phones = people["phone_key"] if "phone_key" in people else pd.Series(None, people.index, dtype="str")
    return people.assign(phone_key=phones)[phones.notna() & phones.duplicated(keep=False)]


def _by_id(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """By id, so that P9 comes before P10."""
    return frame.assign(_length=frame[column].str.len()).sort_values(["_length", column]).drop(columns="_length")


def _name_words(names: pd.Series) -> pd.Series:
    """The words of names in one spelling and order."""
    known = {name: _words(name) for name in names.dropna().unique()}
    return names.map(known).astype("str").fillna("")


def _words(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold().replace("ё", "е")
    plain = "".join(letter if letter.isalnum() or unicodedata.combining(letter) else " " for letter in plain)
    words = [_one_alphabet(word) for word in plain.split()]
    if all("\u3400" <= letter <= "\u9fff" for word in words for letter in word):
        return "".join(words)  # Chinese names are written with and without a blank, the family's name first
    return " ".join(sorted(words))


def _one_alphabet(word: str) -> str:
    return word.translate(_CYRILLIC) if any("а" <= letter <= "я" for letter in word) else word


def _judged(pairs: pd.DataFrame) -> pd.DataFrame:
    """By which rule two different persons on a phone may be one, what speaks against it, and whether they differ."""
    named = (pairs["words"] != "") & (pairs["words_other"] != "")
    same_name = named & (pairs["words"] == pairs["words_other"])
    same_birth = pairs["birth_date"] == pairs["birth_date_other"]
    births_differ = pairs["birth_date"].notna() & pairs["birth_date_other"].notna() & ~same_birth
    sexes_differ = (pairs["sex"] != "") & (pairs["sex_other"] != "") & (pairs["sex"] != pairs["sex_other"])
    unlike = named & ~same_name
    lacking = [*map(_lacks_words, pairs.loc[unlike, "words"], pairs.loc[unlike, "words_other"])]
    shorter = pd.Series(lacking, pairs.index[unlike], dtype="bool").reindex(pairs.index, fill_value=False)
    doubt = pd.Series("", pairs.index).mask(unlike & ~shorter, "names_differ").mask(~named, "no_name")
    doubt = doubt.mask(same_name & ~same_birth & _initials(pairs["words"]), "initials")
    doubt = doubt.mask(births_differ, "birth_dates_differ").mask(sexes_differ, "sexes_differ")
    rule = pd.Series(None, pairs.index, dtype="str").mask(same_birth, "phone_birth_date").mask(same_name, "phone_name")
    return pairs.assign(rule=rule, doubt=doubt, differ=births_differ | sexes_differ | (unlike & ~shorter))


def _lacks_words(one: str, other: str) -> bool:
    """Whether the words of one name, two at least, are all among those of the other."""
    words, others = sorted([Counter(one.split()), Counter(other.split())], key=Counter.total)
    return words <= others and sum(count for word, count in words.items() if len(word) > 1) > 1


def _initials(words: pd.Series) -> pd.Series:
    """Names with a letter for a word: of a father and a son as likely as of one."""
    return words.str.contains(r"(?:^|\s)[^\W\d_](?:\s|$)", regex=True)


def _alike(cards: pd.DataFrame, persons: pd.DataFrame) -> pd.DataFrame:
    """Cards that say the same as an earlier one: a name or a birth date is needed for them to be one person's."""
    again = cards[cards["place"] != cards["person"]]
    named, born = again["words"] != "", again["birth_date"].notna()
    doubt = pd.Series("", again.index).mask(~born & _initials(again["words"]), "initials").mask(~named, "no_name")
    rule = pd.Series(None, again.index, dtype="str").mask(born, "phone_birth_date").mask(named, "phone_name")
    edges = pd.DataFrame({"place": again["person"], "place_other": again["place"], "rule": rule, "doubt": doubt})
    return edges[rule.notna()]


def _smallest(nodes: pd.Series, one: pd.Series, other: pd.Series) -> pd.Series:
    """By node, the smallest of those that it is connected with."""
    known = pd.Index(nodes).sort_values()
    ends = known.get_indexer(one), known.get_indexer(other)
    links = scipy.sparse.coo_array(([1] * len(one), ends), shape=(len(known), len(known)))
    _, component = scipy.sparse.csgraph.connected_components(links, directed=False)
    return known.to_series().groupby(component).transform("first")


def _rows(cards: pd.DataFrame, edges: pd.DataFrame, person: pd.Series, group: pd.Series) -> pd.DataFrame:
    """A row for every card but the one to keep, with what speaks for it most."""
    turned = edges.rename(columns={"place": "place_other", "place_other": "place"})
    ends = pd.concat([edges, turned], ignore_index=True)[["place", "place_other", "rule", "doubt"]]
    # Of the two rules the name is the better, and the last by its letters.
    ends = ends.sort_values(["rule", "doubt"], ignore_index=True)
    ends["head"] = ends["place"].map(person)
    inside = ends["head"] == ends["place_other"].map(person)
    best = {
        True: ends[inside & (ends["doubt"] == "")].drop_duplicates("place", keep="last").set_index("place"),
        False: ends[~inside].drop_duplicates("head", keep="last").set_index("head"),
    }
    rows = cards[["place", "patient_id"]].rename(columns={"patient_id": "same_as"})
    rows = rows[rows["place"] != rows["place"].map(group)]
    within = rows["place"] != rows["place"].map(person)
    smallest = rows["place"].map(person).where(within, rows["place"].map(group))
    rows["patient_id"] = smallest.map(cards.set_index("place")["patient_id"])
    for column in ("rule", "doubt"):
        said = rows["place"].map(best[True][column]).where(within, rows["place"].map(best[False][column]))
        rows[column] = said.astype("str")
    rows["group"] = pd.factorize(rows["place"].map(group), sort=True)[0] + 1
    rows = rows.sort_values(["group", "place"], ignore_index=True)
    return rows[["group", *PAIR, "rule", "doubt"]]


def undoubted(proposals: pd.DataFrame) -> pd.DataFrame:
    """The pairs that ``merge = "proposed"`` joins."""
    return proposals.loc[proposals["doubt"] == "", PAIR].reset_index(drop=True)


def merged_ids(pairs: pd.DataFrame) -> dict[str, str]:
    """Which card every card of some pairs becomes.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``patient_id``, ``same_as``, in any order.

    Returns
    -------
    dict
        Card to kept card: the smallest id of all that are connected. Kept cards are not among its keys.
    """
    ids = pd.DataFrame({"id": pd.concat([pairs[column] for column in PAIR]).unique()}, dtype="str")
    ids = pd.Index(_by_id(ids, "id")["id"])
    places = pd.Series(range(len(ids)))
    smallest = _smallest(places, *(ids.get_indexer(pairs[column]) for column in PAIR)).to_numpy("int64")
    moved = smallest != places.to_numpy()
    return dict(zip(ids[moved], ids[smallest[moved]], strict=True))


def kept(ids: pd.Series, merged: Mapping[str, str]) -> pd.Series:
    """Ids of persons for ids of cards."""
    return ids.map(dict(merged)).astype("str").fillna(ids)


def merged_people(people: pd.DataFrame, merged: Mapping[str, str]) -> pd.DataFrame:
    """The persons behind the cards.

    Each fact is that of the kept card; what it does not say, of the next by id. Opted out is whom any card says so of;
    a consent counts if every card gives it.

    Parameters
    ----------
    people : pandas.DataFrame
        As `people.People` has them.
    merged : mapping
        As `merged_ids` gives it.
    """
    # The last to speak is the card to keep.
    cards = _by_id(people, "patient_id").iloc[::-1].reset_index(drop=True)
    return one_row_each(cards.assign(patient_id=kept(cards["patient_id"], merged)))[0]


def identity_table(proposals: pd.DataFrame, merges: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """What a reviewer needs to decide, and what this run did: the content of ``private/identity.csv``.

    Parameters
    ----------
    proposals : pandas.DataFrame
        As `propose_same_person` gives them.
    merges : pandas.DataFrame
        The pairs that this run joins.
    people : pandas.DataFrame
        The cards, not merged.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``patient_id`` (kept), ``same_as``, ``merge`` ("yes", "no"), ``rule`` ("reviewed" for a pair that was
        not proposed), ``doubt``, and of both cards the name, phone and birth date. `read_merges` reads it.
    """
    turned = proposals.rename(columns=dict(zip(PAIR, PAIR[::-1], strict=True)))
    listed = pd.MultiIndex.from_frame(pd.concat([proposals, turned])[PAIR])
    extra = merges.loc[~pd.MultiIndex.from_frame(merges[PAIR]).isin(listed), PAIR].assign(rule="reviewed", doubt="")
    rows = pd.concat([proposals[[*PAIR, "rule", "doubt"]], extra], ignore_index=True)
    merged, together = merged_ids(merges), merged_ids(rows)
    first = kept(rows["patient_id"], together)
    rows["group"] = pd.factorize(first)[0] + 1
    same = kept(rows["patient_id"], merged) == kept(rows["same_as"], merged)
    rows["merge"] = same.map({True: "yes", False: "no"})
    cards = people.set_index("patient_id").reindex(columns=[*_SHOWN, "phone_key"])
    cards["phone"] = cards["phone"].fillna(cards["phone_key"])
    cards["birth_date"] = pd.to_datetime(cards["birth_date"]).dt.strftime("%Y-%m-%d")
    for column in _SHOWN:
        rows[column] = cards[column].reindex(rows["patient_id"]).array
        rows[f"same_as_{column}"] = cards[column].reindex(rows["same_as"]).array
    shown = [name for column in _SHOWN for name in (column, f"same_as_{column}")]
    rows = rows.sort_values("group", kind="stable", ignore_index=True)
    return rows[["group", *PAIR, "merge", "rule", "doubt", *shown]]


def family_phones(people: pd.DataFrame, proposals: pd.DataFrame | None = None) -> int:
    """How many phones are of several persons, who stay several.

    Parameters
    ----------
    people : pandas.DataFrame
    proposals : pandas.DataFrame, optional
        As `propose_same_person` gives them for `people`; cards proposed without a doubt are one person's.
    """
    return len(_family_cards(people, propose_same_person(people) if proposals is None else proposals))


def _family_cards(people: pd.DataFrame, proposals: pd.DataFrame) -> pd.DataFrame:
    """The first card on each phone of several persons."""
    cards = _on_shared_phones(people)
    person = kept(cards["patient_id"], merged_ids(undoubted(proposals)))
    several = person.groupby(cards["phone_key"]).transform("nunique") > 1
    return cards[several].drop_duplicates("phone_key")


def identity_problems(
    people: pd.DataFrame, proposals: pd.DataFrame, merges: pd.DataFrame, heading: str | None
) -> list[Problem]:
    """Tell which cards are one person's, which may be, and which phones are a family's.

    Parameters
    ----------
    people, proposals, merges : pandas.DataFrame
        As for `identity_table`.
    heading : str or None
        The phones' heading in the export, if they are in it.
    """
    table = identity_table(proposals, merges, people)
    found = (
        (
            table["same_as"][table["merge"] == "yes"],
            "a card of a patient who has another; they are counted as one",
            "merged",
        ),
        (table["same_as"][table["merge"] == "no"], "may be a card of a patient who has another", "proposed"),
    )
    fixes = {
        "merged": "Remove merge from the clinic file to have them apart again.",
        "proposed": "See private/identity.csv; merge in the clinic file says which are joined.",
    }
    problems = [
        Problem(
            _first_place(people[people["patient_id"].isin(ids)], heading),
            what,
            fixes[done],
            len(ids),
            "same_person",
            done,
        )
        for ids, what, done in found
        if len(ids)
    ]
    families = _family_cards(people, proposals)
    if len(families):
        what = "a phone that several patients have; they stay several"
        problems.append(Problem(_first_place(families, heading), what, "", len(families), "family_phone", "kept"))
    return problems


def _first_place(cards: pd.DataFrame, heading: str | None) -> str:
    if not len(cards):
        return "merge"  # a reviewer knows of cards that the file of patients does not have
    return place(cards.rename(columns={FILE: "file", ROW: "row"}).sort_values(["file", "row"]).iloc[0], heading)
