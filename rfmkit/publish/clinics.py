"""Many clinics at once: each in a process of its own, so that what befalls one stays with it."""

from __future__ import annotations

import datetime as dt
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from rfmkit.errors import Problem, RfmkitError, SurroundingsError, UsageError
from rfmkit.publish.temporary import remove, short_temp

#: Seconds a process gets to clean up after it was told to end.
_GRACE = 10


@dataclass(frozen=True)
class Job:
    """One clinic-month to make; with `notebook`, one page of it."""

    clinic: Path
    month: str
    out: Path
    today: dt.date
    notebook: str | None = None

    @property
    def key(self) -> str:
        """The clinic, as its reports' folder is called."""
        return self.clinic.stem


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    job : Job
    status : str
        "done", "unchanged" or "failed".
    report : pathlib.Path or None
        The page, unless the job failed.
    problems : tuple of str
        Why it failed; or what was wrong with the export but did not stop it.
    exit_code : int
        0, or by who must act.
    seconds : dict
        How long each stage took.
    """

    job: Job
    status: str
    report: Path | None = None
    problems: tuple[str, ...] = ()
    exit_code: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def publish_clinics(
    jobs: Sequence[Job], *, processes: int, heard: Callable[[Job, str], None] = lambda job, step: None
) -> list[Outcome]:
    """Do all jobs, `processes` at a time.

    Parameters
    ----------
    jobs : sequence of Job
        For clinics whose files have different names.
    processes : int
    heard : callable, optional
        Called with a job and what it does next; the last word on a job is its status.

    Returns
    -------
    list of Outcome
        In the order of the jobs; a clinic that fails, or whose process is killed, is an outcome like any other.

    Raises
    ------
    UsageError
        If two clinic files have one name: their reports would share a folder.
    """
    _check_names(jobs)
    waiting = list(enumerate(jobs))[::-1]
    running: dict[Connection, _Running] = {}
    outcomes: dict[int, Outcome] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                number, job = waiting.pop()
                started = _start(number, job)
                running[started.connection] = started
            for connection in wait(list(running)):
                one = running[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    one.process.join()
                    message = _lost(jobs[one.number], one.process.exitcode)
                heard(jobs[one.number], message.status if isinstance(message, Outcome) else message)
                if isinstance(message, Outcome):
                    outcomes[one.number] = message
                    del running[connection]
                    one.leave()
    finally:
        _end(list(running.values()))
    return [outcomes[number] for number in range(len(jobs))]


def _check_names(jobs: Sequence[Job]) -> None:
    seen: dict[str, Path] = {}
    problems = []
    for job in jobs:
        if job.key in seen:
            fix = "Their reports would share a folder: rename one."
            problems.append(Problem(str(job.clinic), f"has the name of {seen[job.key]}", fix))
        seen[job.key] = job.clinic
    if problems:
        raise UsageError(problems)


@dataclass(frozen=True)
class _Running:
    """A job at work in a process, with a private folder for its temporary files."""

    number: int
    connection: Connection
    process: multiprocessing.Process
    folder: Path

    def leave(self) -> None:
        """Wait for the process to be gone, and remove what it left, killed or not."""
        self.process.join()
        self.connection.close()
        remove(self.folder)


def _start(number: int, job: Job) -> _Running:
    # A fresh interpreter: a forked one would share locks and threads with us.
    context = multiprocessing.get_context("spawn")
    folder = Path(tempfile.mkdtemp(prefix="rfmkit-", dir=short_temp()))
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, theirs, folder), name=job.key)
    process.start()
    theirs.close()
    return _Running(number, ours, process, folder)


def _lost(job: Job, exit_code: int | None) -> Outcome:
    """A process that ended without a word: killed, most often for want of memory."""
    how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"code {exit_code}"
    fix = "Most often memory is short: run with fewer --jobs."
    problem = Problem(job.clinic.name, f"its process was ended from outside ({how})", fix)
    return Outcome(job, "failed", problems=(str(problem),), exit_code=SurroundingsError.exit_code)


def _end(running: list[_Running]) -> None:
    """Tell processes to end, give them time to shut their kernels down, and then insist."""
    for one in running:
        one.process.terminate()
    for one in running:
        one.process.join(_GRACE)
        if one.process.is_alive():
            one.process.kill()
        one.leave()


def _work(job: Job, connection: Connection, folder: Path) -> None:
    """What a process does: one job, its steps and its outcome through the pipe."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # What libraries log is no message of ours; what matters is raised.
    logging.disable(logging.CRITICAL)
    try:
        with ending_in_order():
            _end_with_parent()
            connection.send(do_job(job, connection.send))
    finally:
        remove(folder)


def do_job(job: Job, say: Callable[[str], None] = lambda step: None) -> Outcome:
    """Do one job in this process; whatever goes wrong becomes its outcome."""
    from rfmkit.publish.clinic_month import Watch, publish_clinic_month, publish_notebook

    watch = Watch(say)
    where = {"month": job.month, "out": job.out, "today": job.today, "watch": watch}
    try:
        if job.notebook is None:
            published = publish_clinic_month(job.clinic, **where)
        else:
            published = publish_notebook(job.clinic, job.notebook, **where)
    except RfmkitError as error:
        problems = tuple(str(problem) for problem in error.problems)
        return Outcome(job, "failed", problems=problems, exit_code=error.exit_code, seconds=watch.seconds)
    except MemoryError:
        error = SurroundingsError(Problem(job.clinic.name, "memory is short", "Run with fewer --jobs."))
        return Outcome(job, "failed", problems=(str(error),), exit_code=error.exit_code, seconds=watch.seconds)
    except Exception as error:
        return Outcome(job, "failed", problems=(fault(job.clinic.name, error),), exit_code=13, seconds=watch.seconds)
    return Outcome(job, published.status, published.report, published.warnings, seconds=watch.seconds)


def fault(where: str, error: Exception) -> str:
    """One line about an error that nobody foresaw: its class alone, since its message may quote the export.

    The whole traceback goes to stderr when the environment has ``RFMKIT_DEBUG``.
    """
    if os.environ.get("RFMKIT_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    fix = "Please report it. RFMKIT_DEBUG=1 shows where."
    return str(Problem(where, f"a fault of ours ({type(error).__name__})", fix))


@contextmanager
def ending_in_order() -> Iterator[None]:
    """End in order when told to: blocks are left, so that kernels, locks and half-made folders go."""

    def leave(number: int, frame: object) -> None:
        # Once is enough: being told again must not keep us from leaving in order.
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_with_parent() -> None:
    """End when the command that started this process is gone, even if it was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()
