"""Tables of where the numbers come from: definitions, lines read, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rfmkit.present.tables.build import Table, table
from rfmkit.present.wording import Reader


def definitions(keys: Iterable[str], *, reader: Reader | None = None) -> Table:
    """What the words of a page mean, exactly.

    Parameters
    ----------
    keys : iterable of str
        Keys of metrics and columns: "rpr", "clv" …
    reader : Reader, optional
    """
    reader = reader or Reader()
    return table(
        reader.say("Definitions"),
        [reader.say("Word"), reader.say("Meaning")],
        [[reader.words("metric", key) or reader.name("column", key), reader.name("definition", key)] for key in keys],
        words=(0, 1),
    )


def rows(rows: Mapping[str, float], *, reader: Reader | None = None) -> Table:
    """What became of the export's lines; nothing is lost on the way.

    Parameters
    ----------
    rows : mapping
        `read`, `kept`, `rejected`, `duplicates`, `after_as_of`, and `money_read` …, as `study.rows`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    fates = (
        (reader.say("Used in this report"), "kept"),
        (reader.say("Rejected: unreadable, or of a test patient"), "rejected"),
        (reader.say("Left out: the same line twice"), "duplicates"),
        (reader.say("Left out: dated after the month"), "after_as_of"),
    )
    return table(
        reader.say("The lines of the clinic's export"),
        [reader.say("What became of them"), reader.say("Lines"), reader.say("Amount")],
        [[label, reader.number(rows[key]), reader.money(rows[f"money_{key}"])] for label, key in fates],
        total=[reader.say("Read"), reader.number(rows["read"]), reader.money(rows["money_read"])],
        notes=[reader.say("Amounts are of the lines whose amount can be read.")],
    )


def provenance(provenance: Mapping, *, reader: Reader | None = None) -> Table:
    """What this page was made from.

    Parameters
    ----------
    provenance : mapping
        As `study.provenance`.
    reader : Reader, optional
    """
    reader = reader or Reader()
    lines = provenance["rows"]
    return table(
        reader.say("Where these numbers come from"),
        [reader.say("What"), reader.say("Value")],
        [
            [reader.say("Clinic"), provenance["name"]],
            [reader.say("Month"), reader.month(provenance["month"])],
            [reader.say("Last day counted"), reader.date(provenance["as_of"])],
            [reader.say("First day in the export"), reader.date(provenance["first_day"])],
            [
                reader.say("Lines used"),
                reader.say("{kept} of {read}", kept=reader.number(lines["kept"]), read=reader.number(lines["read"])),
            ],
            [reader.say("Patients"), reader.number(provenance["patients"])],
            [reader.say("Clinic file"), f"{provenance['clinic']}.toml"],
            [reader.say("Fingerprint of the input"), provenance["input_digest"][:16]],
            [reader.say("Version"), f"rfmkit {provenance['version']}"],
        ],
        words=(0, 1),
    )
