"""Tags by date: put on, kept and taken off at the month ends at which their rules say so."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from conftest import open_one

import rfmkit
from rfmkit.errors import ClinicFileError, NotEnoughData
from rfmkit.publish.lists import lists
from rfmkit.study import Study

COLUMNS = 'service = "service"\ncategory = "category"\n'
PEOPLE = """
[patients]
source = "../data/people.csv"
[patients.columns]
patient_id = "id"
consent_sms = "sms"
"""
#: Day, sum, service and category of each patient's visits.
VISITS = {
    "rich": "2026-06-10 60 Peel Face | 2026-08-20 40 Peel Face | 2026-10-30 1 Laser Body",
    "once": "2024-11-15 500 Laser Body",
    "early": "2026-02-01 150 Peel Face | 2026-07-31 1 Peel Face",
    "poor": "2026-10-05 5 Wax Body",
}
TAGS = """
[tags.vip]
when = {total_spend = ">= 100", recency_days = "<= 61"}
[tags.away]
when = {recency_days = "> 61", not = {segment = "inactive"}}
[tags.laser]
when = {category = "Body", service = "Laser"}
[tags.gone]
when = {segment = "inactive"}
[tags.reachable]
when = {consent_sms = true}
name = "May be written to"
[tags.fresh]
when = {T = "< 31"}
[tags.often]
when = {visits = ">= 3"}
"""
RFM = "[rfm]\nmin_patients = 1\n"

# Of each tag and patient: whether it was on at the ends of June, July, August, September and October 2026.
CASES = [
    # 60 at the end of June; 60 + 40 = 100 on 20 August; 30 September is 41 days later; then the visit of 30 October.
    ("vip", "rich", "..+++"),
    # 150 on 1 February, but 30 June is 149 days later; on 31 July 0 days, 31 in August, 61 in September, on the
    # limit, 92 in October.
    ("vip", "early", ".+++."),
    ("vip", "once", "....."),  # 500, but 592 days before the end of June
    ("away", "early", "+...+"),
    ("away", "rich", "....."),  # 20 days in June, 51 in July, 11, 41 and 1: never more than 61
    # 15 November 2024 is 592 days before; the window of 24 months that ends in October begins on 1 November 2024.
    ("away", "once", "+++++"),
    ("laser", "once", "+++++"),
    ("laser", "rich", "....+"),  # the laser came on 30 October
    ("laser", "poor", "....."),  # of its category, but not the laser
    ("gone", "once", "....."),
    ("reachable", "rich", "+++++"),  # a consent has no history: it stands for all months since the first visit
    ("reachable", "poor", "....+"),  # who has not come yet has no tag
    ("reachable", "once", "....."),
    ("fresh", "rich", "+...."),  # 20 days after the first visit
    ("fresh", "poor", "....+"),
    ("often", "rich", "....+"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("tags")
    return open_one(clinic_file(folder, RFM + TAGS))


def clinic_file(folder, parts: str, transactions: str = COLUMNS):
    lines = [
        f"{patient},{','.join(visit.split())}" for patient, visits in VISITS.items() for visit in visits.split(" | ")
    ]
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "lines.csv").write_text("id,date,amount,service,category\n" + "\n".join(lines) + "\n")
    (folder / "data" / "people.csv").write_text("id,sms\nrich,yes\npoor,yes\nonce,no\nearly,\n")
    path = folder / "clinic.toml"
    path.write_text(
        'name = "Test"\ncurrency = "EUR"\n[transactions]\nsource = "data/lines.csv"\n[transactions.columns]\n'
        f'patient_id = "id"\nvisit_date = "date"\namount = "amount"\n{transactions}'
        f"{PEOPLE.replace('../', '')}{parts}",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(("tag", "patient", "expected"), CASES)
def test_a_tag_is_on_at_the_month_ends_that_its_rule_says(study, tag, patient, expected):
    history = study.tag_history
    assert [f"{end:%m-%d}" for end in history.ends[-5:]] == ["06-30", "07-31", "08-31", "09-30", "10-31"]
    held = history.held[tag][-5:, history.patients.get_loc(patient)]
    assert "".join("+" if on else "." for on in held) == expected


def test_since_when_and_what_changed_this_month(study):
    now = study.tags.set_index(["tag", "patient_id"])
    told = {
        place: (f"{row.since:%Y-%m-%d}", row.put_on_this_month, row.taken_off_this_month)
        for place, row in now.iterrows()
    }
    assert told["vip", "rich"] == ("2026-08-31", False, False)
    assert told["vip", "early"] == ("2026-07-31", False, True)  # it was on until September
    assert ("vip", "poor") not in told
    assert told["laser", "rich"] == ("2026-10-31", True, False)
    assert told["away", "early"] == ("2026-10-31", True, False)  # on in June, off from July to September, on again
    assert told["laser", "once"] == ("2024-11-30", False, False)  # ever since the first visit


def test_a_tag_that_is_older_than_the_months_looked_at_says_the_oldest(tmp_path):
    parts = RFM.replace("1", "1\nwindow_months = 0") + '[tags.any]\nwhen = {visits = ">= 1"}\n'
    path = clinic_file(tmp_path, parts)
    source = tmp_path / "data" / "lines.csv"
    source.write_text(source.read_text() + "old,2019-01-01,5,Peel,Face\n")
    tags = open_one(path).tags.set_index("patient_id")
    # Twenty-four month ends and the one before them: October 2024 is the oldest.
    assert f"{tags.loc['old', 'since']:%Y-%m-%d}" == "2024-10-31"


def test_the_counts_of_a_month_lead_to_the_next(study):
    counts = study.tag_counts
    assert counts.groupby("tag").size().eq(24).all()
    for _, months in counts.groupby("tag"):
        moved = months["patients"].shift().fillna(0) + months["put_on"] - months["taken_off"]
        assert (moved == months["patients"])[1:].all()
    october = counts[counts["month"] == "2026-10"].set_index("tag")
    assert october.loc["vip", ["patients", "put_on", "taken_off"]].tolist() == [1, 0, 1]
    assert october.loc["laser", ["patients", "put_on", "taken_off"]].tolist() == [2, 1, 0]


def test_the_last_month_end_is_what_the_patients_table_says(study):
    """Every column that has a history stands at the last month end as in the table of patients."""
    patients = study.patients.set_index("patient_id")
    held = {tag: set(study.tag_history.of(tag)) for tag in study.rules}
    assert held["vip"] == set(patients.index[(patients["total_spend"] >= 100) & (patients["recency_days"] <= 61)])
    assert held["often"] == set(patients.index[patients["visits"] >= 3])
    assert held["fresh"] == set(patients.index[patients["T"] < 31])
    assert held["gone"] == set(patients.index[patients["segment"] == "inactive"])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ('[tags.t]\nwhen = {total_spent = ">= 1"}', "clinic.toml [tags.t] when total_spent: no such column in"),
        ('[tags.t]\nwhen = {recency_days = "< 0"}', "clinic.toml [tags.t] when: nobody can meet recency_days < 0.0."),
        ('[tags.t]\nwhen = {segment = "champion"}', "when segment: there is no champion. Did you mean champions?"),
        ("[tags.T]\nwhen = {visits = 1}", "tags"),
        ('[lists]\nfollow_up = ["vi"]\n[tags.vip]\nwhen = {visits = 1}', "neither a tag nor a group is vi. Did you"),
        ("[tags.at_risk]\nwhen = {visits = 1}", "clinic.toml [tags.at_risk]: is the key of a group too. Name the tag"),
        ("[tags.t]\nwen = {visits = 1}", "clinic.toml [tags.t] wen: unknown key. Did you mean when?"),
    ],
)  # fmt: skip
def test_a_rule_that_is_wrong_is_named_when_the_clinic_file_is_opened(tmp_path, parts, said):
    with pytest.raises(ClinicFileError) as refused:
        open_one(clinic_file(tmp_path, RFM + parts + "\n"))
    assert any(said in str(problem) for problem in refused.value.problems), str(refused.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('{category = "Boddy"}', "[tags.t] when category Boddy: no line has this category. Write it"),
        ('{any = [{visits = 1}, {service = "Peeel"}]}', "[tags.t] when service Peeel: no line has this service."),
    ],
)  # fmt: skip
def test_what_nobody_has_ever_bought_is_named(tmp_path, rfmkit_cli, rule, said):
    path = clinic_file(tmp_path, f"{RFM}[tags.t]\nwhen = {rule}\n")
    with pytest.raises(ClinicFileError) as refused:
        _ = open_one(path).tags
    assert said in str(refused.value)
    answer = rfmkit_cli("check", path, "--month", "2026-10")
    assert (answer.code, said in answer.err) == (10, True)


def test_a_rule_on_a_column_that_the_export_lacks_is_named(tmp_path):
    with pytest.raises(ClinicFileError, match="when category: no such column in this clinic's data"):
        open_one(clinic_file(tmp_path, f'{RFM}[tags.t]\nwhen = {{category = "Body"}}\n', transactions=""))


def test_the_lists_to_follow_up_hold_whom_may_be_written_to(tmp_path):
    """Of a tag, whoever has it now and consents: those on whom it was put this month first, then who came last."""
    parts = RFM + TAGS + '[tags.seen]\nwhen = {visits = ">= 1"}\n[lists]\nfollow_up = ["seen", "laser", "gone"]\n'
    path = clinic_file(tmp_path, parts)
    text = path.read_text().replace('currency = "EUR"', 'country = "RU"\ncurrency = "EUR"')
    path.write_text(text.replace('consent_sms = "sms"', 'consent_sms = "sms"\nphone = "phone"'))
    people = [("early", "yes", 1), ("poor", "yes", 2), ("once", "no", 3), ("rich", "yes", 4)]
    lines = [f"{who},{consent},+7916000000{number}\n" for who, consent, number in people]
    (tmp_path / "data" / "people.csv").write_text("id,sms,phone\n" + "".join(lines))
    files = lists(open_one(path))
    told = {
        name: list(csv.DictReader(files[name].decode("utf-8-sig").splitlines()))
        for name in files
        if "follow_up" in name and name.endswith("csv")
    }
    assert [row["patient_id"] for row in told["follow_up_seen.csv"]] == ["poor", "rich", "early"]
    assert [row["patient_id"] for row in told["follow_up_laser.csv"]] == ["rich"]  # "once" did not consent
    assert [row["sms_phone"] for row in told["follow_up_laser.csv"]] == ["+79160000004"]
    assert "follow_up_gone.csv" not in told
    assert "follow_up_seen.xlsx" in files
    said = files["README.txt"].decode("utf-8-sig").split("\r\n")
    assert "follow_up_laser: “laser”. Begin at the top." in said
    assert "follow_up_gone: there is no list, since nobody of “gone” can be contacted." in said


def test_without_tags_the_part_does_not_stand(tmp_path):
    study = open_one(clinic_file(tmp_path, RFM))
    assert study.part("tags").status == "not_asked"
    with pytest.raises(NotEnoughData, match="the clinic file sets no tags"):
        _ = study.tags


def test_a_tag_on_a_group_needs_patients_enough_for_groups(tmp_path):
    groups = open_one(clinic_file(tmp_path, '[tags.t]\nwhen = {segment = "lost"}\n'))
    assert groups.part("tags").reason.code == "few_patients"
    folder = tmp_path / "others"
    folder.mkdir()
    assert open_one(clinic_file(folder, "[tags.t]\nwhen = {visits = 1}\n")).part("tags").ok


def test_tags_go_with_the_recall(tmp_path):
    rfm = '[rfm]\nmin_patients = 1\nrecency_by = "recall"\n[recall]\ndefault = 30\nservice = {Peel = 90}\n'
    study = open_one(clinic_file(tmp_path, rfm + '[tags.due]\nwhen = {days_overdue = ">= 0", recall_days = 90}\n'))
    history = study.tag_history
    early = history.held["due"][-5:, history.patients.get_loc("early")]
    # Peeled on 1 February and on 31 July: overdue by 149 − 90 = 59 days on 30 June, by 92 − 90 = 2 on 31 October.
    assert early.tolist() == [True, False, False, False, True]


def test_the_names_of_tags_are_the_clinics(study):
    assert study.reader.name("tag", "reachable") == "May be written to"
    assert study.reader.name("tag", "vip") == "vip"
    assert isinstance(study, Study)
    assert isinstance(study.tags["since"].iloc[0], pd.Timestamp)
    assert rfmkit.load_clinic(study.clinic.path).tags["vip"].when["recency_days"] == "<= 61"
