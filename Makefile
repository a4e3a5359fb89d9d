# Every target makes its own environment; only python3 (3.11 to 3.13) and make are needed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo run test check test-package test-next bench package infra-check docs format lock clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: $(READY) ## onboard five sample tenants on the local stack and show what happened
	$(RUN) -m local demo

run: $(READY) ## serve the local stack until Ctrl-C (PORT, default 7071)
	$(RUN) -m local run

test: check test-package test-next ## everything: checks, tests, the package by itself, the next durable version

check: $(READY) ## format, lint, types, import rules, tests with coverage
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest -n 2 --cov --cov-report=term

test-package: $(READY) ## the package in an environment with nothing but requirements.txt
	$(RUN) -m tests.packaged

test-next: $(READY) ## the orchestrators on azure-functions-durable 2.x, the app in Azure's own worker
	$(RUN) -m tests.next.launch

bench: $(READY) ## cold start and requests for each onboarding
	$(RUN) -m tests.benchmarks

package: $(READY) ## the deployment package, reproducible: dist/onboarding.zip
	$(RUN) -m local package

infra-check: $(READY) ## checkov over infra/, in an environment of its own (a minute to install)
	$(RUN) -m tests.infra.gate

docs: $(READY) ## write the documents and the example settings that are made from the code
	$(RUN) -m local docs

format: $(READY) ## put the code in shape
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: $(READY) ## compile requirements*.in into pinned requirements*.txt
	$(RUN) -m pip install --quiet uv
	for file in requirements requirements-dev; do $(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url --no-emit-find-links $$file.in --output-file $$file.txt; done

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-next .venv-package .venv-infra dist .local .mypy_cache .ruff_cache .hypothesis .coverage*
