# make demo    the example application in your browser, no web server needed
# make test    the whole test suite, real front ends included
# make wheel   both wheels: pure Python, and with the hot modules compiled (needs a C compiler)
# make test-compiled   the test suite against the compiled wheel
# make lint    ruff and mypy --strict
# make fuzz    the property tests with new examples, FUZZ_SECONDS long (300)
# make soak    a worker behind nginx under mixed load, SOAK_SECONDS long (180); then a pool that is
#              reloaded, recycled, replaced and killed under load behind four front ends
# make bench   CPU per request beside other servers, in a quarter of an hour
# make clean   remove everything that make and the tools have created

PYTHON ?= python3
PORT ?= 8000
FUZZ_SECONDS ?= 300
SOAK_SECONDS ?= 180
VENV := .venv
BIN := $(VENV)/bin
TEST_DEPS := $(VENV)/.test-deps
DEMO_DEPS := $(VENV)/.demo-deps
BENCH_DEPS := $(VENV)/.bench-deps
WHEEL_DEPS := $(VENV)/.wheel-deps
COMPILED := build/compiled
BENCH_COMPILED := build/bench-compiled
PROPERTIES := tests/protocols tests/gateways tests/server/test_spool.py
# One place names what tests and benchmarks need, as packages of Debian and Ubuntu.
FRONT_ENDS := $(shell cat tests/apt.txt)
bench: FRONT_ENDS := $(shell cat benchmarks/apt.txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
# Keeps a package from starting its daemon: the tests start their own.
APT := RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq

.PHONY: help demo test wheel test-compiled lint fuzz soak bench clean front-ends

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(DEMO_DEPS)
	@exec $(BIN)/fcgikit dev --port $(PORT) examples.tour:app

test: $(TEST_DEPS) front-ends
	@PATH="$$PATH:/usr/sbin" exec $(BIN)/python -m pytest $(ARGS)

# From the archive of the sources: what is compiled in the tree itself stays there and would run.
wheel: $(WHEEL_DEPS)
	rm -rf dist
	$(BIN)/python -m build
	HATCH_BUILD_HOOK_ENABLE_MYPYC=true $(BIN)/python -m build

# A copy of the tree with the compiled wheel unpacked over it: the tests find what users install.
test-compiled: wheel $(TEST_DEPS) front-ends
	rm -rf $(COMPILED)
	mkdir -p $(COMPILED)
	git ls-files -z | xargs -0 cp --parents --target-directory=$(COMPILED)
	$(BIN)/python -m zipfile -e dist/fcgikit-*-cp*.whl $(COMPILED)
	cd $(COMPILED) && ../../$(BIN)/python -m fcgikit --version | grep compiled
	cd $(COMPILED) && PATH="$$PATH:/usr/sbin" exec ../../$(BIN)/python -m pytest $(ARGS)

lint: $(TEST_DEPS)
	$(BIN)/ruff check
	$(BIN)/mypy

# Round after round, so that every property gets its share of the time, however short that is.
fuzz: $(TEST_DEPS)
	@end=$$(( $$(date +%s) + $(FUZZ_SECONDS) )); \
	while [ $$(date +%s) -lt $$end ]; do \
	  $(BIN)/python -m pytest -q -x --hypothesis-profile=fuzz $(PROPERTIES) $(ARGS) || exit 1; \
	done

soak: $(TEST_DEPS) front-ends
	$(BIN)/python -m tests.soak --seconds $(SOAK_SECONDS) $(ARGS)
	$(BIN)/python -m tests.soak.pool
	$(BIN)/python -m tests.soak.pool --kill

bench: front-ends $(BENCH_DEPS) wheel
	rm -rf $(BENCH_COMPILED)
	$(BIN)/python -m zipfile -e dist/fcgikit-*-cp*.whl $(BENCH_COMPILED)
	exec $(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ensurepip is what Debian splits off into python3-venv; without it a venv has no pip.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'fcgikit needs Python 3.11 or later: make PYTHON=/path/to/python3.x' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	  then $(APT) update && $(APT) install python3-venv; \
	  else echo 'Python cannot create a venv here: sudo apt-get install python3-venv' >&2; exit 1; \
	  fi; }
	@$(PYTHON) -m venv --clear $(VENV)

$(DEMO_DEPS): pyproject.toml | $(BIN)/python
	$(INSTALL) '.[dev,examples]'
	@touch $@

$(TEST_DEPS): pyproject.toml | $(BIN)/python
	$(INSTALL) '.[test]'
	@touch $@ $(DEMO_DEPS)

$(WHEEL_DEPS): pyproject.toml | $(BIN)/python
	$(INSTALL) '.[wheel]'
	@touch $@

# Without pip's cache, uwsgi and bjoern are built against this Python: a cached uwsgi carries another
# one in it. bjoern needs a library's headers, which not everybody may install.
$(BENCH_DEPS): pyproject.toml | $(BIN)/python
	PIP_NO_CACHE_DIR=1 $(INSTALL) '.[bench,test]'
	PIP_NO_CACHE_DIR=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check bjoern || \
	  echo 'bjoern is left out: it could not be installed' >&2
	@touch $@

front-ends:
	@missing=''; \
	for package in $(FRONT_ENDS); \
	do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then $(APT) update && $(APT) install --no-install-recommends $$missing && missing=''; fi; \
	if [ -n "$$missing" ]; then \
	  echo "What needs a program that is not installed will fail. To install it:" >&2; \
	  echo "  sudo apt-get install$$missing" >&2; \
	  [ "$$CI" != true ] || exit 1; \
	fi
