"""Who can be reached: nobody without a consent, without a valid contact, or who has opted out."""

import datetime as dt

import pandas as pd
import pytest
from conftest import open_one
from hypothesis import given
from hypothesis import strategies as st

from rfmkit.analysis.reach import (
    CHANNELS,
    NEEDS,
    channel_gaps,
    closed_contacts,
    contact_table,
    permitted_contacts,
    reach,
    reach_by_segment,
)
from rfmkit.analysis.traits import traits_of
from rfmkit.data.bought import sales_of
from rfmkit.errors import NotEnoughData

CONSENTS = [consent for consent, _ in NEEDS.values()]


def person(patient_id="1", *, kind="mobile", **said):
    """A patient who may be reached through every channel, but for what is said otherwise."""
    row = {"patient_id": patient_id, "name": f"Name {patient_id}", "phone": f"+7916000000{patient_id}"}
    row |= {"phone_kind": kind, "email": f"{patient_id}@example.org", "opted_out": False}
    row |= dict.fromkeys(CONSENTS, True) | said
    return row | {"phone_key": row["phone"]}


def people(*rows):
    frame = pd.DataFrame(list(rows))
    return frame.astype({name: "str" for name in ("phone", "phone_kind", "phone_key", "email") if name in frame})


#: What is said of a patient whom every channel would reach, and who is reached then: sms, phone, email, any, ads.
CASES = {
    "all given": ({}, "sms phone email any ads"),
    "opted out": ({"opted_out": True}, ""),
    "only sms": ({"consent_phone": False, "consent_email": False, "consent_ads": False}, "sms any"),
    "only calls": ({"consent_sms": False, "consent_email": False, "consent_ads": False}, "phone any"),
    "only advertising": ({"consent_sms": False, "consent_phone": False, "consent_email": False}, "ads"),
    "no phone": ({"phone": None}, "email any ads"),
    "no address": ({"email": None}, "sms phone any ads"),
    "neither": ({"phone": None, "email": None}, ""),
    "a landline": ({"kind": "fixed_line"}, "phone email any ads"),
    "a landline or a mobile": ({"kind": "fixed_line_or_mobile"}, "sms phone email any ads"),
    "no consent": (dict.fromkeys(CONSENTS, False), ""),
}


@pytest.mark.parametrize(("said", "reached"), CASES.values(), ids=CASES)
def test_a_channel_asks_for_its_own_consent_and_a_valid_contact(said, reached):
    row = reach(permitted_contacts(people(person(**said)))).loc["1"]
    assert " ".join(row.index[row]) == reached


def test_a_contact_of_somebody_who_opted_out_is_closed_for_everybody():
    mother = person("1", opted_out=True)
    son = person("2", phone=mother["phone"])
    aunt = person("3", email=mother["email"])
    family = people(mother, son, aunt)
    contacts = permitted_contacts(family, closed_contacts(family))
    assert contacts.loc["1"].isna().all()
    assert contacts.loc["2"].dropna().index.tolist() == ["email", "ads_email"]
    assert contacts.loc["3"].dropna().index.tolist() == ["sms", "phone", "ads_phone"]


@pytest.mark.parametrize(
    ("columns", "gaps"),
    [
        ({"consent_sms", "phone"}, {"phone": "consent_phone", "email": "consent_email", "ads": "consent_ads"}),
        ({*CONSENTS, "email"}, {"sms": "phone", "phone": "phone"}),
        ({*CONSENTS, "phone", "email"}, {}),
        ({"phone", "email"}, {channel: consent for channel, (consent, _) in NEEDS.items()}),
    ],
    ids=["sms alone", "no phones", "all", "no consents"],
)  # fmt: skip
def test_a_channel_lacks_the_column_it_lacks(columns, gaps):
    frame = people(person())[["patient_id", *sorted(columns)]]
    assert channel_gaps(frame) == gaps
    if len(gaps) == len(NEEDS):
        with pytest.raises(NotEnoughData, match="no column of consents"):
            permitted_contacts(frame)
    else:
        assert not set(reach(permitted_contacts(frame))) & set(gaps)


def test_without_a_file_of_patients_nobody_is_reached():
    assert set(channel_gaps(None).values()) == {"patients_file"}


maybe = st.booleans()
phones = st.sampled_from([None, "+79160000001", "+79160000002", "+79160000003"])
emails = st.sampled_from([None, "a@example.org", "b@example.org", "c@example.org"])
said = st.fixed_dictionaries(
    {"phone": phones, "email": emails, "kind": st.sampled_from(["mobile", "fixed_line"]), "opted_out": maybe}
    | dict.fromkeys(CONSENTS, maybe)
)


@given(st.lists(said, min_size=1, max_size=9))
def test_nobody_leaves_without_consent_or_after_opting_out(rows):
    rows = [person(str(number), **row) for number, row in enumerate(rows)]
    family = people(*rows)
    contacts = permitted_contacts(family, closed_contacts(family))
    refused = {row[name] for row in rows if row["opted_out"] for name in ("phone", "email")}
    for row in rows:
        mine = contacts.loc[row["patient_id"]]
        for name, contact in mine.dropna().items():
            channel = name.split("_")[0]
            assert row[NEEDS[channel][0]]
            assert contact in {row["phone"], row["email"]} - refused
            assert not row["opted_out"]
            assert channel != "sms" or row["phone_kind"] == "mobile"
        # And nobody is forgotten who may be reached.
        expected = row["consent_email"] and not row["opted_out"] and row["email"] not in {None, *refused}
        assert pd.notna(mine["email"]) == expected


@given(st.lists(said, min_size=1, max_size=12), st.randoms())
def test_segments_count_the_patients_whom_a_channel_reaches(rows, draw):
    rows = [person(str(number), **row) for number, row in enumerate(rows)]
    known = reach(permitted_contacts(people(*rows)))
    segment_of = {row["patient_id"]: draw.choice(["a", "b"]) for row in rows} | {"unknown": "b"}
    patients = pd.DataFrame({"patient_id": list(segment_of), "segment": list(segment_of.values())})
    table = reach_by_segment(patients, known, ["a", "b", "empty"]).set_index("segment")
    for key in ("a", "b", "empty"):
        inside = [patient for patient, segment in segment_of.items() if segment == key]
        assert table.loc[key, "patients"] == len(inside)
        for channel in (*CHANNELS, "any", "ads"):
            assert table.loc[key, channel] == sum(bool(known[channel].get(patient, False)) for patient in inside)


def test_the_usual_branch_is_where_most_days_were():
    lines = pd.DataFrame(
        [
            ("1", "2026-01-01", 10.0, "North"),
            ("1", "2026-01-01", 10.0, "North"),  # one day
            ("1", "2026-02-01", 10.0, "South"),
            ("1", "2026-03-01", 10.0, "South"),
            ("2", "2026-01-01", 10.0, "North"),
            ("2", "2026-02-01", 10.0, "South"),  # as many days, later
            ("2", "2026-03-01", -5.0, "North"),  # a refund is no visit
            ("3", "2026-01-01", 10.0, None),
            ("3", "2026-02-01", 0.0, "Kiosk"),
        ],
        columns=["patient_id", "visit_date", "amount", "branch"],
    )
    lines["visit_date"] = pd.to_datetime(lines["visit_date"])
    told = traits_of(sales_of(lines)).execute()
    usual = told[told["kind"] == "branch"].set_index("patient_id")["item"]
    assert usual.to_dict() == {"1": "South", "2": "South", "3": "Kiosk"}


def test_a_list_begins_with_those_of_whom_most_is_at_stake():
    rows = [person(str(number)) for number in range(4)]
    patients = pd.DataFrame(
        {
            "patient_id": ["0", "1", "2", "3", "stranger"],
            "segment": "lost",
            "last_visit": pd.to_datetime(["2026-01-01", "2026-02-01", "2026-02-01", "2026-03-01", "2026-01-01"]),
            "value_at_risk": [1.0, 5.0, 5.0, None, 9.0],
        }
    )
    table = contact_table(patients, people(*rows), permitted_contacts(people(*rows)), pd.Series({"0": "North"}))
    assert table["patient_id"].tolist() == ["1", "2", "0", "3"]
    assert table["name"].tolist() == ["Name 1", "Name 2", "Name 0", "Name 3"]
    assert table["branch"].fillna("").tolist() == ["", "", "North", ""]


def test_nobody_without_a_card_is_listed():
    """Not where the file of patients has no rows either."""
    nobody = people(person()).iloc[:0]
    patients = pd.DataFrame({"patient_id": ["1"], "segment": "lost", "last_visit": pd.Timestamp("2026-01-01")})
    patients["value_at_risk"] = 1.0
    assert contact_table(patients, nobody, permitted_contacts(nobody)).empty


HEAD = "id,date,amount,branch\n"


def clinic_with_people(write_clinic, tmp_path, people_csv: str, columns: str, parts: str = ""):
    """Sixty patients who came twice, and what a file says of them."""
    lines = [
        f"{number},{dt.date(2026, 1 + number % 9, 1 + month)},10,North\n" for number in range(60) for month in (0, 9)
    ]
    clinic = write_clinic(HEAD + "".join(lines), parts=f'branch = "branch"\n{columns}{parts}')
    (tmp_path / "data" / "people.csv").write_text(people_csv, encoding="utf-8")
    return clinic


def test_a_merged_card_closes_the_phone_that_was_dropped(write_clinic, tmp_path):
    """Card 9 of the person of card 1 opted out on another phone, which patient 2 has as well."""
    columns = '[patients]\nsource = "../data/people.csv"\nmerge = "merges.csv"\n[patients.columns]\npatient_id = "id"\n'
    columns += 'name = "name"\nphone = "phone"\nopted_out = "out"\nconsent_phone = "ok"\n'
    rows = "1,Anna,+353 86 123 4567,no,yes\n2,Eva,+353 87 765 4321,no,yes\n3,Ida,+353 86 222 3333,no,yes\n"
    text = f"id,name,phone,out,ok\n{rows}9,Anna,+353 87 765 4321,yes,yes\n"
    clinic = clinic_with_people(write_clinic, tmp_path, text, columns)
    (clinic.parent / "merges.csv").write_text("patient_id,same_as,merge\n1,9,yes\n")
    study = open_one(clinic)
    assert study.reach["phone"].to_dict() == {"1": False, "2": False, "3": True}
    assert set(study.reach_by_segment.columns) == {"segment", "patients", "phone", "any"}


def test_whoever_opts_out_does_so_with_every_contact_of_every_line(write_clinic, tmp_path):
    """1 has two numbers and two addresses in a cell; 2 stands on two lines with a number and an address each."""
    columns = '[patients]\nsource = "../data/people.csv"\n[patients.columns]\npatient_id = "id"\n'
    columns += 'phone = "phone"\nemail = "email"\nopted_out = "out"\nconsent_phone = "ok"\nconsent_email = "ok"\n'
    rows = [
        "1,+353 86 123 4567; +353 87 765 4321,a@example.org; b@example.org,yes,yes",
        "2,+353 86 222 3333,c@example.org,yes,yes",
        "2,+353 86 444 5555,d@example.org,no,yes",
        "3,+353 87 765 4321,free@example.org,no,yes",
        "4,+353 86 222 3333,b@example.org,no,yes",
        "5,+353 86 444 5555,c@example.org,no,yes",
        "6,+353 86 666 7777,d@example.org,no,yes",
    ]
    text = "id,phone,email,out,ok\n" + "".join(row + "\n" for row in rows)
    study = open_one(clinic_with_people(write_clinic, tmp_path, text, columns))
    reached = study.reach.loc[["1", "2", "3", "4", "5", "6"]]
    assert reached["phone"].tolist() == [False, False, False, False, False, True]
    assert reached["email"].tolist() == [False, False, True, False, False, False]


def test_a_study_without_a_file_of_patients_says_so(write_clinic, tmp_path):
    study = open_one(clinic_with_people(write_clinic, tmp_path, "", ""))
    assert study.part("reach").reason.code == "no_patients_file"
    assert study.channel_gaps["sms"] == "patients_file"
