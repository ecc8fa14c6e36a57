from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial

import psutil
import pytest
from django.db import connection

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.children import Child, database_environment, running_child
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.tests.benchmarks.conftest import children
from catalog.tests.benchmarks.processes.services import Service, failing, hanging, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with isolated_cache():
        yield


@pytest.fixture
def child() -> Iterator[Child[Service]]:
    with running_child(partial(serving, "Ada")) as child:
        child.wait_until_ready()
        yield child


def test_a_child_carries_out_one_order_after_the_other(child: Child[Service]) -> None:
    assert child.ask(Service.greet, greeting="Hello") == "Hello, Ada"
    child.order(Service.greet, greeting="Goodbye")
    assert child.answer() == "Goodbye, Ada"
    assert child.ask(Service.pid) == child.process.popen.pid != os.getpid()


def test_has_answered_tells_whether_an_order_was_carried_out(child: Child[Service]) -> None:
    assert not child.has_answered(within_seconds=0)
    child.order(Service.pid)
    assert child.has_answered(within_seconds=30)
    assert child.answer() == child.process.popen.pid


def test_text_that_a_child_prints_is_not_mistaken_for_an_answer(child: Child[Service]) -> None:
    assert child.ask(Service.print_something) == "printed"
    assert child.ask(Service.greet, greeting="Hello") == "Hello, Ada"


def test_a_child_has_ended_after_the_block() -> None:
    before = children()
    with running_child(serving) as child:
        child.wait_until_ready()
        assert children() - before == {child.process.popen.pid}
    assert children() <= before


def test_an_error_in_a_child_is_reported_with_its_message(child: Child[Service]) -> None:
    with pytest.raises(BenchmarkError, match=r"A process of the benchmark failed\. .*Nothing adds up\."):
        child.ask(Service.fail)
    with pytest.raises(BenchmarkError, match=r"Nothing adds up\."):
        child.ask(Service.pid)


def test_a_child_that_exits_is_reported(child: Child[Service]) -> None:
    with pytest.raises(BenchmarkError, match=r"failed\. It logged nothing\."):
        child.ask(Service.exit_without_a_word)


def test_a_child_that_fails_during_its_start_is_reported_at_once() -> None:
    with (
        running_child(failing) as child,
        pytest.raises(BenchmarkError, match=r"failed\. No more ink\."),
    ):
        child.wait_until_ready()


def test_a_child_that_hangs_during_its_start_is_reported_after_the_timeout() -> None:
    with running_child(hanging) as child:
        with pytest.raises(BenchmarkError, match=r"did not answer within 0\.5 s\."):
            child.wait_until_ready(timeout_seconds=0.5)
        assert not child.process.has_ended()


def test_a_child_ends_if_an_order_takes_longer_than_the_limit() -> None:
    with running_child(serving, patience_seconds=0.3) as child:
        child.wait_until_ready()
        with pytest.raises(BenchmarkError, match=r"did not answer within 0\.3 s\."):
            child.ask(Service.hang)
        assert child.process.popen.wait(timeout=30) == -signal.SIGALRM


def test_a_child_waits_for_the_next_order_without_a_limit() -> None:
    with running_child(serving, patience_seconds=0.3) as child:
        child.wait_until_ready()
        child.ask(Service.pid)
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(child.process.popen.pid).wait(timeout=1)


def test_a_child_ends_when_the_benchmark_has_ended(child: Child[Service]) -> None:
    child._channel.close()

    assert child.process.popen.wait(timeout=30) == 0


def test_a_child_gets_the_database_settings_with_all_options(monkeypatch: pytest.MonkeyPatch) -> None:
    # A URL with ?sslmode=require&conn_max_age=7 or with the path of a socket gives such settings.
    database = connection.settings_dict
    monkeypatch.setitem(database, "OPTIONS", {"sslmode": "require", "pool": {"min_size": 2}})
    monkeypatch.setitem(database, "CONN_MAX_AGE", 7)
    monkeypatch.setitem(database, "HOST", "/Var/run")
    monkeypatch.setitem(database, "NAME", "shop")

    with running_child(serving) as child:
        child.wait_until_ready()
        found = child.ask(Service.setting, "DATABASES")["default"]

    names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS", "CONN_MAX_AGE")
    assert {name: found[name] for name in names} == {name: database[name] for name in names}


def test_changed_database_settings_change_for_the_child_only() -> None:
    before = json.dumps(connection.settings_dict, default=str)

    changed = json.loads(database_environment(NAME="elsewhere")["BENCH_DATABASE"])

    assert changed["NAME"] == "elsewhere"
    assert json.dumps(connection.settings_dict, default=str) == before


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_a_database_in_memory_cannot_be_shared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")

    with pytest.raises(BenchmarkError, match=r"cannot share a database in memory\. Use a file\."):
        database_environment(NAME=name)
