"""What a study says of its groups, for 200,000 patients and two million visits, part by part.

The data are those of `rows_to_patients.py`, with who the patients are beside them. Nobody is lost in them, so no model
of lifetime value settles. Reading the files, and the loyalty that the workbook sums up, come before the clock.
Usage: ``python benchmarks/segments.py FOLDER``
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows_to_patients import AS_OF, MIB, connect, make_lines, say

import rfmkit
from rfmkit.publish.exports import tags_csv
from rfmkit.publish.lists import lists
from rfmkit.publish.workbook import workbook

LINES = 4 * 10**6
SECONDS = 20
#: The parts in the order in which a report asks for them, each with what it computes.
PARTS = {
    "scores, segments": ["scored", "patients", "segments", "score_grid", "recommendations"],
    "portraits": ["portraits", "portrait_traits", "cohorts", "cohort_traits"],
    "movement": ["month_movement", "year_movement", "group_history"],
    "tags": ["tag_history", "tag_counts", "tags"],
    "next service": ["next_hit_rates", "next_rules", "patient_next_services", "next_services"],
    "reach": ["reach_by_segment", "contact_table"],
}
RECALL = """
[recall]
default = 180
[recall.service]
"Услуга 1" = 30
"Услуга 2" = 365
"""
CLINIC = """
name = "Many"
locale = "ru"
country = "RU"
currency = "RUB"
[transactions]
source = "lines-{lines}.parquet"
[transactions.columns]
patient_id = "patient_id"
visit_date = "visit_date"
amount = "amount"
branch = "branch"
service = "service"
[patients]
source = "people.parquet"
[patients.columns]
patient_id = "patient_id"
name = "name"
phone = "phone"
email = "email"
sex = "sex"
birth_date = "birth_date"
consent_sms = "consent"
consent_email = "consent"
consent_phone = "consent"
consent_ads = "consent"
[rfm]
recency_by = "{recency_by}"
[tags.vip]
when = {{total_spend = ">= 100000", recency_days = "<= 30"}}
[tags.back]
when = {{any = [{{segment = "at_risk"}}, {{segment = "cant_lose"}}], consent_sms = true}}
[tags.one_only]
when = {{service = "Услуга 1", not = {{service = "Услуга 2"}}}}
[lists]
follow_up = ["vip", "at_risk"]
{recall}
"""


def make_people(folder: Path) -> None:
    """Who the patients of the lines are: sex, birth date, a mobile phone, an address, and consent of every second."""
    patients = f"SELECT DISTINCT patient_id FROM '{folder}/lines-{LINES}.parquet'"
    connect(folder).execute(
        f"""
        COPY (
            SELECT patient_id, 'Имя ' || patient_id AS name,
                '+7916' || lpad((hash(patient_id) % 10000000)::VARCHAR, 7, '0') AS phone,
                patient_id || '@example.org' AS email,
                ['ж', 'м', NULL][1 + (hash(patient_id, 1) % 3)::INTEGER] AS sex,
                DATE '1940-01-01' + (hash(patient_id, 2) % 25000)::INTEGER AS birth_date,
                hash(patient_id, 3) % 2 = 0 AS consent
            FROM ({patients}) ORDER BY patient_id
        ) TO '{folder}/people.parquet'
        """
    )


def measure(folder: Path, recency_by: str) -> None:
    """Print the seconds of each part, in a process whose study has been read."""
    clinic = folder / f"{recency_by}.toml"
    recall = RECALL if recency_by == "recall" else ""
    clinic.write_text(CLINIC.format(lines=LINES, recency_by=recency_by, recall=recall), encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        os.environ["RFMKIT_CACHE"] = cache
        study = rfmkit.open_study(clinic, month=f"{AS_OF:%Y-%m}")
        read = study.summary, study.people, study.part("clv"), study.headline, study.loyalty, study.loyalty_history
        print(f"{len(read[0]):,} patients, {study.totals['visits']:,} visits; recency by {recency_by}")
        total = 0.0
        work = {name: [lambda a=a: getattr(study, a) for a in asked] for name, asked in PARTS.items()}
        work["workbook"] = [lambda: workbook(study)]
        work["lists, audiences, tags.csv"] = [lambda: lists(study), lambda: tags_csv(study.tags)]
        for name, calls in work.items():
            start, spent = time.perf_counter(), time.process_time()
            for call in calls:
                call()
            total += (seconds := time.perf_counter() - start)
            print(f"  {name:<28} {seconds:6.2f} s {time.process_time() - spent:6.2f} s CPU", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  peak {peak / MIB:.0f} MiB")
    say("seconds in all", total, SECONDS, " s")


def main() -> None:
    """Measure both ways to score recency, each in a process of its own."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if sys.argv[2:]:
        measure(folder, sys.argv[2])
        return
    if not (folder / f"lines-{LINES}.parquet").exists():
        make_lines(folder / f"lines-{LINES}.parquet", LINES)
    make_people(folder)
    for recency_by in ("visit", "recall"):
        subprocess.run([sys.executable, __file__, folder, recency_by], check=True)


if __name__ == "__main__":
    main()
