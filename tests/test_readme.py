"""What the README shows is true: its clinic file loads, its Python runs, its commands and files are there."""

import re
import subprocess

import pandas as pd
import pytest
from conftest import CDNOW, REPOSITORY

import rfmkit
from rfmkit.cli import app

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_clinic_file_loads(tmp_path):
    (tmp_path / "north.toml").write_text(blocks("toml")[0], encoding="utf-8")
    assert rfmkit.load_clinic(tmp_path / "north.toml").transactions.columns.receipt_id == "Номер чека"


def test_the_scheme_of_six_groups_is_one(tmp_path):
    (tmp_path / "six.toml").write_text(blocks("toml")[1], encoding="utf-8")
    scheme = rfmkit.load_scheme(tmp_path / "six.toml", bins=3)
    assert scheme.segments == ["vip", "regular", "newcomer", "due", "lapsed", "gone", "inactive"]
    assert scheme.words("ru")["segment", "vip"] == "Класс A"


def test_the_python_without_a_clinic_file_runs():
    lines = pd.read_csv(CDNOW / "CDNOW_master.txt", sep=r"\s+", dtype={"customer_id": str, "date": str})
    lines = lines.rename(columns={"customer_id": "patient_id", "dollar_value": "amount"})
    lines["visit_date"] = pd.to_datetime(lines["date"], format="%Y%m%d")
    names = {"rfmkit": rfmkit, "transactions": lines}
    code = blocks("python")[1].replace("2026, 10, 31", "1998, 6, 30")
    exec(compile(code, "README.md", "exec"), names)
    assert len(names["groups"]) == 23570
    assert names["model"].repeat_patients == 11516


@pytest.mark.parametrize("command", ["init", "run", "check", "freeze", "list", "demo"])
def test_every_command_shows_an_example_and_stands_in_the_readme(rfmkit_cli, command):
    answer = rfmkit_cli(command, "--help")
    assert answer.code == 0
    assert f"Example: rfmkit {command}" in answer.out
    assert f"rfmkit {command}" in README or command == "list"


def test_the_commands_of_the_contract_are_all_there_are():
    commands = {one.name or one.callback.__name__ for one in app.registered_commands}
    assert commands == {"init", "run", "check", "freeze", "list", "demo"}


def test_every_file_that_is_linked_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README + CONTRIBUTING):
        assert (REPOSITORY / target).exists(), target


def test_every_make_target_that_is_named_is_there():
    for target in set(re.findall(r"`?make ([a-z]+)", README + CONTRIBUTING)):
        said = subprocess.run(
            ["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
