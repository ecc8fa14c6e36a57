"""A real Redis that refuses connections, hangs and restarts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from catalog.benchmarks.experiments.outage.faults import DATABASE, empty, hung, refused, restarted
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.isolation import isolated_cache
from readcache.testing import PrivateRedis


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with isolated_cache(), scratch_redis() as server:
        yield server


@pytest.fixture
def client(server: PrivateRedis) -> Iterator[Any]:
    """A client that is connected, has stored a key, and repeats no command."""
    url = server.url(database=DATABASE)
    client: Any = Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    client.set("page", "old")
    yield client
    client.close()


def test_a_server_that_refused_connections_comes_back_with_its_data(
    server: PrivateRedis, client: Any
) -> None:
    with refused(server):
        for _ in range(3):
            with pytest.raises(RedisConnectionError, match="connecting to"):
                client.get("page")

    assert client.get("page") == b"old"


def test_a_hanging_server_accepts_connections_and_keeps_its_data(server: PrivateRedis, client: Any) -> None:
    with hung(server), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket_path))
        connection.settimeout(0.1)
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)

    assert client.get("page") == b"old"


def test_an_error_during_a_hang_ends_the_hang(server: PrivateRedis, client: Any) -> None:
    with pytest.raises(ZeroDivisionError), hung(server):
        raise ZeroDivisionError

    assert client.get("page") == b"old"


def test_a_restarted_server_has_lost_its_data_and_closed_its_connections(
    server: PrivateRedis, client: Any
) -> None:
    # Refusing connections saves the data to disk. A restart must lose them all the same.
    with refused(server):
        pass
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket_path))
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        with restarted(server):
            assert connection.recv(1) == b""
            assert client.get("page") is None


def test_empty_removes_every_key(server: PrivateRedis, client: Any) -> None:
    empty(server)

    assert client.get("page") is None
