# `make` prints this menu. Needs bash and Python 3.11 or 3.12; nothing here needs root but `make services`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := menu

PYTHON ?= python3.11
PIP := .venv/bin/pip install --quiet --disable-pip-version-check
PY := .venv/bin/python
SCRIPTS := tools/build-dashboards tools/print-docs tools/print-licences tools/take-screenshots
SHELL_SCRIPTS := .ci/run tools/install-test-services tools/smoke-old-pysqream packaging/debian/postrm packaging/debian/prerm
# The variable silences an advertisement against a later MkDocs.
SITE := NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

.PHONY: menu
menu:
	@echo "make demo [SECONDS=20]   see it work: an emulated SQream, a small log store, the real shipper"
	@echo "make test [TESTERS=3]    everything: check, then all tests with coverage, in so many processes"
	@echo "make check               format, lint of all that can be linted, types, import floors, fresh documentation"
	@echo "make audit               ask on the network which dependencies have known vulnerabilities"
	@echo "make unit                the unit tests alone"
	@echo "make prove [MINUTES=10] [SEED=7]   kill and starve the program, and count what was lost; see docs/proof.md"
	@echo "make fuzz [EXAMPLES=20000]         feed it rubbish for as long as it takes"
	@echo "make bench               measure; see docs/bench.md"
	@echo "make docs                reprint the generated tables of the documentation, and build its site into site/"
	@echo "make docs-check          fail when one of them is stale, or the site cannot be built without a warning"
	@echo "make screenshots         take the pictures of the documentation anew"
	@echo "make lock                pin all requirements with hashes in requirements.lock, and list their licences"
	@echo "make package             wheel and source distribution in dist/"
	@echo "make setup               the virtual environment .venv (PYTHON=$(PYTHON)) for all of this"
	@echo "make smoke-old-pysqream  the SQream source with pysqream 5.0.0 and 5.3.0"
	@echo "make clean               remove the environment and all caches"

# Stamps beside the environment, so that pip runs only when the requirements changed.
.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt | .venv/bin/pip
	$(PIP) -r requirements.txt
	touch $@

.venv/develop.stamp: requirements.txt requirements-dev.txt | .venv/bin/pip
	$(PIP) -r requirements-dev.txt
	touch .venv/run.stamp $@

.PHONY: setup
setup: .venv/develop.stamp

.PHONY: demo
demo: .venv/run.stamp
	$(PY) main.py demo $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: services
services:
	tools/install-test-services

# Most tests that take long wait for something. Those of a file, which share their servers, stay together. A test that
# fails beside others is tried once more alone: that the machine was busy is no fault of the program.
TESTERS ?= 3
.PHONY: test
test: setup services check
	$(PY) -m pytest -q -m quiet --cov --cov-report=
	$(PY) -m pytest -n $(TESTERS) --dist loadfile -m "not quiet" --cov --cov-append --cov-report=term:skip-covered || \
		$(PY) -m pytest --last-failed --last-failed-no-failures none

.PHONY: check
check: setup
	.venv/bin/ruff format --check . $(SCRIPTS)
	.venv/bin/ruff check . $(SCRIPTS)
	.venv/bin/mypy shipper tests main.py
	.venv/bin/mypy --scripts-are-modules $(SCRIPTS) tools/site_hooks.py
	.venv/bin/lint-imports
	.venv/bin/bandit --quiet --recursive --configfile pyproject.toml shipper
	.venv/bin/shellcheck $(SHELL_SCRIPTS)
	.venv/bin/hadolint Containerfile
	.venv/bin/yamllint --strict .
	.venv/bin/codespell
	$(PY) tools/build-dashboards --check
	$(MAKE) --no-print-directory docs-check

.PHONY: lock
lock: setup
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links requirements.txt --output-file requirements.lock
	$(PY) tools/print-licences

.PHONY: package
package: setup
	$(PY) -m build --no-isolation

# Asks a database of known vulnerabilities on the network, so it is no part of `check`.
.PHONY: audit
audit: setup
	$(PIP) "pip-audit>=2.10,<3"
	.venv/bin/pip-audit --local

.PHONY: unit
unit: setup
	$(PY) -m pytest -q tests/unit

.PHONY: prove
prove: setup
	$(PY) -m tests.prove $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

EXAMPLES ?= 20000
.PHONY: fuzz
fuzz: setup
	FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -q tests/fuzz --timeout 0

.PHONY: bench
bench: setup
	$(PY) -m tests.bench

.PHONY: docs
docs: setup
	$(PY) tools/print-docs
	$(SITE)

.PHONY: docs-check
docs-check: setup
	$(PY) tools/print-docs --check
	$(SITE)

.PHONY: screenshots
screenshots: setup
	$(PY) tools/take-screenshots

.PHONY: smoke-old-pysqream
smoke-old-pysqream: setup
	tools/smoke-old-pysqream

.PHONY: clean
clean:
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
