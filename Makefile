# `make demo` and `make test` need Python 3.11+, make and a C compiler, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint types contracts check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Old pips, such as Debian's, cannot resolve extras under constraints.
$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) 'pip>=24'
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml constraints.txt
	$(PIP_INSTALL) -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml constraints.txt
	$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## Outpost and a JupyterHub that uses it, on this machine
	@exec $(BIN)/python -m local.demo

test: $(VENV)/.dev  ## everything that needs no Docker, Go or Node
	$(BIN)/python -m pytest -m "not slow"

slow: $(VENV)/.dev  ## crashes and races of real processes
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## who may import whom
	$(BIN)/lint-imports

check: lint types contracts test  ## all of the above

clean:  ## remove the environment and the demo's state
	rm -rf $(VENV) .outpost
