"""Which files an export is, and what identifies their content."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from rfmkit.data.databases import table_digest
from rfmkit.data.opened import Opened
from rfmkit.errors import ClinicFileError, ExportError, Problem, SurroundingsError


@dataclass(frozen=True)
class InputFile:
    """One file of an export.

    Attributes
    ----------
    path : pathlib.Path
    name : str
        What messages call it: its name, or its path from the clinic file where several have that name.
    sha256 : str
        What identifies its content.
    size : int
        Bytes.
    changed : int
        When it was last written, in nanoseconds: a file that is still being copied changes while it is read.
    """

    path: Path
    name: str
    sha256: str
    size: int
    changed: int

    @property
    def settled(self) -> bool:
        """Whether it still is as it was when it was identified."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (self.size, self.changed)


@dataclass(frozen=True)
class InputTable:
    """A table of a database or a cluster.

    Attributes
    ----------
    opened : Opened
        Open for reading.
    """

    opened: Opened
    size: None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.opened.name

    @property
    def path(self) -> Path:
        """Its name, where those of files have their path."""
        return Path(self.opened.name)

    @property
    def sha256(self) -> str:
        """What identifies its content."""
        return self.opened.digest

    @property
    def settled(self) -> bool:
        """Whether it still is as it was when it was identified."""
        return table_digest(self.opened) == self.opened.digest


def input_files(source: str, folder: Path, where: str) -> list[InputFile]:
    """Find the files that a clinic file's `source` names, in name order.

    Parameters
    ----------
    source : str
        A path or a pattern with ``*`` and ``?``, from `folder` on.
    folder : pathlib.Path
        Where the clinic file lies.
    where : str
        The key of the clinic file, for messages.

    Raises
    ------
    ClinicFileError
        If there is no such file.
    ExportError
        If one is empty, or is another under a new name.
    SurroundingsError
        If one may not be read.
    """
    exact = folder / source
    pattern = source if Path(source).is_absolute() else os.path.join(glob.escape(str(folder)), source)
    try:
        os.stat(exact)
    except PermissionError as error:
        raise SurroundingsError(unreadable(source, error)) from None
    except (OSError, ValueError):
        pass  # a pattern, or nothing
    paths = [exact] if exact.is_file() else [Path(name) for name in sorted(glob.glob(pattern)) if Path(name).is_file()]
    if not paths and exact.is_dir():
        fix = f'Name its files: "{source.rstrip("/")}/*.csv".'
        raise ClinicFileError(Problem(where, f"is a folder: {source}", fix))
    if not paths:
        fix = "The path is relative to the clinic file; it may hold * and ?."
        raise ClinicFileError(Problem(where, f"no such file: {source}", fix))
    if any(not _is_text(path.name) for path in paths):
        fix = "Rename it: archives of other systems may hold such names."
        raise ExportError(Problem(where, "names a file whose name is not UTF-8", fix))
    alike = len({path.name for path in paths}) < len(paths)
    names = [Path(os.path.relpath(path, folder)).as_posix() if alike else path.name for path in paths]
    files = [_digested(path, name) for path, name in zip(paths, names, strict=True)]
    wrong = [Problem(file.name, "is empty (0 bytes)", "Export it again.") for file in files if not file.size]
    first: dict[str, str] = {}
    for file in files:
        if file.size and first.setdefault(file.sha256, file.name) != file.name:
            fix = "Remove one: its lines would be counted twice."
            wrong.append(
                Problem(file.name, f"is the same file as {first[file.sha256]}", fix, 1, "same_file", "rejected")
            )
    if wrong:
        raise ExportError(wrong)
    return files


def check_settled(inputs: list[InputFile | InputTable]) -> None:
    """Hold that files and tables are as they were when they were identified.

    Raises
    ------
    ExportError
        If one has changed since: what was read is not what its digest says.
    """
    fix = "It may still be written: wait until it is whole, then run again."
    moved = [Problem(one.name, "changed while it was read", fix) for one in inputs if not one.settled]
    if moved:
        raise ExportError(moved)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digested(path: Path, name: str) -> InputFile:
    try:
        with path.open("rb") as stream:
            stat = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SurroundingsError(unreadable(name, error)) from None
    return InputFile(path, name, digest, stat.st_size, stat.st_mtime_ns)


def unreadable(name: str, error: OSError) -> Problem:
    """That the system does not let a file be read."""
    return Problem(name, f"cannot be read ({error.strerror})", "Check that it is there and its permissions.")
