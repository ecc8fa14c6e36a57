# The targets share one virtual environment. The first target that needs it creates it.
#   make demo         fill a catalogue, measure the API with and without its cache
#   make run          serve the shop on http://127.0.0.1:8000/
#   make bench        measure the API with and without its cache
#   make soak         random writes, kills and faults of Redis against the engine, for a minute
#   make freshness    count stale answers of real servers for a minute
#   make redis-cli    open redis-cli on the private Redis
#   make stop         end the private Redis
#   make test         run the tests: several minutes
#   make wheel-test   try the wheel of the read cache in a new project
#   make lint         ruff, mypy, and Django's own checks
#   make mutants      plant 300 faults in engine and detectors, count those the tests notice (an hour)
#   make measurements measure docs/measurements.md and its pictures anew
#   make clean        remove the virtual environment and all caches, but not the database
# Pass options to a command: make bench ARGS="--requests 500"
# Another Python: make test PYTHON=python3.13 VENV=.venvs/3.13

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MANAGE = $(BIN)/python manage.py
ARGS ?=
EFFORT ?= --thorough
MEASURED ?= .measured
DOCS ?= docs

TARGETS = help demo test wheel-test mutants soak freshness run bench redis-cli lint measurements stop clean
.PHONY: $(TARGETS)

# make takes every word for a target: "make run 8001" would serve on port 8000, then fail.
UNKNOWN = $(filter-out $(TARGETS) %.stamp,$(MAKECMDGOALS))
ifneq ($(UNKNOWN),)
$(error There is no target $(firstword $(UNKNOWN)). make help lists the targets. \
Pass options to a command like this: make run ARGS="8001")
endif

# An environment is made anew if it no longer works: its Python, its pip or Django was removed.
ifneq ($(wildcard $(VENV)/run.stamp $(VENV)/dev.stamp),)
DAMAGED := $(shell $(BIN)/python -c 'import django, pip' >/dev/null 2>&1 || echo yes)
ifeq ($(DAMAGED),yes)
$(shell rm -f $(VENV)/*.stamp)
endif
endif

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/run.stamp
	$(MANAGE) demo $(ARGS)

# Four workers on two processors: each waits part of the time for processes that it has started.
test: $(VENV)/dev.stamp
	$(MANAGE) test --parallel 4 -- $(ARGS)

# Another draw: make mutants ARGS="--seed 1". It works in copies; the working tree stays as it is.
mutants: $(VENV)/dev.stamp
	$(BIN)/python -m tools.mutants $(ARGS)

# For an hour, with a seed: make soak ARGS="--seconds 3600 --seed 1". On PostgreSQL: set DATABASE_URL.
soak: $(VENV)/run.stamp
	PYTHONPATH=readcache/tests $(BIN)/python -m soak $(ARGS)

freshness: $(VENV)/run.stamp
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) bench_cache freshness --thorough --fail-under 'readcache.freshness.stale = 0' \
	--fail-under 'readcache.freshness.uncommitted = 0' $(ARGS)

run: $(VENV)/run.stamp
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) runserver $(ARGS)

bench: $(VENV)/run.stamp
	$(MANAGE) bench_cache $(ARGS)

redis-cli: $(VENV)/run.stamp
	$(MANAGE) private_redis cli

wheel-test: $(VENV)/dev.stamp
	$(BIN)/python -m tools.wheel

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file readcache/tests/mypy.ini
	$(BIN)/lint-imports --no-cache
	$(MANAGE) makemigrations --check --dry-run
	DEBUG=off HTTPS=on ALLOWED_HOSTS=shop.example.com \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	$(MANAGE) check --deploy --fail-level WARNING

# docs/measurements.md with its pictures, README's among them, from one run that stays in $(MEASURED).
# A trial elsewhere: make measurements EFFORT=--quick DOCS=/tmp/docs MEASURED=/tmp/measured
# The catalogue is the one that make demo fills, in a database of its own.
measurements: export DATABASE_URL = sqlite:///$(MEASURED)/shop.sqlite3
measurements: $(VENV)/run.stamp
	@mkdir -p $(MEASURED)
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) loaddata catalog
	$(MANAGE) seed_products
	$(MANAGE) bench_cache all $(EFFORT) --format json --output $(MEASURED)/run.json
	$(BIN)/python -m tools.measurements seeding --rounds 9 > $(MEASURED)/seeding.json
	$(BIN)/python -m tools.measurements page --run $(MEASURED)/run.json --seeding $(MEASURED)/seeding.json \
	--docs $(DOCS)

stop:
	@if [ -x $(BIN)/python ]; then $(MANAGE) private_redis stop; fi

# It also removes an environment that does not work, in which nothing can be stopped. The socket of a
# server that still runs stays, so that make stop finds the server.
clean:
	@$(MAKE) --no-print-directory stop || true
	@if [ -f $(VENV)/pyvenv.cfg ]; then echo "rm -rf $(VENV)"; rm -rf $(VENV); fi
	rm -rf .venv .venvs .mutants .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@if [ -S .redis/redis.sock ]; then echo "The private Redis was not stopped: .redis stays." >&2; \
	else rm -rf .redis; fi
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp, because venv creates bin/python before it can fail. An environment that works is kept.
$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(WRITABLE)
	@[ '$(DAMAGED)' != yes ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	$(PYTHON) -m venv $$(if [ -f $(VENV)/pyvenv.cfg ]; then echo --clear; fi) $(VENV) || \
	{ echo "No virtual environment could be made. On Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/run.stamp: requirements.txt | $(VENV)/venv.stamp
	@$(WRITABLE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt | $(VENV)/venv.stamp
	@$(WRITABLE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

WRITABLE = mkdir -p $(VENV) 2>/dev/null && [ -w $(VENV) ] || \
	{ echo "You may not write to $(abspath $(VENV)). Copy the project to a folder of yours:" \
	"cp -R $(CURDIR) ~/shop; cd ~/shop; make $(MAKECMDGOALS)" >&2; exit 1; }
