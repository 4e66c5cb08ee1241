"""The clinic file: one TOML file a clinic, checked as a whole before anything is read."""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from rfmkit.clinic.groups import Rfm
from rfmkit.clinic.part import Part
from rfmkit.clinic.portraits import Portraits
from rfmkit.clinic.recall import Recall
from rfmkit.clinic.sources import PatientColumns, Patients, TransactionColumns, Transactions
from rfmkit.clinic.tags import Lists, Tag, TagKey
from rfmkit.errors import ClinicFileError, Problem, SurroundingsError

__all__ = [
    "LOCALES",
    "SCHEMES",
    "Clinic",
    "Clv",
    "Lists",
    "Loyalty",
    "NextService",
    "PatientColumns",
    "Patients",
    "Portraits",
    "Recall",
    "Report",
    "Rfm",
    "Tag",
    "TransactionColumns",
    "Transactions",
    "load_clinic",
]

_PACKAGE = Path(__file__).parent.parent
LOCALES = tuple(sorted(folder.name for folder in (_PACKAGE / "present" / "locales").iterdir() if folder.is_dir()))
SCHEMES = tuple(sorted(file.stem for file in (_PACKAGE / "analysis" / "schemes").glob("*.toml")))
_LOGO_BYTES = 500_000


def _one_of(known: tuple[str, ...]):
    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return value

    return AfterValidator(check)


def _currency(value: str) -> str:
    from babel.numbers import list_currencies

    if value not in list_currencies():
        raise ValueError("must be a currency's three letters, for example RUB, CNY, EUR")
    return value


class Clv(Part):
    """Which model of lifetime value, over which horizon."""

    model: Literal["bg_nbd", "mbg_nbd", "pareto_nbd"] = "mbg_nbd"
    horizon_months: Annotated[int, Field(ge=1, le=120)] = 12
    annual_discount_rate: Annotated[float, Field(ge=0, lt=10, strict=False)] = 0.0
    margin: Annotated[float, Field(gt=0, le=1, strict=False)] = 1.0


class NextService(Part):
    """What is never offered by itself: materials, anaesthesia, pictures that belong to a treatment."""

    leave_out: list[str] = Field(default_factory=list)


class Loyalty(Part):
    """Over which months patients count as coming back, and as active."""

    period_months: Annotated[int, Field(ge=1, le=120)] = 12
    active_months: Annotated[int, Field(ge=1, le=120)] | None = None

    @model_validator(mode="after")
    def _never_less(self):
        if self.active_months is not None and self.active_months < self.period_months:
            raise ValueError("active_months must not be less than period_months")
        return self


class Report(Part):
    """How the report looks and what it may name."""

    brand_name: Annotated[str, Field(max_length=80)] | None = None
    logo: str | None = None
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#1f5f8b"
    min_count: Annotated[int, Field(ge=1)] = 5
    doctors: bool = False


class Clinic(Part):
    """One clinic, as its file describes it.

    Attributes
    ----------
    path : pathlib.Path
        The clinic file.
    name, locale, country, currency : str
        How the report names the clinic; its language; for phone numbers; for money.
    transactions, patients, rfm, recall, portraits, tags, lists, next_service, clv, loyalty, report
        The parts of the file; `patients` and `recall` may be None.
    """

    path: Path
    name: Annotated[str, Field(min_length=1, max_length=120)]
    locale: Annotated[str, _one_of(LOCALES)] = "en"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    currency: Annotated[str, AfterValidator(_currency)]
    transactions: Transactions
    patients: Patients | None = None
    rfm: Rfm = Rfm()
    recall: Recall | None = None
    portraits: Portraits = Portraits()
    tags: dict[TagKey, Tag] = Field(default_factory=dict)
    lists: Lists = Lists()
    next_service: NextService = NextService()
    clv: Clv = Clv()
    loyalty: Loyalty = Loyalty()
    report: Report = Report()

    @model_validator(mode="after")
    def _services_have_a_column(self):
        columns = self.transactions.columns
        if self.rfm.recency_by == "recall":
            if self.recall is None:
                raise ValueError('[rfm] recency_by = "recall" needs the part [recall]')
            if not (columns.service or columns.category):
                raise ValueError('[rfm] recency_by = "recall" needs the column service or category of [transactions]')
        if self.next_service.leave_out and not columns.service:
            raise ValueError("[next_service] needs the column service of [transactions]")
        for kind in ("service", "category"):
            if self.recall and getattr(self.recall, kind) and not getattr(columns, kind):
                raise ValueError(f"[recall.{kind}] needs the column {kind} of [transactions]")
        return self

    @property
    def key(self) -> str:
        """The file's name without ``.toml``: the folder of the clinic's reports."""
        return self.path.stem

    @property
    def folder(self) -> Path:
        """Where the clinic file lies; its paths are relative to it."""
        return self.path.parent

    @property
    def active_months(self) -> int:
        """Months with a visit that make a patient active."""
        return self.loyalty.active_months or self.loyalty.period_months

    @property
    def logo(self) -> Path | None:
        """The brand's logo, checked to lie beside the clinic file."""
        return self.folder / self.report.logo if self.report.logo else None

    @property
    def scheme(self) -> str | Path:
        """Name of a scheme of rfmkit, or the path of the clinic's own."""
        return self.rfm.scheme if self.rfm.scheme in SCHEMES else self.folder / self.rfm.scheme


def load_clinic(path: str | Path) -> Clinic:
    """Read and check a clinic file.

    Parameters
    ----------
    path : str or pathlib.Path
        The TOML file.

    Returns
    -------
    Clinic

    Raises
    ------
    ClinicFileError
        With everything that is wrong: what TOML cannot read, unknown keys (with the nearest known one), values out of
        range, a logo outside the clinic file's folder, a scheme that is not there.
    SurroundingsError
        If it may not be read.
    """
    path = Path(path).absolute()
    where = path.name
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ClinicFileError(Problem(where, "no such clinic file", "Give the path of a clinic's TOML file.")) from None
    except IsADirectoryError:
        raise ClinicFileError(Problem(where, "is a folder", "Give the path of a clinic's TOML file.")) from None
    except PermissionError as error:
        what = f"cannot be read ({error.strerror})"
        raise SurroundingsError(Problem(where, what, "Check its permissions and those of its folder.")) from None
    except (OSError, UnicodeDecodeError):
        if path.suffix.lower() != ".toml":
            fix = "Make one for an export: rfmkit init EXPORT."
            raise ClinicFileError(Problem(where, "is no clinic file", fix)) from None
        raise ClinicFileError(Problem(where, "cannot be read as UTF-8 text", "Save it as UTF-8.")) from None
    except tomllib.TOMLDecodeError as error:
        fix = "Text values stand in quotes; in a path, write / for \\."
        raise ClinicFileError(Problem(where, f"is not TOML: {error}", fix)) from None
    if "path" in document:
        raise ClinicFileError(Problem(f"{where} path", "unknown key", "Remove it."))
    problems = []
    clinic = None
    try:
        clinic = Clinic.model_validate({**document, "path": path})
    except ValidationError as error:
        problems = [_problem(where, fault) for fault in error.errors(include_url=False, include_input=False)]
    problems += _file_problems(where, path.parent, document)
    if problems:
        raise ClinicFileError(problems)
    return clinic


def _file_problems(where: str, folder: Path, document: dict) -> list[Problem]:
    """What is wrong with the files that a clinic file names beside the exports."""
    problems = []
    report, rfm = document.get("report", {}), document.get("rfm", {})
    logo = report.get("logo") if isinstance(report, dict) else None
    if isinstance(logo, str):
        at = f"{where} [report] logo"
        target = (folder / logo).resolve()
        if not target.is_relative_to(folder.resolve()):
            problems.append(
                Problem(at, "lies outside the clinic file's folder", "Put the logo beside the clinic file.")
            )
        elif not target.is_file():
            problems.append(Problem(at, "no such file", "The path is relative to the clinic file."))
        elif target.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            problems.append(Problem(at, "is neither PNG nor JPEG", "Save the logo as PNG."))
        elif target.stat().st_size > _LOGO_BYTES:
            problems.append(Problem(at, f"is larger than {_LOGO_BYTES // 1000} kB", "Save a smaller picture."))
    scheme = rfm.get("scheme") if isinstance(rfm, dict) else None
    if isinstance(scheme, str) and scheme not in SCHEMES and not (folder / scheme).is_file():
        fix = f"Schemes are: {', '.join(SCHEMES)}; or give the path of a scheme file beside the clinic file."
        problems.append(Problem(f"{where} [rfm] scheme", "no such scheme", fix))
    return problems


def _problem(where: str, fault: dict) -> Problem:
    """One fault of pydantic's, in the words of a clinic file."""
    keys = [str(key) for key in fault["loc"]]
    section, key = ".".join(keys[:-1]), keys[-1] if keys else ""
    at = " ".join(filter(None, [where, f"[{section}]" if section else "", key]))
    match fault["type"]:
        case "extra_forbidden":
            known = _known_keys(keys[:-1])
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
            return Problem(at, "unknown key", hint)
        case "missing":
            return Problem(at, "is missing", "Add it.")
        case "literal_error":
            return Problem(at, f"must be {fault['ctx']['expected']}")
        case _:
            return Problem(at, re.sub(r"^Value error, |^Input ", "", fault["msg"]))


def _known_keys(keys: list[str]) -> list[str]:
    """The keys of the part of the clinic file that `keys` lead to."""
    model: type[BaseModel] = Clinic
    steps = iter(keys)
    for key in steps:
        kind = model.model_fields[key].annotation
        if typing.get_origin(kind) is dict:
            next(steps, None)  # a name of the clinic's own
        kinds = typing.get_args(kind) or (kind,)
        model = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return [name for name in model.model_fields if name != "path"]
