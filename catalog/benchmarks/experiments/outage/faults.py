"""The ways in which the scratch Redis of the experiment fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from catalog.benchmarks.processes.scratch_redis import START_PATIENCE_SECONDS, ScratchRedis
from readcache.testing import SERVER_NAMES, find_program

POLL_SECONDS = 0.002
# A number other than 0, so that a site that forgets it shows.
DATABASE = 1


def find_server() -> Path | None:
    """The program of a Redis server; ``None`` where none can be used."""
    return find_program(SERVER_NAMES) if hasattr(socket, "AF_UNIX") else None


def empty(redis: ScratchRedis) -> None:
    with closing(_client(redis)) as client:
        client.flushall()


@contextmanager
def refused(redis: ScratchRedis) -> Iterator[None]:
    """Inside, connections are refused. It keeps its data, as after a cut in the network."""
    _shut_down(redis, save=True)
    yield
    redis.ensure_running()


@contextmanager
def hung(redis: ScratchRedis) -> Iterator[None]:
    """Inside, the kernel accepts connections, and no command is answered."""
    process = psutil.Process(redis.pid)
    try:
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(POLL_SECONDS)
        yield
    finally:
        process.resume()


@contextmanager
def restarted(redis: ScratchRedis) -> Iterator[None]:
    """Inside, it answers, but has lost its data and closed every connection."""
    _shut_down(redis, save=False)
    (redis.directory / "dump.rdb").unlink(missing_ok=True)
    redis.ensure_running()
    yield


def _shut_down(redis: ScratchRedis, *, save: bool) -> None:
    with closing(_client(redis)) as client:
        client.shutdown(save=save, nosave=not save)
    redis.wait_until_ended()
    redis.stop()


def _client(redis: ScratchRedis) -> Any:
    """A client that does not repeat a command."""
    return Redis.from_url(
        redis.url(database=DATABASE), socket_timeout=START_PATIENCE_SECONDS, retry=Retry(NoBackoff(), 0)
    )
