# Everything a newcomer types. Needs Python 3.11 or newer with pip and venv, and make; `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
RUN     = runs/bench-$(shell date -u +%Y%m%dT%H%M%SZ)

# Containers often keep Python from keeping its bytecode: every one of hundreds of short processes would compile the sources again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help bench bench-all bench-clients bench-copy bench-data bench-workers test check validation lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(READY) ## try every promise on this machine and write the HTML report (QUICK=1: a first look)
	$(BIN)/harness run all $(if $(QUICK),--quick) $(if $(OUT),--out $(OUT))

bench-all: $(READY) ## the same on every engine, at no distance and 5 ms away
	$(BIN)/harness run --engine all --rtt 0,5 $(if $(QUICK),--quick) $(if $(OUT),--out $(OUT))

bench-copy: $(READY) ## rows a second into PostgreSQL, in turn with pgbench's own loading
	$(BIN)/python -m tools.bench_copy

bench-clients: $(READY) ## the load generator's HTTP client beside others and wrk, in turn, against a raw echo
	$(BIN)/python -m tools.load_generator.bench_clients

bench-workers: $(READY) ## how load generation scales over 1, 2 and 4 load workers
	$(BIN)/python -m tools.load_generator.bench_workers

validation: $(READY) ## answer questions with known answers, next to other tools; writes reports/published/validation.md
	$(BIN)/python -m tools.validation

bench-data: $(READY) ## how fast synthetic rows are made and loaded, and in how much memory
	$(BIN)/harness data generate --size medium
	$(BIN)/harness data load --size medium

test: $(READY) ## the whole test suite
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope tests scenarios

check: $(READY) ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## resolve requirements.lock again (needs uv; hashes, no addresses)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## remove the environment, runs and caches
	rm -rf $(VENV) runs .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build
