# Every target sets up what it needs: a virtual environment in .venv, and (for browser tests) a Chromium.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOK ?= notebooks/quickstart.ipynb
.DEFAULT_GOAL := help
.PHONY: help demo lab test lint bench docs clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(BIN)/.run ## run the quickstart notebook (or NOTEBOOK=...) on the embedded service and show every cell with its output
	@$(BIN)/python scripts/demo.py $(NOTEBOOK)

lab: $(BIN)/.lab ## open the quickstart notebook (or NOTEBOOK=...) in JupyterLab
	@$(BIN)/jupyter lab $(NOTEBOOK)

# Real kernels, a real browser and real processes: on a machine that stalls, one of 3,000 tests may come too late.
# What failed runs once more by itself; both runs are shown, and what fails twice has failed.
test: $(BIN)/.dev ## run every test, browser included
	@scripts/chromium.sh
	@$(BIN)/pytest || $(BIN)/pytest --last-failed --last-failed-no-failures none

lint: $(BIN)/.dev ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(BIN)/.dev ## the benchmarks, beside the official client in the same run
	@$(BIN)/python -m benchmarks

docs: $(BIN)/.run ## write the pages of docs/magics from what the magics know of themselves
	@$(BIN)/python -m scripts.magics_pages

clean: ## remove the virtual environment and caches
	@rm -rf .venv .venv-1.29 .mypy_cache .pytest_cache .ruff_cache

# One stamp per set of packages, so `make demo` does not wait for the test tools.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runloop-jupyter needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/.run: pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -e . ipykernel nbclient
	@touch $@

$(BIN)/.lab: $(BIN)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group lab
	@touch $@

$(BIN)/.dev: $(BIN)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@
