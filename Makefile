# One verb for each thing to do with this tree, the same here and in CI: `make help` lists them.
#
# Everything is installed into .venv. `install` puts there what serving needs, `dev` all that working on Naiad needs;
# stamps inside .venv say which lock file was installed, so that nothing is installed twice. Neither needs root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export ORT_DISABLE_TELEMETRY := 1
.DELETE_ON_ERROR:

# The first Python that is new enough; `make PYTHON=/path/to/python install` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done; true)
# Further arguments for serve, test, bench, drill, mutants, image-test and wheel: `make test ARGS="-k pool"`.
ARGS ?=
# Further arguments for lock: `make lock LOCK_ARGS=--upgrade`.
LOCK_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A development install holds all that serving needs.
INSTALLED := $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.serve)
# What tests run that is no Python package; a copy of the tree without its tests needs none of it.
PEERS := $(if $(wildcard tests/tools),$(BIN)/perf_analyzer $(BIN)/prometheus)
# The native part of the server, where there is a Rust toolchain, and what it is made from.
CARGO := $(if $(wildcard server/native/Cargo.toml),$(shell command -v cargo))
NATIVE := $(if $(CARGO),server/naiad/_native.abi3.so)
CRATE := $(if $(CARGO),setup.py $(shell find server/native -name target -prune -o -type f -print))

.PHONY: help install dev serve test check bench drill mutants image-test wheel samples docs proto format lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) $(NATIVE) ## build .venv with the naiad command, for serving on the CPU

dev: $(VENV)/.dev $(NATIVE) $(PEERS) ## build .venv with all that the other verbs need

serve: install ## serve the sample repository
	$(BIN)/naiad serve --model-repository model_repository $(ARGS)

test: dev ## run the tests
	$(BIN)/python -m pytest $(ARGS)

check: dev ## lint, types, import directions, formatting, compiled protos, generated tables
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check
	$(BIN)/python docs/generate.py --check
	$(call IN_CRATE,cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings)

bench: dev ## measure against bare references, in one run
	$(BIN)/python -m benchmarks.run $(ARGS)

drill: dev ## run the tests that break things on purpose
	$(BIN)/python -m pytest -m drill $(ARGS)

mutants: dev ## break the code on purpose; each break must turn a test red
	$(BIN)/python tests/mutants/run.py $(ARGS)

image-test: dev ## build the container images for real and serve from them; needs root on Debian
	$(BIN)/python -m tests.image $(ARGS)

wheel: dev $(VENV)/.wheel ## build a wheel for every Linux of this machine's kind into dist/, and try it; needs Rust
	$(BIN)/python -m tests.packaging.wheel $(ARGS)

samples: dev ## train the models of model_repository anew
	$(BIN)/python model_repository/train.py

docs: dev ## write the tables of docs/command-line.md from the settings
	$(BIN)/python docs/generate.py

proto: dev ## compile protos/ for the server and the Python client
	$(BIN)/python protos/generate.py

format: dev ## format the code and fix what lint can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(call IN_CRATE,cargo fmt)

# Cargo works on the crate with the Python of .venv; where there is no cargo, a line says that the crate is left out.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
IN_CRATE = $(if $(CARGO),cd server/native && $1,@echo "no cargo in PATH: server/native is left out")

# All are made for every supported Python and platform; what serving pins is what was tested.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
	--custom-compile-command "make lock" $(LOCK_ARGS)
lock: $(BIN)/uv ## pin the dependencies of pyproject.toml in requirements/
	$(LOCK) pyproject.toml --extra cpu --group dev --output-file requirements/dev.lock
	$(LOCK) pyproject.toml --extra cpu --group build --constraint requirements/dev.lock --output-file requirements/serve.lock
	$(LOCK) pyproject.toml --extra gpu --constraint requirements/dev.lock --output-file requirements/gpu.lock
	$(LOCK) --group wheel --constraint requirements/dev.lock --output-file requirements/wheel.lock

clean: ## remove caches and build products; .venv stays
	rm -rf build dist server/*.egg-info server/native/target server/naiad/_native.*.so htmlcov .coverage .coverage.*
	rm -rf clients/python/build clients/python/dist clients/python/src/*.egg-info clients/node/node_modules clients/java/target
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/.created:
	$(if $(PYTHON),,$(error no Python 3.11 or newer found; name one with `make PYTHON=/path/to/python`))
	$(PYTHON) -m venv $(VENV)
	touch $@

# The server and its Python client; the locks have all that either needs.
PACKAGES := --editable . --editable clients/python
PROJECTS := pyproject.toml setup.py clients/python/pyproject.toml
INSTALL := BUILD_NAIAD_NATIVE=never $(PIP) install --no-deps --no-build-isolation $(PACKAGES)

$(VENV)/.serve: requirements/serve.lock $(PROJECTS) | $(VENV)/.created
	$(PIP) install --requirement requirements/serve.lock
	$(INSTALL)
	touch $@

$(VENV)/.dev: requirements/dev.lock $(PROJECTS) | $(VENV)/.created
	$(PIP) install --requirement requirements/dev.lock
	$(INSTALL)
	touch $@

$(VENV)/.build: requirements/serve.lock | $(VENV)/.created
	$(PIP) install --constraint $< setuptools setuptools-rust wheel
	touch $@

# A step of its own, so that cargo is heard. Where it fails, the server does without; it is tried again next time.
server/naiad/_native.abi3.so: $(CRATE) | $(VENV)/.build
	$(BIN)/python setup.py --quiet build_rust --inplace

$(VENV)/.wheel: requirements/wheel.lock | $(VENV)/.dev
	$(PIP) install --requirement $<
	touch $@

# Where its parts cannot be fetched the script leaves nothing, and it is tried again next time.
$(BIN)/perf_analyzer $(BIN)/prometheus: $(BIN)/%: tests/tools/install_%.py tests/tools/installation.py | $(VENV)/.dev
	$(BIN)/python -m tests.tools.install_$*
	[ ! -e $@ ] || touch $@

$(BIN)/uv: | $(VENV)/.created
	$(PIP) install uv
