# Everything a developer or operator runs by hand. `make` alone lists the targets.
# Needs only make and Python 3.11 or newer; another interpreter than python3: `make setup PYTHON=python3.12`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= config/local.toml
READY := $(VENV)/.ready
# tests wait more than they work: more workers than the two cores they are timed on keep these busy
WORKERS ?= 4
# how often `make explore` runs the tests; each round draws anew
ROUNDS ?= 5
# compiled code is kept: the tests start well over a hundred processes
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup lint format test test-chaos explore bench demo demo-cutover sandbox serve lock docker clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*  ## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*  ## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(READY)  ## create .venv with the locked versions; done again only when the lock or pyproject.toml changes

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11; name a newer one: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up $(VENV) (once, a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup  ## check style, types, import rules, and our own configuration and mappings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bridge check --config config/local.toml
	$(BIN)/bridge check --config config/cutover.toml

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## run all tests but the slow fault runs, with the coverage floor
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not chaos" --cov --cov-report=term-missing

test-chaos: setup  ## run the slow fault runs: kill -9 everywhere, lost answers, full disks, large crowds
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m chaos

explore: setup  ## look for counterexamples: the property tests with random draws, ROUNDS=5 times, until one is found
	for round in $$(seq $(ROUNDS)); do \
	  $(BIN)/pytest -n $(WORKERS) --dist worksteal -m hypothesis --hypothesis-profile=explore --timeout=1800 tests/unit \
	  || exit 1; \
	done

bench: setup  ## measure speed and show it beside the targets (a few minutes, never fails on a miss)
	$(BIN)/python -m tests.benchmarks.run

demo: setup  ## see two batches go all the way, one with faults, and a claim read back
	@$(BIN)/bridge demo

demo-cutover: setup  ## see an organization move from the legacy host to the modern system, and come back
	@$(BIN)/bridge demo-cutover

sandbox: setup  ## run the stand-in for the modern API and the legacy host on port 8090
	$(BIN)/bridge sandbox

serve: setup  ## run the bridge; another configuration: make serve CONFIG=...
	$(BIN)/bridge serve --config $(CONFIG)

lock: setup  ## resolve requirements.lock again, to the newest versions pyproject.toml allows
	@test -x .make/lock/bin/pip-compile \
	  || { $(BIN)/python -m venv .make/lock && .make/lock/bin/python -m pip install --quiet pip-tools; }
	CUSTOM_COMPILE_COMMAND="make lock" .make/lock/bin/pip-compile --quiet --upgrade --extra test --extra lint \
	  --build-deps-for editable --allow-unsafe --strip-extras --no-emit-options --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml

docker:  ## build the container image
	docker build --tag autocollect-bridge .

clean:  ## remove what the other targets made, the journal in var/ excepted
	rm -rf $(VENV) .make .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info htmlcov
	rm -f .coverage .coverage.*
	find bridge tests -name __pycache__ -type d -prune -exec rm -rf {} +
