# Moat. `make run` sets up everything and runs the main job; `make test` sets up everything and runs all tests.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# Two processes that share the servers, a file of tests at a time; the slow ones come first.
SIDE_BY_SIDE = -n 2 --dist loadfile --no-loadscope-reorder
# Moat and its tests start many processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
PATIENT = $(PYTHON) include/moat/local/patient.py
export UV_NO_PROGRESS = 1
# Seconds for each worker; a busy machine needs more than the 60 of uv.
export UV_COMPILE_BYTECODE_TIMEOUT = 600

.PHONY: run stop test unit proofs check fmt docs lock clean help setup programs before cluster
.PHONY: fidelity access data e2e machine sweep door trust faults parts hostile quality wheel mutants image cluster-test

help: ## List these targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

run: before setup ## Set up everything, run three sample sources, serve the Airflow UI
	@$(BIN)/python -m moat.local run $(ARGS)

cluster: before programs ## Start what docker-compose.yaml describes on this machine, without Docker: many workers, three Weaviates
	@$(BIN)/python -m moat.local cluster $(ARGS)

stop: ## Stop what make run and make cluster started
	@test ! -x $(BIN)/python || $(BIN)/python -m moat.local stop

test: before check programs ## Set up everything, lint, type-check and run all tests but the long proofs
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/proofs --durations 10 $(ARGS)

unit: $(VENV)/.dev ## Run the tests that need no server, with the coverage of the package
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/proofs -m "not server" --cov moat --cov-report term:skip-covered $(ARGS)

proofs: programs ## Run the long proofs, one after the other, with a line for each
	$(BIN)/python -m tests.proofs $(ARGS)

check: $(VENV)/.dev ## Lint and type-check, without tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## Build the documentation's site into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

# Each of the long proofs alone; `make proofs` runs them one after the other, on less data where they take hours.
access: programs ## Prove promises, races and failing closed: who may read what
	$(BIN)/python -m tests.proofs access
data: programs ## Load real documents: hostile ones, mail with its readers, questions of programmers
	$(BIN)/python -m tests.proofs data
e2e: programs ## Run Moat under a whole Airflow, with tasks killed and wrong loads
	$(BIN)/python -m tests.proofs e2e
wheel: programs ## Ask through the wheel, installed beside another project's include
	$(BIN)/python -m tests.proofs wheel
machine: programs ## Let a state machine move access at random beside an oracle
	$(BIN)/python -m tests.proofs machine
sweep: programs ## Ask who reads what half a million times, beside the oracle; an hour or more
	$(BIN)/python -m pytest tests/proofs/access/test_sweep.py --sweep 500000 --timeout 86400 -s
door: programs ## Sweep for leaks through HTTP and MCP beside the oracle, and let 200 clients ask at once
	$(BIN)/python -m tests.proofs door
trust: programs ## Live half a year of a simulated company, then break it and two others; writes bench/TRUST.md, TRUST_SECOND.md, TRUST_THIRD.md
	$(BIN)/python -m pytest tests/proofs/trust --full -s
faults: programs ## Break whatever can break in 500 seeded runs; one to two hours
	KILLS=$(or $(KILLS),100) CUTS=$(or $(CUTS),200) $(BIN)/python -m pytest -q -s tests/proofs/faults/test_kills.py tests/proofs/faults/test_sealed.py
	$(BIN)/python -m tests.proofs.faults --seeds $(or $(SEEDS),500)
parts: programs ## Kill each part of Airflow in a real installation, and see it come back
	$(BIN)/python -m tests.proofs parts
cluster-test: programs ## Kill each role of the cluster in the middle of loads; with ARGS=--full 2,000 documents and every stage
	$(BIN)/python -m pytest -q -s tests/proofs/cluster $(ARGS)

hostile: $(VENV)/.dev ## Have files that bite and 2,000 mutants of good ones parsed, with a table of what became of them
	HOSTILE_MUTANTS=$(or $(MUTANTS),2000) $(BIN)/python -m pytest -q -s tests/proofs/hostile
	$(BIN)/python -m pytest -q tests/proofs/data/test_hostile.py
quality: programs ## Measure retrieval on the whole of SciFact (test data that is not shipped)
	$(BIN)/python -m pytest tests/proofs/quality --full -s
	$(BIN)/python -m bench.quality $(or $(SHARED_DATA),../shared/data)
image: $(VENV)/.dev ## Build both images, where a Docker daemon answers, and look what is in them
	$(BIN)/python -m tests.proofs image
fidelity: $(VENV)/.dev ## Measure what each format keeps of its text, beside unstructured; writes bench/FIDELITY.md
	$(BIN)/python -m bench.fidelity
mutants: programs ## Put bugs in on purpose, in a copy: each must turn a test red
	$(BIN)/python tests/proofs/mutants/run.py $(ARGS)

lock: ## Pin every package with its hash, after a change of requirements*.in
	echo uv==$$($(BIN)/uv --version | cut -d' ' -f2) | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements-uv.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-sbom.in -o requirements-sbom.txt

clean: stop ## Remove the environment, all state and what tools left
	rm -rf .moat .venv .pytest_cache .mypy_cache .ruff_cache .coverage site

# What would be missing is told before anything is installed; it runs by the machine's own Python.
before:
	@$(PYTHON) include/moat/local/before.py "$(or $(MOAT_HOME),.moat)" $(or $(filter run,$(MAKECMDGOALS)),$(if $(MAKECMDGOALS),,run))

setup: $(VENV)/.ready

programs: $(VENV)/.dev
	@$(BIN)/python -m moat.local programs

$(BIN)/uv: requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 12) else "Moat needs Python 3.11 or 3.12, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	@$(PATIENT) "making $(VENV)" $(PYTHON) -m venv $(VENV)
	@$(PATIENT) "installing uv" $(BIN)/pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.ready: requirements.txt pyproject.toml | $(BIN)/uv
	@$(PATIENT) "installing packages into $(VENV), some minutes the first time" $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.ready
	@$(PATIENT) "installing the tools of tests into $(VENV)" $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@
