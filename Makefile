# Needs Python >= 3.11 and make; everything else is put into .venv.
PYTHON ?= python3
BIN := .venv/bin
MADE := .venv/made
PORT ?= 8080

.PHONY: help install demo test up check bench conformance package matrix clean

help:  ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(MADE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group dev
	@touch $@

install: $(MADE)  ## Make .venv

demo: $(MADE)  ## Run the quickstart in real Airflow; GEMINI_API_KEY set: on the real service
	@$(BIN)/python scripts/demo.py

test: $(MADE)  ## Run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

up: $(MADE)  ## Run Airflow with its UI and the example Dags against the emulator, until Ctrl-C
	@$(BIN)/python scripts/up.py --port $(PORT)

check: $(MADE)  ## Lint, format check, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(MADE)  ## Print the measured ratios
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

conformance: $(MADE)  ## Run the tests of Google's own SDK against the emulator
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with-editable '.[emulator]' --with pytest \
		--with pytest-asyncio --with aiohttp python scripts/sdk_conformance.py

package: $(MADE)  ## Build wheel and sdist, install each alone and beside the Google provider
	$(BIN)/python scripts/package.py

matrix: $(MADE)  ## Run the tests with each Airflow and SDK that is supported
	$(BIN)/python scripts/matrix.py

clean:  ## Remove what the other targets have made
	rm -rf .venv .venv-* dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
