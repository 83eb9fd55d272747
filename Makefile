# Needs Python 3.11 or newer and make, nothing else. `make demo` and `make test` do everything on a new machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml $(shell find ajoxi_async -type f -not -name '*.pyc')
TEST_ARGS ?=

.PHONY: demo test lint bench build clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.quickstart

# The tests run against the built wheel: in a flat layout they would otherwise import the checkout.
test: $(VENV)/.test
	AJOXI_TEST_WHEEL=1 $(BIN)/python -P -m pytest $(TEST_ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/typing/public_face.py
	PYTHONPATH=. $(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

build: $(VENV)/.pip
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) dist build

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.pip $(SOURCES)
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --group test
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(BIN)/python -m pip install --quiet dist/*.whl
	@rm -f $(VENV)/.demo
	@touch $@

$(VENV)/.lint: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group lint --group test --editable .
	@rm -f $(VENV)/.test
	@touch $@

$(VENV)/.bench: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group bench --editable '.[uvloop]'
	@rm -f $(VENV)/.test
	@touch $@
