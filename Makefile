# Verbs: install, demo, test, check, bench, up. Each makes the environment it needs.
.PHONY: help install demo test check bench up lock
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Trust what the machine trusts: many sit behind a proxy with a certificate of its own.
export UV_NATIVE_TLS ?= true

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(STAMP) ## Make .venv/ from the locked requirements.

# uv is fetched into the environment where the machine has none, so Python and make are all it takes.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is %d.%d. Set PYTHON=/path/to/python3.11." % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	  $$uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock && \
	  $$uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

demo: install ## Sync demo users through real Dagster runs; CHAIN=anvil reads real EVM nodes instead.
	@$(BIN)/moonx demo $(if $(CHAIN),--chain $(CHAIN))

test: install ## Run the whole suite.
	$(BIN)/pytest

check: install ## Format, lint, types and import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install ## Run the benchmarks; a table, and .moonx/bench.json.
	$(BIN)/moonx bench

up: install ## Run the whole system until Ctrl-C.
	@$(BIN)/moonx up

lock: ## Lock the requirements anew, with hashes.
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra demo-kafka -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --all-extras -c requirements.lock -o requirements-dev.lock pyproject.toml
