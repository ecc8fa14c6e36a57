from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.processes.children import database_environment, running_process
from catalog.benchmarks.sandbox.isolation import isolated_cache

SAY_DATABASE = "import json; from django.conf import settings; print(json.dumps(settings.DATABASES), end='')"
HANG = "import sys; sys.stderr.write('I am thinking.'); sys.stderr.flush(); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with isolated_cache():
        yield


@pytest.mark.django_db
def test_a_process_has_the_database_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a URL has them that says ?sslmode=require&conn_max_age=7, or names a socket.
    database = connection.settings_dict
    monkeypatch.setitem(database, "OPTIONS", {"sslmode": "require", "pool": {"min_size": 2}})
    monkeypatch.setitem(database, "CONN_MAX_AGE", 7)
    monkeypatch.setitem(database, "HOST", "/Var/run")
    monkeypatch.setitem(database, "NAME", "shop")

    with running_process(["-c", SAY_DATABASE], tmp_path / "log") as process:
        found = process.report(timeout_seconds=30)["default"]

    wanted = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS", "CONN_MAX_AGE")
    assert {name: found[name] for name in wanted} == {name: database[name] for name in wanted}


@pytest.mark.django_db
def test_what_is_changed_is_changed_for_the_process_alone() -> None:
    before = json.dumps(connection.settings_dict, default=str)

    told = json.loads(database_environment(NAME="elsewhere")["BENCH_DATABASE"])

    assert told["NAME"] == "elsewhere"
    assert json.dumps(connection.settings_dict, default=str) == before


def test_a_process_that_hangs_at_its_start_is_given_up(tmp_path: Path) -> None:
    with (
        running_process(["-c", HANG], tmp_path / "log") as process,
        pytest.raises(BenchmarkError, match=r"did not answer within 0\.5 s\."),
    ):
        process.wait_until_ready(timeout_seconds=0.5)


@pytest.mark.parametrize("code", ["", "print('hello', flush=True); import sys; sys.stdin.read()"])
def test_a_process_that_is_not_ready_is_an_error_and_is_not_waited_for(code: str, tmp_path: Path) -> None:
    with (
        running_process(["-c", code], tmp_path / "log") as process,
        pytest.raises(BenchmarkError, match="A process of the benchmark failed"),
    ):
        process.wait_until_ready()
