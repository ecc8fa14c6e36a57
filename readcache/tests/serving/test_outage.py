"""The read cache during an outage: Redis is away, hung, full, read-only or holds foreign bytes.

Each test has a redis-server of its own, which only the test starts again. Whatever Redis does, an
answer equals the uncached one.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from pytest_django import Settings
from rest_framework.test import APIClient

from instruments.breakable_redis import BREAKS, Break, BreakableRedis
from instruments.marks import end_marks
from instruments.rows import make_book, make_topic
from instruments.transactions import in_another_thread, threads
from instruments.visitors import is_hit, status, uncached
from instruments.waiting import PATIENCE_SECONDS, wait_until
from library.models import Author, Book
from readcache.invalidation import recording
from readcache.invalidation.watch import watch
from readcache.storage import breaker, entries
from readcache.storage.breaker import Outage
from readcache.storage.connections import Connections
from readcache.storage.current import store
from readcache.storage.store import Store

pytestmark = pytest.mark.django_db(transaction=True)

LIST, STATISTICS, AUTHORS = "/books/", "/books/statistics/", "/authors/"
OUTAGE = "fwd=bypass; detail=outage"
OUT_OF_MEMORY = "fwd=bypass; detail=out-of-memory"
# The time limits of a project: what a hung Redis costs a process once, at a read or at a write.
TIME_LIMIT_SECONDS = 0.25
WRITE_LIMIT_SECONDS = 0.5
# A request that waited for a hung Redis took longer than this, and one that did not took less.
LONG_SECONDS = 0.2
# For a machine that has other work.
SLACK_SECONDS = 0.25

every_break = pytest.mark.parametrize("spoil", BREAKS.values(), ids=BREAKS)
# After these, Redis still has its data, and answers reads or will do so again.
every_break_that_keeps_the_data = pytest.mark.parametrize(
    "spoil", [spoil for spoil in BREAKS.values() if spoil is not BreakableRedis.kill], ids=list(BREAKS)[1:]
)


@pytest.fixture
def server(settings: Settings) -> Iterator[BreakableRedis]:
    directory = Path(mkdtemp(prefix="outage-"))
    # Only a hung Redis costs the time limit. Elsewhere a busy machine may take longer than that to answer.
    patience = partial(set_limits, settings.READ_CACHE_READ_SECONDS, settings.READ_CACHE_WRITE_SECONDS)
    server = BreakableRedis(
        directory, on_freeze=partial(set_limits, TIME_LIMIT_SECONDS, WRITE_LIMIT_SECONDS), on_thaw=patience
    )
    alias = settings.CACHES["read"]
    pool = alias["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    # The connections of the private Redis start a server where there is none.
    pool = {name: value for name, value in pool.items() if name not in ("connection_class", "server")}
    options = {**alias["OPTIONS"], "CONNECTION_POOL_KWARGS": pool}
    settings.CACHES = {**settings.CACHES, "read": {**alias, "LOCATION": server.location, "OPTIONS": options}}
    yield server
    store().close()
    close_pool()
    server.end()
    shutil.rmtree(directory, ignore_errors=True)


def set_limits(read_seconds: float, write_seconds: float) -> None:
    """A new store would know of no outage."""
    store()._read_seconds, store()._write_seconds = read_seconds, write_seconds


def close_pool() -> None:
    cache: Any = caches["read"]
    cache.client.get_client(write=True).connection_pool.disconnect()


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "PROBE_INTERVAL_SECONDS", 0.01)


@pytest.fixture
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread in the background does nothing: it waits an hour."""
    monkeypatch.setattr(breaker, "PROBE_INTERVAL_SECONDS", 3600)


@pytest.fixture
def book() -> Book:
    return make_book(title="Old", price=Decimal("10.00"), copies=5, topics=[make_topic("blue")])


def pages(book: Book) -> list[str]:
    return [
        LIST,
        f"{LIST}?search={book.title}",
        f"{LIST}{book.pk}/",
        STATISTICS,
        AUTHORS,
        f"{AUTHORS}{book.author.slug}/",
    ]


def get(url: str) -> Any:
    """A visitor's answer. Fails the test unless it is a 200 that equals the uncached answer."""
    visitor = APIClient()
    visitor.raise_request_exception = False
    answer = visitor.get(url)
    assert answer.status_code == 200, answer.content
    assert answer.content == truth(url)
    return answer


def truth(url: str) -> bytes:
    """The body that a visitor would get if there were no cache."""
    body: bytes = APIClient().get(uncached(url)).content
    return body.replace(b"/uncached/", b"/")


def warm(url: str = LIST) -> None:
    get(url)
    assert is_hit(get(url))


def bypass_of(spoil: Break) -> str:
    """What a request says that cannot be stored. A full Redis still answers reads."""
    return OUT_OF_MEMORY if spoil is BreakableRedis.fill_up else OUTAGE


def reprice(book: Book) -> None:
    Book.objects.filter(pk=book.pk).update(price=Decimal("12.50"))


def read_until_it_hits(url: str = LIST) -> None:
    """Each answer until the hit must be right."""
    wait_until(lambda: is_hit(get(url)))


def never(*arguments: Any) -> None:
    pytest.fail("A request has waited for the fill of another.")


class Hook:
    """An execute wrapper that acts once, before or after the first statement with these words."""

    def __init__(self, words: str, act: Callable[[], object], *, after: bool = False) -> None:
        self.words, self.act, self.after = words, act, after
        self.has_acted = False

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        is_due = self.words in sql and not self.has_acted
        self.has_acted |= is_due
        if is_due and not self.after:
            self.act()
        result = execute(sql, *rest)
        if is_due and self.after:
            self.act()
        return result


# Answers during an outage


@every_break
def test_a_page_without_an_entry_is_computed(spoil: Break, server: BreakableRedis, book: Book) -> None:
    spoil(server)

    for url in pages(book):
        assert status(get(url)) == bypass_of(spoil)


@every_break
def test_a_page_with_an_entry_is_right_before_and_after_a_write(
    spoil: Break, server: BreakableRedis, book: Book
) -> None:
    for url in pages(book):
        warm(url)

    spoil(server)
    for url in pages(book):
        get(url)
    reprice(book)

    for url in pages(book):
        assert status(get(url)) == bypass_of(spoil)
    assert b"12.50" in get(LIST).content


@every_break
def test_a_request_for_html_is_answered(spoil: Break, server: BreakableRedis, book: Book) -> None:
    spoil(server)

    answer = APIClient().get(LIST, headers={"accept": "text/html"})

    assert answer.status_code == 200
    assert b"Old" in answer.content
    assert status(answer) == bypass_of(spoil)


@every_break
def test_conditional_requests_and_head_are_answered(spoil: Break, server: BreakableRedis, book: Book) -> None:
    etag = get(LIST)["ETag"]

    spoil(server)

    assert APIClient().get(LIST, headers={"if-none-match": etag}).status_code == 304
    head = APIClient().head(LIST)
    assert head.status_code == 200
    assert head["Content-Length"] == str(len(truth(LIST)))


@every_break
def test_a_resource_that_does_not_exist_is_a_404(spoil: Break, server: BreakableRedis, book: Book) -> None:
    spoil(server)

    assert APIClient().get(f"{LIST}{book.pk + 1}/").status_code == 404


@every_break
def test_writes_work(spoil: Break, server: BreakableRedis, book: Book, admin_api: APIClient) -> None:
    spoil(server)

    patched = admin_api.patch(f"{LIST}{book.pk}/", {"title": "Patched"}, format="json")
    with transaction.atomic():
        book.author.name = "Renamed"
        book.author.save()
        book.topics.clear()
    make_book(title="Another", author=book.author)
    deleted = admin_api.delete(f"{LIST}{Book.objects.get(title='Another').pk}/")

    assert (patched.status_code, deleted.status_code) == (200, 204)
    assert [each.title for each in Book.objects.all()] == ["Patched"]
    assert [each.name for each in Author.objects.all()] == ["Renamed"]
    assert b"Patched" in get(LIST).content


@every_break
def test_hits_come_back_when_redis_does(
    spoil: Break, server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    warm()
    spoil(server)
    reprice(book)
    assert not is_hit(get(LIST))

    server.repair()

    read_until_it_hits()


# Fills during which Redis goes away


@pytest.mark.parametrize("spoil", [BreakableRedis.kill, BreakableRedis.freeze], ids=["killed", "hung"])
@pytest.mark.parametrize("url", [LIST, STATISTICS, AUTHORS])
def test_a_fill_during_which_redis_goes_away_is_answered_and_not_stored(
    url: str, spoil: Break, server: BreakableRedis, book: Book
) -> None:
    hook = Hook("SELECT", lambda: spoil(server))
    visitor = APIClient()
    with connection.execute_wrapper(hook):
        answer = visitor.get(url)

    assert hook.has_acted
    assert answer.status_code == 200
    assert answer.content == truth(url)
    assert status(answer) == "fwd=uri-miss; detail=outage"
    assert status(get(url)) == OUTAGE


def test_a_view_that_fails_while_redis_goes_away_raises_its_own_error(
    server: BreakableRedis, book: Book
) -> None:
    def fail() -> None:
        server.kill()
        raise ZeroDivisionError

    with connection.execute_wrapper(Hook("SELECT", fail)), pytest.raises(ZeroDivisionError):
        APIClient().get(LIST)


# The cost of an outage


class TimedCalls:
    """The seconds that each send to Redis and each wait for its reply took, by thread.

    A call within another one counts with it.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = defaultdict(list)
        self._calling: set[int] = set()

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed_call(*arguments: Any, **options: Any) -> Any:
            thread = threading.get_ident()
            if thread in self._calling:
                return call(*arguments, **options)
            self._calling.add(thread)
            started = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds[thread].append(time.perf_counter() - started)
                self._calling.remove(thread)

        return timed_call

    def take_seconds_of_this_thread(self) -> list[float]:
        return self.seconds.pop(threading.get_ident(), [])


@pytest.fixture
def redis_calls(monkeypatch: pytest.MonkeyPatch) -> TimedCalls:
    calls = TimedCalls()
    for name in ("send", "receive", "call_patiently", "rehearse"):
        monkeypatch.setattr(Connections, name, calls.timed(getattr(Connections, name)))
    return calls


def test_a_hung_redis_costs_only_the_first_request_the_time_limit(
    server: BreakableRedis, book: Book, no_probes: None, redis_calls: TimedCalls
) -> None:
    warm()
    visitor = APIClient()

    def read_fifty_times() -> float:
        redis_calls.take_seconds_of_this_thread()
        assert status(visitor.get(LIST)) == OUTAGE
        _, waiting = redis_calls.take_seconds_of_this_thread()
        assert waiting > LONG_SECONDS
        for _ in range(49):
            assert status(visitor.get(LIST)) == OUTAGE
        # None of these requests sent anything to Redis.
        assert redis_calls.take_seconds_of_this_thread() == []
        return waiting

    assert least_while_hung(server, read_fifty_times) < TIME_LIMIT_SECONDS + SLACK_SECONDS


def least_while_hung(server: BreakableRedis, trial: Callable[[], float]) -> float:
    """The least of three trials: a busy machine makes the others longer."""
    found = []
    for _ in range(3):
        server.freeze()
        found.append(trial())
        server.thaw()
        wait_until(store().breaker.probe)
    return min(found)


@pytest.mark.parametrize("connected", [True, False], ids=["an idle connection", "a new connection"])
def test_a_hung_redis_costs_fifty_requests_the_time_limit_once(
    connected: bool, server: BreakableRedis, book: Book, no_probes: None
) -> None:
    warm()

    def ask_fifty_times() -> float:
        if not connected:
            store()._connections._forget()
        started = time.perf_counter()
        for _ in range(50):
            with pytest.raises(Outage):
                store().read("key", ())
        return time.perf_counter() - started

    seconds = least_while_hung(server, ask_fifty_times)

    assert LONG_SECONDS < seconds < TIME_LIMIT_SECONDS + SLACK_SECONDS


def test_a_hung_redis_costs_many_writes_the_time_limit_once(
    server: BreakableRedis, book: Book, no_probes: None, redis_calls: TimedCalls
) -> None:
    warm()

    def write() -> float:
        redis_calls.take_seconds_of_this_thread()
        with transaction.atomic():
            reprice(book)
            book.author.name = "Renamed"
            book.author.save()
            book.topics.clear()
        for number in range(10):
            Book.objects.filter(pk=book.pk).update(copies=number + 1)
        return sum(redis_calls.take_seconds_of_this_thread())

    assert LONG_SECONDS < least_while_hung(server, write) < WRITE_LIMIT_SECONDS + SLACK_SECONDS


def test_probes_of_a_hung_redis_cost_requests_nothing(
    server: BreakableRedis, book: Book, quick_probes: None, redis_calls: TimedCalls
) -> None:
    warm()
    server.freeze()
    visitor = APIClient()
    assert status(visitor.get(LIST)) == OUTAGE
    redis_calls.take_seconds_of_this_thread()

    def visit_and_look_for_three_time_outs_of_the_prober() -> bool:
        assert status(visitor.get(LIST)) == OUTAGE
        others = [seconds for calls in list(redis_calls.seconds.values()) for seconds in calls]
        return sum(seconds > LONG_SECONDS for seconds in others) >= 3

    wait_until(visit_and_look_for_three_time_outs_of_the_prober)

    assert redis_calls.take_seconds_of_this_thread() == []


def test_threads_that_meet_a_hung_redis_together_wait_at_the_same_time(
    server: BreakableRedis, book: Book, no_probes: None
) -> None:
    warm()
    together = threading.Barrier(8)

    def visit() -> float:
        together.wait(PATIENCE_SECONDS)
        started = time.perf_counter()
        # The command of a request, without the work of a view, for which threads queue.
        for _ in range(3):
            with pytest.raises(Outage):
                store().read("key", ())
        return time.perf_counter() - started

    def visit_together() -> float:
        with threads(8) as submit:
            return max(future.result() for future in [submit(visit) for _ in range(8)])

    # No thread waits a second time.
    assert LONG_SECONDS < least_while_hung(server, visit_together) < 2 * TIME_LIMIT_SECONDS


# Pending rotations are flushed first


@every_break_that_keeps_the_data
def test_an_entry_that_a_write_during_the_outage_made_stale_is_never_served(
    spoil: Break, server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    urls = pages(book)
    for url in urls:
        warm(url)
    spoil(server)
    reprice(book)
    book.topics.clear()
    book.author.name = "Renamed"
    book.author.save()

    server.repair()

    assert len(server.keys("entry")) == len(urls)
    for url in urls:
        read_until_it_hits(url)


def test_the_pending_rotation_is_flushed_without_any_request(
    server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    warm()
    token_key = store().token_key("library_book")
    old = server.redis.get(token_key)
    server.freeze()
    reprice(book)

    server.thaw()

    wait_until(lambda: not store().breaker.is_open)
    assert server.redis.get(token_key) != old
    assert status(get(LIST)) == "fwd=stale; stored"


def test_a_write_of_a_process_that_ended_without_a_flush_is_shown_after_the_outage(
    server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    get(LIST)
    server.freeze()
    assert status(get(LIST)) == OUTAGE

    # Stands for a write of a process that ended before Redis was back.
    with recording.suspended():
        reprice(book)
    server.thaw()
    wait_until(lambda: not store().breaker.is_open)

    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


def test_nothing_is_served_or_stored_before_the_pending_rotation_is_flushed(
    server: BreakableRedis, book: Book, no_probes: None
) -> None:
    warm()
    [key] = server.keys("entry")
    stored = server.redis.get(key)
    server.freeze()
    reprice(book)
    server.thaw()

    for _ in range(3):
        assert status(get(LIST)) == OUTAGE
    assert server.redis.get(key) == stored

    assert store().breaker.probe()
    assert status(get(LIST)) == "fwd=stale; stored"


def test_a_pending_rotation_of_a_write_that_was_rolled_back_does_no_harm(
    server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    warm()
    server.freeze()
    with transaction.atomic():
        reprice(book)
        transaction.set_rollback(True)
    server.thaw()

    read_until_it_hits()
    assert b"10.00" in get(LIST).content


def test_a_write_whose_guard_works_and_whose_rotation_fails_is_shown(
    server: BreakableRedis, book: Book, quick_probes: None
) -> None:
    warm()
    # Not frozen: a frozen server would execute the rotation when it goes on.
    hook = Hook("UPDATE", server.refuse_writes, after=True)
    with connection.execute_wrapper(hook):
        reprice(book)
    assert hook.has_acted
    assert store().breaker.is_open

    server.repair()

    read_until_it_hits()


def test_a_write_whose_guard_fails_and_whose_rotation_works_is_shown(
    server: BreakableRedis, book: Book, quick_probes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm()
    end_marks(server.redis)
    warm()
    assert server.redis.pttl(store().token_key("library_book")) == -1
    watched = watch(connection)
    send_commit = watched._commit

    def come_back_and_commit() -> None:
        assert store().breaker.is_open
        server.repair()
        wait_until(lambda: not store().breaker.is_open)
        # The token runs out, since this process may be killed between its COMMIT and its rotation.
        assert server.redis.pttl(store().token_key("library_book")) > 0
        # Before the COMMIT, another process fills the page under the token that the flush has set.
        in_another_thread(warm)
        send_commit()

    monkeypatch.setattr(watched, "_commit", come_back_and_commit)
    server.refuse_writes()
    with transaction.atomic():
        reprice(book)

    monkeypatch.undo()
    assert status(get(LIST)) == "fwd=stale; stored"


@pytest.mark.parametrize("spoil", [BreakableRedis.refuse_writes, BreakableRedis.become_a_replica])
def test_a_redis_that_can_only_be_read_is_still_an_outage(
    spoil: Break, server: BreakableRedis, book: Book, no_probes: None
) -> None:
    spoil(server)
    # The page cannot be stored: the breaker opens, and no rotation is pending.
    get(LIST)

    assert not store().breaker.probe()

    assert status(get(LIST)) == OUTAGE


# Restarts


def test_a_restart_between_two_requests_is_not_an_outage(server: BreakableRedis, book: Book) -> None:
    warm()
    server.kill()
    server.start()

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


def test_a_restart_before_a_write_is_not_an_outage(server: BreakableRedis, book: Book) -> None:
    warm()
    server.kill()
    server.start()

    reprice(book)

    assert not store().breaker.is_open
    read_until_it_hits()


def test_a_restart_during_a_fill_is_not_an_outage(server: BreakableRedis, book: Book) -> None:
    def restart() -> None:
        server.kill()
        server.start()

    with connection.execute_wrapper(Hook("SELECT", restart)):
        answer = APIClient().get(LIST)

    assert answer.content == truth(LIST)
    # The tokens were lost with the old server: the entry is dead when it is stored.
    assert not store().breaker.is_open
    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


def test_every_idle_connection_is_replaced_after_a_restart(server: BreakableRedis, book: Book) -> None:
    warm()
    number = 8
    together = threading.Barrier(number)

    def visit() -> str:
        together.wait(PATIENCE_SECONDS)
        return status(APIClient().get(LIST))

    with threads(number) as submit:
        before = [future.result() for future in [submit(visit) for _ in range(number)]]
        server.kill()
        server.start()
        after = [future.result() for future in [submit(visit) for _ in range(number)]]

    assert all(each.startswith("hit") for each in before)
    assert not [each for each in after if "outage" in each]
    assert is_hit(get(LIST))


def test_an_emptied_redis_is_a_miss(server: BreakableRedis, book: Book) -> None:
    warm()
    server.redis.flushall()

    assert status(get(LIST)) == "fwd=uri-miss; stored"
    assert is_hit(get(LIST))


def test_a_lost_token_is_a_miss(server: BreakableRedis, book: Book) -> None:
    warm()
    server.redis.delete(store().token_key("library_topic"))

    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


# Foreign bytes under a key


def with_another_bit(stored: bytes, place: int) -> bytes:
    return stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :]


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda stored: b"",
    "a short text": lambda stored: b"R1",
    "a long text": lambda stored: b"R1 and no entry" * 100,
    "a page of the textbook": lambda stored: pickle.dumps({"page": 1}),
    "JSON": lambda stored: b'{"count": 0, "next": null, "previous": null, "results": []}',
    "an entry cut in its head": lambda stored: stored[: entries.HEADER.size - 1],
    "an entry cut at its end": lambda stored: stored[:-1],
    "an entry with more behind it": lambda stored: stored + b"\0",
    "an entry of another version": lambda stored: b"R1" + stored[2:],
    "a damaged checksum": lambda stored: with_another_bit(stored, 2),
    "a damaged time": lambda stored: with_another_bit(stored, 13),
    "a damaged flag of compression": lambda stored: with_another_bit(stored, 18),
    "a damaged digest": lambda stored: with_another_bit(stored, 20),
    "a damaged history": lambda stored: with_another_bit(stored, 40),
    "a damaged number of tokens": lambda stored: with_another_bit(stored, entries.HEADER.size - 1),
    "a damaged body": lambda stored: with_another_bit(stored, len(stored) - 20),
}


@pytest.mark.parametrize("spoil", GARBAGE.values(), ids=GARBAGE)
def test_bytes_that_are_not_an_entry_are_a_miss_and_are_replaced(
    spoil: Callable[[bytes], bytes], server: BreakableRedis, book: Book
) -> None:
    warm()
    [key] = server.keys("entry")
    stored = server.redis.get(key)
    server.redis.set(key, spoil(stored))

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


def put_a_list(redis: Any, key: Any) -> None:
    redis.delete(key)
    redis.rpush(key, "foreign")


def put_a_hash(redis: Any, key: Any) -> None:
    redis.delete(key)
    redis.hset(key, "foreign", "foreign")


def put_short_bytes(redis: Any, key: Any) -> None:
    redis.set(key, b"foreign")


def put_nothing(redis: Any, key: Any) -> None:
    redis.set(key, b"")


def put_long_bytes(redis: Any, key: Any) -> None:
    redis.set(key, b"foreign!" * 10_000)


@pytest.mark.parametrize("put", [put_a_list, put_a_hash])
def test_a_value_of_another_type_is_a_miss_and_is_replaced(
    put: Callable[[Any, Any], None], server: BreakableRedis, book: Book
) -> None:
    warm()
    [key] = server.keys("entry")
    put(server.redis, key)

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


@pytest.mark.parametrize("put", [put_a_list, put_a_hash, put_short_bytes, put_nothing, put_long_bytes])
def test_a_value_that_is_not_a_token_hides_no_write_and_is_replaced_by_the_next(
    put: Callable[[Any, Any], None], server: BreakableRedis, book: Book
) -> None:
    warm()
    put(server.redis, store().token_key("library_book"))

    for _ in range(3):
        get(LIST)
    assert not store().breaker.is_open
    reprice(book)
    assert b"12.50" in get(LIST).content

    read_until_it_hits()


@pytest.mark.parametrize("put", [put_a_list, put_a_hash, put_short_bytes])
def test_nobody_waits_for_a_value_that_is_not_a_lock(
    put: Callable[[Any, Any], None], server: BreakableRedis, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "read_while_filled", never)
    warm()
    [key] = server.keys("entry")
    put(server.redis, key.decode().replace(":entry:", ":lock:"))
    server.redis.delete(key)

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


def test_a_server_that_is_not_a_redis_is_an_outage(
    settings: Settings, server: BreakableRedis, book: Book
) -> None:
    address = server.socket_path.parent / "other.sock"
    alias = settings.CACHES["read"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(address))
        listener.listen()

        def answer_as_a_web_server() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_as_a_web_server, daemon=True)
        thread.start()
        settings.CACHES = {**settings.CACHES, "read": {**alias, "LOCATION": f"unix://{address}?db=2"}}
        try:
            for url in pages(book):
                assert status(get(url)) == OUTAGE
            reprice(book)
            assert status(get(LIST)) == OUTAGE
        finally:
            store().close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_SECONDS)


def test_a_404_during_an_outage_says_that_the_cache_was_bypassed(server: BreakableRedis, book: Book) -> None:
    server.kill()

    answer = APIClient().get(f"{LIST}{book.pk + 1}/")

    assert answer.status_code == 404
    assert status(answer) == OUTAGE
