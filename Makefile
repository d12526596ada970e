PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve test lint bench clean

serve: $(VENV)/.service ## install the service and start it on 127.0.0.1:8000
	$(VENV)/bin/python -m app

test: $(VENV)/.dev ## install what the tests need and run them all
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.dev ## formatting, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

bench: $(VENV)/.dev ## measure speed, beside other servers (needs wrk)
	$(VENV)/bin/python -m benchmarks.micro
	$(VENV)/bin/python -m benchmarks.http

clean: ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.service: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[training,dev]'
	touch $(VENV)/.service $@
