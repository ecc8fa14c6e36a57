# Each target makes the virtual environment and installs what it needs.
#   make demo         fill a catalogue, measure the API with and without its cache
#   make test         run the tests
#   make soak         count stale answers of real servers for a minute
#   make run          serve the shop on http://127.0.0.1:8000/
# Another Python: make test PYTHON=python3.13 VENV=.venvs/3.13

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MANAGE = $(BIN)/python manage.py
ARGS ?=

.PHONY: help demo test soak run bench redis-cli lint picture measurements stop clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/run.stamp
	$(MANAGE) demo $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --maxprocesses 2 $(ARGS)

soak: $(VENV)/run.stamp
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) bench_freshness --seconds 30 $(ARGS)

run: $(VENV)/run.stamp
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) runserver $(ARGS)

bench: $(VENV)/run.stamp
	$(MANAGE) bench_cache $(ARGS)

redis-cli: $(VENV)/run.stamp
	$(MANAGE) private_redis cli

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MANAGE) makemigrations --check --dry-run
	DEBUG=off HTTPS=on ALLOWED_HOSTS=shop.example.com \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	$(MANAGE) check --deploy --fail-level WARNING

# README's picture and the figures of docs/measurements.md.
picture: $(VENV)/run.stamp
	$(MANAGE) bench_cache --requests 500 --format svg --output docs/bench_cache.svg

measurements: $(VENV)/run.stamp
	$(MANAGE) bench_cache --requests 1000
	$(MANAGE) bench_freshness --seconds 15
	$(MANAGE) bench_seeding --rounds 9

stop:
	@if [ -x $(BIN)/python ]; then $(MANAGE) private_redis stop; fi

clean: stop
	rm -rf .venv .venvs .pytest_cache .hypothesis .mypy_cache .ruff_cache .redis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	{ echo "No virtual environment could be made. On Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
