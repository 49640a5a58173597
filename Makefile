# Every target sets up what it needs: a virtual environment in .venv, and (for browser tests) a Chromium.
PYTHON ?= python3
BIN := .venv/bin
# Node comes with the development packages, so that it is the same everywhere.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix ui
UI := ui/node_modules/.package-lock.json
# What users of Windows import; `remote` runs in devboxes.
AS_ON_WINDOWS := --cache-dir .mypy_cache/win32 --follow-imports silent --exclude runloop_jupyter/remote
# What finds the service and starts it in a container there.
SERVICE_ON_WINDOWS := local/runloop_local/container $(addprefix local/runloop_local/,__main__.py command_line.py serve_command.py service.py service_folder.py)
# Two for each processor: half of the time of a test it waits for a service, a kernel or a page.
TEST_WORKERS = $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
COVERED = $(if $(COVERAGE),--cov --cov-report=)
NOTEBOOK ?= notebooks/quickstart.ipynb
.DEFAULT_GOAL := help
# Compiled code is kept, also where an image says not to: each kernel and service would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help demo lab test test-fast lint ui bench soak docs screens matrix clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(BIN)/.run ## run the quickstart notebook (or NOTEBOOK=...) on the embedded service and show every cell with its output
	@$(BIN)/python scripts/demo.py $(NOTEBOOK)

lab: $(BIN)/.lab ## open the quickstart notebook (or NOTEBOOK=...) in JupyterLab
	@$(BIN)/jupyter lab $(NOTEBOOK)

test: $(UI) ## run every test, browser included, the files side by side: WORKERS=2; COVERAGE=yes
	@scripts/chromium.sh
	@scripts/podman.sh
	@$(NPM) test --silent
	@$(BIN)/pytest --numprocesses $(or $(WORKERS),$(TEST_WORKERS)) --dist loadfile --no-loadscope-reorder $(COVERED)
	@$(if $(COVERAGE),$(BIN)/python -m scripts.coverage_table)

test-fast: $(UI) ## run the tests that need no service, kernel or browser: a minute or so; COVERAGE=yes
	@$(NPM) test --silent
	@$(BIN)/pytest --numprocesses $(or $(WORKERS),auto) --dist loadfile --ignore tests/browser -m "not (service or kernel or browser or exhaustion)" $(COVERED)
	@$(if $(COVERAGE),$(BIN)/python -m scripts.coverage_table)

lint: $(UI) ## ruff and mypy --strict, Biome and tsc; and that what is made of the sources is up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 $(AS_ON_WINDOWS) runloop_jupyter sdk/runloop_sdk $(SERVICE_ON_WINDOWS)
	@$(BIN)/python -m scripts.protocol_types --check
	@$(BIN)/python -m scripts.cell_magics --check
	@$(NPM) run lint --silent
	@$(NPM) run build --silent -- --check

ui: $(UI) ## build the page's side (ui/), JupyterLab extension included, and write its types and docs of the protocol
	@$(BIN)/python -m scripts.protocol_types
	@$(BIN)/python -m scripts.cell_magics
	@$(NPM) run build --silent

bench: $(BIN)/.dev ## the benchmarks, beside what limits them: ROWS=exec,snapshot; RUNS=5; COMPARE=<commit> for pairs
	@$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(if $(RUNS),--runs $(RUNS)) $(if $(COMPARE),--compare $(COMPARE))

soak: $(BIN)/.dev ## look for faults under load, kills, cuts and fuzz: MINUTES=10, SEED=..., SOAK='kills --kills 100'
	@$(BIN)/python -m soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(SOAK)

docs: $(BIN)/.run ## write the pages of docs/magics from what the magics know of themselves
	@$(BIN)/python -m scripts.magics_pages

screens: $(BIN)/.dev ## take the pictures of the docs in JupyterLab: SCENE=panel for some of them
	@scripts/chromium.sh
	@$(BIN)/python -m scripts.screens $(SCENE)

matrix: $(BIN)/.dev ## try each place where notebooks are used, and write docs/where-it-works.md: PLACE=lab-4.4 for some
	@scripts/chromium.sh
	@$(BIN)/python -m scripts.matrix $(PLACE)

clean: ## remove the virtual environment and caches
	@rm -rf .venv ui/node_modules .venv-1.29 .venv-1.32 .venv-lab-4.4 .venv-marimo .matrix .npm-clients .podman .mypy_cache .pytest_cache .ruff_cache

# One stamp per set of packages, so `make demo` does not wait for the test tools.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runloop-jupyter needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# An editable install has a copy of the JupyterLab extension: it is made again when that was built.
$(BIN)/.run: pyproject.toml ui/labextension/package.json | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --reinstall-package runloop-jupyter -e . ipykernel nbclient
	@touch $@

$(BIN)/.lab: $(BIN)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group lab
	@touch $@

$(BIN)/.dev: $(BIN)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@

$(UI): ui/package.json ui/package-lock.json | $(BIN)/.dev
	@$(NPM) ci --silent
	@touch $@
