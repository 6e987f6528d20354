# `make search` and `make test` make .venv by themselves; `make check` is what CI runs after the tests.
PYTHON ?= python3
BIN := .venv/bin
SEARCH ?= --latency-budget 5ms --time 6m

.PHONY: search test test-all check clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

search: .venv/installed
	$(BIN)/archdsl search $(SEARCH)

test: .venv/installed
	$(BIN)/python -m pytest -q -n auto -m "not slow" --durations=15

test-all: .venv/installed
	$(BIN)/python -m pytest -q -n auto

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv build *.egg-info
