"""The engine's own connections: what they are spared, and what they must do all the same."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis
from redis.exceptions import ResponseError

from readcache.storage.connections import Connections
from readcache.storage.current import store


@pytest.fixture
def client(read_redis: Any) -> Iterator[Redis]:
    """A client with a pool of its own, whose connections nobody else uses."""
    arguments = read_redis.connection_pool.connection_kwargs
    own = Redis(unix_socket_path=arguments["path"], db=arguments["db"], socket_timeout=10)
    yield own
    own.close()


@pytest.fixture
def connections(client: Redis) -> Connections:
    return Connections(client)


def identity(connections: Connections) -> int:
    """Redis' number of the connection that is used next."""
    [number] = connections.call(("CLIENT", "ID"))
    return int(number)


def test_every_command_has_its_reply(connections: Connections) -> None:
    replies = connections.call(("SET", "a", b"\x00\xff"), ("SET", "a", 2, "NX"), ("MGET", "a", "b"))

    assert replies == [b"OK", None, [b"\x00\xff", None]]


def test_a_connection_is_used_again(connections: Connections) -> None:
    assert identity(connections) == identity(connections)


def test_a_closed_one_keeps_no_connection(connections: Connections) -> None:
    before = identity(connections)
    awaited = connections.send(("ECHO", "awaited"))
    connections.close()

    assert connections.receive(awaited) == [b"awaited"]
    numbers = [before, identity(connections), identity(connections)]
    assert len({*numbers}) == len(numbers)


def test_what_is_sent_while_another_reply_is_awaited_has_a_connection_of_its_own(
    connections: Connections,
) -> None:
    first, second = connections.send(("ECHO", "first")), connections.send(("ECHO", "second"))

    assert connections.receive(second) == [b"second"]
    assert connections.receive(first) == [b"first"]


def test_a_reply_that_nobody_took_is_never_anothers(connections: Connections) -> None:
    before = identity(connections)
    connections.send(("ECHO", "not awaited"))

    assert connections.call(("ECHO", "mine")) == [b"mine"]
    assert identity(connections) != before


def test_replies_after_one_that_was_refused_are_never_anothers(connections: Connections) -> None:
    before = identity(connections)
    with pytest.raises(ResponseError):
        connections.call(("SET", "a", 1), ("INCR", "a", "too many"), ("ECHO", "left over"))

    assert connections.call(("ECHO", "mine")) == [b"mine"]
    assert identity(connections) != before


@pytest.mark.parametrize("commands", [[("GET", "a")], [("SET", "a", 2), ("MGET", "a", "b")]])
def test_what_a_restarted_server_has_closed_is_opened_again(
    connections: Connections, read_redis: Any, commands: list[Any]
) -> None:
    read_redis.set("a", 1)
    read_redis.client_kill_filter(_id=str(identity(connections)))

    assert connections.call(*commands) == ([b"1"] if len(commands) == 1 else [b"OK", [b"2", None]])


def test_a_connection_that_is_closed_while_its_reply_is_awaited_is_replaced(
    connections: Connections, read_redis: Any
) -> None:
    number = identity(connections)
    sent = connections.send(("BLPOP", "nothing", 5))
    read_redis.client_kill_filter(_id=str(number))
    read_redis.rpush("nothing", "something")

    assert connections.receive(sent) == [[b"nothing", b"something"]]


def test_threads_at_once_never_share_a_connection(connections: Connections) -> None:
    start = threading.Barrier(8)

    def echo(number: int) -> bool:
        start.wait(10)
        return all(
            connections.call(("ECHO", f"{number} {i}")) == [f"{number} {i}".encode()] for i in range(200)
        )

    with ThreadPoolExecutor(max_workers=8) as executor:
        assert all(executor.map(echo, range(8)))


def test_a_forked_child_has_connections_of_its_own(connections: Connections) -> None:
    before = identity(connections)
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.write(write_end, str(identity(connections)).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(read_end, 100)) != before
    assert identity(connections) == before


def test_a_store_that_is_replaced_leaves_no_connection_to_the_garbage_collector(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = 5
    store().read("key", ())
    [connection] = [weakref.ref(each) for each in store()._connections._idle]

    gc.disable()
    try:
        settings.READ_CACHE_LEASE_SECONDS = 6
        assert connection() is None
    finally:
        gc.enable()
