PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS ?= 300
URL ?= http://127.0.0.1:8000
# What the groups of pyproject.toml include.
fit_includes := serve
training_includes := serve fit
dev_includes := serve fit training
mutants_includes := serve fit training dev
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help serve test install-fit install-training lint docs mutants bench faults soak dashboard schemathesis fuzz lock audit image clean hostile

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

serve: $(VENV)/.serve ## install the service and start it on 127.0.0.1:8000
	$(VENV)/bin/python -m app

test: $(VENV)/.dev ## install what the tests need and run them all
	$(VENV)/bin/python -m pytest

install-fit: $(VENV)/.fit ## install what `earshot fit` needs: no torch

install-training: $(VENV)/.training ## install what training needs, without CUDA where no GPU is found

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

mutants: $(VENV)/.mutants ## change the code of keys, limits, admission and forms (of those changed since SINCE)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" deploy/mutants $(SINCE)

bench: $(VENV)/.bench ## measure speed, beside other servers (Linux, needs wrk)
	for what in micro model_only http formats process costs; do \
		$(VENV)/bin/python -m bench.$$what || exit 1; \
	done

faults: $(VENV)/.dev ## kill, fill, damage, drop, dribble, stop and overload real servers (Linux, root)
	$(VENV)/bin/python -m bench.faults

hostile: $(VENV)/.dev ## attack real servers, as one anonymous client can (Linux)
	$(VENV)/bin/python -m bench.hostile

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

# What the images pin, without hashes, which pip would want of all packages.
$(VENV)/pins.txt: requirements.lock | $(VENV)/.pip
	sed -nE 's/^([A-Za-z0-9._-]+==[^ ]+).*/\1/p' $< >$@

$(VENV)/.%: pyproject.toml $(VENV)/pins.txt | $(VENV)/.pip
	$(PIP) --constraint $(VENV)/pins.txt --editable . --group $*
	touch $@ $($*_includes:%=$(VENV)/.%)

# uv knows where PyTorch keeps its wheels without CUDA, which are 4 GB less, and shows progress.
UV_INSTALL := $(VENV)/bin/uv pip install --python $(VENV)/bin/python --constraint $(VENV)/pins.txt
$(VENV)/.training: pyproject.toml $(VENV)/pins.txt | $(VENV)/.pip
	$(PIP) 'uv>=0.9'
	$(UV_INSTALL) --torch-backend auto --editable . --group training || { \
		echo "PyTorch's own index is out of reach: this is its wheel from PyPI, with CUDA"; \
		$(UV_INSTALL) --editable . --group training; }
	touch $@ $(training_includes:%=$(VENV)/.%)

$(VENV)/.release: | $(VENV)/.pip
	$(PIP) 'cyclonedx-bom>=7' 'pip-audit>=2.9' 'uv>=0.9'
	touch $@
