# Needs Python >= 3.11 and make; everything else is installed into .venv (and node_modules, for `make page`).
PYTHON ?= python3
BIN := .venv/bin
MADE := .venv/made
# The tools of the documentation have an environment of their own.
DOCS := .venv-docs
PORT ?= 8080

.PHONY: help install demo test coverage up cluster cluster-test check tables docs docs-serve page bench conformance package matrix stores clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(MADE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group dev
	@touch $@

install: $(MADE)  ## Create .venv

demo: $(MADE)  ## Run the quickstart in real Airflow; GEMINI_API_KEY set: on the real service
	@$(BIN)/python scripts/demo.py

test: $(MADE)  ## Run the test suite
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(MADE)  ## The same, and measure coverage, which takes half as long again
	$(MAKE) test ARGS="--cov --cov-report=term"

cluster: $(MADE)  ## Run a distributed Airflow (PostgreSQL, Redis, Celery) with the example Dags, until Ctrl-C
	@PYTHONPATH=scripts:$(PYTHONPATH) $(BIN)/python -m cluster --port $(PORT)

cluster-test: $(MADE)  ## Run scenarios on a distributed Airflow: crashes, many waits, full storage
	$(BIN)/python -m pytest tests_cluster -p no:cacheprovider $(ARGS)

up: $(MADE)  ## Run Airflow with its UI and the example Dags against the emulator, until Ctrl-C
	@$(BIN)/python scripts/up.py --port $(PORT)

check: $(MADE)  ## Lint, check format, types, imports, docstrings, spelling, dependencies, tables
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@# What pydoclint says about parameters that are documented; its other findings do not apply here (pyproject.toml).
	! $(BIN)/pydoclint airflow_provider_gemini_files 2>&1 | grep -E 'DOC0|DOC102|DOC104|DOC3|docstring but not in the|^Error:|Traceback'
	$(BIN)/codespell
	$(BIN)/deptry .
	$(BIN)/python scripts/tables.py --check

tables: $(MADE)  ## Write the tables of settings in README.md and docs/
	$(BIN)/python scripts/tables.py

$(DOCS)/made: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet uv
	$(DOCS)/bin/uv pip install --quiet --python $(DOCS)/bin/python --editable . --group docs
	@touch $@

docs: $(DOCS)/made  ## Build the documentation into site/; a broken link or an undocumented public name fails
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

docs-serve: $(DOCS)/made  ## Serve the documentation on port 8080 (PORT=...), and build it again when it changes
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs serve --dev-addr 127.0.0.1:$(PORT)

page: node_modules  ## Lint, check format and types of the page's scripts
	npm run --silent check

node_modules: package.json
	npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

bench: $(MADE)  ## Print the measured ratios
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

conformance: $(MADE)  ## Run the tests of Google's own SDK against the emulator
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with-editable '.[emulator]' --with pytest \
		--with pytest-asyncio --with aiohttp python scripts/sdk_conformance.py

package: $(MADE)  ## Build wheel and sdist, install them alone and with each extra; ARGS=--short
	$(BIN)/python scripts/package.py $(ARGS)

matrix: $(MADE)  ## Run the tests with the lowest and newest Airflow and SDK; ARGS="--airflow lowest"
	$(BIN)/python scripts/matrix.py $(ARGS)

stores: $(MADE) node_modules  ## Run the tests of object stores with all of their Airflow providers
	$(BIN)/uv venv --quiet --allow-existing .venv-stores
	$(BIN)/uv pip install --quiet --python .venv-stores/bin/python --editable . --group stores
	REQUIRE_OBJECT_STORES=1 .venv-stores/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
		tests/transfer/test_object_stores.py tests/operators/test_object_stores.py \
		tests/hooks/test_google_credentials.py tests/hooks/test_registration.py

clean:  ## Remove what the other targets have created
	rm -rf .venv .venv-* .cache node_modules dist build site htmlcov .coverage* .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
