# Needs Python 3.11 or newer with pip and venv, and make; `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Containers often disable bytecode files, so that each of hundreds of short processes would compile the sources again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help architecture bench bench-all bench-clients bench-copy bench-data bench-workers chaos page-cost published docs reference test floors words check hooks validation dist lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(READY) ## test all promises on SQLite and write the HTML report (QUICK=1: preview)
	$(BIN)/harness run all $(if $(QUICK),--quick) $(if $(OUT),--out $(OUT))

bench-all: $(READY) ## the same on all engines, without and with 5 ms of network latency
	$(BIN)/harness run --engine all --rtt 0,5 $(if $(QUICK),--quick) $(if $(OUT),--out $(OUT))

bench-copy: $(READY) ## rows per second into PostgreSQL, interleaved with pgbench's loading
	$(BIN)/python -m tools.bench_copy

bench-clients: $(READY) ## compare the HTTP client with others and wrk, against a raw echo server
	$(BIN)/python -m tools.load_generator.bench_clients

bench-workers: $(READY) ## measure how the load generator scales over 1, 2 and 4 processes
	$(BIN)/python -m tools.load_generator.bench_workers

validation: $(READY) ## check the harness against known answers; writes reports/published/validation.md
	$(BIN)/python -m tools.validation

chaos: $(READY) ## try to break the harness in every way that is known; writes docs/results/chaos.md
	$(BIN)/python -m tools.chaos

bench-data: $(READY) ## measure generating and loading of the synthetic rows
	$(BIN)/harness data generate --size medium
	$(BIN)/harness data load --size medium

published: $(READY) ## run everything on all engines, without and with 5 ms, and write reports/published (FROM=runs/…: of that run)
	$(if $(FROM),,$(BIN)/harness run --engine all --rtt 0,5 --out runs/published)
	$(BIN)/python -m tools.publish $(or $(FROM),runs/published)
	$(BIN)/python -m tools.reference

page-cost: $(READY) ## bytes, elements, first paint and rendering of a report: make page-cost FROM=runs/…
	$(BIN)/python -m tools.page_cost $(FROM)

test: $(READY) ## run all tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope tests scenarios

docs: $(READY) ## build the documentation site in build/site, without the network
	$(BIN)/python -m tools.site

reference: $(READY) ## write the parts of docs that the code decides
	$(BIN)/python -m tools.reference

floors: $(READY) ## test the wheel on each installed Python with the lowest and the newest dependencies (needs uv)
	$(BIN)/python -m tools.floors

words: $(READY) ## extract the texts of reports, update and compile their translations
	$(BIN)/python -m tools.words

architecture: $(READY) ## draw the layers of the import contracts into docs/architecture.md
	$(BIN)/python -m tools.architecture

check: $(READY) ## check formatting, lint, types, import contracts, known vulnerabilities and secrets, without the network
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.audit
	$(BIN)/python -m tools.secrets_scan

advisories: $(READY) ## renew what is known about vulnerabilities: make advisories FROM=a checkout of pypa/advisory-database
	$(BIN)/python -m tools.audit --renew $(FROM)

hooks: $(READY) ## have git run these checks, and check the message, before each commit
	$(BIN)/pre-commit install

dist: $(READY) ## build the wheel and the source distribution of the last commit, and check both
	$(BIN)/python -m tools.dist

lock: ## resolve requirements.lock again (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --group docs --group examples --group trial --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## remove the environment, runs and caches
	rm -rf $(VENV) runs .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build dist
