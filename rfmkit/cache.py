"""A private folder for what a study has computed, so that its notebooks, each a process, compute nothing twice."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rfmkit.errors import NotEnoughData, Problem, SurroundingsError
from rfmkit.rows import engine_faults

#: Results of one clinic-month that are kept: a run, analysts beside it, and those before.
_KEPT = 5
#: Bytes of the sha256 in front of a result: a damaged one is computed again.
_DIGEST = 32
_LIBRARIES = ("duckdb", "ibis-framework", "lifetimes", "numpy", "pandas", "pyarrow", "scipy")


class Cache:
    """The results of one study, found by everything they depend on.

    Parameters
    ----------
    clinic, month : str
        Where they lie: ``<cache>/<clinic>/<month>/<digest>``.
    depends_on : str
        Text that changes whenever a result could: inputs, clinic file, month. rfmkit's code and its libraries are
        added, so a result of another version is never read.
    """

    def __init__(self, clinic: str, month: str, depends_on: str):
        digest = hashlib.sha256(f"{code_digest()}\n{depends_on}".encode()).hexdigest()
        self._open(_root() / clinic / month / digest[:32])

    @classmethod
    def of_run(cls, clinic: str, month: str) -> Cache | None:
        """The results that a run has computed for its notebooks, which it names in ``RFMKIT_STUDY``.

        Its notebooks need not read the sources again to know that they are the same.
        """
        folder = Path(os.environ.get("RFMKIT_STUDY", ""))
        if not folder.is_absolute() or (folder.parent.parent.name, folder.parent.name) != (clinic, month):
            return None
        cache = cls.__new__(cls)
        cache._open(folder)
        return cache

    def _open(self, folder: Path) -> None:
        self.folder, month = folder, folder.parent
        try:
            for part in (month.parent.parent, month.parent, month, folder):
                _make_private(part)
            os.utime(folder)
            _forget_old(month)
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def file(self, name: str, write: Callable[[Path], None]) -> Path:
        """The file `name`, written by `write` to the path it is given unless it is there; whole or not at all."""
        path = self.folder / name
        if not path.exists():
            with self.scratch() as scratch:
                write(scratch / name)
                with (scratch / name).open("rb") as written:
                    os.fsync(written.fileno())
                os.replace(scratch / name, path)
        return path

    def value(self, name: str, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, computed once; that the data do not suffice is such a result too."""
        # The folder is ours alone (`_make_private`), so what is unpickled is what we pickled.
        path = self._pickle(name)
        content = path.read_bytes() if path.exists() else b""
        if content[:_DIGEST] == hashlib.sha256(content[_DIGEST:]).digest():
            result = pickle.loads(content[_DIGEST:])  # noqa: S301
        else:
            result = _result(compute)
            content = pickle.dumps(result)
            path.unlink(missing_ok=True)
            self.file(path.name, lambda to: to.write_bytes(hashlib.sha256(content).digest() + content))
        if isinstance(result, NotEnoughData):
            raise result
        return result

    def has(self, name: str) -> bool:
        """Whether the value `name` was computed before."""
        return self._pickle(name).exists()

    def _pickle(self, name: str) -> Path:
        return self.folder / f"{name}.pickle"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for half-made results; a disk that takes no more is told as such."""
        folder = None
        try:
            _make_private(self.folder)
            folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.folder))
            yield folder
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        finally:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)


def _result(compute: Callable[[], Any]) -> Any:
    try:
        with engine_faults():
            return compute()
    except NotEnoughData as reason:
        return reason


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else can write to, or refuse one that somebody else owns."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        if folder.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user")
        folder.chmod(0o700)


def kept(compute: Callable[[Any], Any]) -> cached_property:
    """Make a method a table: computed once, and kept in its object's `cache` for other processes."""

    def table(self):
        return self.cache.value(compute.__name__, lambda: compute(self))

    table.__doc__ = compute.__doc__
    return cached_property(table)


@lru_cache
def code_digest() -> str:
    """What identifies the code and the libraries that results come from; how they are shown is none of it."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    rooms = [path for room in ("clinic", "data", "analysis", "study") for path in (package / room).rglob("*.*")]
    for path in sorted([*package.glob("*.py"), *rooms]):
        if path.suffix not in {".py", ".toml"}:
            continue
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    return digest.hexdigest()


def _root() -> Path:
    if folder := os.environ.get("RFMKIT_CACHE"):
        return Path(folder).absolute() / "rfmkit"
    from platformdirs import user_cache_path

    return user_cache_path("rfmkit", appauthor=False)


def _forget_old(folder: Path) -> None:
    results = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in results[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> SurroundingsError:
    fix = "Free some disk, or name another folder in the environment variable RFMKIT_CACHE."
    return SurroundingsError(Problem(str(folder), f"cannot be written ({error.strerror or error})", fix))
