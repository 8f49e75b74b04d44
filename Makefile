# Everything a newcomer types. Needs Python 3.11 or later and make; the rest comes from the locks, into .venv/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
# An optimised build decides with a tenth less CPU; without one that can make an environment, whatever there is.
PYTHON ?= $(or $(shell for python in python3 /usr/bin/python3; do \
	$$python src/prequal/core/python_build.py 2>/dev/null && echo $$python && break; done),python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
message ?= describe the step
# Tests wait more than they compute: several at a time, each worker with stores of its own.
WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

# Programs in .venv/bin begin with the path of their Python: in a checkout that was moved or copied they would fail.
ifeq ($(shell [ -s .venv/.run ] && [ "$$(cat .venv/.run)" != "$(CURDIR)" ] && echo moved),moved)
$(info · this checkout was moved: .venv is made again)
$(shell rm -rf .venv)
endif

.PHONY: help install run test test-unit test-integration test-e2e test-recovery test-observability test-clients test-tls test-browser screenshots test-image test-containers test-schema test-policies test-mutation coverage lint format lock documents bench bench-soak bench-backlog bench-compare faults bugs prove findings sbom clean \
	migrations-generate migrations-upgrade migrations-downgrade docker-up docker-down docker-logs docker-build

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed: install it, or name it with PYTHON=…"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, and $(PYTHON) is older."; exit 2; }
	@echo "· making .venv"
	@$(PYTHON) -m venv .venv

.venv/.run: requirements/local.txt .venv/bin/python
	@echo "· installing what it runs with (about 20 s)"
	@began=$$SECONDS; $(PIP) install --require-hashes -r requirements/local.txt \
		&& $(PIP) install --no-deps --no-build-isolation -e . \
		&& echo "· installed in $$((SECONDS - began)) s" && echo "$(CURDIR)" > $@

.venv/.develop: requirements/dev.txt .venv/.run
	@echo "· installing what it is developed with (about 30 s)"
	@began=$$SECONDS; { $(BIN)/python -m prequal.local.jars && $(BIN)/python -m prequal.local.kafka_cache_maker; } & caches=$$!; \
		$(PIP) install --no-compile --require-hashes -r requirements/dev.txt && wait $$caches \
		&& echo "· installed in $$((SECONDS - began)) s" && touch $@

install: .venv/.develop ## Install everything into .venv/, and the commit hooks
	@if [ -d .git ]; then $(BIN)/pre-commit install >/dev/null; fi

run: .venv/.run ## Start everything on this machine and decide three applications
	@exec $(BIN)/prequal up

test: .venv/.develop ## The tests, against a real PostgreSQL and a real Kafka of their own
	$(PYTEST) -n 0 tests/e2e
	$(PYTEST)

test-unit: .venv/.develop ## The unit tests: seconds, nothing started
	$(PYTEST) tests/unit

test-unit: WORKERS = 2

test-integration: .venv/.develop ## API and integration tests, against real parts
	$(PYTEST) tests/api tests/console tests/integration tests/local tests/documents tests/ops tests/shipping tests/tool

test-e2e: .venv/.develop ## The whole system, as `prequal up` starts it
	$(PYTEST) -n 0 tests/e2e

test-recovery: .venv/.develop ## The stores fail under the running services, and come back
	$(PYTEST) -n 2 tests/recovery

test-observability: .venv/.develop ## Every alert and every panel, by a real Prometheus and Alertmanager (Debian's packages)
	@command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null || { \
		echo "Prometheus and Alertmanager are needed: apt-get install prometheus prometheus-alertmanager"; exit 2; }
	$(PYTEST) tests/observability

test-clients: .venv/.develop ## Clients of other makers against the API: a JDK HttpClient, curl (Debian's package `curl`)
	@command -v curl >/dev/null || { echo "curl is needed: apt-get install curl"; exit 2; }
	$(PYTEST) -n 2 tests/clients

test-tls: .venv/.develop ## Connections to a PostgreSQL that takes none without TLS (Debian's package `postgresql-15`)
	@[ -x /usr/lib/postgresql/15/bin/initdb ] || { echo "PostgreSQL 15 is needed: apt-get install postgresql-15"; exit 2; }
	$(PYTEST) -n 0 tests/tls

test-browser: .venv/.develop ## The console and the API's pages in a browser without network (Debian's package `chromium`)
	@command -v chromium >/dev/null || { echo "Chromium is needed: apt-get install chromium"; exit 2; }
	$(PYTEST) -n 0 tests/browser

screenshots: .venv/.develop ## Write docs/console/*.webp: each page of the console, light, dark and on a telephone
	@mkdir -p docs/console
	SCREENSHOTS=docs/console $(BIN)/python -m pytest -q -n 0 -p no:randomly \
		tests/browser/test_console_pages.py tests/browser/test_console.py tests/browser/test_try_it.py

test-containers: .venv/.develop ## The shipped image and compose file in podman, as root (Debian's podman, netavark, debootstrap, prometheus)
	@for program in podman runc debootstrap iptables prometheus prometheus-alertmanager; do command -v $$program >/dev/null || { \
		echo "$$program is needed: apt-get install podman runc netavark aardvark-dns iptables debootstrap prometheus prometheus-alertmanager"; exit 2; }; done
	$(PYTEST) -n 0 tests/containers

test-image: .venv/.develop ## The Dockerfile's steps in a plain folder, without an engine
	$(PYTEST) -n 0 tests/image

test-schema: .venv/.develop ## 2,000 requests to each operation of the API, with and without credentials: EXAMPLES=
	EXAMPLES=$(or $(EXAMPLES),2000) $(PYTEST) -n 0 tests/api/test_schema.py

test-policies: .venv/.develop ## 10,000 random policies, each on 100 applications, against a second evaluator: EXAMPLES=
	EXAMPLES=$(or $(EXAMPLES),10000) $(PYTEST) -n 0 tests/unit/domain/policy/test_decisions.py

.venv/.mutation: requirements/mutation.txt .venv/.develop
	@$(PIP) install --no-compile --require-hashes -r requirements/mutation.txt && touch $@

test-mutation: .venv/.mutation ## Change the pure modules, one line at a time: whether a unit test finds it (about half an hour)
	rm -rf mutants
	$(BIN)/mutmut run --max-children $(or $(CHILDREN),2)
	$(BIN)/python -m tools.mutation

coverage: .venv/.develop ## The tests with coverage; fails under the gates of tests/coverage_gates.py
	$(PYTEST) -p tests.coverage_gates

lint: .venv/.develop ## Formatting, lint, types, the packages' borders, drift of the generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools --check
	$(BIN)/python -m observability --check
	$(BIN)/python -m faults.results --check
	$(BIN)/python -m tools.retired_words

format: .venv/.develop ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

documents: .venv/.develop ## Write OpenAPI, AsyncAPI, schema.sql, the .env examples, boards and rules from the code
	$(BIN)/python -m tools
	$(BIN)/python -m tools.schema
	$(BIN)/python -m observability
	$(BIN)/python -m faults.results

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	pyproject.toml
lock: .venv/.develop ## Lock the dependencies again, with hashes
	$(LOCK) -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group build -o requirements/build.txt
	$(LOCK) --extra local --group build -c requirements/runtime.txt -o requirements/local.txt
	$(LOCK) --extra aws -c requirements/runtime.txt -o requirements/aws.txt
	$(LOCK) --extra local --extra aws --group dev -c requirements/local.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group mutation -c requirements/dev.txt -o requirements/mutation.txt

bench: .venv/.develop ## Measure the running system (`make run` in another terminal) beside the bare work's floor: FOR= RECORD=
	$(BIN)/python -m bench.suite --seconds $(or $(FOR),20) $(if $(RECORD),--record $(RECORD))

bench-soak: .venv/.develop ## Load the running system for half an hour: does what it takes level off? MINUTES= RATE= RECORD= PICTURE=
	$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),30) --rate $(or $(RATE),200) \
		$(if $(RECORD),--record $(RECORD)) $(if $(PICTURE),--picture $(PICTURE))

bench-backlog: .venv/.develop ## Freeze the running system's broker, post 100,000, thaw it: how fast they drain
	$(BIN)/python -m bench.backlog

bench-compare: .venv/.develop ## Two variants' CPU and latency as ratios: BASE="folder [NAME=value …]" OTHER="…" RATE= FOR= IDLE=1 COUNT= PAIRS= MOST= RECORD=
	$(BIN)/python -m bench.compare $(if $(BASE),--base $(BASE)) $(if $(OTHER),--other $(OTHER)) \
		--pairs $(or $(PAIRS),7) $(if $(COUNT),--count $(COUNT)) $(if $(RATE),--rate $(RATE)) $(if $(IDLE),--idle) --seconds $(or $(FOR),30) \
		$(if $(MOST),--most $(MOST)) $(if $(RECORD),--record $(RECORD))

faults: .venv/.develop ## Every fault once, then every seeded bug: RUNS=, ONLY=, EXCEPT=, SEED=, SHORT=1, SECONDS=, RECORD=1, RESUME=1
	@$(BIN)/python -m faults.run
	@[ -n "$(ONLY)" ] || $(BIN)/python -m faults.bugs_run

bugs: .venv/.develop ## Every seeded bug, which the checker must see: ONLY=name, CONTROLS=0
	@$(BIN)/python -m faults.bugs_run $(ONLY)

prove: .venv/.develop ## Two minutes to watch: everything is killed again and again under load, and nothing is lost
	@ONLY=random-kills SHOW=1 SECONDS=$(or $(SECONDS),120) $(BIN)/python -m faults.run

SBOM ?= dist/sbom.cdx.json
sbom: .venv/.develop ## What the service runs with, each package with its hashes, in CycloneDX: SBOM=file
	@mkdir -p $(dir $(SBOM))
	$(BIN)/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml --output-reproducible \
		--output-file $(SBOM)

findings: .venv/bin/python ## What libraries and stores of this field do that is easily guessed wrong, run again without our product: ONLY="name …"
	@PYTHON=$(CURDIR)/$(BIN)/python findings/run $(ONLY)

migrations-generate: .venv/.develop ## Begin a migration: make migrations-generate message="what it does"
	@last=$$(ls src/prequal/schema/migrations/versions | grep -oE '^[0-9]{4}' | sort | tail -1); \
		$(BIN)/alembic revision --rev-id $$(printf '%04d' $$((10#$$last + 1))) -m "$(message)"
	@$(BIN)/ruff format --quiet src/prequal/schema/migrations/versions

migrations-upgrade: .venv/.run ## Bring the database of DATABASE_URL up to date
	$(BIN)/prequal migrate

migrations-downgrade: .venv/.run ## Take the database of DATABASE_URL one step back
	$(BIN)/prequal migrate --down -1

COMPOSE = command -v docker >/dev/null || { echo "$@ needs Docker with compose; \`make run\` needs neither."; exit 2; }; \
	docker compose version >/dev/null 2>&1 || { echo "$@ needs Docker's compose plugin, which this docker lacks: install docker-compose-plugin, or use \`make run\`."; exit 2; }; \
	docker compose --env-file docker.env

DOCKER_PASSWORDS = POSTGRES GRAFANA API_DATABASE CREDIT_DATABASE DECISION_DATABASE PUBLISHER_DATABASE CONSOLE_DATABASE OPERATOR_DATABASE

.PHONY: docker.env
docker.env: | .venv/.run
	@[ -e $@ ] || { (umask 077; touch $@); echo "· made docker.env, with secrets of your own: keep it, the data cannot be read without it"; }
	@{ $(BIN)/prequal keys generate; for name in $(DOCKER_PASSWORDS:=_PASSWORD); do \
		echo "$$name=$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; done; } | while read -r line; do \
		grep -q "^$${line%%=*}=" $@ || echo "$$line" >> $@; done

docker-build: docker.env ## Build the image
	@$(COMPOSE) build

docker-up: docker.env ## Start the whole system in containers, with Prometheus and Grafana
	@$(COMPOSE) up --build --detach --wait

docker-down: docker.env ## Stop the containers; the data stays
	@$(COMPOSE) down

docker-logs: docker.env ## Follow the containers' logs
	@$(COMPOSE) logs --follow --tail 100

clean: ## Remove data, logs and caches (not .venv/)
	rm -rf mutants .prequal .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
