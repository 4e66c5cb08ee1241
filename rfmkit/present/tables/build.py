"""The HTML of a table."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TABLE = """\
{%- macro mark(column) -%}{% if column not in words %} class="number"{% endif %}{%- endmacro -%}
{%- macro line(row) -%}
<tr>
{%- for cell in row -%}
{%- if loop.first %}<th scope="row">{{ cell }}</th>{% else %}<td{{ mark(loop.index0) }}>{{ cell }}</td>{% endif -%}
{%- endfor -%}
</tr>
{%- endmacro -%}
<table class="rfm">
<caption>{{ caption }}</caption>
<thead><tr>
{%- for heading in headings %}<th scope="col"{{ mark(loop.index0) }}>{{ heading }}</th>{% endfor -%}
</tr></thead>
<tbody>
{%- for row in rows %}
{{ line(row) }}
{%- endfor %}
</tbody>
{%- if total %}
<tfoot>{{ line(total) }}</tfoot>
{%- endif %}
</table>
{%- for note in notes %}
<p class="note">{{ note }}</p>
{%- endfor %}
"""


#: JupyterLab sets every cell to the right and keeps narrow columns; a report has its own stylesheet and drops this one.
_IN_JUPYTERLAB = """\
<style>
.rfm caption { text-align: left; font-weight: bold; padding-bottom: 0.5em; }
.rfm th:not(.number), .rfm td:not(.number) { text-align: left !important; white-space: normal; max-width: 40em; }
.advice { max-width: 50em; }
.advice dl { display: flex; gap: 3em; }
.advice dt, .advice dd { float: none !important; display: block !important; width: auto !important; margin: 0; }
</style>
"""


@dataclass(frozen=True)
class Table:
    """A finished table.

    Parameters
    ----------
    html : str
        Everything from users in it is escaped.
    """

    html: str

    def _repr_html_(self) -> str:
        return _IN_JUPYTERLAB + self.html


@functools.cache
def template(source: str):
    """A jinja2 template that escapes whatever it is given."""
    import jinja2

    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
    total: Sequence[str] | None = None,
    notes: Iterable[str] = (),
) -> Table:
    """Make a table of finished texts; the first cell of a row names it.

    Parameters
    ----------
    caption : str
        What the table shows.
    headings : sequence of str
        One a column.
    rows : iterable of sequence of str
        As many cells as headings.
    words : sequence of int, default (0,)
        The columns of words; all others are columns of numbers.
    total : sequence of str, optional
        The last row.
    notes : iterable of str
        Sentences under the table; empty ones are left out.
    """
    html = template(_TABLE).render(
        caption=caption,
        headings=headings,
        rows=list(rows),
        total=total,
        notes=[note for note in notes if note],
        words=words,
    )
    return Table(html)


def sentence(text: str) -> Table:
    """A sentence where there is nothing to tabulate."""
    return Table(template("<p>{{ text }}</p>\n").render(text=text))
