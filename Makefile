# On a fresh machine with Python 3.11 or newer and make: `make demo`, `make check` (style, types and quick tests, while
# you work), `make test` (everything) or `make docs` (the site); each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Each file of tests stays in one process, which has its fixtures; slow files begin first.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder

# Compiled once, modules of tests and of the package need not be compiled by each of the processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check test quick lint docs setup clean

demo: $(VENV)/.demo
	$(BIN)/voicefit demo --out voicefit-demo

test: setup
	$(PYTEST) -n 3 --durations=15

check: setup
	$(MAKE) --jobs 2 lint quick

quick: setup
	$(PYTEST) -n 2 -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

setup: $(VENV)/.all

# What the demo needs is a part of what the tests need. Modules are compiled on all cores, where pip would take one;
# some packages come with files that are not for this Python.
$(VENV)/.demo: EXTRAS := demo
$(VENV)/.all: EXTRAS := all,dev
$(VENV)/.demo $(VENV)/.all: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Voicefit needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib src || true
	touch $@

clean:
	rm -rf $(VENV) site voicefit-demo voicefit-demo-material
