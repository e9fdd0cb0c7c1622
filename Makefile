# Moat. `make run` sets up everything and runs the main job; `make test` sets up everything and runs all tests.
PYTHON ?= python3
UV_VERSION = 0.13.9
VENV = .venv
BIN = $(VENV)/bin
# Two processes, each with servers of its own, a file of tests at a time; the slow ones come first.
SIDE_BY_SIDE = -n 2 --dist loadfile --no-loadscope-reorder
export UV_NO_PROGRESS = 1

.PHONY: run test check stop clean lock quality sweep trust mutants setup

run: setup
	@$(BIN)/python -m moat.local run $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

stop:
	@test ! -x $(BIN)/python || $(BIN)/python -m moat.local stop

clean: stop
	rm -rf .moat .venv .pytest_cache .mypy_cache .ruff_cache

setup: $(VENV)/.ready

# Retrieval quality on the whole of SciFact, beside brute force; needs ../shared/data.
quality: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs
	$(BIN)/python -m pytest tests/proofs/quality --full -s

# Who reads what, half a million times, beside the oracle in tests/access; an hour or more.
sweep: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs
	$(BIN)/python -m pytest tests/proofs/access/test_sweep.py --sweep 500000 --timeout 86400 -s

# A simulated company: half a year of clean nights, then every kind of defect in five strengths; writes bench/TRUST.md.
trust: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs
	$(BIN)/python -m pytest tests/proofs/trust --full -s

# Bugs put in on purpose, one at a time, in a copy: each must turn a test red.
mutants: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs
	$(BIN)/python tests/proofs/mutants/run.py $(ARGS)

lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 12) else "Moat needs Python 3.11 or 3.12, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready: requirements.txt pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.ready
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@
