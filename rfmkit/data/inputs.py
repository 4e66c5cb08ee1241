"""Which files an export is, and what identifies their content."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path

from rfmkit.errors import ClinicFileError, ExportError, Problem, SurroundingsError


@dataclass(frozen=True)
class InputFile:
    """One file that was read: where, what identifies its content, how many bytes."""

    path: Path
    sha256: str
    size: int


def input_files(source: str, folder: Path, where: str) -> list[InputFile]:
    """Find the files that a clinic file's `source` names, in name order.

    Raises
    ------
    ClinicFileError
        If there is no such file.
    ExportError
        If one is empty.
    SurroundingsError
        If one may not be read.
    """
    pattern = str(folder / source)
    paths = [Path(pattern)] if Path(pattern).is_file() else [Path(name) for name in sorted(glob.glob(pattern))]
    if not paths:
        fix = "The path is relative to the clinic file; it may hold * and ?."
        raise ClinicFileError(Problem(where, f"no such file: {source}", fix))
    files = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            raise SurroundingsError(Problem(path.name, reason, "Check the file's permissions.")) from None
        files.append(InputFile(path, digest, path.stat().st_size))
    empty = [Problem(file.path.name, "is empty (0 bytes)", "Export it again.") for file in files if not file.size]
    if empty:
        raise ExportError(empty)
    return files
