"""What is not on the list does not reach a page."""

import pytest

from rfmkit.publish.sanitise import clean

PICTURE = "data:image/svg+xml;base64,PHN2Zy8+"
HARMFUL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='//elsewhere'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,x'></object><embed src=x>",
    "<meta http-equiv=refresh content='0;url=//elsewhere'><base href='//elsewhere'>",
    "<link rel=stylesheet href='//elsewhere'><style>@import '//elsewhere'</style>",
    "<form action='//elsewhere'><input name=a><button>x</button></form>",
    "<div style='background:url(//elsewhere)' onclick=alert(1)>x</div>",
    "<img alt=x src='data:text/html;base64,AAAA'><img alt=x srcset='//elsewhere 2x'>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<textarea></textarea><img src onerror=alert(1)></textarea>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "<p id='contents' tabindex=1 accesskey=x contenteditable>x</p>",
]


@pytest.mark.parametrize("html", HARMFUL)
def test_harm_is_taken_out(html):
    kept = clean(f"<p>before</p>{html}<p>after</p>")
    assert kept.startswith("<p>before</p>")
    assert kept.endswith("<p>after</p>")
    for trace in (
        "script",
        "onerror",
        "onload",
        "onclick",
        "javascript:",
        "elsewhere",
        "style",
        "srcdoc",
        " id=",
        "<img",
    ):
        assert trace not in kept


def test_a_table_keeps_everything_it_needs():
    html = (
        '<table class="rfm"><caption>Groups</caption><thead><tr><th scope="col" class="number">A</th></tr></thead>'
        '<tbody><tr><th scope="row">B</th><td class="number" colspan="2">1</td></tr></tbody>'
        '<tfoot><tr><td>2</td></tr></tfoot></table><p class="note">n</p>'
    )
    assert clean(html) == html


def test_a_figure_keeps_its_picture_and_its_words():
    html = f'<figure><img alt="1 &lt; 2" src="{PICTURE}"><figcaption>c</figcaption></figure>'
    assert clean(html) == html


def test_escaped_text_stays_text():
    assert clean("<td>&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</td>".replace("td", "p")) == (
        "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</p>"
    )


@pytest.mark.parametrize(
    ("given", "shift", "highest", "expected"),
    [
        ("h1", 1, 3, "h3"),
        ("h2", 1, 3, "h3"),
        ("h3", 1, 3, "h4"),
        ("h3", 1, 4, "h4"),
        ("h1", 0, 4, "h4"),
        ("h6", 1, 3, "h6"),
    ],
)
def test_headings_stand_under_those_of_the_page(given, shift, highest, expected):
    kept = clean(f"<{given}>T</{given}>", shift_headings=shift, highest=highest)
    assert kept == f"<{expected}>T</{expected}>"


def test_marks_that_reorder_a_line_are_taken_out():
    assert clean("<p>a\u202eb\u2066c\0d</p>") == "<p>abcd</p>"
