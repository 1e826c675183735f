.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-pure test-fuzz fuzz test-mock test-chart test-kafka test-cluster test-ledger test-failpoints \
  chaos mutants check fmt bench coverage-matrix generate lock tools image sbom test-image test-kubernetes clean clean-tests

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Where it is set, as in many images, each process compiles everything and rewrites every assert again.
unexport PYTHONDONTWRITEBYTECODE

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/setup.stamp  ## Make .venv from the locked requirements; does nothing when it is up to date

.venv/setup.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.13; name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "setup: .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@echo "setup: installing requirements.lock"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "setup: installing erp-connector itself, editable"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: demo  ## The same as demo

demo: setup  ## Start a real Kafka, ingress and worker, send sample callbacks, show the changelog
	$(BIN)/connector demo

test: test-pure test-fuzz test-mock test-chart test-kafka test-cluster  ## All tiers of tests, one after the other; none is skipped silently

test-pure: setup  ## Tests without Kafka: unit, golden, properties, contract
	@echo "test-pure: no Kafka"
	@$(PYTEST) -q -n 2 \
	  -m "not mock and not kafka and not cluster and not slow and not fuzz and not chart and not image and not kubernetes"

test-fuzz: setup  ## Mutated bodies of every source through the pure part; CONNECTOR_TEST_FUZZ of each
	@echo "test-fuzz: $${CONNECTOR_TEST_FUZZ:-100000} mutated bodies of each source"
	@$(PYTEST) -q -n 2 -m fuzz

fuzz: setup  ## For the night: two million mutated bodies of each source, at low priority, with numbers
	@echo "fuzz: $${CONNECTOR_TEST_FUZZ:-2000000} mutated bodies of each source"
	@CONNECTOR_TEST_FUZZ=$${CONNECTOR_TEST_FUZZ:-2000000} nice -n 19 $(PYTEST) -q -n 2 -rP -m fuzz tests/fuzz/test_fuzz_bodies.py

test-mock: setup  ## Our clients under exact protocol faults (librdkafka's mock cluster)
	@echo "test-mock: librdkafka's mock cluster"
	@$(PYTEST) -q -n 2 -m "mock and not slow"

test-chart: tools  ## The Helm chart: rendered, validated, bad values refused
	@echo "test-chart: helm, offline"
	@$(PYTEST) -q -n 2 -m "chart and not kafka"

test-kafka: tools  ## One real broker: CONNECTOR_TEST_BOOTSTRAP, else Docker, else a local JVM
	@echo "test-kafka: one real broker, $${CONNECTOR_TEST_KAFKA:-the first way that works}"
	@$(PYTEST) -q -n 2 --dist loadfile -m "kafka and not cluster and not slow"

test-cluster: setup  ## Real brokers as local JVMs that are killed, paused and cut off
	@echo "test-cluster: three real brokers as local JVMs"
	@$(PYTEST) -q -n 2 --dist worksteal -m "cluster and not slow"

test-ledger: setup  ## 50,000 callbacks, two workers, five kills, and a ledger that accounts for every record
	@CONNECTOR_TEST_LEDGER=$${CONNECTOR_TEST_LEDGER:-50000} $(PYTEST) -q -s tests/integration/test_ledger.py

test-failpoints: setup  ## Die at every failpoint on a real Kafka, and lose nothing
	@$(PYTEST) -q tests/integration/test_failpoints.py

chaos: setup  ## Half an hour of load and faults on three brokers, every record accounted for; CHAOS="--minutes 5 --seed 7"
	@PYTHONPATH=tests/support $(BIN)/python -m tests.chaos $(CHAOS)

mutants: setup  ## Take every guard out of the code once, and see the tests notice
	@CONNECTOR_TEST_KAFKA=$${CONNECTOR_TEST_KAFKA:-jvm} $(BIN)/python tests/support/mutants.py

tools: setup  ## Put helm and promtool into .tools; does nothing when they are there
	@$(BIN)/python helm/tools.py

image: setup  ## Build the image; needs Docker. PYTHON_IMAGE names its base
	@$(BIN)/python helm/image/build.py

sbom: setup  ## Write the bill of materials, CycloneDX
	@$(BIN)/python helm/image/sbom.py dist/sbom.cdx.json

test-image: tools  ## The image as the chart runs it; needs Docker and make image
	@$(PYTEST) -q -s -m image

test-kubernetes: tools  ## The chart in a real cluster; CONNECTOR_TEST_KUBERNETES names the context of kubectl
	@$(PYTEST) -q -s -m kubernetes

check: setup  ## Format, lint, types, import rules, generated files; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/coverage.py --check

fmt: setup  ## Format, and repair what the linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Measure throughput and latency; see benchmarks/
	$(BIN)/python -m benchmarks

coverage-matrix: setup  ## Say for every documented event and requirement which test or page shows it
	$(BIN)/python docs/coverage.py --check

generate: setup  ## Write the schemas and the generated pages of docs/
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/coverage.py

lock: setup  ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --quiet --output-file requirements.lock

clean: clean-tests  ## Remove .venv, caches and everything else that can be made again
	rm -rf .venv build dist htmlcov .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

clean-tests:  ## Remove test containers and networks, and brokers' folders older than an hour
	@if command -v docker >/dev/null && docker info >/dev/null 2>&1; then \
	  docker ps -aq --filter label=org.testcontainers.session-id | xargs -r docker rm -f; \
	  docker network ls -q --filter label=org.testcontainers.session-id | xargs -r docker network rm; fi
	@find "$${TMPDIR:-/tmp}" -maxdepth 1 -name 'erp-connector-kafka-*' -mmin +60 -exec rm -rf {} +
