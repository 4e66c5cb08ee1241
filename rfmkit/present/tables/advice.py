"""What to do about each group: in order of what is at stake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rfmkit.present.tables.build import Table, table, template
from rfmkit.present.tables.next_service import offers_by_segment
from rfmkit.present.tables.portraits import approach, cohorts_by_segment
from rfmkit.present.wording import MISSING, Reader

if TYPE_CHECKING:
    import pandas as pd

_CARDS = """\
{%- for card in cards %}
<section class="advice">
<h3>{{ card.name }}</h3>
{%- if card.who %}
<p class="who">{{ card.who }}</p>
{%- endif %}
<dl>
{%- for term, value in card.facts %}<div><dt>{{ term }}</dt><dd>{{ value }}</dd></div>{% endfor -%}
</dl>
{%- for kind, heading, lines in card.texts %}
<p class="{{ kind }}"><strong>{{ heading }}</strong>{% for line in lines %}<br>{{ line }}{% endfor %}</p>
{%- endfor %}
</section>
{%- endfor %}
"""


def priorities(recommendations: pd.DataFrame, *, reader: Reader | None = None) -> Table:
    """The groups in the order in which to work on them.

    Parameters
    ----------
    recommendations : pandas.DataFrame
        One row a group, in order, as `study.recommendations`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    groups = recommendations[recommendations["patients"] > 0]
    valued = groups["value_at_risk"].notna().any()
    each = groups["value_at_risk"] / groups["patients"]
    cents = reader.cents(each)
    return table(
        reader.say("Groups by what is at stake") if valued else reader.say("Groups by revenue"),
        [
            reader.say("Group"),
            reader.say("Patients"),
            reader.say("Revenue"),
            reader.name("column", "mean_probability_alive"),
            reader.name("column", "value_at_risk"),
            reader.say("At stake per patient"),
        ],
        [
            [
                reader.name("segment", row["segment"]),
                reader.number(row["patients"]),
                reader.money(row["revenue"]),
                reader.percent(row["mean_probability_alive"], 0),
                reader.money(row["value_at_risk"]),
                reader.money(per_patient, cents),
            ]
            for row, per_patient in zip(groups.to_dict("records"), each, strict=True)
        ],
        notes=[
            "" if valued else reader.say("Lifetime value could not be computed, so it is not known what is at stake.")
        ],
    )


def recommendations(
    recommendations: pd.DataFrame,
    *,
    details: Mapping[str, pd.DataFrame] | None = None,
    reader: Reader | None = None,
) -> Table:
    """A card for each group: what to do, which service to offer, to whom, who can be reached, what is at stake, why.

    Parameters
    ----------
    recommendations : pandas.DataFrame
        One row a group, in order: `segment`, `patients`, `revenue`, `value_at_risk`. Groups of nobody have no card.
    details : mapping, optional
        ``traits``, ``services`` and ``reach``, as `study.recommendation_details`; a card says nothing of what is not
        there.
    reader : Reader, optional
        Services and cohorts of fewer patients than its `min_count` are not told; nor how many can be reached where that
        is true, or false, of fewer.
    """
    reader = reader or Reader()
    given, found = details or {}, {"whom": {}, "offer": {}, "reach": {}}
    if "traits" in given:
        found["whom"] = cohorts_by_segment(given["traits"], reader)
    if "services" in given:
        found["offer"] = offers_by_segment(given["services"], reader)
    if "reach" in given:
        found["reach"] = given["reach"].set_index("segment").drop(columns="patients").to_dict("index")
    groups = recommendations[recommendations["patients"] > 0].to_dict("records")
    cards = [_card(row, {kind: of.get(row["segment"]) for kind, of in found.items()}, reader) for row in groups]
    return Table(template(_CARDS).render(cards=cards))


def _card(row: dict, details: dict, reader: Reader) -> dict:
    segment, patients = row["segment"], int(row["patients"])
    reached = details["reach"] or {}
    facts = [
        (reader.say("Patients"), reader.number(patients)),
        (reader.say("Revenue"), reader.money(row["revenue"])),
        (reader.name("column", "value_at_risk"), reader.money(row["value_at_risk"])),
        *((reader.name("reach", channel), reader.count(count, patients)) for channel, count in reached.items()),
    ]
    texts = {
        "what": [reader.words("advice-what", segment, patients)],
        "offer": [details["offer"]],
        "whom": [_addressed(segment, cohort, reader) for cohort in details["whom"] or ()],
        "why": [reader.words("advice-why", segment, patients)],
    }
    return {
        "name": reader.name("segment", segment),
        "who": reader.words("who", segment),
        "facts": [fact for fact in facts if fact[1] != MISSING],
        "texts": [(kind, reader.name("column", kind), lines) for kind, lines in texts.items() if any(lines)],
    }


def _addressed(segment: str, cohort: str, reader: Reader) -> str:
    """A cohort, and how to speak to it where there are words for it."""
    name, text = reader.cohort(cohort), approach(segment, cohort, reader)
    return reader.say("{cohort}. {text}", cohort=name, text=text) if text else name


def reach(
    reach_by_segment: pd.DataFrame, *, gaps: Mapping[str, str] | None = None, reader: Reader | None = None
) -> Table:
    """How many patients of each group can be reached, by channel.

    Parameters
    ----------
    reach_by_segment : pandas.DataFrame
        One row a group: `segment`, `patients`, and a column for each channel, as `study.reach_by_segment`.
    gaps : mapping, optional
        Channels that are not there, and the column that the file of patients lacks, as `study.channel_gaps`.
    reader : Reader, optional
        Fewer patients than its `min_count`, reached or not, are not told; there is no total, which would give a single
        one away.
    """
    reader = reader or Reader()
    groups = reach_by_segment[reach_by_segment["patients"] > 0]
    channels = [name for name in groups.columns if name not in {"segment", "patients"}]
    lacking = [
        reader.say(
            "{channel}: nobody, since the file of patients has no column «{column}».",
            channel=reader.name("reach", channel),
            column=reader.name("column", column),
        )
        for channel, column in (gaps or {}).items()
    ]
    nobody = [
        reader.say("{channel}: nobody has both the consent and a valid contact.", channel=reader.name("reach", channel))
        for channel in channels
        if not groups[channel].any()
    ]
    return table(
        reader.say("How many patients can be reached"),
        [reader.say("Group"), reader.say("Patients"), *(reader.name("reach", channel) for channel in channels)],
        [
            [
                reader.name("segment", row["segment"]),
                reader.number(row["patients"]),
                *(reader.count(row[channel], row["patients"]) for channel in channels),
            ]
            for row in groups.to_dict("records")
        ],
        notes=[*lacking, *nobody],
    )
