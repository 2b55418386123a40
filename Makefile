# `make help` says what there is. Everything is installed into .venv, nothing outside this folder is touched.

PYTHON ?= python3
VENV   ?= .venv
# Test processes at a time, and further arguments for pytest: make test PYTEST_ARGS='-m "not slow"'
JOBS        ?= 2
PYTEST_ARGS ?=

# Threads that wait sleep instead of spinning: on cores shared with other work, training is up to ten times faster.
export OMP_WAIT_POLICY ?= PASSIVE

BIN      := $(VENV)/bin
PINS     := requirements/constraints.txt
PIP      := $(BIN)/python -m pip --disable-pip-version-check install --quiet
INSTALLED := $(VENV)/.installed
DEV_READY := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo install test lint format doctor clean clean-venv

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## Install into .venv, then train on simulated fields and draw the result (no GPU, no data)
	$(BIN)/python tools/demo.py

install: $(INSTALLED)  ## Install mmsits into .venv, as a link to this folder

test: $(DEV_READY)  ## Run the tests (JOBS=2 processes)
	@# Several processes share the cores: one thread each is faster than all of them asking for all.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations=10 $(PYTEST_ARGS)

lint: $(DEV_READY)  ## Check style and types (ruff, mypy); changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV_READY)  ## Let ruff put style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

doctor: $(INSTALLED)  ## Look for what is wrong with the installation
	$(BIN)/python tools/doctor.py

clean:  ## Remove caches and build leftovers; .venv, data/ and work_dirs/ stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mmsits tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

clean-venv:  ## Remove .venv (several GB; the next make downloads them again)
	rm -rf $(VENV)

# A stamp is written only after a complete installation, so an interrupted one is taken up again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "mmsits needs Python 3.10 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv." >&2; exit 1; }

$(INSTALLED): pyproject.toml setup.py requirements/runtime.txt $(PINS) | $(BIN)/python
	@echo "Installing mmsits and PyTorch into $(VENV): a few minutes and several GB, once."
	@$(PIP) --editable . --constraint $(PINS) || { \
	  echo "The installation failed; pip's message is above. If it was the network or a full disk, mend that and run" >&2; \
	  echo "make again: it goes on where it stopped. If the environment is broken, run 'make clean-venv' first." >&2; exit 1; }
	@touch $@

$(DEV_READY): requirements/dev.txt $(INSTALLED)
	@$(PIP) --requirement requirements/dev.txt --constraint $(PINS) || { \
	  echo "The test tools could not be installed; pip's message is above. Mend it and run make again." >&2; exit 1; }
	@touch $@
