from __future__ import annotations

import shutil
from typing import Any

import pytest
from redis import Redis

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes import scratch_redis as scratch_redis_module
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.tests.benchmarks.conftest import children
from readcache.testing import server


def test_a_scratch_redis_is_a_child_process_and_has_ended_after_the_block() -> None:
    before = children()
    with isolated_cache(), scratch_redis() as redis:
        process = redis.process()
        assert process
        assert children() - before == {process.pid}
        assert redis.answers()
    assert children() <= before
    assert not redis.directory.exists()


def test_a_scratch_redis_takes_directives_of_redis() -> None:
    with isolated_cache(), scratch_redis(maxmemory="7mb") as redis:
        client: Any = Redis.from_url(redis.url(database=0))
        assert client.config_get("maxmemory") == {"maxmemory": str(7 * 2**20)}
        client.close()


def test_a_scratch_redis_ends_by_itself_after_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    monkeypatch.setattr(scratch_redis_module, "LIMIT_SECONDS", 0.5)
    with isolated_cache(), scratch_redis() as redis:
        process = redis.process()
        assert process
        process.wait(timeout=10)
    assert children() <= before


def test_a_program_that_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("false")
    monkeypatch.setattr(server, "find_program", lambda names: program)

    with (
        isolated_cache(),
        pytest.raises(BenchmarkError, match=r"false did not start in .*: it gave no reason\."),
        scratch_redis(),
    ):
        pass


def test_a_directive_that_redis_does_not_know_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        isolated_cache(),
        pytest.raises(BenchmarkError, match="did not start"),
        scratch_redis(nonsense="7"),
    ):
        pass


def test_a_missing_program_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_program", lambda names: None)

    with isolated_cache(), pytest.raises(BenchmarkError, match="install"), scratch_redis():
        pass


def test_a_scratch_redis_that_was_stopped_has_no_process() -> None:
    before = children()
    with isolated_cache(), scratch_redis() as redis:
        assert redis.stop()
        assert not redis.stop()
        assert redis.process() is None
        assert children() <= before
