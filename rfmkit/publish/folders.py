"""Files and folders that appear whole or not at all, also when the power fails or the disk is full."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rfmkit.errors import Problem, SurroundingsError

_ASIDE = ".previous"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Tell what the disk refused as something the machine's keeper can put right.

    Raises
    ------
    SurroundingsError
        For any `OSError` inside, with the path, what happened and how much space is free.
    """
    try:
        yield
    except OSError as error:
        where = folder
        while not where.exists() and where != where.parent:
            where = where.parent
        free = shutil.disk_usage(where).free / 1e6
        what = f"cannot be written ({error.strerror or error})"
        fix = f"Give it space or permission; {free:,.1f} MB are free there. What was there before is untouched."
        raise SurroundingsError(Problem(str(folder), what, fix)) from error


def write_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a new file and do not return before the disk has it.

    Parameters
    ----------
    path : pathlib.Path
        Must not exist yet.
    content : bytes
    mode : int, default 0o666
        Permissions, from which the process's umask is taken.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in the place of another in one step."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_file(new, content)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def new_folder(target: Path) -> Path:
    """Make the folder in which `target` is built: hidden, beside it, on the same file system."""
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    folder.mkdir()
    return folder


def swap_in(new: Path, target: Path) -> None:
    """Put a finished folder in the place of `target`; what was there before is removed.

    Where the system can exchange two names in one step there is no moment without a report. Elsewhere the previous one
    is set aside first; `sweep` puts it back if the process ended in between.
    """
    for folder, _, _ in os.walk(new, topdown=False):
        _sync_folder(Path(folder))
    if not target.exists():
        os.rename(new, target)
        _sync_folder(target.parent)
        return
    if _exchange(new, target):
        previous = new
    else:
        previous = new.with_name(new.name + _ASIDE)
        os.rename(target, previous)
        try:
            os.rename(new, target)
        except BaseException:
            os.rename(previous, target)
            raise
    _sync_folder(target.parent)
    shutil.rmtree(previous, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove what a killed run left beside `target`; call it only while holding the lock of `target`."""
    for left in sorted(target.parent.glob(f".{target.name}.*")):
        if not left.is_dir():
            continue
        if left.name.endswith(_ASIDE) and not target.exists():
            os.rename(left, target)
        else:
            shutil.rmtree(left)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where this system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system lets a folder be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
