"""The list of all reports."""

import json

import pytest
from bs4 import BeautifulSoup

from rfmkit.publish.index import write_index


def write_month(out, clinic, month, *, name="Dental <North>", locale="en", report=True):
    folder = out / clinic / month
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"name": name, "locale": locale, "month": month}))
    if report:
        (folder / "report.html").touch()


def links(out):
    soup = BeautifulSoup((out / "index.html").read_text(encoding="utf-8"), "html.parser")
    return soup, [(link["href"], link.get_text()) for link in soup.find_all("a")]


def test_every_report_newest_first(tmp_path):
    for month in ("2026-09", "2026-10", "2025-12"):
        write_month(tmp_path, "dental", month)
    write_month(tmp_path, "a clinic", "2026-10", name="Лотос", locale="ru")
    write_month(tmp_path, "dental", "2026-08", report=False)
    write_month(tmp_path, "dental", ".2026-11.abcd")
    (tmp_path / "dental" / "failed" / "2026-07").mkdir(parents=True)
    (tmp_path / "dental" / "2026-06").mkdir()
    (tmp_path / "dental" / "2026-06" / "manifest.json").write_text("{")
    assert write_index(tmp_path) == tmp_path / "index.html"
    soup, found = links(tmp_path)
    assert [href for href, _ in found] == [
        "a%20clinic/2026-10/report.html",
        "dental/2026-10/report.html",
        "dental/2026-09/report.html",
        "dental/2025-12/report.html",
    ]
    assert found[1][1] == "October 2026"
    assert found[0][1].startswith("октябрь")
    assert [section["lang"].split("-")[0] for section in soup.find_all("section")] == ["ru", "en"]
    assert [heading.get_text() for heading in soup.find_all("h2")] == ["Лотос", "Dental <North>"]
    assert soup.head.find(True)["content"].startswith("default-src 'none'")
    assert not soup.find_all("script")


@pytest.mark.parametrize(("locales", "language"), [(["ru", "ru"], "ru"), (["ru", "zh"], "en"), ([], "en")])
def test_it_speaks_the_language_that_all_reports_share(tmp_path, locales, language):
    for number, locale in enumerate(locales):
        write_month(tmp_path, f"clinic-{number}", "2026-10", locale=locale)
    write_index(tmp_path)
    assert links(tmp_path)[0].html["lang"].split("-")[0] == language


def test_it_is_not_touched_when_nothing_is_new(tmp_path):
    write_month(tmp_path, "dental", "2026-10")
    before = write_index(tmp_path).stat().st_mtime_ns
    assert write_index(tmp_path).stat().st_mtime_ns == before
    write_month(tmp_path, "dental", "2026-11")
    write_index(tmp_path)
    assert len(links(tmp_path)[1]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"dental", "index.html", ".index.lock"}
