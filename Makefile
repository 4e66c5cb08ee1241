# The two commands: `make report` and `make test`. Both set up what they need; the second time both are quick.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: report test campaign lint lab pins schemes clean

report: .venv/report.done  ## make the demo clinics' reports
	$(BIN)/rfmkit demo

test: .venv/test.done lint  ## pass the tests
	$(BIN)/python -m pytest --numprocesses=2

campaign: .venv/test.done  ## 20,000 mutated exports: each read exactly, or refused with its place
	RFMKIT_MUTATIONS=20000 $(BIN)/python -m pytest --numprocesses=2 tests/test_mutations.py

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

lab: .venv/lab.done  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

pins: .venv/test.done  ## compile constraints.txt again, for all platforms
	$(INSTALL) uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --upgrade \
	  --no-emit-index-url --no-header --quiet pyproject.toml --output-file constraints.txt

schemes: .venv/report.done  ## write docs/schemes.md from the schemes' files
	$(BIN)/python -m rfmkit.publish.scheme_maps

clean:
	rm -rf .venv data reports/*/ reports/index.html

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rfmkit needs Python 3.11 or later: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv

# Without isolation the build tools are pinned like everything else.
.venv/report.done: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/test.done: .venv/report.done
	$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

# Spark comes as a source package of the old kind, which is built with these two.
.venv/spark.done: .venv/test.done
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation --editable '.[spark]'
	@touch $@

.venv/lab.done: .venv/report.done
	$(INSTALL) --no-build-isolation --editable '.[lab]'
	@touch $@
