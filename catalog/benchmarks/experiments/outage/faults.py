"""The ways in which the scratch Redis of the experiment fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
from redis import Redis

from catalog.benchmarks.errors import BenchmarkError
from readcache.testing import PrivateRedis

POLL_SECONDS = 0.002
# Not 0, so that a site that ignores the number is noticed.
DATABASE = 1


def empty(redis: PrivateRedis) -> None:
    with closing(Redis.from_url(redis.url(database=DATABASE))) as client:
        client.flushall()


@contextmanager
def refused(redis: PrivateRedis) -> Iterator[None]:
    """Within the block, connections are refused. Redis keeps its data, as after a cut in the network."""
    redis.stop(save=True)
    yield
    redis.ensure_running()


@contextmanager
def hung(redis: PrivateRedis) -> Iterator[None]:
    """Within the block, the kernel accepts connections, and no command is answered."""
    process = redis.process()
    if process is None:
        raise BenchmarkError("The scratch Redis has ended.")
    try:
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(POLL_SECONDS)
        yield
    finally:
        process.resume()


@contextmanager
def restarted(redis: PrivateRedis) -> Iterator[None]:
    """Within the block, Redis answers, but has lost its data and closed every connection."""
    redis.stop()
    (redis.directory / "dump.rdb").unlink(missing_ok=True)
    redis.ensure_running()
    yield
