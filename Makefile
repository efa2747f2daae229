# One list of tasks: `make help`. Needs Python >= 3.11, make and git; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ENV ?= base
N ?= 100
WORKERS ?= 2
TORCH := 2.13.0
KEDRO_RUN = $(BIN)/kedro run
IN_ENV = $(if $(filter-out base,$(ENV)),--env=$(ENV))

.DEFAULT_GOAL := help
.PHONY: help setup full benchmark test test-fast test-faults lint format types contracts check viz viz-static package bench-training bench-ali-ccp bench-accuracy ledger \
	lock clean clean-data

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## the environment in .venv, from requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " \
		+ sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

benchmark: ENV := industrial_20m
benchmark: $(READY) ## every model with five seeds, on 20 million impressions (ENV=base|industrial|yours for other data)
	$(KEDRO_RUN) --pipelines=ingestion,preparation $(IN_ENV)
	$(KEDRO_RUN) --pipeline=benchmark $(IN_ENV)

full: $(READY) ## the whole project: kedro run --pipeline=full (ENV=test|industrial|yours for other data)
	$(KEDRO_RUN) --pipeline=full $(IN_ENV)

test: $(READY) ## all tests
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

test-fast: $(READY) ## the tests that start no process of their own
	$(BIN)/python -m pytest -m "not end_to_end"

test-faults: $(READY) ## N runs killed at random moments, full disks, flipped bits, ...; goes on where it stopped
	@mkdir -p .tmp
	AITM_FAULTS=$(N) AITM_FAULTS_DONE=.tmp/faults-$$(cat $$(git ls-files src conf tests/faults) | cksum | cut -d' ' -f1) \
		$(BIN)/python -m pytest tests/faults

lint: $(READY) ## style, and formatting that is off
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## type check
	$(BIN)/mypy

contracts: $(READY) ## who may import whom (pyproject.toml, [tool.importlinter])
	$(BIN)/lint-imports

check: lint types contracts test ## everything that CI runs

viz: $(READY) ## Kedro-Viz: the graph with its data, in the browser
	$(BIN)/python -m aitm_kedro.running.row_counts $(IN_ENV)
	$(BIN)/kedro viz run --include-hooks $(IN_ENV)

viz-static: $(READY) ## the same as a static site in build/, previews included (ENV=test|industrial|yours)
	$(BIN)/python -m aitm_kedro.running.row_counts $(IN_ENV)
	rm -rf build
	KEDRO_ENV=$(filter-out base,$(ENV)) $(BIN)/kedro viz build --include-hooks --include-previews
	@test -f build/index.html # kedro viz build ends with exit 0 whatever happens

package: $(READY) ## wheel and configuration archive in dist/
	$(BIN)/kedro package

bench-training: $(READY) ## training speed against the plain definition of the same model
	$(BIN)/python benchmarks/training.py

bench-ali-ccp: $(READY) ## preparation of files in the Ali-CCP layout against a plain-Python reading (docs/ali_ccp.md)
	$(BIN)/python benchmarks/ali_ccp.py

bench-accuracy: $(READY) ## every run with five seeds on four real logs and base, hours (docs/accuracy.md; LOGS="films base" for some)
	$(BIN)/python benchmarks/accuracy.py $(if $(LOGS),--logs $(LOGS))

ledger: $(READY) ## recompute the simulator's ledger (docs/simulator.md)
	$(BIN)/python -m aitm_kedro.sources.simulation

lock: $(READY) ## pin again what pyproject.toml allows
	$(BIN)/pip-compile --quiet --upgrade --upgrade-package torch==$(TORCH) --strip-extras --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra dev --extra viz --extra sql --extra delta \
		--output-file requirements.lock pyproject.toml
	# A build for one kind of machine (torch 2.x+cpu) is no pin for all of them.
	sed -i -E 's/^([a-z0-9-]+==[^+ ]+)\+[^ ]+/\1/' requirements.lock

clean: ## remove the environment and the caches, keep the data
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist .tmp

clean-data: ## remove, without asking, all that runs wrote under data/; data/01_raw and the empty folders stay
	find data -mindepth 2 -not -path 'data/01_raw/*' -not -name .gitkeep -delete
