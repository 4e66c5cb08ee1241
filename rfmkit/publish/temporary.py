"""Private folders for temporary files: with paths short enough for sockets, and gone in the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

#: A socket's path may have 107 bytes on Linux and 103 on macOS; a folder and a name are still to come.
_LONGEST = 70
_TRIES, _PAUSE_SECONDS = 20, 0.1


def short_temp() -> str | None:
    """Where private folders go: the system's place, unless sockets in it would have too long a path."""
    too_long = os.name == "posix" and len(os.fsencode(tempfile.gettempdir())) > _LONGEST
    return "/tmp" if too_long else None  # noqa: S108 - what is made in it has mode 0700 and a name nobody can guess


def remove(folder: Path) -> None:
    """Remove a folder, though a process that was just killed may still be writing its last file into it."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE_SECONDS)
