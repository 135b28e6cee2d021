# One command for each thing that is done here; CI runs the same lines. `make` alone lists them.
# A machine needs Python 3.11, make and apt: the rest is installed when first needed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Tests and benchmarks start hundreds of processes: modules are compiled once, whatever the environment says of it.
unexport PYTHONDONTWRITEBYTECODE PIP_NO_COMPILE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.ready
# Two tests more than there are processors: many only wait. Whoever is done early takes from the others.
WORKERS ?= $(shell echo $$((2 + $$(nproc))))
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help commands transcripts run test test-all bench soak fuzz audit lint types fix openapi configuration lock clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## a first download, from a folder to a verified archive
	@$(BIN)/python examples/first_light.py

test: $(READY) ## the tests, without the slow ones
	@PYTHON=$(PYTHON) tests/tools.sh
	$(PYTEST) -m "not slow"

test-all: $(READY) ## all tests
	@PYTHON=$(PYTHON) tests/tools.sh
	$(PYTEST)

bench: $(READY) ## speed and cost beside other servers; BENCH="SCENARIO… --pairs N", BENCH=--help
	@$(BIN)/python -m bench $(BENCH)

soak: $(READY) ## everything at once, with kills, for MINUTES=30, and whether all holds
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) $(SOAK)

fuzz: $(READY) ## look for inputs that break a parser, SECONDS_EACH=60; FUZZ="path jwt"
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS_EACH),60) $(FUZZ)

audit: $(READY) ## known holes in what requirements.lock pins; asks PyPI, and fails if that cannot tell
	@$(BIN)/python -m tests.audit

lint: $(READY) ## style, format, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: $(READY) ## mypy, strict, tests included
	$(BIN)/mypy

fix: $(READY) ## repair what lint can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

openapi: $(READY) ## write docs/openapi again, after a change of a route or model
	@$(BIN)/python docs/openapi/make.py

configuration: $(READY) ## write the tables of docs/configuration.md again, after a change of a setting
	@$(BIN)/python docs/make_configuration.py

commands: $(READY) ## write the reference of docs/cli.md again, after a change of a command
	@$(BIN)/python docs/make_commands.py

transcripts: $(READY) ## write what commands say in docs/cli.md again
	TRANSCRIPTS=write $(BIN)/python -m pytest -q tests/cli/test_transcripts.py

lock: ## make requirements.lock again, with the newest versions that pyproject.toml allows
	@[ -x $(BIN)/uv ] || { $(PYTHON) -m venv $(VENV) && $(PIP) install uv; }
	$(BIN)/uv pip compile pyproject.toml --extra server --extra ed25519 --group dev --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-config --custom-compile-command "make lock" --quiet -o requirements.lock

clean: ## remove what these targets made
	rm -rf $(VENV) dist .fuzz src/pannier/desk/static/vendor tests/node/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The locked packages first, then this tree in place, without asking an index anything that the lock does not say.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pannier needs Python 3.11 or newer: make PYTHON=python3.11")'
	@PYTHON=$(PYTHON) tests/tools.sh python
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(PIP) install --compile --require-hashes -r requirements.lock
	@touch $@

# The build fetches the page's libraries (hatch_build.py).
$(READY): $(VENV)/.locked pyproject.toml hatch_build.py src/pannier/desk/package-lock.json
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
