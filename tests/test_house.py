"""The house stands as it was drawn: who imports whom, one door a library, no second copies of pins."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "rfmkit"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Which rooms a room may import; what is not a room here is a module of the package's top.
ROOMS = {
    "errors": set(),
    "period": set(),
    "rows": {"errors"},
    "cache": {"errors", "rows"},
    "clinic": {"errors"},
    "present": {"errors"},
    "data": {"errors", "clinic", "period", "rows"},
    "analysis": {"errors", "period", "rows"},
    "proposal": {"errors", "clinic", "data", "rows"},
    "study": {"errors", "clinic", "period", "rows", "cache", "data", "analysis", "rfmkit"},
    "publish": {"errors", "clinic", "study", "present", "rfmkit"},
    # The front door names every room, and hands a study its reader.
    "rfmkit": None,
    "cli": None,
    "__main__": {"cli"},
    "demo": None,
}
#: Libraries with one door.
DOORS = {
    "lifetimes": ["analysis/clv_models.py"],
    "papermill": ["publish/"],
    "nbconvert": ["publish/"],
    "nbclient": ["publish/"],
    "matplotlib": ["present/plots/"],
    "python_calamine": ["data/workbook_child/"],
    "phonenumbers": ["data/contacts.py"],
    "psycopg": ["data/"],
    "pyspark": ["data/"],
}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return "rfmkit" if first == "__init__.py" else first.removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    """Everything a module imports at any depth, but for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path):
    room = room_of(path)
    assert room in ROOMS, f"a new room: say in ROOMS what {room} may import"
    allowed = ROOMS[room]
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "rfmkit":
            target = parts[1] if len(parts) > 1 and parts[1] in ROOMS else "rfmkit"
            assert allowed is None or target == room or target in allowed, f"{room} may not import {name}"
        for place in [DOORS[parts[0]]] if parts[0] in DOORS else []:
            where = path.relative_to(PACKAGE).as_posix()
            assert any(where.startswith(door) for door in place), f"{parts[0]} is imported only in {place}"


def test_connections_are_made_where_rows_are_read():
    connecting = re.compile(r"import duckdb|duckdb\.connect\(|\.connect\(|getOrCreate\(")
    making = {path.relative_to(PACKAGE).as_posix() for path in MODULES if connecting.search(path.read_text("utf-8"))}
    assert all(path.startswith("data/") or path == "rows.py" for path in making)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_answers_one_question(path):
    assert path.name not in {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    if path.name != "__init__.py" or path.stat().st_size:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "every module says what it answers"


def test_only_the_command_line_reads_the_clock():
    clock = re.compile(r"\b(date\.today|datetime\.now|datetime\.utcnow|time\.time|Timestamp\.now|Timestamp\.today)\(")
    reading = {
        path.relative_to(PACKAGE).as_posix() for path in MODULES if clock.search(path.read_text(encoding="utf-8"))
    }
    assert reading == {"cli.py"}


def test_importing_rfmkit_does_not_wait_for_heavy_libraries():
    code = "import rfmkit, sys; print([m for m in ('pandas', 'ibis', 'matplotlib', 'lifetimes') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_is_there():
    import rfmkit

    for name in rfmkit.__all__:
        assert getattr(rfmkit, name).__doc__, name


def _pins(python: str) -> dict[str, str]:
    pins = {}
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            pin = Requirement(line)
            marker = {"python_version": python, "python_full_version": f"{python}.0"}
            if pin.marker is None or pin.marker.evaluate(marker):
                pins[pin.name] = str(pin.specifier)
    return pins


def test_conda_gets_the_same_pins():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    python = next(item for item in environment["dependencies"] if str(item).startswith("python=")).split("=")[1]
    listed = environment["dependencies"][-1]["pip"]
    pins = {Requirement(item).name: str(Requirement(item).specifier) for item in listed if not item.startswith("--")}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(pins) == {Requirement(item).name for item in project["dependencies"]}
    constraints = _pins(python)
    assert pins == {name: constraints[name] for name in pins}


def test_constraints_name_no_index():
    assert not re.search(r"https?://|file:|--", (REPOSITORY / "constraints.txt").read_text())


@pytest.mark.parametrize("path", sorted((REPOSITORY / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_wheel_carries_notebooks_template_catalogues_and_clinics(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = set(wheel.namelist())
    for folder, pattern in [("notebooks", "*.ipynb"), ("clinics", "*.toml")]:
        assert {f"rfmkit/{folder}/{path.name}" for path in (REPOSITORY / folder).glob(pattern)} <= inside
    data = ("present/locales/*/*.po", "publish/template/*", "analysis/schemes/*.toml", "data/**/*.toml")
    for pattern in (*data, "**/*.py"):
        found = {f"rfmkit/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.glob(pattern) if path.is_file()}
        assert found
        assert found <= inside
