"""reports/index.html: every clinic and month there is a report of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rfmkit.clinic import LOCALES
from rfmkit.publish.clinic_month import REPORT
from rfmkit.publish.folders import disk_faults, replace_file
from rfmkit.publish.manifest import NAME, read_manifest

_LOCK_SECONDS = 60
#: What the list shows of a manifest; one without it is none of ours.
_SHOWN = {"name", "locale", "month"}


@dataclass(frozen=True)
class _Month:
    text: str
    href: str


@dataclass(frozen=True)
class _Clinic:
    name: str
    language: str
    months: tuple[_Month, ...]


def write_index(out: Path) -> Path:
    """List the reports under `out`, newest first.

    Parameters
    ----------
    out : pathlib.Path
        The folder of all reports.

    Returns
    -------
    pathlib.Path
        ``index.html`` in it, replaced in one step.
    """
    import filelock

    path = out / "index.html"
    with disk_faults(path):
        out.mkdir(parents=True, exist_ok=True)
        # Two runs that end together must not overwrite each other's list with an older one.
        with filelock.FileLock(out / ".index.lock", timeout=_LOCK_SECONDS):
            content = _render(_found(out)).encode("utf-8")
            if not path.is_file() or path.read_bytes() != content:
                replace_file(path, content)
    return path


def _found(out: Path) -> dict[str, list[tuple[dict, str]]]:
    """The manifests under a folder by clinic, the newest month first, each with the address of its report."""
    clinics: dict[str, list[tuple[dict, str]]] = {}
    for file in sorted(out.glob(f"[!.]*/[0-9][0-9][0-9][0-9]-[0-9][0-9]/{NAME}"), reverse=True):
        manifest = read_manifest(file.parent)
        if manifest is None or not (file.parent / REPORT).is_file():
            continue
        if not manifest.keys() >= _SHOWN or manifest["locale"] not in LOCALES:
            continue
        key = file.parent.parent.name
        clinics.setdefault(key, []).append((manifest, f"{quote(key)}/{file.parent.name}/{REPORT}"))
    return dict(sorted(clinics.items()))


def _render(found: dict[str, list[tuple[dict, str]]]) -> str:
    import jinja2

    from rfmkit.present.wording import Reader
    from rfmkit.publish.page import policy, stylesheet

    locales = {reports[0][0]["locale"] for reports in found.values()}
    # Clinics of several languages have no language in common but the one that rfmkit itself is written in.
    reader = Reader(locale=locales.pop() if len(locales) == 1 else "en")
    clinics = []
    for reports in found.values():
        newest = reports[0][0]
        own = Reader(locale=newest["locale"])
        months = tuple(_Month(own.month(made["month"]), href) for made, href in reports)
        clinics.append(_Clinic(newest["name"], own.language, months))
    style = stylesheet()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("reports.html.j2")
    return template.render(say=reader.say, language=reader.language, clinics=clinics, style=style, policy=policy(style))
