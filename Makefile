# Two commands matter: `make demo` and `make test`. Both set up all they need by `make setup`.
# Caches live in one folder, $ROLLGUARD_CACHE (by default ~/.cache/rollguard); nothing else is left in your home.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

CACHE := $(or $(ROLLGUARD_CACHE),$(HOME)/.cache/rollguard)
export ROLLGUARD_CACHE := $(CACHE)
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# sshd lies in /usr/sbin; servers that the machine lacks are unpacked into the cache.
export PATH := $(PATH):/usr/sbin:/sbin:$(CACHE)/bin

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
UV ?= $(or $(shell command -v uv),$(CACHE)/uv/bin/uv)

.PHONY: help setup tools servers demo demo-pipeline test lint format prometheus3 cluster-stack test-cluster demo-cluster chart bench lock clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMPS)/project servers ## make .venv with the rollguard command in it, and find the servers
	@echo "Ready: $(BIN)/rollguard"

tools:
	@[ -n "$(PYTHON)" ] || { echo "Rollguard needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3." >&2; exit 1; }
	@version=$$(git version 2>/dev/null | awk '{ print $$3 }'); \
	[ "$$(printf '%s\n' 2.38 "$${version:-0}" | sort -V | head -n 1)" = 2.38 ] || \
	{ echo "Rollguard needs git 2.38 or newer; this machine has $${version:-none}: install it and try again." >&2; exit 1; }

# Debian ships venv without pip unless python3-venv is installed; then pip comes from its package, unpacked.
$(STAMPS)/venv: | tools
	@if [ -e $(VENV) ] && ! $(BIN)/python -c '' 2>/dev/null; then rm -rf $(VENV); fi
	@echo "Making $(VENV)"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV); \
	else \
		wheel=$$(tests/servers/fetch_debian.sh pip-wheel); \
		$(PYTHON) -m venv --without-pip $(VENV); \
		$(BIN)/python "$$wheel/pip" install --quiet --no-index "$$wheel"; \
	fi
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/locked: requirements-dev.lock $(STAMPS)/venv
	@echo "Installing the locked packages"
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: -r requirements-dev.lock
	@touch $@

$(STAMPS)/project: pyproject.toml controller/__init__.py $(STAMPS)/locked | tools
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

servers:
	@tests/servers/fetch_debian.sh servers

demo: setup ## the whole loop on this machine: a bad commit is deployed, found and reverted (ARGS=--keep)
	@$(BIN)/rollguard demo $(ARGS)

demo-pipeline: setup ## promotions on this machine: dev, staging, production through a real Gitea (built once; needs go; ARGS=--keep)
	@command -v gitea >/dev/null || tests/servers/build_cluster.sh gitea
	@$(BIN)/rollguard demo --pipeline $(ARGS)

demo-cluster: ## the whole loop in a cluster of its own (needs docker, kind, kubectl and helm; charts/demo/demo.sh down removes it)
	@charts/demo/demo.sh

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## lint, then all tests on real servers (ARGS="-k name")
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

format: setup ## let ruff put things in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

prometheus3: ## build Prometheus 3 into the cache, so that the tests run against it as well
	@if command -v go >/dev/null; then tests/servers/build_prometheus3.sh; \
	else echo "Go is not on PATH: Prometheus 3 is not built, the tests run against the Prometheus on PATH alone."; fi

cluster-stack: tools ## build a real API server, Argo CD, Flux and a forge into the cache (17 minutes, once; needs go)
	@tests/servers/build_cluster.sh all

test-cluster: setup cluster-stack ## the tests on a real cluster (ARGS="-k name")
	$(BIN)/pytest tests/cluster $(ARGS)

chart: setup ## make the parts of the Helm chart that follow from the models
	$(BIN)/python -m charts.generate

bench: setup ## the figures of the README, measured here
	@for benchmark in $$(grep -l __main__ benchmarks/*.py); do \
		name=$$(basename "$$benchmark" .py); echo "== $$name"; $(BIN)/python -m "benchmarks.$$name"; \
	done

$(CACHE)/uv/bin/uv: | tools
	@$(PYTHON) -m venv $(CACHE)/uv
	@$(CACHE)/uv/bin/pip install --quiet uv

lock: | $(UV) ## pin all dependencies anew (ARGS=--upgrade for newer versions)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--group dev pyproject.toml --output-file requirements-dev.lock $(ARGS)

clean: ## remove what was made here (the cache stays)
	rm -rf $(VENV) dist build mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find controller tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo "The cache is kept: $(CACHE)"
