"""The page: no code, no request, nothing unsanitised, readable by everyone."""

import datetime as dt
import re
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rfmkit import Reader, tables
from rfmkit.errors import RfmkitError
from rfmkit.publish.cover import headline_cards
from rfmkit.publish.page import Page, render

PICTURE = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></script><svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{ 7 * 7 }}{% raw %}",
    "<img src=http://elsewhere.invalid/x.png>",
    "]]><iframe src=//elsewhere.invalid>",
    "<style>@import url(http://elsewhere.invalid/a.css);</style>",
]


def clinic(name="Dental North", brand="Sample & Partners", colour="#1f5f8b", logo=None):
    return SimpleNamespace(name=name, logo=logo, report=SimpleNamespace(brand_name=brand, colour=colour, min_count=5))


def html_cell(html, id="cell", **data):
    cell = new_code_cell("tables.secret_call()", id=id, execution_count=7)
    cell.outputs = [
        new_output("execute_result", {"text/html": html, "text/plain": "<Table>", **data}, execution_count=7)
    ]
    return cell


def executed(title="Overview", *cells):
    node = new_notebook()
    provenance = html_cell(
        "<table><caption>Origin</caption><tbody><tr><td>x</td></tr></tbody></table>", id="provenance"
    )
    provenance.metadata["tags"] = ["provenance"]
    node.cells = [
        new_markdown_cell(f"# {title}", id="title"),
        new_code_cell('month: str = "2026-10"', id="parameters", metadata={"tags": ["parameters"]}, execution_count=1),
        *cells,
        provenance,
    ]
    return node


def page(notebooks=None, *, reader=None, whole=True, **given):
    reader = reader or Reader("en", "EUR")
    headline = pd.DataFrame([("revenue", 2.0, 1.0, 4.0)], columns=["metric", "value", "last_month", "last_year"])
    surrounds = Page(
        month=reader.month("2026-10"),
        as_of=reader.date(dt.date(2026, 10, 31)),
        version="0.1.0",
        cards=headline_cards(headline, reader=reader) if whole else (),
        definitions=[("Visit", "A day.")] if whole else (),
    )
    figure = html_cell(f'<figure><img alt="Three groups." src="{PICTURE}"></figure>', id="figure")
    text = new_markdown_cell("## Groups\n\nSome *words*.", id="text")
    notebooks = notebooks or {"01_overview": executed("Overview", text, figure), "02_groups": executed("Groups")}
    return render(notebooks, surrounds, clinic=clinic(**given), reader=reader)


@pytest.fixture(scope="module")
def soup():
    return BeautifulSoup(page(), "html.parser")


def test_the_policy_comes_first_and_forbids_everything_but_our_own(soup):
    first = soup.head.find(True)
    assert first["http-equiv"] == "Content-Security-Policy"
    rules = dict(rule.strip().split(" ", 1) for rule in first["content"].split(";"))
    assert rules.pop("style-src").startswith("'sha256-")
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


def test_one_heading_for_the_page_and_landmarks(soup):
    assert [heading.get_text() for heading in soup.find_all("h1")] == ["Dental North"]
    titles = [heading.get_text() for heading in soup.find("main").find_all("h2")]
    assert titles == ["Overview", "Groups", "Definitions", "Provenance"]
    assert soup.find("h3").get_text() == "Groups"
    for landmark in ("header", "nav", "main", "footer"):
        assert len(soup.find_all(landmark)) == 1
    assert soup.title.get_text() == "Dental North – October 2026"


def test_the_contents_lead_to_every_section(soup):
    anchors = [link["href"] for link in soup.find("nav").find_all("a")]
    assert anchors == [f"#{section['id']}" for section in soup.find("main").find_all("section", class_="chapter")]
    ids = [element["id"] for element in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("locale", "language"), [("en", "en"), ("ru", "ru"), ("zh", "zh")])
def test_the_language_is_that_of_the_report(locale, language):
    html = BeautifulSoup(page(reader=Reader(locale, "CNY")), "html.parser").html
    assert html["lang"].split("-")[0] == language


def test_no_code_no_prompts_no_plain_results(soup):
    text = str(soup)
    for trace in ("secret_call", "2026-10&quot;", "month: str", "In [", "Out[", "&lt;Table&gt;"):
        assert trace not in text
    assert not soup.find_all(["script", "pre", "iframe", "object", "link", "form", "input"])


def test_every_picture_has_words_and_nothing_comes_from_elsewhere(soup):
    assert soup.find_all("img")
    assert all(image["alt"].strip() and image["src"].startswith("data:image/") for image in soup.find_all("img"))
    outside = re.compile(r"""(?:src|href|srcset|poster|data|action)\s*=\s*["']?\s*(?:https?:)?//|@import|url\(""", re.I)
    assert not outside.search(str(soup))


def test_provenance_stands_once(soup):
    assert str(soup).count("<caption>Origin</caption>") == 1


def test_wide_tables_can_be_scrolled_from_the_keyboard(soup):
    region = soup.find("table").parent
    assert (region["role"], region["tabindex"], region["aria-label"]) == ("group", "0", "Origin")


def test_a_figure_without_words_does_not_leave_the_house():
    for image in (f'<img src="{PICTURE}">', f'<img alt="" src="{PICTURE}">'):
        with pytest.raises(RfmkitError, match="alternative text"):
            page({"01_a": executed("A", html_cell(f"<figure>{image}</figure>"))})


def test_other_kinds_of_output_are_left_out():
    cell = html_cell("<p>kept</p>", **{"text/latex": "$x$", "application/javascript": "alert(1)"})
    loud = new_code_cell("print(1)", id="loud")
    loud.outputs = [
        new_output("stream", name="stderr", text="/home/someone/clinic.py: warning"),
        new_output("display_data", {"application/javascript": "alert(2)", "text/vnd.mermaid": "graph LR"}),
        new_output("display_data", {"image/svg+xml": "<svg onload='alert(3)'/>"}),
    ]
    text = page({"01_a": executed("A", cell, loud)})
    assert "<p>kept</p>" in text
    for trace in ("alert", "someone", "graph LR", "$x$", "<svg"):
        assert trace not in text


def test_a_page_of_one_notebook_has_neither_cover_numbers_nor_definitions():
    lone = BeautifulSoup(page({"01_a": executed("Alone")}, whole=False), "html.parser")
    assert not lone.find_all("dl")
    assert [heading.get_text() for heading in lone.find("main").find_all("h2")] == ["Alone", "Provenance"]


def test_a_whole_report_explains_its_words_once():
    explained = html_cell("<p>In the notebook.</p>", id="definitions")
    assert "In the notebook" not in page({"01_a": executed("A", explained)})
    assert "In the notebook" in page({"01_a": executed("A", explained)}, whole=False)


def infested(payload: str) -> str:
    segments = pd.DataFrame(
        {"segment": [payload], "patients": [9], "patients_share": [1.0], "visits": [9], "revenue": [1.0]}
        | {"revenue_share": [1.0], "median_recency_days": [1.0], "mean_visit_count": [1.0], "mean_total_spend": [1.0]}
    )
    table = tables.segments(segments, window_months=24, reader=Reader("en", "EUR"))
    raw = html_cell(payload, id="raw")
    node = executed(payload, html_cell(table.html, id="table"), raw, new_markdown_cell(payload, id="prose"))
    return page({"01_a": node}, name=payload, brand=payload)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_are_text_wherever_they_stand(payload):
    soup = BeautifulSoup(infested(payload), "html.parser")
    assert not soup.find_all(["script", "iframe", "svg", "object", "embed", "base", "link"])
    assert len(soup.find_all("style")) == 1
    assert not [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert not [link for link in soup.find_all("a") if not link.get("href", "#").startswith("#")]
    assert soup.h1.get_text() == payload
    assert soup.find("th", scope="row").get_text() == payload.replace("_", " ")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_asks_for_nothing_and_runs_nothing(tmp_path):
    api = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    asked, said = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        for text in (page(), infested("".join(PAYLOADS))):
            path.write_text(text, encoding="utf-8")
            tab.goto(path.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
            assert tab.evaluate("getComputedStyle(document.body).borderTopColor") == "rgb(31, 95, 139)"
        browser.close()
    assert [url for url in asked if not url.startswith(("data:", path.as_uri()))] == []
    assert said == []
