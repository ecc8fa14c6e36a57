"""The engine's own connections: how they are reused, replaced and kept apart."""

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

from instruments.waiting import PATIENCE_SECONDS, wait_until
from readcache.storage.connections import Connections, PendingReplies
from readcache.storage.current import store


@pytest.fixture
def client(redis: Any) -> Iterator[Redis]:
    """A client whose connection pool no other test uses."""
    arguments = redis.connection_pool.connection_kwargs
    client = Redis(unix_socket_path=arguments["path"], db=arguments["db"], socket_timeout=10)
    yield client
    client.close()


@pytest.fixture
def connections(client: Redis) -> Connections:
    return Connections(client, probe_key=":probe")


def send(connections: Connections, *commands: Any) -> PendingReplies:
    return connections.send(*commands, seconds=PATIENCE_SECONDS)


def receive(connections: Connections, pending: PendingReplies) -> list[Any]:
    replies, _ = connections.receive(pending)
    return replies


def call(connections: Connections, *commands: Any) -> list[Any]:
    return connections.call(*commands, seconds=PATIENCE_SECONDS)


def identity(connections: Connections) -> int:
    """Redis' number of the connection that is used next."""
    [number] = call(connections, ("CLIENT", "ID"))
    return int(number)


def two_identities(connections: Connections) -> list[int]:
    """The numbers of two connections that are used at once and idle after that, the last used last."""
    sent = [send(connections, ("CLIENT", "ID")) for _ in range(2)]
    return [int(receive(connections, each)[0]) for each in sent]


def connected(redis: Any) -> set[int]:
    """The numbers of all connections that the server has."""
    return {int(each["id"]) for each in redis.client_list()}


def test_every_command_has_its_reply(connections: Connections) -> None:
    replies = call(connections, ("SET", "a", b"\x00\xff"), ("GET", "b"), ("MGET", "a", "b"))

    assert replies == [b"OK", None, [b"\x00\xff", None]]


def test_a_connection_is_used_again(connections: Connections) -> None:
    assert identity(connections) == identity(connections)


def test_closed_connections_are_not_used_again(connections: Connections) -> None:
    before = identity(connections)
    pending = send(connections, ("ECHO", "pending"))
    connections.close()

    assert receive(connections, pending) == [b"pending"]
    numbers = [before, identity(connections), identity(connections)]
    assert len({*numbers}) == len(numbers)


def test_commands_sent_while_another_reply_is_pending_have_a_connection_of_their_own(
    connections: Connections,
) -> None:
    first, second = send(connections, ("ECHO", "first")), send(connections, ("ECHO", "second"))

    assert receive(connections, second) == [b"second"]
    assert receive(connections, first) == [b"first"]


def test_a_reply_that_nobody_took_is_never_the_reply_to_another_command(connections: Connections) -> None:
    before = identity(connections)
    send(connections, ("ECHO", "dropped"))

    assert call(connections, ("ECHO", "mine")) == [b"mine"]
    assert identity(connections) != before


def test_replies_after_a_refused_command_are_never_the_replies_to_others(connections: Connections) -> None:
    before = identity(connections)
    with pytest.raises(ResponseError):
        call(connections, ("SET", "a", 1), ("INCR", "a", "too many"), ("ECHO", "left over"))

    assert call(connections, ("ECHO", "mine")) == [b"mine"]
    assert identity(connections) != before


@pytest.mark.parametrize("commands", [[("GET", "a")], [("SET", "a", 2), ("MGET", "a", "b")]])
def test_a_connection_closed_by_a_restarted_server_is_replaced(
    connections: Connections, redis: Any, commands: list[Any]
) -> None:
    redis.set("a", 1)
    redis.client_kill_filter(_id=str(identity(connections)))

    assert call(connections, *commands) == ([b"1"] if len(commands) == 1 else [b"OK", [b"2", None]])


def test_a_connection_closed_while_its_reply_is_pending_is_replaced(
    connections: Connections, redis: Any
) -> None:
    number = identity(connections)
    sent = send(connections, ("BLPOP", "nothing", 5))
    redis.client_kill_filter(_id=str(number))
    redis.rpush("nothing", "something")

    assert receive(connections, sent) == [[b"nothing", b"something"]]


@pytest.mark.parametrize("is_sent", [False, True], ids=["before it is used", "while its reply is pending"])
def test_no_idle_connection_is_kept_after_another_was_lost(
    is_sent: bool, connections: Connections, redis: Any
) -> None:
    """A restarted server has closed all of them: each would cost a request another attempt."""
    idle, lost = two_identities(connections)
    assert {idle, lost} <= connected(redis)
    sent = send(connections, ("BLPOP", "list", 60)) if is_sent else None
    redis.client_kill_filter(_id=str(lost))
    redis.rpush("list", "item")

    assert receive(connections, sent or send(connections, ("LPOP", "list")))

    wait_until(lambda: idle not in connected(redis))


def test_threads_never_share_a_connection(connections: Connections) -> None:
    start = threading.Barrier(8)

    def echo(number: int) -> bool:
        start.wait(PATIENCE_SECONDS)
        return all(
            call(connections, ("ECHO", f"{number} {i}")) == [f"{number} {i}".encode()] for i in range(200)
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


@pytest.mark.usefixtures("proxy")
def test_a_dropped_connection_to_a_host_is_closed_at_once(redis: Any) -> None:
    """redis-py's own object of such a connection is in a cycle."""
    number = identity(store()._connections)
    assert number in connected(redis)

    gc.disable()
    try:
        store()._connections._forget()
        wait_until(lambda: number not in connected(redis))
    finally:
        gc.enable()


def test_a_replaced_store_leaves_no_connection_to_the_garbage_collector(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = 5
    store().read("key", ())
    [connection] = [weakref.ref(each) for each in store()._connections._idle]

    gc.disable()
    try:
        settings.READ_CACHE_LEASE_SECONDS = 6
        assert connection() is None
    finally:
        gc.enable()
