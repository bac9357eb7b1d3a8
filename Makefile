# On a fresh machine with Python 3.11 or newer and make: `make demo` or `make test`; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint setup clean

demo: $(VENV)/.demo
	$(BIN)/voicefit demo --out voicefit-demo

test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.all

# What the demo needs is a part of what the tests need. Modules are compiled on all cores, where pip would take one;
# some packages come with files that are not for this Python.
$(VENV)/.demo: EXTRAS := demo
$(VENV)/.all: EXTRAS := demo,lora,onnx,ray,serve,dev
$(VENV)/.demo $(VENV)/.all: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Voicefit needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib src || true
	touch $@

clean:
	rm -rf $(VENV) voicefit-demo voicefit-demo-material
