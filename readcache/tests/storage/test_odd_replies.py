"""Replies that Redis never gives to a command: the connection is out of step, and is not believed.

A proxy, or a server that is none, may answer anything. The engine then drops the connection and sends its
commands once more on a new one. If that one is out of step too, it is an outage, never an error of the view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pytest_django import Settings
from redis._parsers import _RESP2Parser
from redis.exceptions import RedisError
from rest_framework.test import APIClient

from instruments.reply_proxy import Command, ReplyProxy, passing_on
from instruments.rows import make_book
from instruments.visitors import is_hit, status
from instruments.waiting import PATIENCE_SECONDS, wait_until
from library.models import Book
from readcache.storage import breaker as breaker_module
from readcache.storage import connections
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.storage.entries import make_entry

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/books/"
KEY, TAGS = "shelf", ("library_book", "library_topic")
ODD = {
    "OK": b"+OK\r\n",
    "nil": b"$-1\r\n",
    "an integer": b":77\r\n",
    "a text": b"$3\r\nodd\r\n",
    "a null array": b"*-1\r\n",
    "an empty array": b"*0\r\n",
    "an error in an array": b"*3\r\n$1\r\na\r\n-ERR odd\r\n$-1\r\n",
    "an integer in an array": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "an array in an array": b"*2\r\n$40\r\n" + b"a" * 40 + b"\r\n*1\r\n:1\r\n",
    "a map": b"%1\r\n+proto\r\n:3\r\n",
    "garbage": b"\x00\xff\r\n",
}
# What the engine sends: in its handshake, to confirm the server, to read, to fill, to write and to flush.
COMMANDS = ["HELLO", "CLIENT", "SELECT", "INFO", "DEL", "MGET", "EVALSHA", "EVAL", "SET", "PEXPIRE", "ZRANGE"]
# Replies that Redis itself gives to these commands, or that say no more than that the command was executed.
USUAL = {
    ("DEL", "an integer"),
    ("SET", "OK"),
    ("SELECT", "OK"),
    ("HELLO", "a map"),
    ("ZRANGE", "an empty array"),
} | {("CLIENT", name) for name in ODD if name != "garbage"}

every_odd_reply = pytest.mark.parametrize(
    ("name", "odd"),
    [
        pytest.param(name, odd, id=f"{name} is answered with {label}")
        for name in COMMANDS
        for label, odd in ODD.items()
        if (name, label) not in USUAL
    ],
)


class Answering:
    """A relay that answers the commands of this name with an odd reply, at most ``times`` times."""

    def __init__(self, name: str, odd: bytes, *, times: float = float("inf")) -> None:
        self.name, self.odd, self.left = name.encode(), odd, times
        self.seen: Counter[bytes] = Counter()

    def __call__(self, command: Command, reply: bytes) -> Iterable[bytes]:
        self.seen[command[0]] += 1
        if command[0] != self.name or not self.left:
            return [reply]
        self.left -= 1
        return [self.odd]


@pytest.fixture(autouse=True)
def _confirms_and_probes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's clock is a second later at each exchange, and the prober does not wait for a second."""
    monkeypatch.setattr(connections, "CONFIRMED_FOR_SECONDS", 0.0)
    monkeypatch.setattr(breaker_module, "PROBE_INTERVAL_SECONDS", 0.01)


@pytest.fixture
def book(proxy: ReplyProxy) -> Book:
    return make_book(title="Old")


def ask() -> Any:
    """A visitor's answer, of which any error is raised."""
    answer = APIClient().get(LIST)
    assert answer.status_code == 200
    return answer


def title(answer: Any) -> str:
    return str(answer.json()["results"][0]["title"])


@every_odd_reply
def test_a_request_and_a_write_are_answered_and_nothing_stale_is_served_after_it(
    name: str, odd: bytes, proxy: ReplyProxy, book: Book
) -> None:
    ask()
    assert is_hit(ask())
    # The next exchange begins with the handshake.
    store()._connections._forget()

    proxy.relay = Answering(name, odd)
    assert title(ask()) == "Old"
    Book.objects.update(title="New")
    assert title(ask()) == "New"
    proxy.relay = passing_on

    wait_until(lambda: is_hit(ask()))
    assert title(ask()) == "New"


def read() -> None:
    store().read(KEY, store().token_keys(TAGS))


def read_while_filled() -> None:
    store().read_while_filled(KEY, store().token_keys(TAGS))


def fill() -> None:
    lookup, lock = store().begin_fill(KEY, TAGS)
    tokens = [token for token in lookup.tokens if token]
    entry = make_entry(b"{}", tokens=tokens, history=lookup.history, now_ms=0)
    store().save(KEY, entry, timeout_seconds=60, lock=lock)


def begin_and_give_up() -> None:
    _, lock = store().begin_fill(KEY, TAGS)
    store().unlock(KEY, lock)


def begin_in_vain() -> None:
    _, lock = store().begin_fill(KEY, TAGS)
    store().set_hit_for_miss(KEY, lock)


def write() -> None:
    store().guard(TAGS, "a mark")
    store().rotate(TAGS, ends=["a mark"])


def roll_back() -> None:
    store().guard(TAGS, "a mark")
    store().unmark(TAGS, "a mark")


def look() -> None:
    # The last look was long ago.
    store().registry._looked_at = float("-inf")
    store().look()


def flush() -> None:
    store()._flush_pending({"library_book": frozenset()})


STEPS: list[Callable[[], None]] = [
    read,
    read_while_filled,
    fill,
    begin_and_give_up,
    begin_in_vain,
    write,
    roll_back,
    look,
    flush,
]


@every_odd_reply
def test_each_step_of_the_protocol_ends_in_an_outage_if_its_command_is_answered_so(
    name: str, odd: bytes, proxy: ReplyProxy
) -> None:
    for step in STEPS:
        store()._connections._forget()
        relay = proxy.relay = Answering(name, odd)
        try:
            step()
        except (Outage, RedisError):  # the breaker calls the flush, and expects errors of Redis
            pass
        else:
            assert not relay.seen[name.encode()], f"{step.__name__} has believed it"
        proxy.relay = passing_on
        wait_until(lambda: not store().breaker.is_open)


@pytest.mark.parametrize("label", [label for label in ODD if ("HELLO", label) not in USUAL])
def test_a_handshake_that_the_parser_without_hiredis_reads_is_an_outage_too(
    label: str, proxy: ReplyProxy, settings: Settings
) -> None:
    """redis-py reads the handshake; the engine itself needs hiredis."""
    # That parser waits for the rest of some odd replies.
    settings.READ_CACHE_READ_SECONDS = 1
    options = {"CONNECTION_POOL_KWARGS": {"parser_class": _RESP2Parser}}
    settings.CACHES = {**settings.CACHES, "read": {**settings.CACHES["read"], "OPTIONS": options}}
    proxy.relay = Answering("HELLO", ODD[label])

    with pytest.raises(Outage):
        read()

    proxy.relay = passing_on
    wait_until(lambda: not store().breaker.is_open)
    read()


@pytest.mark.parametrize("name", ["MGET", "EVALSHA", "SET"])
@pytest.mark.parametrize("label", ["a null array", "an error in an array", "an integer", "garbage"])
def test_one_connection_that_is_out_of_step_is_replaced_without_an_outage(
    name: str, label: str, proxy: ReplyProxy, book: Book
) -> None:
    ask()
    Book.objects.update(title="New")
    proxy.relay = Answering(name, ODD[label], times=1)

    assert status(ask()) == "fwd=stale; stored"
    assert is_hit(ask())
    assert not store().breaker.is_open


def test_a_reply_too_many_is_never_taken_for_the_reply_to_the_next_command(
    proxy: ReplyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the shape of the next one, but belongs to another key."""
    monkeypatch.setattr(connections, "CONFIRMED_FOR_SECONDS", PATIENCE_SECONDS)
    for tag in TAGS:
        store().begin_fill(KEY, [tag])
    [mine, other] = [store().read(KEY, store().token_keys((tag,))).tokens for tag in TAGS]
    assert mine != other

    def repeat(command: Command, reply: bytes) -> Iterable[bytes]:
        return [reply * 2] if command[0] == b"MGET" else [reply]

    proxy.relay = repeat
    assert store().read(KEY, store().token_keys(TAGS[:1])).tokens == mine
    proxy.relay = passing_on
    assert store().read(KEY, store().token_keys(TAGS[1:])).tokens == other
