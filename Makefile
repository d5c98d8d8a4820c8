# Two commands matter: `make run` and `make test`. Both work on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?= tests
WORKERS ?= 2

.PHONY: run test lint unit services fmt golden bench lock chart docs dist image clean

run: $(VENV)/.installed  ## Start Tocsin on examples/quickstart: prints each URL with a curl line to try
	@$(BIN)/tocsin run examples/quickstart

test: lint unit  ## All checks and all tests, as CI runs them

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.installed services
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations=25 $(TESTS)

services:  ## PostgreSQL, Prometheus, Alertmanager, wrk, Lua and podman, from Debian's packages where they are missing
	@.ci/services

fmt: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

golden: $(VENV)/.installed  ## Rewrite the expected outputs; read the diff before you commit it
	$(BIN)/python -m pytest -q -p no:randomly tests/compiler tests/dispatch tests/escalation tests/oncall tests/chart --update-golden

bench: $(VENV)/.installed services  ## The budgets of the design as ratios in one run: bench/results.json
	$(BIN)/python -m bench

lock: $(VENV)/.installed  ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

chart: $(VENV)/.installed  ## What the chart has from elsewhere: CRDs from crds/, the table of values from its schema
	$(BIN)/python release/chart.py

docs: $(VENV)/.installed  ## What is written from code: reference pages, configuration, the schema for editors
	for script in docs/schema/*.py; do $(BIN)/python $$script; done

dist: $(VENV)/.installed  ## Everything of a release in dist/: package, chart, install.yaml, crds.yaml, bill of materials, checksums
	$(BIN)/python release/dist.py

image: $(VENV)/.installed  ## The container image, with docker, podman or buildah; IMAGE=name, BASE=other base
	$(BIN)/python release/dist.py --package
	release/image.sh

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) .tocsin dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
