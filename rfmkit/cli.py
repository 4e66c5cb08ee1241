"""The commands; the only place that reads the clock."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import rfmkit
from rfmkit.errors import ClinicFileError, NotEnoughData, Problem, RfmkitError, UsageError

if TYPE_CHECKING:
    from rfmkit.publish.clinics import Job, Outcome

SOME_FAILED, FAULT = 1, 13
#: How many steps a clinic takes on the progress bar, about: reading, computing, each notebook, the page.
_STEPS = 8
_REPORTS = Path("reports")

app = typer.Typer(
    name="rfmkit",
    help="From a clinic's export of payments to the monthly report its owner can act on.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Clinics = Annotated[list[Path], typer.Argument(metavar="CLINIC.toml", help="Clinic files.", show_default=False)]
Month = Annotated[
    str | None,
    typer.Option(metavar="YYYY-MM", help="The month to report on.  [default: the last complete month]"),
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="The folder of all reports.  [default: reports]")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Clinics at once.  [default: as many as there are processors]"),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; that of this process by default.

    Returns
    -------
    int
        0 done · 1 some clinics failed · 2 usage · 10 clinic file · 11 export · 12 surroundings · 13 a fault of ours.
    """
    from rfmkit.publish.clinics import ending_in_order, fault

    try:
        with ending_in_order():
            code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
            sys.stdout.flush()
    except RfmkitError as error:
        _complain(str(error))
        return error.exit_code
    except typer.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:
        # Whoever read our output has heard enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if hasattr(error, "format_message"):  # a fault in the command line
            error.show()
            return UsageError.exit_code
        if type(error).__name__ == "Abort":
            return 130
        _complain(fault("rfmkit", error))
        return FAULT
    return code if isinstance(code, int) else 0


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rfmkit {rfmkit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog='Example: rfmkit init exports/payments.csv --patients exports/patients.csv --name "Dental North"'
    " --out clinics/dental-north.toml"
)
def init(
    exports: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPORT",
            help="The export's file, its monthly files, or a pattern in quotes: CSV, Excel, Parquet, DuckDB.",
            show_default=False,
        ),
    ],
    patients: Annotated[str | None, typer.Option(metavar="FILE", help="The file of patients.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="CLINIC.toml", help="The clinic file to write.  [default: by the clinic's name, here]"),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How reports name the clinic.")] = None,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="The table of a DuckDB file.")] = None,
) -> int:
    """Look at an export, propose a clinic file, say what is unsure."""
    from rfmkit.proposal import clinic_path, propose
    from rfmkit.publish.folders import disk_faults, write_file

    path = out or clinic_path(name, exports[0])
    if path.exists():
        raise UsageError(Problem(str(path), "is there already", "Give another path with --out, or remove it first."))
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    proposal = propose(exports, path, patients=patients, name=name, table=table, today=_today())
    with disk_faults(path):
        write_file(path, proposal.text.encode())
    typer.echo(path)
    typer.echo(f"Lines to look at, marked UNSURE in the file: {len(proposal.unsure)}")
    for line in proposal.unsure:
        typer.echo(f"    {line}")
    typer.echo(f"Next: rfmkit check {shlex.quote(str(path))}")
    return 0


@app.command(epilog="Example: rfmkit run clinics/dental-north.toml --month 2026-10")
def run(
    clinics: Clinics,
    month: Month = None,
    out: Out = None,
    jobs: Jobs = None,
    notebook: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make the page of this notebook only; needs --out.")
    ] = None,
) -> int:
    """Make the monthly report of every clinic given."""
    if notebook is not None:
        if out is None:
            raise UsageError(Problem("--notebook", "needs --out", "Name the folder that the page goes to."))
        from rfmkit.publish.notebooks import notebook_named

        notebook_named(notebook)
    return _run(clinics, _month(month), out or _REPORTS, jobs, today=_today(), notebook=notebook)


@app.command(epilog="Example: rfmkit check clinics/*.toml")
def check(clinics: Clinics, month: Month = None, out: Out = None) -> int:
    """Read and check, report every problem at once, write no report.

    The export is compared with what last month's report in --out was made from.
    """
    until, today, reports = _month(month), _today(), out or _REPORTS
    return _exit_code([_check(clinic, until, today, reports, several=len(clinics) > 1) for clinic in clinics])


@app.command(epilog="Example: rfmkit freeze clinics/dental-north.toml --month 2026-10")
def freeze(
    clinic: Annotated[Path, typer.Argument(metavar="CLINIC.toml", help="The clinic file.", show_default=False)],
    month: Month = None,
) -> int:
    """Print the cuts of a month as lines for the clinic file.

    Under frozen cuts a patient changes segment because of what they did, not because others moved.
    """
    from rfmkit.analysis.scores import cuts_as_thresholds

    study = rfmkit.open_study(clinic, month=_month(month), today=_today())
    try:
        cuts = study.cuts
    except NotEnoughData as reason:
        what = f"{study.month} has no cuts: {study.reader.reason(reason)}"
        raise ClinicFileError(Problem(clinic.name, what, "Name a month with more patients.")) from None
    rfm = study.clinic.rfm
    by_recall = rfm.recency_by == "recall"
    recency, days = (
        ('recency_by = "recall"\n', "so many days overdue at most") if by_recall else ("", "within so many days")
    )
    typer.echo(f'[rfm]\n{recency}scoring = "threshold"  # the cuts of {study.month}\nbins = {rfm.bins}\n')
    typer.echo(f"[rfm.thresholds]  # {days}; more than so many visits; more than so much money")
    for measure, limits in cuts_as_thresholds(cuts).items():
        typer.echo(f"{measure} = {limits}")
    return 0


@app.command("list", epilog="Example: rfmkit list")
def list_notebooks() -> None:
    """Show the notebooks, their titles and their parameters."""
    from rfmkit.publish.notebooks import find_notebooks

    for notebook in find_notebooks():
        typer.echo(f"{notebook.name}  {notebook.title}")
        for parameter in notebook.parameters:
            typer.echo(f"    {parameter.name}: {parameter.kind} = {parameter.default}  {parameter.help}".rstrip())


@app.command(epilog="Example: rfmkit demo --through 2026-10")
def demo(
    through: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month to report on.")] = "2026-10",
    out: Out = None,
    jobs: Jobs = None,
) -> int:
    """Make the demo clinics' exports and reports."""
    from rfmkit import demo as clinics_of_demo
    from rfmkit.period import month_period

    with _usage("--through"):
        end = month_period(through).end
    files = _demo_files(clinics_of_demo.CLINICS)
    for name in clinics_of_demo.CLINICS:
        with _usage("--through"):
            clinics_of_demo.write_export(name, Path("data") / name, through)
    # The demo's months may lie ahead of this machine's clock; its lines are none the worse for it.
    today = max(_today(), end + dt.timedelta(days=1))
    code = _run(files, through, out or _REPORTS, jobs, today=today)
    if code == 0:
        typer.echo((out or _REPORTS) / "index.html")
    return code


def _check(clinic: Path, month: str, today: dt.date, reports: Path, *, several: bool) -> int:
    """Check one clinic; whatever is wrong with it does not keep the others from being checked."""
    from rfmkit.proposal import UNSURE
    from rfmkit.publish.clinics import fault

    whose = f"{clinic.stem}: " if several else ""
    try:
        study = rfmkit.open_study(clinic, month=month, today=today, reports=reports)
        rows, problems, _ = study.rows, study.problems, study.first_bought
    except RfmkitError as error:
        for problem in error.problems:
            _complain(f"{whose}{problem}")
        return error.exit_code
    except Exception as error:
        _complain(whose + fault(clinic.name, error))
        return FAULT
    for problem in problems:
        _complain(f"{whose}{problem}")
    for number, line in enumerate(clinic.read_text(encoding="utf-8-sig").splitlines(), 1):
        if UNSURE in line:
            _complain(f"{clinic.name}:{number}: was proposed, and is unsure. Look, correct it, and remove the mark.")
    typer.echo(_law(clinic.stem, rows))
    return 0


def _run(
    clinics: Sequence[Path],
    month: str,
    out: Path,
    jobs: int | None,
    *,
    today: dt.date,
    notebook: str | None = None,
) -> int:
    from rfmkit.publish.clinics import Job, publish_clinics
    from rfmkit.publish.index import write_index

    work = [Job(clinic, month, out, today, notebook) for clinic in clinics]
    processes = min(jobs or os.cpu_count() or 1, len(work))
    with _progress(work) as heard:
        outcomes = publish_clinics(work, processes=processes, heard=heard)
    several = len(outcomes) > 1
    for outcome in outcomes:
        for problem in outcome.problems:
            _complain(f"{outcome.job.key}: {problem}" if several else problem)
    codes, index_code = [outcome.exit_code for outcome in outcomes], 0
    if notebook is None and not all(codes):
        try:
            write_index(out)
        except RfmkitError as error:
            _complain(str(error))
            index_code = error.exit_code
    for outcome in outcomes:
        typer.echo(_line(outcome))
    return _exit_code(codes) or index_code


def _line(outcome: Outcome) -> str:
    """One line about one clinic."""
    took = " · ".join(f"{stage} {seconds:.1f} s" for stage, seconds in outcome.seconds.items())
    result = str(outcome.report) if outcome.report else next(iter(outcome.problems), "")
    return "  ".join(filter(None, [outcome.job.key, outcome.job.month, outcome.status, took, result]))


def _law(name: str, rows: dict) -> str:
    """The account of an export's lines: nothing is lost."""
    fates = (
        ("kept", "kept"),
        ("rejected", "rejected"),
        ("duplicates", "duplicates"),
        ("after_as_of", "after the month"),
    )
    lines = " + ".join(f"{rows[key]} {text}" for key, text in fates)
    money = " + ".join(f"{rows[f'money_{key}']:.2f}" for key, _ in fates)
    return f"{name}: {rows['read']} lines read = {lines}; {rows['money_read']:.2f} = {money}"


def _exit_code(codes: Sequence[int]) -> int:
    if len(codes) == 1:
        return codes[0]
    return SOME_FAILED if any(codes) else 0


@contextmanager
def _progress(work: Sequence[Job]) -> Iterator:
    """A bar on the terminal, over the steps of all clinics; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda job, step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(work))
        seen = dict.fromkeys(work, 0)

        def heard(job: Job, step: str) -> None:
            ended = step in {"done", "unchanged", "failed"}
            # A clinic's share of the bar fills with its steps, and is full only when it has ended.
            seen[job] = 1 if ended else min(seen[job] + 1 / (_STEPS + 1), _STEPS / (_STEPS + 1))
            progress.update(bar, completed=sum(seen.values()), description=f"{job.key}: {step}")

        yield heard


def _today() -> dt.date:
    return dt.date.today()  # noqa: DTZ011 - the clinic's calendar is this machine's


def _month(month: str | None) -> str:
    """The month asked for, else the last complete one."""
    if month is None:
        return f"{_today().replace(day=1) - dt.timedelta(days=1):%Y-%m}"
    from rfmkit.period import month_period

    with _usage("--month"):
        end = month_period(month).end
    if end >= _today():
        raise UsageError(Problem("--month", f"{month} is not over yet", "A report is of a whole month."))
    return month


@contextmanager
def _usage(option: str) -> Iterator[None]:
    """What a function says of a value is a fault in the option it came from."""
    try:
        yield
    except ValueError as error:
        raise UsageError(Problem(option, str(error))) from None


def _demo_files(names: Sequence[str]) -> list[Path]:
    """The demo's clinic files in ./clinics, put there from the package where they are missing."""
    package = Path(__file__).parent
    source = package / "clinics" if (package / "clinics").is_dir() else package.parent / "clinics"
    folder = Path("clinics")
    folder.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
    return [folder / f"{name}.toml" for name in names]


def _complain(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    sys.exit(main())
