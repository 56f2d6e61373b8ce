# Needs Python 3.11 or newer, git and make. Each command installs what it needs into $(VENV) when that is missing or
# older than pyproject.toml.

VENV ?= .venv
PYTHON ?=
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
CHAOS_ARGS ?=

python := $(VENV)/bin/python

# Pyright would ask its registry for a newer version at each run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-newest check format bench chaos chaos-weblog chaos-brokers up down clean
.DELETE_ON_ERROR:
# Two targets may need to install into the same environment.
.NOTPARALLEL:

help: ## Show this text
	@echo 'make TARGET [PYTHON=/path/to/python3] [VENV=.venv]'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.installed ## Analyse simulated web traffic live (DEMO_ARGS="--lines 100000")
	@$(python) -m examples.weblog --demo $(DEMO_ARGS)

test: $(VENV)/.installed-test ## Run all tests (TEST_ARGS="-k window"); those on a real Kafka need Java 17 and Maven
	$(python) -m pytest $(TEST_ARGS)

test-newest: ## Run the tests that are not slow on the newest Python of this machine
	@newest=$$(.ci/pythons | tail -n 1); \
	if [ "$$newest" = "$$(.ci/pythons | head -n 1)" ]; then \
		echo 'This machine has one Python only: make test covers it.'; \
	else \
		version=$$("$$newest" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		$(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$newest" TEST_ARGS='-m "not slow"'; \
	fi

check: $(VENV)/.installed-dev ## Check style, types and layers
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) -m pyright
	$(VENV)/bin/lint-imports --no-logo

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can mend
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

bench: $(VENV)/.installed-test ## Measure throughput and latency
	$(python) -m benchmarks $(BENCH_ARGS)

chaos: $(VENV)/.installed-test ## Kill a job from Kafka to Kafka 2,000 times while its results are read
	$(python) -m tests.kafka.chaos $(CHAOS_ARGS)

chaos-brokers: $(VENV)/.installed-test ## Kill, stop and freeze brokers under a job's load
	$(python) -m tests.kafka.faults $(CHAOS_ARGS)

chaos-weblog: $(VENV)/.installed-test ## Kill the web-log job 100 times and compare its results
	$(python) -m tests.chaos $(CHAOS_ARGS)

need-compose = docker compose version > /dev/null 2>&1 \
	|| { echo 'Docker with Compose 2.6.1 or newer is missing: https://docs.docker.com/compose/install/' >&2; exit 1; }

up: ## Start a Kafka and the job of examples/ad_counts in containers, and wait until they run
	@$(need-compose)
	docker compose up --build --detach --wait

down: ## Stop them; their data stays (`docker compose down --volumes` removes it too)
	@$(need-compose)
	docker compose down

clean: ## Remove the environments, caches and built files
	rm -rf .venv .venv-* build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(python):
	@python='$(PYTHON)'; \
	python=$${python:-$$(.ci/pythons | head -n 1)}; \
	if ! "$${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "streamproc needs Python 3.11 or newer with its venv module (Debian: python3-venv);" \
			"found $${python:-none on PATH}. Name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)

# What is installed: streamproc alone, or with one of its extras.
install = $(python) -m pip install --quiet --disable-pip-version-check --editable

$(VENV)/.installed: pyproject.toml setup.py | $(python)
	@echo 'Installing streamproc into $(VENV)'
	@$(install) .
	@touch $@

$(VENV)/.installed-%: pyproject.toml setup.py | $(python)
	@echo 'Installing streamproc[$*] into $(VENV)'
	@$(install) '.[$*]'
	@touch $@
