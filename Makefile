# `make search` and `make test` make .venv by themselves; `make check` is what CI runs after the tests.
PYTHON ?= python3
BIN := .venv/bin
# On a CPU the search measures in ONNX Runtime, where 25 of 60 networks drawn from lit-dat-64 keep 2 ms.
BUDGET := $(if $(wildcard /dev/nvidia0),5ms,2ms)
SEARCH ?= --latency-budget $(BUDGET) --time 6m
# A file's tests share what they build. In the order of their names: by number, the few long searches would come last.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder
# Else each process of the tests would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: search test test-all check ruff types contracts docs package clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

search: .venv/installed
	$(BIN)/archdsl search $(SEARCH)

test: .venv/installed
	$(BIN)/python -m pytest -q $(SPREAD) --durations=15 -m "not slow"

test-all: .venv/installed
	$(BIN)/python -m pytest -q $(SPREAD) --durations=15

check: ruff types contracts docs package

ruff: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/mypy

contracts: .venv/installed
	$(BIN)/lint-imports

docs: .venv/installed
	$(BIN)/sphinx-build -W --keep-going docs build/docs

package: .venv/installed
	rm -rf build/package
	$(BIN)/python -m build --no-isolation --outdir build/package > /dev/null
	$(BIN)/python -m twine check --strict build/package/*
	$(BIN)/python .ci/wheel_contents.py build/package/*.whl

clean:
	rm -rf .venv build *.egg-info
