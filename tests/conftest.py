"""What several test files share: a study of CDNOW, clinics made on the spot, and the command line."""

from __future__ import annotations

import datetime as dt
import gc
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from engines import chain, clinic_db, postgres, server, spark  # noqa: F401 - fixtures
from hypothesis import HealthCheck, Phase, settings
from workbooks import readers  # noqa: F401 - a fixture

import rfmkit
from rfmkit import visits_from

# Expressions are built by the thousand and seldom in circles: to look for these less often saves a tenth of the time.
gc.freeze()
gc.set_threshold(100_000, 50, 50)

#: A law that fails is shrunk without tracing, which makes each example ten times as slow.
settings.register_profile(
    "suite",
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.load_profile("suite")

REPOSITORY = Path(__file__).parent.parent
#: CDNOW as it ships inside lifetimes: the tenth sample and the whole.
CDNOW = Path(importlib.util.find_spec("lifetimes").origin).parent / "datasets"


TODAY = dt.date(2026, 11, 21)


def lines_of(study) -> list[tuple]:
    """The kept lines of a study: patient, day, amount."""
    table = study.transactions.order_by(["_file", "_row"]).execute()
    return list(zip(table["patient_id"], table["visit_date"].dt.strftime("%Y-%m-%d"), table["amount"], strict=True))


def open_one(path, month="2026-10"):
    """A study of a clinic file, on the day that the tests are set on."""
    return rfmkit.open_study(path, month=month, today=TODAY)


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Studies of the tests are kept apart from those of whoever runs them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RFMKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def cdnow_visits() -> pd.DataFrame:
    """The customer-days of the tenth sample of CDNOW."""
    names = ["master_id", "patient_id", "visit_date", "quantity", "amount"]
    lines = pd.read_csv(CDNOW / "CDNOW_sample.txt", sep=r"\s+", header=None, names=names, dtype=str)
    lines["visit_date"] = pd.to_datetime(lines["visit_date"], format="%Y%m%d")
    lines["amount"] = lines["amount"].astype("float64")
    return visits_from(lines)


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def rfmkit_cli(capfd):
    """Run a command line as `rfmkit` would, in this process."""
    from rfmkit.cli import main

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def write_clinic(tmp_path):
    """Write a clinic file and its export; gives the clinic file's path."""

    def write(export: str | bytes, *, name: str = "clinic", transactions: str = "", parts: str = "") -> Path:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "clinics").mkdir(exist_ok=True)
        source = tmp_path / "data" / f"{name}.csv"
        source.write_bytes(export if isinstance(export, bytes) else export.encode())
        path = tmp_path / "clinics" / f"{name}.toml"
        path.write_text(
            f"""name = "Test clinic"
currency = "EUR"
[transactions]
source = "../data/{name}.csv"
{transactions}
[transactions.columns]
patient_id = "id"
visit_date = "date"
amount = "amount"
{parts}
""",
            encoding="utf-8",
        )
        return path

    return write
