# Moorage. `make` alone lists what there is. Every target calls a script of scripts/ that can be run by itself.
.DEFAULT_GOAL := help
SHELL := bash
HOST ?= 127.0.0.1
PORT ?= 5000
ARGS ?=

.PHONY: help setup serve test check format clients conformance bench fuzz crash lock docs tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from the lock (every other target does it by itself)
	@scripts/setup.sh

serve: setup ## run the registry on 127.0.0.1:5000 (HOST=, PORT=, ARGS="--root DIR --workers N")
	@exec .venv/bin/moorage serve --host $(HOST) --port $(PORT) $(ARGS)

test: setup ## unit, contract, http, wire and short crash tests (ARGS= goes to pytest)
	@scripts/test.sh $(ARGS)

check: setup ## lint, format, types, import contract, size budgets, text rules
	@scripts/check.sh

format: setup ## let ruff put the code in form
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

clients: setup ## real docker, containerd, podman, buildah, skopeo, crane, oras, ... against a running server
	@scripts/clients.sh $(ARGS)

conformance: setup ## the OCI distribution-spec conformance suite, with failures, errors and skips all 0
	@scripts/conformance.sh $(ARGS)

bench: setup ## Moorage beside other registries, a table of ratios (QUICK=1 for a short run)
	@.venv/bin/python bench/run.py $(if $(QUICK),--quick,--full) $(ARGS)

fuzz: setup ## random requests, none of which may end in a 5xx (N=200000)
	@.venv/bin/python scripts/fuzz.py --requests $(or $(N),200000) $(ARGS)

crash: setup ## kill and fault tests, all of them (SHORT=1: the part that make test has)
	@scripts/test.sh tests/crash -m $(if $(SHORT),"not long","long or not long") $(ARGS)

lock: ## write the lock files anew (UPGRADE=1 takes the newest releases); needs uv
	@scripts/lock.sh

docs: setup ## check that every link and every make target named in the documents exists
	@.venv/bin/python scripts/check_docs.py

tools: setup ## install the programs that clients, conformance and bench need (root, Debian)
	@scripts/install_tools.sh

clean: ## remove what the other targets made: .venv, caches, built tools
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
