# Needs Python 3.11 or newer and make, nothing else. `make demo` and `make test` do everything on a new machine.
# `make test PYTHON=python3.13` tests on another interpreter, in an environment of its own, .venv-3.13.
PYTHON ?= python3
VENV := .venv
ifneq ($(PYTHON),python3)
  VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin
PACKAGE := pyproject.toml README.md LICENSE $(shell find ajoxi_async -type f -not -name '*.pyc')
TEST_ARGS ?=
# The tests run in four processes, since many of them wait. WORKERS=0 runs them in one, as --pdb needs.
WORKERS ?= 4
PYTEST := python -P -m pytest -n $(WORKERS) --dist worksteal
# The package as users' type checkers see it. pyright's settings stand in pyproject.toml.
TYPED := tests/typing examples

.PHONY: demo test test-lowest test-optimized test-sdist lint docs llms bench build clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.quickstart

# The tests run against the built wheel: in a flat layout they would otherwise import the checkout.
test: $(VENV)/.test
	AJOXI_TEST_DIST=$(abspath dist) $(BIN)/$(PYTEST) $(TEST_ARGS)

# The same with the lowest versions of what the package depends on that pyproject.toml allows.
test-lowest: build/lowest.txt
	PIP_CONSTRAINT=$(abspath $<) $(MAKE) test VENV=.venv-lowest

# The same without assert statements and docstrings. The asserts of the tests are executed all the same, for pytest
# rewrites them (tests/test_project.py makes sure); it warns of all others.
test-optimized: $(VENV)/.test
	AJOXI_TEST_DIST=$(abspath dist) PYTHONOPTIMIZE=2 $(BIN)/$(PYTEST) \
	  -W 'ignore:assertions not in test modules:pytest.PytestConfigWarning' $(TEST_ARGS)

# The tests of the source distribution need nothing else of the checkout.
test-sdist: $(VENV)/.test
	rm -rf build/sdist && mkdir -p build/sdist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	cd build/sdist && AJOXI_TEST_DIST=$(abspath dist) $(abspath $(BIN))/$(PYTEST) $(TEST_ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint ajoxi_async/sandbox/console/static
	$(BIN)/mypy
	$(BIN)/mypy --strict $(TYPED)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/ty check --python $(BIN)/python --error-on-warning $(TYPED)
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python --min-severity warn $(TYPED)
	PYTHONPATH=. $(BIN)/lint-imports

# The site, in build/docs. A warning, such as a dead link, fails it.
docs: $(VENV)/.docs
	$(BIN)/python .ci/docs/build.py build/docs

# docs/llms.txt and docs/llms-full.txt, from the pages and the docstrings.
llms: $(VENV)/.docs
	$(BIN)/python .ci/docs/llms.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

build: dist/.built

clean:
	rm -rf .venv .venv-* dist build

# The wheel is built from the source distribution.
dist/.built: $(PACKAGE) | $(VENV)/.pip
	rm -rf dist
	$(BIN)/python -m pip install --quiet --group build
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	@touch $@

build/lowest.txt: pyproject.toml .ci/lowest.py
	@mkdir -p build
	$(PYTHON) .ci/lowest.py > $@

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.pip dist/.built
	$(BIN)/python -m pip install --quiet --group test
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(BIN)/python -m pip install --quiet dist/*.whl
	@rm -f $(VENV)/.demo
	@touch $@

$(VENV)/.lint: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group lint --group test --editable .
	@rm -f $(VENV)/.test
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs --group test --editable .
	@rm -f $(VENV)/.test
	@touch $@

$(VENV)/.bench: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --group bench --editable '.[uvloop]'
	@rm -f $(VENV)/.test
	@touch $@
