"""A table that is open for reading, whichever engine has it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfmkit.errors import ClinicFileError, Problem, SurroundingsError

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Opened:
    """A table that is open for reading.

    Attributes
    ----------
    table : ibis.Table
        Its columns with their headings and types; where a type is none that rfmkit reads, as text.
    name : str
        What messages call it.
    digest : str
        What identifies its content.
    again : callable
        What identifies its content by now.
    let_go : callable
    copy : callable, optional
        Writes its lines as Parquet; of an engine that has no room for what is worked out of them.
    """

    table: ir.Table
    name: str
    digest: str
    again: Callable[[], str] = field(repr=False, compare=False)
    let_go: Callable[[], Any] = field(repr=False, compare=False)
    copy: Callable[[Path], None] | None = field(default=None, repr=False, compare=False)

    def close(self) -> None:
        """Let go of the connection, and of the server's snapshot with it; the table cannot be read any more."""
        self.let_go()

    def rest(self) -> None:
        """Let go of a server's snapshot, which would be held as long as the table is; `copy` takes it up anew."""
        if self.copy:
            self.close()


class MayPass(SurroundingsError):
    """What may work the next time."""


def place_of(table: str, known: list[tuple[str, str, bool]], where: str) -> tuple[str, str]:
    """The schema and name of a table that is called ``name``, if it can be without its schema, or ``schema.name``."""
    for schema, name, bare in known:
        if table == f"{schema}.{name}" or (bare and table == name):
            return schema, name
    raise no_such_table(where, table, [name if bare else f"{schema}.{name}" for schema, name, bare in known])


def no_such_table(where: str, table: str, known: list[str]) -> ClinicFileError:
    """That a clinic file names a table that is not there, with the nearest that is."""
    near = difflib.get_close_matches(table, known, n=1)
    fix = f"Is it «{near[0]}»?" if near else "Correct table in the clinic file; case counts."
    return ClinicFileError(Problem(f"{where} table", f"no such table: {table}", fix))


def digest_of(schema: dict[str, str], *numbers: object) -> str:
    """The digest of a table, from its columns and what its engine computed of its lines, whatever their order."""
    return hashlib.sha256(repr((list(schema.items()), [str(number) for number in numbers])).encode()).hexdigest()
