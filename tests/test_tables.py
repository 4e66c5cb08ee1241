"""Tables: accessible, escaped, in the reader's words and numbers; nothing of a small group."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import frames
import pandas as pd
import pytest

from rfmkit.present import Reader, tables

RUSSIAN = Reader("ru", "RUB", 5)
NBSP = "\N{NO-BREAK SPACE}"

#: Every table with what it shows.
CASES = {
    "approaches": lambda reader: tables.approaches(frames.COHORTS, frames.TRAITS, reader=reader),
    "changes": lambda reader: tables.changes(frames.MOVEMENT, reader=reader),
    "clv_basis": lambda reader: tables.clv_basis(frames.CLV, reader=reader),
    "clv_gates": lambda reader: tables.clv_gates(frames.GATES, reader=reader),
    "clv_parameters": lambda reader: tables.clv_parameters(frames.CLV, reader=reader),
    "clv_summary": lambda reader: tables.clv_summary(frames.CLV_SUMMARY, reader=reader),
    "cohorts": lambda reader: tables.cohorts(frames.COHORTS, window_months=24, reader=reader),
    "coverage": lambda reader: tables.coverage(frames.COVERAGE, reader=reader),
    "definitions": lambda reader: tables.definitions(["rpr", "aov", "crr", "clv"], reader=reader),
    "findings": lambda reader: tables.findings(frames.FINDINGS, reader=reader),
    "headline": lambda reader: tables.headline(frames.HEADLINE, reader=reader),
    "historical_value": lambda reader: tables.historical_value(frames.HISTORICAL_VALUE, reader=reader),
    "history_reach": lambda reader: tables.history_reach(frames.HISTORY_REACH, reader=reader),
    "holdout": lambda reader: tables.holdout(frames.HOLDOUT, reader=reader),
    "holdout_by_frequency": lambda reader: tables.holdout_by_frequency(frames.BY_FREQUENCY, reader=reader),
    "loyalty_history": lambda reader: tables.loyalty_history(frames.HISTORY, reader=reader),
    "next_rules": lambda reader: tables.next_rules(frames.NEXT_RULES, reader=reader),
    "next_services": lambda reader: tables.next_services(frames.NEXT_SERVICES, frames.HIT_RATES, reader=reader),
    "portraits": lambda reader: tables.portraits(frames.PORTRAITS, window_months=24, reader=reader),
    "priorities": lambda reader: tables.priorities(frames.RECOMMENDATIONS, reader=reader),
    "provenance": lambda reader: tables.provenance(frames.PROVENANCE, reader=reader),
    "rates": lambda reader: tables.rates(frames.LOYALTY, reader=reader),
    "reach": lambda reader: tables.reach(frames.REACH, gaps={"phone": "consent_phone"}, reader=reader),
    "recommendations": lambda reader: tables.recommendations(
        frames.RECOMMENDATIONS,
        details={"traits": frames.TRAITS, "services": frames.NEXT_SERVICES, "reach": frames.REACH},
        reader=reader,
    ),
    "retention": lambda reader: tables.retention(frames.RETENTION, active_months=12, reader=reader),
    "revenue_moves": lambda reader: tables.revenue_moves(frames.MOVEMENT, reader=reader),
    "rows": lambda reader: tables.rows(frames.ROWS, reader=reader),
    "score_bands": lambda reader: tables.score_bands(frames.SCORE_BANDS, reader=reader),
    "score_cuts": lambda reader: tables.score_cuts(frames.SCORE_CUTS, scoring="threshold", reader=reader),
    "segment_definitions": lambda reader: tables.segment_definitions(frames.SEGMENTS, reader=reader),
    "segment_flows": lambda reader: tables.segment_flows(frames.MOVEMENT, reader=reader),
    "segment_value": lambda reader: tables.segment_value(frames.SEGMENTS, reader=reader),
    "traits": lambda reader: tables.traits(
        frames.TRAITS, kinds=["service", "weekday", "hour", "cohort"], reader=reader
    ),
    "segments": lambda reader: tables.segments(frames.SEGMENTS, window_months=24, reader=reader),
    "tags": lambda reader: tables.tags(frames.TAG_COUNTS, reader=reader),
}
ALL = pytest.mark.parametrize("name", CASES)
READERS = pytest.mark.parametrize(
    "reader", [Reader("en", "EUR", 5), RUSSIAN, Reader("zh", "CNY", 5)], ids=["en", "ru", "zh"]
)


class Page(HTMLParser):
    """The elements of a piece of HTML; checks that they are closed as they were opened."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.elements, self.rows = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def cells(table: tables.Table) -> list[list[str]]:
    """The texts of a table, row by row."""
    return [[re.sub(r"\s+", " ", cell) for cell in row] for row in Page(table.html).rows]


def test_the_cases_are_exhaustive():
    assert {*CASES, "Table"} == set(tables.__all__)


@ALL
@READERS
def test_a_table_is_accessible(name, reader):
    page = Page(CASES[name](reader).html)
    tags = [tag for tag, _ in page.elements]
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")
    assert all("style" not in attributes for _, attributes in page.elements)
    assert len({len(row) for row in page.rows}) <= 1, "a row has more cells than another"
    if "table" in tags:
        assert tags.count("caption") == tags.count("table") == 1
        assert re.search("<caption>[^<]+</caption>", CASES[name](reader).html)


@ALL
@READERS
def test_a_table_shows_no_keys_and_no_gaps_in_sentences(name, reader):
    text = re.sub(r"<[^>]*>", " ", CASES[name](reader).html)
    assert not re.search(r"[{}]|\bnan\b|\bNone\b|\w_\w", text)


@ALL
def test_a_table_is_shown_as_it_is(name):
    table = CASES[name](Reader())
    style, shown = table._repr_html_().split("</style>\n")
    assert shown == table.html
    assert style.startswith("<style>")


@ALL
def test_what_is_shown_does_not_change(name):
    given = {key: value for key, value in vars(frames).items() if isinstance(value, pd.DataFrame)}
    before = copy.deepcopy(given)
    CASES[name](RUSSIAN)
    for key, frame in before.items():
        pd.testing.assert_frame_equal(given[key], frame)


def test_what_users_wrote_is_escaped():
    html = CASES["provenance"](Reader()).html
    assert "Dental &lt;North&gt; &amp; Co" in html
    assert "<North>" not in html
    segments = frames.SEGMENTS.assign(segment="<script>alert(1)</script>")
    shown = [
        tables.segments(segments),
        tables.segment_definitions(segments),
        tables.segment_value(segments),
        tables.priorities(segments),
        tables.recommendations(segments),
        tables.reach(segments[["segment", "patients"]]),
    ]
    assert all("<script" not in table.html for table in shown)


def test_headline_rates_change_by_points_and_all_else_by_shares():
    rows = cells(CASES["headline"](Reader("en", "EUR")))
    assert rows[1] == ["Active patients", "1,153", "+1.0%", "+12.9%"]
    assert rows[3] == ["Repeat purchase rate (RPR)", "45.6%", "+0.2 pp", "+2.4 pp"]
    assert rows[5] == ["Customer retention rate (CRR)", "52.8%", "+0.8 pp", "–"]


def test_segments_sum_to_all_patients():
    rows = cells(CASES["segments"](Reader("en", "EUR")))
    assert rows[1][:5] == ["Champions", "312", "10.4%", "€1,911,000", "34.3%"]
    assert rows[-1][:5] == ["All patients", "3,000", "100.0%", "€5,569,000", "100.0%"]


def test_a_tag_stands_with_its_past_and_few_patients_are_not_counted():
    rows = cells(CASES["tags"](Reader("en", "EUR", 5)))
    assert rows[0][4:] == ["Sept 2026", "Jul 2026", "Apr 2026", "Oct 2025"]
    assert rows[1] == ["vip", "123", "7", "< 5", "122", "120", "117", "111"]
    assert rows[2] == ["due soon", "0", "0", "0", "0", "0", "0", "0"]


def test_a_window_without_end_is_the_whole_history():
    assert "<caption>Groups over all years</caption>" in tables.segments(frames.SEGMENTS).html


def test_scores_stand_in_the_units_of_their_measure():
    rows = cells(CASES["score_bands"](Reader("en", "EUR", 5)))
    assert rows[1] == ["5", "up to 39", "428", "from 5", "< 5", "from €9,200", "426"]
    assert rows[3] == ["3", "120 to 239", "428", "2", "620", "€2,410 to €4,000", "427"]
    assert rows[4] == ["2", "240 to 399", "425", "–", "–", "€1,210 to €2,400", "427"]
    assert rows[5] == ["1", "from 400", "427", "1", "900", "up to €1,200", "427"]


@pytest.mark.parametrize(
    ("locale", "visits", "money"),
    [
        ("en", "more than 4", "more than €10,000"),
        ("ru", "больше 4", "больше 10\xa0000\xa0€"),
        ("zh", "超过4", "超过€10,000"),
    ],
)
def test_the_clinics_own_numbers_are_said_as_its_file_says_them(locale, visits, money):
    """More than 4 visits are 5 or more, more than 10,000 are 10,000.01 or more."""
    reader = Reader(locale, "EUR")
    cuts = pd.DataFrame([("recency_days", 2, 90), ("visit_count", 2, 5), ("total_spend", 2, 10_000.01)])
    cuts.columns = ["measure", "score", "cut"]
    html = tables.score_cuts(cuts, scoring="threshold", reader=reader).html
    assert f">{visits}<" in html
    assert f">{money}<" in html


@pytest.mark.parametrize(
    ("cut", "said"), [(12_000.0, "from €12,000"), (12_000.01, "more than €12,000"), (12_000.51, "more than €12,000.50")]
)
def test_a_clinic_s_own_cut_is_told_to_the_cent(cut, said):
    """Frozen, a cut of 12,000 stands in the clinic file as more than 11,999.99."""
    cuts = pd.DataFrame({"measure": ["total_spend"], "score": [2], "cut": [cut]})
    html = tables.score_cuts(cuts, scoring="threshold", reader=Reader(currency="EUR")).html
    assert f">{said}<" in html


def test_nobody_s_own_extreme_is_shown():
    text = " ".join(" ".join(row) for row in cells(CASES["score_bands"](Reader("en", "EUR"))))
    for extreme in ("88,123", "729", "31", "500"):
        assert not re.search(rf"\b{extreme}\b", text)


def test_rates_stand_with_what_they_are_made_of():
    rows = cells(CASES["rates"](Reader("en", "EUR")))
    assert rows[1] == ["Repeat purchase rate (RPR)", "45.6%", "526", "1,153", "1 Nov 2025 – 31 Oct 2026"]
    assert rows[3][-1] == "1–31 Oct 2026"
    assert len(rows) == 4, "the month has no paid visit and so no average"


def test_the_bridge_leads_from_start_to_end():
    rows = cells(CASES["retention"](Reader()))
    start, new, reactivated, lost, end = (int(row[1].replace(",", "")) for row in rows[1:])
    assert start + new + reactivated - lost == end


def test_rows_of_few_patients_show_no_means():
    rows = cells(CASES["holdout_by_frequency"](Reader(min_count=5)))
    assert rows[7] == ["6", "< 5", "–", "–"]
    assert cells(CASES["holdout_by_frequency"](Reader()))[7] == ["6", "4", "2.90", "4.00"]


def test_a_model_that_is_no_better_says_so():
    worse = copy.copy(frames.HOLDOUT)
    worse.mae = worse.naive_mae
    assert "treat the sums with caution" in tables.holdout(worse).html
    assert "treat the sums with caution" not in tables.holdout(frames.HOLDOUT).html


def test_a_failed_gate_is_a_warning():
    rows = cells(CASES["clv_gates"](Reader()))
    assert [row[-1] for row in rows[1:]] == ["passed", "passed", "warning"]


def test_the_lines_read_are_all_accounted_for():
    rows = cells(CASES["rows"](Reader()))
    assert rows[-1][:2] == ["Read", "12,034"]
    assert sum(int(row[1].replace(",", "")) for row in rows[1:-1]) == 12_034


def test_history_begins_with_the_last_month():
    assert [row[0] for row in cells(CASES["loyalty_history"](RUSSIAN))][1:3] == ["октябрь 2026 г.", "сентябрь 2026 г."]


# --- what the data can say


def notes(table: tables.Table) -> list[str]:
    return re.findall('<p class="note">(.*?)</p>', table.html)


def test_findings_stand_in_their_order_with_where_and_what_was_done():
    rows = cells(CASES["findings"](Reader()))
    assert rows[1] == ["Fewer than half as many lines as usual", "–", "payments.csv", "Only noted"]
    assert rows[2][1:] == ["12", "payments.csv:17 «<Date>»", "Rejected"]
    assert rows[3][:2] == ["Phone numbers that several patients share", "1,344"]


def test_findings_say_how_many_can_change_the_numbers():
    assert "numbers of this report: 2. They stand first" in notes(CASES["findings"](Reader()))[0]
    harmless = tables.findings(frames.FINDINGS[~frames.FINDINGS["serious"]])
    assert notes(harmless)[0] == "None of this stands in the way of the numbers of this report."


@READERS
def test_where_nothing_is_found_or_lacking_a_sentence_says_so(reader):
    full = frames.COVERAGE.assign(mapped=True, filled=1.0)
    for shown in (tables.findings(frames.FINDINGS.head(0), reader=reader), tables.coverage(full, reader=reader)):
        assert re.fullmatch("<p>[^<]+[.。]</p>", shown.html.strip())


def reach(**changes) -> list[str]:
    given = frames.HISTORY_REACH.astype({"complete_history": object}).assign(**changes)
    return notes(tables.history_reach(given))


def test_the_history_says_how_it_is_known_where_it_begins():
    assert "far more newcomers" in reach()[0]
    assert "no more newcomers" in reach(unknown=0)[0]
    assert "holds its whole life" in reach(unknown=0, complete_history=True)[0]
    assert reach(complete_history=False)[0] == "The clinic states that it is older than its export."


def test_what_follows_from_an_unknown_beginning_is_said_only_there():
    assert "before 10 January 2022 and came again later looks new" in reach()[1]
    assert "models" in reach()[3]
    assert len(reach()) == 4
    assert len(reach(unknown=0)) == 2


def test_a_short_history_says_when_retention_will_be_known():
    short = reach(retention_reached=False, retention_month="2027-02")[2]
    assert "looks back 24 months, to 1 November 2024: the export begins too late" in short
    assert short.endswith("the rate will be known from the report on February 2027.")


def test_columns_that_cost_the_same_share_a_row():
    rows = cells(CASES["coverage"](Reader()))
    assert rows[2][0] == "Bonuses credited, Bonuses paid with"
    assert [row[-1] for row in rows[1:]] == ["none", "none", "59%"]
    assert [row[0] for row in rows[1:]][::2] == ["Receipt number", "E-mail"]


def test_columns_that_are_there_are_named_though_a_discount_is_seldom_given():
    assert notes(CASES["coverage"](Reader()))[-1] == "Also there: Discount, Category, Sex."


# --- recommendations


def headings(html: str) -> list[str]:
    return re.findall("<h3>(.*?)</h3>", html)


def test_advice_stands_in_the_order_given():
    html = CASES["recommendations"](Reader()).html
    assert headings(html) == [
        Reader().name("segment", key).replace("'", "&#39;") for key in frames.RECOMMENDATIONS["segment"]
    ]
    assert html.count('<section class="advice">') == len(frames.RECOMMENDATIONS)


@READERS
def test_every_card_says_what_why_how_many_and_how_much(reader):
    for card in CASES["recommendations"](reader).html.split("</section>")[:-1]:
        for kind in ("who", "what", "why"):
            assert re.search(rf'<p class="{kind}">.+</p>', card)
        assert len(re.findall("<dt>.+?</dt><dd>.+?</dd>", card)) >= 3


@pytest.mark.parametrize(
    ("patients", "words"),
    [(1, "Позвоните 1 пациенту этой"), (3, "Позвоните 3 пациентам"), (21, "Позвоните 21 пациенту")],
)
def test_advice_counts_in_the_right_form(patients, words):
    row = frames.RECOMMENDATIONS[frames.RECOMMENDATIONS["segment"] == "at_risk"].assign(patients=patients)
    assert words in tables.recommendations(row, reader=RUSSIAN).html.replace(NBSP, " ")


def test_groups_of_nobody_need_no_advice():
    frame = frames.RECOMMENDATIONS.assign(patients=0)
    frame.loc[2, "patients"] = 7
    assert len(headings(tables.recommendations(frame).html)) == 1
    assert len(cells(tables.priorities(frame))) == 2


def card_of(segment: str, **details) -> list[str]:
    """What stands on a group's card under each heading."""
    table = tables.recommendations(frames.RECOMMENDATIONS, details=details, reader=Reader("en", "EUR", 5))
    name = Reader().name("segment", segment)
    (card,) = [card for card in table.html.split("</section>") if f"<h3>{name}</h3>" in card]
    return re.findall(r"<strong>(.+?)</strong><br>(.+)</p>", card) + re.findall("<dt>(.+?)</dt><dd>(.+?)</dd>", card)


def test_a_card_says_whom_it_holds_what_to_offer_and_who_can_be_reached():
    details = {"traits": frames.TRAITS, "services": frames.NEXT_SERVICES, "reach": frames.REACH}
    said = dict(card_of("champions", **details))
    assert said["Offer first"] == "Implant &lt;3&gt; (64%)"  # Veneer hides Peel, which is for two only
    women = Reader().cohort("female_55")
    assert said["Found here more often than elsewhere"].startswith(f"{women}. Speak of comfort: no pain")
    assert (said["Reachable by SMS"], said["Reachable by e-mail"]) == ("12", "0")
    assert said["Reachable by any of these"] == "&gt; 307"
    assert dict(card_of("lost", **details))["Reachable by SMS"] == "&lt; 5"
    loyal = dict(card_of("loyal", **details))
    assert not {"Offer first", "Found here more often than elsewhere"} & set(loyal)


def test_a_card_speaks_in_the_clinic_s_own_words_to_a_cohort():
    reader = Reader(own={("approach", "champions.female"): "By appointment at noon."})
    table = tables.recommendations(frames.RECOMMENDATIONS, details={"traits": frames.TRAITS}, reader=reader)
    assert f"<br>{reader.cohort('female_55')}. By appointment at noon.</p>" in table.html


def test_without_a_model_nothing_is_said_to_be_at_stake():
    frame = frames.RECOMMENDATIONS.assign(
        value_at_risk=float("nan"), clv=float("nan"), mean_probability_alive=float("nan")
    )
    assert "At stake" not in tables.recommendations(frame).html
    table = tables.priorities(frame).html
    assert "Groups by revenue" in table
    assert "not known what is at stake" in table


def test_a_segment_of_the_clinic_s_own_has_a_card_without_our_advice():
    html = tables.recommendations(frames.RECOMMENDATIONS.head(1).assign(segment="our_vip")).html
    assert headings(html) == ["our vip"]
    assert "<p" not in html


def test_the_flows_of_a_group_add_up_and_hide_the_few():
    rows = cells(CASES["segment_flows"](Reader("en", "EUR", 10)))
    assert rows[0][1:] == [
        *("30 September 2026", "First visit", "Came back", "Moved in", "Moved out", "Now long absent"),
        "31 October 2026",
    ]
    assert rows[2] == ["Loyal", "181", "30", "< 10", "", "61", "", "159"]  # 181 + 30 + 9 − 61
    assert rows[-1] == ["All patients", "1,400", "30", "< 10", "", "", "71", "1,430"]


def test_the_moves_that_changed_revenue_stand_with_their_money_and_without_the_few():
    table = CASES["revenue_moves"](Reader("en", "EUR", 5))
    rows = cells(table)
    assert rows[0][3:] == ["Paid before", "Paid now", "Change"]
    assert "Before: 1–30 Sept 2026. Now: 1–31 Oct 2026." in re.sub(r"\s", " ", table.html)
    assert rows[1] == ["Champions", "At risk", "52", "€310,000", "€4,000", "-€306,000"]
    assert rows[2] == ["Loyal", "Champions", "61", "€80,000", "€290,000", "+€210,000"]
    assert len(rows) == 1 + 5
    assert [row[-1] for row in rows[3:]] == ["+€60,000", "+€30,000", "-€19,000"]
    all_but_few = cells(tables.revenue_moves(frames.MOVEMENT, most=9, reader=Reader("en", "EUR", 5)))
    assert [row[-1] for row in all_but_few[6:]] == ["-€5,000"], "-€9,000 of three patients are not told"


def test_what_changed_is_told_in_words():
    told = re.findall("<li>(.+)</li>", CASES["changes"](Reader("en", "EUR", 5)).html)
    assert told == [
        "Came for the first time: 30 patients.",
        "Came back after a long absence: 9 patients. Now long absent: 71 patients.",
        "Changed group: 240 of 1,400 (17.1%).",
        "Grew most: “At risk”, from 44 to 52.",
        "Shrank most: “Lost”, from 71 to 47.",
        "The largest move: “Lost” → “Long absent”, 71 patients.",
        "The move that added most revenue: “Loyal” → “Champions”, 61 patients: +€210,000.",
        "The move that took most revenue away: “Champions” → “At risk”, 52 patients: -€306,000.",
    ]


def test_where_nobody_moved_nothing_is_told_of_moves():
    still = frames.MOVEMENT.flows.assign(entered=0, reactivated=0, moved_in=0, moved_out=0, became_inactive=0)
    nothing = SimpleNamespace(
        **vars(frames.MOVEMENT) | {"flows": still.assign(end=still["start"]), "moves": frames.MOVEMENT.moves.head(0)}
    )
    told = re.findall("<li>(.+)</li>", tables.changes(nothing).html)
    assert told[2:] == ["Changed group: 0 of 1,400 (0.0%)."]


def test_of_channels_few_are_not_counted_and_what_is_missing_is_said():
    table = tables.reach(frames.REACH, gaps={"phone": "consent_phone"}, reader=Reader("en", min_count=5))
    assert cells(table) == [
        ["Group", "Patients", "Reachable by SMS", "Reachable by e-mail", "Reachable by any of these"],
        ["Champions", "312", "12", "0", "> 307"],  # 309: 3 are left over
        ["Lost", "40", "< 5", "0", "< 5"],
    ]
    notes = re.findall('<p class="note">(.*)</p>', table.html)
    assert notes == [
        "Reachable by phone: nobody, since the file of patients has no column «Consent to calls».",
        "Reachable by e-mail: nobody has both the consent and a valid contact.",
    ]
