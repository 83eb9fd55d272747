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
# Everything is installed in the versions and with the hashes of .ci/constraints.txt, which `make constraints` renews. LOCKED=no
# takes the newest versions that pyproject.toml allows, or those that PIP_CONSTRAINT says.
LOCKED ?= yes
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CONSTRAINTS := .ci/constraints.py .ci/constraints.txt
# $(call install,PURPOSE,ARGUMENTS): what .ci/constraints.py has for a purpose; with LOCKED=no what pip makes of the arguments.
ifeq ($(LOCKED),yes)
  install = $(BIN)/python .ci/constraints.py for $(1) > $(VENV)/$(1).txt && $(PIP) --require-hashes --requirement $(VENV)/$(1).txt
  install_package = $(PIP) --no-deps --no-build-isolation
else
  install = $(PIP) $(2)
  install_package = $(PIP)
endif
# The processes of the tests share the bytecode of the test files, whose asserts pytest rewrites.
unexport PYTHONDONTWRITEBYTECODE
# The tests run in four processes, since many of them wait. WORKERS=0 runs them in one, as --pdb needs.
WORKERS ?= 4
PYTEST := python -P -m pytest -n $(WORKERS) --dist worksteal
# The package as users' type checkers see it. pyright's settings stand in pyproject.toml.
TYPED := tests/typing examples

.PHONY: demo test test-lowest test-optimized test-sdist test-frozen coverage lint docs llms bench mutation build release-check constraints clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.quickstart

# The tests run against the built wheel: in a flat layout they would otherwise import the checkout.
test: $(VENV)/.test
	AJOXI_TEST_DIST=$(abspath dist) $(BIN)/$(PYTEST) $(TEST_ARGS)

# The same with the lowest versions of what the package depends on that pyproject.toml allows.
test-lowest: build/lowest.txt
	PIP_CONSTRAINT=$(abspath $<) $(MAKE) test VENV=.venv-lowest LOCKED=no

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

# An application that PyInstaller freezes; it takes half a minute.
test-frozen: $(VENV)/.test
	$(call install,frozen,--group frozen)
	AJOXI_TEST_DIST=$(abspath dist) $(BIN)/python -P -m pytest tests/test_zipped.py $(TEST_ARGS)

# How much of the package the tests execute, by lines and branches. COVERED=tests/limits measures a part of them.
COVERED ?= tests
coverage: $(VENV)/.test
	$(call install,coverage,--group coverage)
	rm -rf build/coverage && mkdir -p build/coverage
	AJOXI_TEST_DIST=$(abspath dist) $(BIN)/python -P -m coverage run -m pytest -n $(WORKERS) --dist worksteal $(COVERED) $(TEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

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
	$(BIN)/python .ci/docs/build_site.py build/docs

# docs/llms.txt and docs/llms-full.txt, from the pages and the docstrings.
llms: $(VENV)/.docs
	$(BIN)/python .ci/docs/llms.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

# How many small faults in the code the tests notice: hours, or MUTATION_ARGS="--sample 30".
MUTATION_ARGS ?=
mutation: $(VENV)/.pip
	$(call install,mutation,--group test --group mutation .)
	$(BIN)/python -m benchmarks.mutation $(MUTATION_ARGS)

build: dist/.built

# Whether what is built can be published: see .ci/release_check.py.
release-check: $(VENV)/.pip
	$(call install,release,--group release)
	$(BIN)/python .ci/release_check.py

# The newest versions that fit together, with their hashes, for all supported Pythons and systems.
constraints: $(VENV)/.pip
	$(call install,constraints,--group constraints)
	$(BIN)/python .ci/constraints.py renew

clean:
	rm -rf .venv .venv-* dist build

# The wheel is built from the source distribution. The time of the last commit makes builds of one commit the same, byte for byte;
# without git, as in a source distribution, hatchling has a constant.
dist/.built: $(PACKAGE) | $(VENV)/.pip
	rm -rf dist
	$(call install,build,--group build)
	$(BIN)/python .ci/build.py dist
	$(BIN)/python -m twine check --strict dist/*
	@touch $@

build/lowest.txt: pyproject.toml .ci/lowest.py
	@mkdir -p build
	$(PYTHON) .ci/lowest.py > $@

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(call install,pip,--upgrade 'pip>=25.1')
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml $(CONSTRAINTS)
	$(call install,demo,--upgrade pip)
	$(install_package) --editable '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.pip dist/.built $(CONSTRAINTS)
	$(call install,test,--group test)
	$(PIP) --force-reinstall --no-deps dist/*.whl
	$(install_package) dist/*.whl
	@rm -f $(VENV)/.demo
	@touch $@

$(VENV)/.lint: $(VENV)/.pip pyproject.toml $(CONSTRAINTS)
	$(call install,lint,--group lint --group test)
	$(install_package) --editable .
	@rm -f $(VENV)/.test
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml $(CONSTRAINTS)
	$(call install,docs,--group docs --group test)
	$(install_package) --editable .
	@rm -f $(VENV)/.test
	@touch $@

$(VENV)/.bench: $(VENV)/.pip pyproject.toml $(CONSTRAINTS)
	$(call install,bench,--group bench)
	$(install_package) --editable '.[uvloop]'
	@rm -f $(VENV)/.test
	@touch $@
