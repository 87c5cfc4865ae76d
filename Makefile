# The two that matter: `make demo` and `make test`. Both do all the set-up by themselves.

.PHONY: help demo test check soak fuzz bench docs package pictures format clean setup setup-test

help:
	@echo "make demo    set up, then watch an untrusted program run in a world of its own"
	@echo "make test    set up, then make check and the whole test suite"
	@echo "make check   lint, types, layers, and an audit of what libos runs with"
	@echo "make soak    the long tests that make test leaves out"
	@echo "make fuzz    the property tests with new examples, for FUZZ_SECONDS (300)"
	@echo "make bench   the figures, each against a peer in the same run"
	@echo "make docs    the pages of docs/ as HTML and manual pages, in build/docs"
	@echo "make package a wheel with manual pages and completion, in build/package"
	@echo "make pictures the pictures of README and docs, drawn anew from measurements"
	@echo "make format  rewrite the sources as ruff formats them"
	@echo "make clean   remove what these made, the virtual environment too"

setup:
	@scripts/setup run

setup-test:
	@scripts/setup test

demo: setup
	@scripts/in-venv python examples/agent/demo.py

check: setup-test
	@scripts/check

test: check
	@scripts/suite $(ARGS)

soak: setup-test
	@scripts/in-venv python -m pytest --soak -m soak $(ARGS)

FUZZ_SECONDS ?= 300
# The seed of the first round; without it one of chance.
FUZZ_SEED ?=

fuzz: setup-test
	@scripts/in-venv python -m pytest --fuzz $(FUZZ_SECONDS) $(if $(FUZZ_SEED),--fuzz-seed $(FUZZ_SEED)) $(ARGS)

bench: setup-test
	@scripts/in-venv python -m benchmarks $(ARGS)

docs: setup-test
	@scripts/in-venv scripts/pages $(ARGS)

package: setup-test
	@scripts/in-venv scripts/package $(ARGS)

pictures: setup-test
	@scripts/pictures $(ARGS)

format: setup-test
	@scripts/in-venv ruff check --fix --exit-zero
	@scripts/in-venv ruff format

clean:
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
