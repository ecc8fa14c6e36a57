"""The time limits of the shop's settings are what a hung Redis costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from readcache.storage import breaker
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.testing import PrivateRedis
from shop.settings import CACHES as PRODUCTION_CACHES

TIME_LIMIT_SECONDS = 0.25
# For a machine that has other work.
SLACK_SECONDS = 0.25


@pytest.fixture
def server(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A Redis of the test that the read cache uses with the limits of production, and no prober."""
    monkeypatch.setattr(breaker, "PROBE_INTERVAL_SECONDS", 3600)
    redis = PrivateRedis(tmp_path / "redis")
    redis.ensure_running()
    alias = PRODUCTION_CACHES["read"]
    pool = alias["OPTIONS"]["CONNECTION_POOL_KWARGS"] | {"server": redis}
    options = {**alias["OPTIONS"], "CONNECTION_POOL_KWARGS": pool}
    settings.READ_CACHE_READ_SECONDS = TIME_LIMIT_SECONDS
    settings.CACHES = settings.CACHES | {
        "read": {**alias, "LOCATION": redis.url(database=2), "OPTIONS": options}
    }
    process = psutil.Process(int((redis.directory / "redis.pid").read_text()))
    yield process
    process.resume()
    store().close()
    redis.stop()


def seconds_of(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def read_in_vain() -> None:
    with pytest.raises(Outage):
        store().read("key", ())


@pytest.mark.parametrize("is_connected", [True, False], ids=["an idle connection", "a new connection"])
def test_a_hung_redis_costs_fifty_reads_the_time_limit_of_production_once(
    is_connected: bool, server: psutil.Process
) -> None:
    def read_fifty_times() -> None:
        for _ in range(50):
            read_in_vain()

    found = []
    for _ in range(3):
        store().breaker.probe()
        if not is_connected:
            store()._connections._forget()
        server.suspend()
        found.append(seconds_of(read_fifty_times))
        server.resume()

    # The least: a busy machine makes the others longer.
    assert 0.8 * TIME_LIMIT_SECONDS < min(found) < TIME_LIMIT_SECONDS + SLACK_SECONDS
    assert store().breaker.probe()
