"""One clinic-month: every file of it appears, or none does."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from rfmkit.errors import Problem, RfmkitError, SurroundingsError, UsageError
from rfmkit.publish.folders import disk_faults, new_folder, replace_file, swap_in, sweep, write_file

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from rfmkit.publish.execute import HalfRun
    from rfmkit.publish.notebooks import Notebook
    from rfmkit.study import Study

REPORT = "report.html"
#: The stages of a clinic-month, in order; each notebook is a step of the third.
STAGES = ("reading", "computing", "notebooks", "page")


@dataclass
class Watch:
    """How long each stage took, and who wants to hear of the next step."""

    heard: Callable[[str], None] = lambda step: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as part of a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def step(self, what: str) -> None:
        """Say what begins now."""
        self.heard(what)


@dataclass(frozen=True)
class Published:
    """What came of a clinic-month.

    Attributes
    ----------
    status : str
        "done", or "unchanged" when the report that was there is what would have been made.
    report : pathlib.Path
        The page.
    warnings : tuple of str
        What was wrong with the export but did not stop the run.
    """

    status: str
    report: Path
    warnings: tuple[str, ...] = ()


def publish_clinic_month(
    clinic: Path, *, month: str, out: Path, today: dt.date, watch: Watch | None = None
) -> Published:
    """Make the report of one clinic at the end of one month and put it in its place.

    Parameters
    ----------
    clinic : pathlib.Path
        The clinic file.
    month : str
        ``YYYY-MM``.
    out : pathlib.Path
        The folder of all reports.
    today : datetime.date
        Lines dated later are rejected.
    watch : Watch, optional
        Times the stages and hears of each step.

    Returns
    -------
    Published

    Raises
    ------
    RfmkitError
        By who must act. Whatever is raised, the clinic-month is as it was before.
    """
    from rfmkit.publish.manifest import fingerprint, is_unchanged

    watch = watch or Watch()
    watch.step("reading")
    with watch.stage("reading"):
        study = _opened(clinic, month, today, out)
    target = out / study.clinic.key / month
    with _locked(target):
        with disk_faults(target), watch.stage("reading"):
            sweep(target)
            made_from = fingerprint(study)
        if is_unchanged(target, made_from, today):
            return Published("unchanged", target / REPORT)
        _compute(study, watch)
        with disk_faults(target):
            new = new_folder(target)
            try:
                _build(study, new, made_from, failed=_failed_folder(target), watch=watch)
                swap_in(new, target)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
        _forget_failure(target)
    return Published("done", target / REPORT, tuple(str(problem) for problem in study.problems))


def publish_notebook(
    clinic: Path, name: str, *, month: str, out: Path, today: dt.date, watch: Watch | None = None
) -> Published:
    """Make the page of a single notebook; no clinic-month is touched.

    Parameters
    ----------
    clinic, month, today, watch
        As for `publish_clinic_month`.
    name : str
        The notebook's.
    out : pathlib.Path
        Where ``<clinic>-<month>-<name>.html`` goes.
    """
    from rfmkit.publish.notebooks import notebook_named

    notebook = notebook_named(name)
    watch = watch or Watch()
    watch.step("reading")
    with watch.stage("reading"):
        study = _opened(clinic, month, today, None)
    _compute(study, watch)
    target = out / f"{study.clinic.key}-{month}-{notebook.name}.html"
    with disk_faults(target):
        out.mkdir(parents=True, exist_ok=True)
        with _scratch(out) as scratch:
            executed = _execute(study, [notebook], scratch, failed=None, watch=watch)
        with watch.stage("page"):
            replace_file(target, _page(study, executed, whole=False).encode("utf-8"))
    return Published("done", target, tuple(str(problem) for problem in study.problems))


def _opened(clinic: Path, month: str, today: dt.date, out: Path | None) -> Study:
    import rfmkit

    try:
        study = rfmkit.open_study(clinic, month=month, today=today, reports=out)
    except ValueError as error:
        raise UsageError(Problem("--month", str(error))) from None
    if study.clinic.key.startswith("."):
        raise UsageError(Problem(study.clinic.path.name, "begins with a full stop", "Rename the clinic file."))
    return study


def _compute(study: Study, watch: Watch) -> None:
    """Compute every table once, here; the kernels of the notebooks then find them in the study's cache."""
    with watch.stage("reading"):
        _ = study.rows
    watch.step("computing")
    with watch.stage("computing"):
        study.compute()


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the clinic-month: of several runs at once exactly one goes on.

    The system lets go of such a lock when its process ends, however it ends.
    """
    import filelock

    lock = target.with_name(f".{target.name}.lock")
    with disk_faults(target):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(lock, blocking=False)
        try:
            held.acquire()
        except filelock.Timeout:
            busy = Problem(str(lock), "another run is making this clinic-month", "Run again when it has ended.")
            raise SurroundingsError(busy) from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A private folder for half-made things, on the disk of the reports and swept with what a killed run leaves."""
    scratch = folder / f".scratch.{secrets.token_hex(4)}"
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build(study: Study, new: Path, made_from: dict, *, failed: Path, watch: Watch) -> None:
    """Write every file of a clinic-month into a new folder, the manifest last."""
    from rfmkit.publish.exports import identity_csv, patients_parquet, rejects_csv, tags_csv
    from rfmkit.publish.lists import lists
    from rfmkit.publish.manifest import NAME, manifest
    from rfmkit.publish.metrics import metrics, to_json
    from rfmkit.publish.notebooks import find_notebooks
    from rfmkit.publish.workbook import workbook

    with _scratch(new) as scratch:
        executed = _execute(study, find_notebooks(), scratch, failed=failed, watch=watch)
    watch.step("page")
    with watch.stage("page"):
        write_file(new / REPORT, _page(study, executed, whole=True).encode("utf-8"))
        write_file(new / "metrics.json", to_json(metrics(study)))
        write_file(new / "patients.parquet", patients_parquet(study.patients))
        write_file(new / "segments.xlsx", workbook(study))
        (new / "notebooks").mkdir()
        for name, node in executed.items():
            write_file(new / "notebooks" / f"{name}.ipynb", _notebook_bytes(node))
        (new / "private").mkdir(mode=0o700)
        os.chmod(new / "private", 0o700)
        write_file(new / "private" / "rejects.csv", rejects_csv(study.rejects), mode=0o600)
        if study.identity is not None:
            write_file(new / "private" / "identity.csv", identity_csv(study.identity), mode=0o600)
        if study.part("tags").ok:
            write_file(new / "private" / "tags.csv", tags_csv(study.tags), mode=0o600)
        (new / "private" / "lists").mkdir(mode=0o700)
        os.chmod(new / "private" / "lists", 0o700)
        for name, content in lists(study).items():
            write_file(new / "private" / "lists" / name, content, mode=0o600)
        write_file(new / NAME, to_json(manifest(study, made_from, new)))


def _execute(
    study: Study, notebooks: list[Notebook], scratch: Path, *, failed: Path | None, watch: Watch
) -> dict[str, NotebookNode]:
    from rfmkit.publish.execute import HalfRun, execute_notebook
    from rfmkit.publish.prepare import needed_parts, prepare

    executed = {}
    for notebook in notebooks:
        watch.step(notebook.name)
        with watch.stage("notebooks"):
            node = nbformat.read(notebook.path, as_version=4)
            parts = {name: study.part(name) for name in needed_parts(node)}
            missing = {name: part.reason for name, part in parts.items() if part.status != "ok"}
            node = prepare(node, missing=missing, reader=study.reader)
            parameters = {"clinic": study.clinic.path.name, "month": study.month}
            # The study that a notebook opens is the one computed here.
            environment = {"RFMKIT_STUDY": str(study.cache.folder)}
            environment |= {"RFMKIT_TODAY": study.today.isoformat()} if study.today else {}
            try:
                executed[notebook.name] = execute_notebook(
                    notebook,
                    node,
                    parameters,
                    cwd=study.clinic.folder,
                    scratch=scratch,
                    environment=environment,
                )
            except HalfRun as half:
                raise _kept(half, notebook, failed) from None
    return executed


def _kept(half: HalfRun, notebook: Notebook, failed: Path | None) -> RfmkitError:
    """Keep a half-run notebook where only its owner can read it, and say where."""
    if failed is None or half.node is None:
        return half.error
    failed.mkdir(parents=True, exist_ok=True)
    os.chmod(failed, 0o700)
    path = failed / f"{notebook.name}.ipynb"
    path.unlink(missing_ok=True)
    write_file(path, _notebook_bytes(half.node), mode=0o600)
    kept = Problem(str(path), "holds the notebook as far as it came", "It may show values: keep it private.")
    return type(half.error)([*half.error.problems, kept])


def _failed_folder(target: Path) -> Path:
    return target.parent / "failed" / target.name


def _forget_failure(target: Path) -> None:
    """Remove what an earlier failure of this clinic-month left to look at."""
    failed = _failed_folder(target)
    shutil.rmtree(failed, ignore_errors=True)
    with suppress(OSError):
        failed.parent.rmdir()


def _notebook_bytes(node: NotebookNode) -> bytes:
    return (nbformat.writes(node) + "\n").encode("utf-8")


def _page(study: Study, executed: dict[str, NotebookNode], *, whole: bool) -> str:
    """The page of all notebooks, or of one: without headline numbers and definitions then."""
    import rfmkit
    from rfmkit.publish.cover import headline_cards
    from rfmkit.publish.definitions import definitions, missing_parts
    from rfmkit.publish.page import Page, render

    reader, clinic = study.reader, study.clinic
    page = Page(
        month=reader.month(study.month),
        as_of=reader.date(study.as_of),
        version=rfmkit.__version__,
        cards=headline_cards(study.headline, reader=reader) if whole else (),
        definitions=definitions(clinic, missing=missing_parts(study), reader=reader) if whole else (),
    )
    return render(executed, page, clinic=clinic, reader=reader)
