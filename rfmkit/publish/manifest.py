"""manifest.json: what a clinic-month was made from, what it consists of, and whether it still is so."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from rfmkit.publish.folders import file_digest
from rfmkit.publish.lists import withheld
from rfmkit.publish.metrics import plain
from rfmkit.publish.notebooks import notebooks_folder

if TYPE_CHECKING:
    from rfmkit.study import Study

NAME = "manifest.json"
_PACKAGE = Path(__file__).parent.parent
#: Libraries whose versions can change a number or a page.
_LIBRARIES = (
    *("babel", "duckdb", "ibis-framework", "ipykernel", "jinja2", "lifetimes", "matplotlib", "nbclient", "nbconvert"),
    *("nh3", "numpy", "pandas", "papermill", "pyarrow", "scipy", "xlsxwriter"),
)
_CODE = {".py", ".po", ".toml", ".j2", ".css", ".json", ".ipynb"}


def fingerprint(study: Study) -> dict:
    """What decides the content of a clinic-month: two equal fingerprints mean two equal reports.

    Parameters
    ----------
    study : Study
        Opened; nothing of it needs to have been computed.
    """
    clinic = study.clinic
    # What a clinic file names beside its exports; a scheme of rfmkit's own is a name and no path.
    beside = [path for path in (clinic.logo, clinic.scheme) if isinstance(path, Path)]
    return plain(
        {
            "clinic": clinic.key,
            "name": clinic.name,
            "locale": clinic.locale,
            "month": study.month,
            "as_of": study.as_of,
            "inputs": [{"file": file.path.name, "sha256": file.sha256, "bytes": file.size} for file in study.inputs],
            "clinic_file": {"file": clinic.path.name, "sha256": file_digest(clinic.path)},
            "previous": study.previous.digest if study.previous else None,
            "beside": [{"file": path.name, "sha256": file_digest(path)} for path in beside if path.is_file()],
            "parameters": clinic.model_dump(mode="json", exclude={"path"}),
            "versions": _versions(),
        }
    )


def manifest(study: Study, made_from: dict, folder: Path) -> dict:
    """The whole manifest of a folder that holds every other file of a clinic-month.

    Parameters
    ----------
    study : Study
    made_from : dict
        Its `fingerprint`.
    folder : pathlib.Path
        Where the files are.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    parts = {
        name: {"status": part.status} | ({"reason": str(part.reason)} if part.reason else {})
        for name, part in study.parts.items()
    }
    return plain(
        {
            "status": "done",
            **made_from,
            "rows": study.rows,
            "problems": [str(problem) for problem in study.problems],
            # Told only where it decided something: the same run on a later day would keep these lines.
            "today": study.today if study.checked["depends_on_today"] else None,
            "parts": parts,
            # Why private/lists holds no list, or lists without some channel.
            "withheld": withheld(study),
            "outputs": [
                {"file": name, "sha256": file_digest(folder / name), "bytes": (folder / name).stat().st_size}
                for name in names
            ],
        }
    )


def read_manifest(folder: Path) -> dict | None:
    """The manifest of a clinic-month, or None where there is no readable one."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_unchanged(folder: Path, made_from: dict, today: dt.date | None = None) -> bool:
    """Whether a clinic-month was made from the same things and every file of it is as it was written.

    Parameters
    ----------
    folder : pathlib.Path
    made_from : dict
        The `fingerprint` of what would be made now.
    today : datetime.date, optional
        Asked for only where lines were rejected because their day had not come.
    """
    found = read_manifest(folder)
    if found is None or {key: found.get(key) for key in made_from} != made_from:
        return False
    if found.get("today") not in {None, plain(today)}:
        return False
    try:
        return all(file_digest(folder / output["file"]) == output["sha256"] for output in found["outputs"])
    except (OSError, KeyError, TypeError):
        return False


@cache
def _versions() -> dict:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    import rfmkit

    return {"rfmkit": rfmkit.__version__, "rfmkit_sha256": _code_digest(), **versions}


def _code_digest() -> str:
    """One digest over the package, its catalogues and template, and the notebooks."""
    digest = hashlib.sha256()
    for root in (_PACKAGE, notebooks_folder()):
        for path in sorted(root.rglob("*")):
            if path.suffix in _CODE and path.is_file() and not any(part.startswith(".") for part in path.parts[-3:]):
                digest.update(f"{root.name}/{path.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
