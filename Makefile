# make demo    watch a takeover and a return with real packets (installs what it needs)
# make test    run every test (installs what it needs)
# make lint    ruff and mypy
# make sim     live through SEEDS seeds of the simulated world on all cores
# make clean   remove what the above have made here

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SANDBOX := tests/lab/sandbox
PYTEST := $(RUN) -m pytest
WORKERS ?= 3

SEEDS ?= 1000

.PHONY: demo test test-core test-lab sim lint clean

demo: $(VENV)/ready
	$(SANDBOX) $(RUN) -m tests.lab.demo

# In two rounds, so that arithmetic does not steal time from what is measured in milliseconds.
.NOTPARALLEL:
test: lint test-core test-lab

test-core: $(VENV)/ready
	$(SANDBOX) $(PYTEST) -n 2 --ignore tests/lab

test-lab: $(VENV)/ready
	$(SANDBOX) $(PYTEST) -n $(WORKERS) --dist worksteal tests/lab

sim: $(VENV)/ready
	$(RUN) -m tests.sim --seeds $(SEEDS)

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/ready: setup.cfg pyproject.toml
	@PYTHON=$(PYTHON) tests/prepare
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo 'Installing Python packages into $(VENV), which takes about a minute'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
