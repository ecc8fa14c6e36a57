"""A real Redis that is refused, hung, restarted and gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from catalog.benchmarks.experiments.outage.scratch_server import (
    SacrificialRedis,
    find_server,
    sacrificial_redis,
)
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.tests.benchmarks.conftest import children


@pytest.fixture
def server() -> Iterator[SacrificialRedis]:
    program = find_server()
    assert program is not None
    with isolated_cache(), sacrificial_redis(program, limit_seconds=60) as server:
        yield server


@pytest.fixture
def client(server: SacrificialRedis) -> Iterator[Any]:
    """A connection that is made and in use, with a key stored; it tries nothing twice."""
    client: Any = Redis.from_url(server.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    client.set("page", "old")
    yield client
    client.close()


def test_it_is_refused_and_comes_back_with_its_data(server: SacrificialRedis, client: Any) -> None:
    with server.refused():
        for _ in range(3):
            with pytest.raises(RedisConnectionError, match="connecting to"):
                client.get("page")

    assert client.get("page") == b"old"


def test_it_hangs_and_goes_on_with_its_data(server: SacrificialRedis, client: Any) -> None:
    with server.hung(), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(parse_url(server.url)["path"])
        connection.settimeout(0.1)
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)

    assert client.get("page") == b"old"


def test_an_error_inside_a_hang_ends_the_hang(server: SacrificialRedis, client: Any) -> None:
    with pytest.raises(ZeroDivisionError), server.hung():
        raise ZeroDivisionError

    assert client.get("page") == b"old"


def test_it_is_restarted_without_its_data_and_closes_connections(
    server: SacrificialRedis, client: Any
) -> None:
    # It was refused before, and has saved its data then.
    with server.refused():
        pass
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(parse_url(server.url)["path"])
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        with server.restarted():
            assert connection.recv(1) == b""
            assert client.get("page") is None


def test_it_is_emptied(server: SacrificialRedis, client: Any) -> None:
    server.empty()

    assert client.get("page") is None


def test_it_ends_by_itself_where_nobody_ends_it() -> None:
    program, before = find_server(), children()
    assert program is not None

    with isolated_cache(), sacrificial_redis(program, limit_seconds=0.5):
        (started,) = children() - before
        psutil.Process(started).wait(timeout=10)

    assert children() <= before
