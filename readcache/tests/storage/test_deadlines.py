"""One deadline bounds a whole exchange with Redis, however its replies arrive, and whatever the URL says.

The proxy sits between the engine and a real Redis. The times are those of a project: 0.25 s for a read and
0.5 s for a write.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from pytest_django import Settings

from instruments.reply_proxy import Command, ConnectionLost, ReplyProxy, passing_on
from instruments.rows import make_book
from instruments.visitors import get, is_hit, status
from instruments.waiting import wait_until
from library.models import Book
from readcache.storage import breaker as breaker_module
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.storage.store import Store

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/books/"
KEY, TAGS = "shelf", ("library_book",)
# Twice as long as the defaults, so that a machine that has other work can be told from a second limit.
READ_SECONDS, WRITE_SECONDS = 0.5, 1.0
# The pause before each byte: less than either limit.
DRIP_SECONDS = 0.4
# Less than a second pause.
SLACK_SECONDS = 0.4


@pytest.fixture(autouse=True)
def _limits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READ_CACHE_READ_SECONDS, settings.READ_CACHE_WRITE_SECONDS = READ_SECONDS, WRITE_SECONDS
    monkeypatch.setattr(breaker_module, "PROBE_INTERVAL_SECONDS", 0.01)


@pytest.fixture
def dripping(proxy: ReplyProxy) -> Iterator[Callable[[], None]]:
    """Call it, and each byte of every reply comes after a pause; at the end, replies come at once again."""

    def drip(command: Command, reply: bytes) -> Iterable[bytes]:
        for byte in reply:
            proxy.is_ending.wait(DRIP_SECONDS)
            yield bytes([byte])

    def begin() -> None:
        proxy.relay = drip

    yield begin
    proxy.relay = passing_on
    wait_until(lambda: not store().breaker.is_open)


def seconds_of_outage(step: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(Outage):
        step()
    return time.monotonic() - began


def connect() -> None:
    """The connection is confirmed, its scripts are known, and it is idle."""
    _, lock = store().begin_fill(KEY, TAGS)
    store().unlock(KEY, lock)
    store().guard(TAGS, "a mark")
    store().rotate(TAGS, ends=["a mark"])


READS: list[Callable[[], object]] = [
    lambda: store().read(KEY, store().token_keys(TAGS)),
    lambda: store().read_while_filled(KEY, store().token_keys(TAGS)),
    lambda: store().begin_fill(KEY, TAGS),
    lambda: store().unlock(KEY, b"a lock"),
]
WRITES: list[Callable[[], object]] = [
    lambda: store().guard(TAGS, "a mark"),
    lambda: store().rotate(TAGS),
    lambda: store().unmark(TAGS, "a mark"),
]


@pytest.mark.parametrize("is_connected", [True, False], ids=["idle connection", "new connection"])
@pytest.mark.parametrize("read", READS, ids=["read", "read while filled", "begin-fill", "unlock"])
def test_a_reply_that_drips_costs_a_read_its_limit_once(
    read: Callable[[], object], is_connected: bool, proxy: ReplyProxy, dripping: Callable[[], None]
) -> None:
    connect() if is_connected else store()
    dripping()

    assert READ_SECONDS <= seconds_of_outage(read) < READ_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("is_connected", [True, False], ids=["idle connection", "new connection"])
@pytest.mark.parametrize("write", WRITES, ids=["guard", "rotate", "unmark"])
def test_a_reply_that_drips_costs_a_write_its_limit_once_with_its_second_attempt(
    write: Callable[[], object], is_connected: bool, proxy: ReplyProxy, dripping: Callable[[], None]
) -> None:
    connect() if is_connected else store()
    dripping()

    assert WRITE_SECONDS <= seconds_of_outage(write) < WRITE_SECONDS + SLACK_SECONDS


def test_a_script_that_redis_has_forgotten_gets_no_second_limit(
    proxy: ReplyProxy, redis: Any, dripping: Callable[[], None]
) -> None:
    """The text is sent after NOSCRIPT, in what is left of the time."""
    connect()
    redis.script_flush()

    def slow(command: Command, reply: bytes) -> Iterable[bytes]:
        proxy.is_ending.wait(DRIP_SECONDS)
        return [reply]

    proxy.relay = slow

    assert seconds_of_outage(lambda: store().begin_fill(KEY, TAGS)) < READ_SECONDS + SLACK_SECONDS / 2


@pytest.mark.parametrize("seconds", ["5", "0.001"])
def test_the_limits_of_the_settings_hold_whatever_the_url_says(
    seconds: str, proxy: ReplyProxy, settings: Settings, dripping: Callable[[], None]
) -> None:
    read = settings.CACHES["read"]
    url = f"{read['LOCATION']}&socket_timeout={seconds}&socket_connect_timeout={seconds}"
    settings.CACHES = {**settings.CACHES, "read": {**read, "LOCATION": url}}
    assert store().client.connection_pool.connection_kwargs["socket_timeout"] == float(seconds)
    dripping()

    assert READ_SECONDS <= seconds_of_outage(READS[0]) < READ_SECONDS + SLACK_SECONDS


@pytest.fixture
def full_listeners() -> Iterator[list[int]]:
    """The ports of two listeners that accept no more connections: one that tries to connect waits."""
    with ExitStack() as held:
        ports = []
        for _ in range(2):
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            ports.append(listener.getsockname()[1])
            for _ in range(4):
                waiting = held.enter_context(socket.socket())
                waiting.setblocking(False)
                with suppress(BlockingIOError):
                    waiting.connect(("127.0.0.1", ports[-1]))
        yield ports


def test_a_host_with_two_addresses_that_do_not_answer_has_one_limit(
    full_listeners: list[int], proxy: ReplyProxy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As localhost has, where it means ::1 and 127.0.0.1."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in full_listeners]
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *arguments, **options: addresses)

        assert seconds_of_outage(READS[0]) < READ_SECONDS + SLACK_SECONDS
    wait_until(lambda: not store().breaker.is_open)


# Replies that are lost


class Losing:
    """A relay that loses its connection after Redis has executed a command of this name, once."""

    def __init__(self, name: bytes) -> None:
        self.name, self.has_lost = name, False

    def __call__(self, command: Command, reply: bytes) -> Iterable[bytes]:
        if command[0] == self.name and not self.has_lost:
            self.has_lost = True
            raise ConnectionLost
        return [reply]


def test_a_claim_that_is_sent_again_does_not_wait_for_its_own_lock(
    proxy: ReplyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis took the lock, and the connection was lost before its reply came."""

    def wait(*arguments: Any) -> None:
        pytest.fail("The request waits for its own lock.")

    monkeypatch.setattr(Store, "read_while_filled", wait)
    make_book()
    connect()
    relay = proxy.relay = Losing(b"EVALSHA")

    assert status(get(LIST)) == "fwd=uri-miss; stored"
    assert relay.has_lost
    assert is_hit(get(LIST))


@pytest.mark.parametrize("name", [b"MGET", b"EVALSHA", b"SET"])
def test_a_reply_that_was_lost_costs_one_more_attempt_and_is_no_outage(
    name: bytes, proxy: ReplyProxy, redis: Any
) -> None:
    """Whatever was executed twice, the next write is seen."""
    make_book(title="Old")
    connect()
    relay = proxy.relay = Losing(name)
    assert get(LIST).json()["results"][0]["title"] == "Old"
    assert relay.has_lost
    assert list(redis.scan_iter(":rc1:lock:*")) == []

    proxy.relay = Losing(b"EVALSHA")
    Book.objects.update(title="New")

    assert not store().breaker.is_open
    assert get(LIST).json()["results"][0]["title"] == "New"
    assert is_hit(get(LIST))
