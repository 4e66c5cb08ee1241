"""A clinic's report by `rfmkit run`, against the plain loop of `papermill` and `jupyter nbconvert`.

Both start with nothing computed and use the same notebooks. The loop leaves five pages with code that load scripts from
elsewhere; the run leaves one page, the tables and a manifest. Usage: ``python benchmarks/report.py [CLINIC ...]``
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rfmkit import demo

MONTH = "2026-10"
REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def seconds(commands: list[list[object]], cache: Path) -> tuple[float, str]:
    """Wall time of commands one after another, and what the last one printed."""
    said = ""
    start = time.perf_counter()
    for command in commands:
        environment = {**os.environ, "RFMKIT_CACHE": str(cache)}
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=True)
        said = done.stdout
    return time.perf_counter() - start, said


def main() -> None:
    """Measure the clinics named on the command line, or all of the demo."""
    for name in sys.argv[1:] or demo.CLINICS:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "clinics").mkdir()
            clinic = root / "clinics" / f"{name}.toml"
            clinic.write_bytes((REPOSITORY / "clinics" / clinic.name).read_bytes())
            demo.write_export(name, root / "data" / name, MONTH)
            run = [BIN / "rfmkit", "run", clinic, "--month", MONTH, "--out", root / "reports", "--jobs", 1]
            loop = []
            for notebook in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
                made = root / notebook.name
                parameters = ["-p", "clinic", clinic, "-p", "month", MONTH]
                loop.append([BIN / "papermill", "--no-progress-bar", notebook, made, *parameters])
                loop.append([BIN / "jupyter", "nbconvert", "--to", "html", "--no-input", "--log-level=ERROR", made])
            ours, said = seconds([run], root / "cache-run")
            plain, _ = seconds(loop, root / "cache-loop")
            print(f"{name}: rfmkit run {ours:.1f} s, plain loop {plain:.1f} s, ratio {ours / plain:.2f}")
            print(f"    {said.strip()}")


if __name__ == "__main__":
    main()
