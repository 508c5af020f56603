# Everything sets itself up: a virtual environment from the hashed lock, made once, remade when the lock changes.
# ARGS passes options on:  make demo ARGS="--exit --json"   make test ARGS="-k idle_warning"

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PEERS := .venv-bench/ready

.PHONY: help demo quick test coverage covered check audit format bench clients client-types chaos observability outlines lock clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "notifier needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What the benchmarks' peers need and we don't: Celery, Apprise, psycopg. No dependency of ours may bend to theirs.
$(PEERS): bench/requirements.lock
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench/requirements.lock
	@touch $@

demo: $(READY)  ## charging sessions become messages, on this machine, with nothing else installed
	$(BIN)/notifier demo $(ARGS)

# Every core tests, a file at a time: what a file's tests share they needn't make again.
PARALLEL := --numprocesses auto --dist loadfile
# What is pure: plain data in, plain data out. A test here starts no server, opens no database and waits for nothing.
PURE := tests/domain tests/policy tests/ocpi tests/rendering tests/test_private_parts.py
# Of the lines of what is measured so many in a hundred are run by the suite, or it fails; on all servers it runs 94, and
# without one nothing runs what is about buckets.
COVERED := 90
# What breaks a system is run by the faults, and those aren't measured. MEASURE=1 has any tests note what they run.
MEASURED := python -m slipcover --source notifier,workers --omit "notifier/chaos/*" --json --out .coverage.json -m pytest
PYTEST := $(BIN)/$(if $(MEASURE),$(MEASURED),pytest)

quick: check  ## before a commit: check, and the tests of what is pure; 40 seconds on two cores
	$(BIN)/pytest --quiet $(PARALLEL) $(PURE) $(ARGS)

test: $(READY)  ## the whole suite on the embedded default; servers by NOTIFIER_TEST_*; ARGS="tests/api -k stop" is a part
ifeq ($(ARGS),)
	$(PYTEST) $(PARALLEL) --ignore tests/faults
	$(BIN)/pytest tests/faults # alone on the machine: what they demand is partly about time
else
	$(PYTEST) $(PARALLEL) $(ARGS)
endif

coverage: $(READY)  ## how much of the code the suite runs, but for the faults, with a floor; whether tests pass is said by `make test`
	-$(MAKE) test MEASURE=1 ARGS="--hypothesis-profile ci --ignore tests/faults $(ARGS)"
	$(MAKE) covered

covered: $(READY)  ## how much of the code was run by the last `make test MEASURE=1`, with a floor
	$(BIN)/python -m slipcover --skip-covered --fail-under $(COVERED) --json --out .coverage.json --merge .coverage.json

check: $(READY)  ## lint, format, strict types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(READY)  ## no version in the production lock was withdrawn by its authors (pip-audit tells known vulnerabilities)
	@told=$$($(BIN)/pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --no-deps --require-hashes \
	  -r requirements.lock 2>&1) && ! echo "$$told" | grep -A 1 yanked

format: $(READY)  ## put the code in its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clients: $(READY)  ## holds the clients of every language against clients/behaviour.toml; ARGS="java" for one
	$(BIN)/python -m clients $(ARGS)

client-types: $(READY)  ## the types of events' data in clients/ anew from the OpenAPI document
	$(BIN)/python -m clients.generate

bench: $(READY) $(PEERS)  ## events/s, latencies, CPU and peers at the same job, on real servers (docs/performance.md)
	$(BIN)/python -m bench $(ARGS)

chaos: $(READY)  ## every fault scenario on the embedded default; ARGS="--short" for the short form
	$(BIN)/notifier chaos all --json $(ARGS)

observability: $(READY)  ## the Grafana dashboard and Prometheus' alerts anew from deploy/observability.py
	$(BIN)/python deploy/observability.py

outlines: $(READY)  ## the map's outlines anew from Natural Earth, by way of npm's world-atlas (needs npm)
	folder=$$(mktemp -d) && cd $$folder && tar --extract --gzip --file $$(npm pack --silent world-atlas@2.0.2) && cd - && \
	  $(BIN)/python deploy/outlines.py $$folder/package/countries-50m.json; rm -r $$folder

LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate
lock: ## requirements*.lock and bench/requirements.lock anew from pyproject.toml (needs uv)
	$(LOCK) --group build -o requirements.lock pyproject.toml
	$(LOCK) --group build --extra tracing --constraint requirements.lock -o requirements-tracing.lock pyproject.toml
	$(LOCK) --group build --extra mcp --constraint requirements.lock -o requirements-mcp.lock pyproject.toml
	$(LOCK) --group dev --extra tracing --extra mcp --constraint requirements.lock -o requirements-dev.lock pyproject.toml
	$(LOCK) --group bench --constraint requirements-dev.lock -o bench/requirements.lock pyproject.toml

clean:  ## remove what make made
	rm -rf .venv .venv-bench .coverage.json
