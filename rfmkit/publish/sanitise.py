"""Cell output made harmless: what is not on the list below does not reach a page."""

from __future__ import annotations

import re

import nh3

_TAGS = {
    *("section", "div", "p", "span", "strong", "em", "b", "i", "small", "sup", "sub", "br", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "code", "abbr"),
    *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("figure", "figcaption", "img", "a"),
}
_EVERYWHERE = {"class", "lang"}
_ATTRIBUTES = {
    "*": _EVERYWHERE,
    "a": {"href"},
    "abbr": {"title"},
    "col": {"span"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
#: Pictures that cannot run anything: an SVG inside ``img`` is drawn without scripts and without requests.
_PICTURE = re.compile(r"data:image/(svg\+xml|png|jpeg);base64,[A-Za-z0-9+/=]+")
_ANCHOR = re.compile(r"#[\w-]+")
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags={"script", "style", "title", "noscript", "template", "iframe", "textarea"},
    attributes=_ATTRIBUTES,
    attribute_filter=lambda tag, name, value: _kept(name, value),
    strip_comments=True,
    link_rel=None,
    generic_attribute_prefixes=set(),
    url_schemes={"data"},
)
_HEADING = re.compile(r"<(/?)h([1-6])\b")
_NO_PICTURE = re.compile(r'<img(?![^>]*\ssrc=")[^>]*>')
#: Reordering marks can make a line read as something else than it is; NUL is no text.
_TRICKS = re.compile("[\0\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def clean(html: str, *, shift_headings: int = 0, highest: int = 3) -> str:
    """Keep of a piece of HTML only what a report is made of.

    Parameters
    ----------
    html : str
        From anywhere.
    shift_headings : int, default 0
        How many levels its headings go down, so that they stand under the page's own.
    highest : int, default 3
        The highest level a heading may keep.

    Returns
    -------
    str
        Headings, text, lists, tables and pictures in data URIs; no script, style, event handler, form, frame, or
        address outside the page.
    """
    kept = _NO_PICTURE.sub("", _CLEANER.clean(_TRICKS.sub("", html)))

    def lowered(found: re.Match) -> str:
        return f"<{found[1]}h{min(6, max(highest, int(found[2]) + shift_headings))}"

    return _HEADING.sub(lowered, kept)


def _kept(name: str, value: str) -> str | None:
    if name == "src":
        return value if _PICTURE.fullmatch(value) else None
    if name == "href":
        return value if _ANCHOR.fullmatch(value) else None
    return value
