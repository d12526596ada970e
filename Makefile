PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS ?= 300
URL ?= http://127.0.0.1:8000
# What the groups of pyproject.toml include.
training_includes := serve
dev_includes := serve training
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help serve test training lint docs bench faults soak dashboard schemathesis fuzz lock audit image clean

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

serve: $(VENV)/.serve ## install the service and start it on 127.0.0.1:8000
	$(VENV)/bin/python -m app

test: $(VENV)/.dev ## install what the tests need and run them all
	$(VENV)/bin/python -m pytest

training: $(VENV)/.training ## install what training needs: then .venv/bin/earshot train
	@$(VENV)/bin/earshot --help

lint: $(VENV)/.dev ## formatting, lint and types; of the page too, where there is node
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	if command -v npx >/dev/null && [ -f app/web/tsconfig.json ]; then \
		npx --yes --package typescript@5 tsc --project app/web; \
	fi

docs: $(VENV)/.dev ## write the tables of docs/ that come from the code
	$(VENV)/bin/python -m docs.generate

fuzz: $(VENV)/.fuzz ## fuzz each target for FUZZ_SECONDS; what is found is kept in build/fuzz/found
	mkdir -p build/fuzz/found build/fuzz/decoder build/fuzz/multipart build/fuzz/transform
	for target in decoder multipart transform; do \
		$(VENV)/bin/python -m tests.support.fuzz $$target build/fuzz/$$target -keep_seed=1 -timeout=20 \
			-max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/found/ || exit 1; \
	done

bench: $(VENV)/.bench ## measure speed, beside other servers (Linux, needs wrk)
	for what in micro model_only http formats process costs; do \
		$(VENV)/bin/python -m bench.$$what || exit 1; \
	done

faults: $(VENV)/.dev ## kill, fill, damage, drop, dribble, stop and overload real servers (Linux, root)
	$(VENV)/bin/python -m bench.faults

soak: $(VENV)/.dev ## 50,000 requests of every kind, and the memory they take (Linux)
	$(VENV)/bin/python -m bench.soak

dashboard: $(VENV)/.dev ## every panel's queries, asked of Prometheus (Debian's) under load
	$(VENV)/bin/python -m bench.dashboard

schemathesis: $(VENV)/.dev ## thousands of requests to a service, made from its OpenAPI document
	$(VENV)/bin/st run $(URL)/openapi.json --max-examples 100

lock: $(VENV)/.release ## pin what the images install, with hashes (UPGRADE=--upgrade: the newest)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" deploy/lock $(UPGRADE)

audit: $(VENV)/.release ## a bill of materials in build/, and the pins' known vulnerabilities
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" deploy/audit

image: ## build the image without a container engine, run and question it (Debian, as root)
	deploy/prove-image

clean: ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The pip that comes with Python may be older than the groups of pyproject.toml.
$(VENV)/.pip: | $(VENV)/bin/python
	$(PIP) 'pip>=25.1'
	touch $@

$(VENV)/.%: pyproject.toml | $(VENV)/.pip
	$(PIP) --editable . --group $*
	touch $@ $($*_includes:%=$(VENV)/.%)

$(VENV)/.release: | $(VENV)/.pip
	$(PIP) 'cyclonedx-bom>=7' 'pip-audit>=2.9' 'uv>=0.9'
	touch $@
