"""The read cache over a Redis that is away, hung, full, read-only or filled with foreign bytes.

Each test has a redis-server of its own, which nobody starts again but the test. Whatever Redis
does, an answer equals the uncached one.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
import pytest
from django.db import connection, transaction
from pytest_django import Settings
from redis import Redis
from rest_framework.response import Response
from rest_framework.test import APIClient

from catalog.cached_pages import redis_client
from catalog.factories import ProductFactory, TagFactory
from catalog.models import Category, Product
from readcache.invalidation import recording
from readcache.storage import breaker, entries
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.testing import PrivateRedis
from shop.settings import CACHES as PRODUCTION_CACHES

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/products/"
PATIENCE_SECONDS = 15
# What a hung Redis may cost a process once: SOCKET_TIMEOUT of the alias.
TIME_LIMIT_SECONDS = 0.25
# A request that waited for a hung Redis took longer than this, one that did not, not.
LONG_SECONDS = 0.2
# For a machine that has other work.
SLACK_SECONDS = 0.25


class Server:
    """A redis-server that can be killed, frozen and spoilt. ``redis`` looks into the engine's database."""

    def __init__(self, directory: Path) -> None:
        self._server = PrivateRedis(directory)
        self._server.ensure_running()
        self.socket_path = self._server.socket_path
        self.redis: Any = Redis(unix_socket_path=str(self.socket_path), db=2)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(int((self.socket_path.parent / "redis.pid").read_text()))

    def kill(self) -> None:
        self.process.kill()
        wait_until(lambda: not self._server.is_running())

    def start(self) -> None:
        self._server.ensure_running()

    def freeze(self) -> None:
        process = self.process
        process.suspend()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        self.process.resume()

    def refuse_writes(self) -> None:
        self.redis.execute_command("CONFIG SET", "min-replicas-to-write", 1)

    def become_a_replica(self) -> None:
        # Nobody listens on port 1: what is stored can still be read.
        self.redis.replicaof("127.0.0.1", 1)

    def become_a_replica_that_answers_nothing(self) -> None:
        self.redis.config_set("replica-serve-stale-data", "no")
        self.redis.replicaof("127.0.0.1", 1)

    def fill_up(self) -> None:
        self.redis.config_set("maxmemory-policy", "noeviction")
        self.redis.config_set("maxmemory", 1)

    def repair(self) -> None:
        """Out of every state, with the data where it outlived it."""
        if not self._server.is_running():
            self.start()
        self.thaw()
        self.redis.replicaof("NO", "ONE")
        self.redis.execute_command("CONFIG SET", "min-replicas-to-write", 0)
        self.redis.config_set("maxmemory", "256mb")

    def end(self) -> None:
        if self._server.is_running():
            self.process.resume()
            self._server.stop()
        self.redis.close()

    def keys(self, kind: str) -> list[bytes]:
        return list(self.redis.scan_iter(f":rc1:{kind}:*"))


BREAKS: dict[str, Callable[[Server], None]] = {
    "refused": Server.kill,
    "hung": Server.freeze,
    "no writes": Server.refuse_writes,
    "read-only": Server.become_a_replica,
    "a replica that answers nothing": Server.become_a_replica_that_answers_nothing,
    "out of memory": Server.fill_up,
}
every_break = pytest.mark.parametrize("spoil", BREAKS.values(), ids=BREAKS)
# In these, Redis still has what it had, and answers reads or will again.
every_break_that_keeps_the_data = pytest.mark.parametrize(
    "spoil", [spoil for spoil in BREAKS.values() if spoil is not Server.kill], ids=list(BREAKS)[1:]
)


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    directory = Path(mkdtemp(prefix="outage-"))
    server = Server(directory)
    alias = PRODUCTION_CACHES["read"]
    pool = alias["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    # The private Redis's connections start a server where there is none.
    pool = {name: value for name, value in pool.items() if name not in ("connection_class", "server")}
    options = {**alias["OPTIONS"], "CONNECTION_POOL_KWARGS": pool}
    location = f"unix://{server.socket_path}?db=2"
    settings.CACHES = {
        **settings.CACHES,
        "read": {**alias, "LOCATION": location, "OPTIONS": options},
    }
    yield server
    store().close()
    redis_client("read").connection_pool.disconnect()
    server.end()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "PROBE_INTERVAL_SECONDS", 0.01)


@pytest.fixture
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the background thread does is left out: it comes after an hour."""
    monkeypatch.setattr(breaker, "PROBE_INTERVAL_SECONDS", 3600)


@pytest.fixture
def product() -> Product:
    return ProductFactory.create(name="Old", price="10.00", stock=5, tags=[TagFactory.create(name="blue")])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "It did not come true in time."
        time.sleep(0.002)


def pages(product: Product) -> list[str]:
    slug = product.category.slug
    return [
        LIST,
        f"{LIST}?search={product.name}",
        f"{LIST}{product.pk}/",
        f"{LIST}stats/",
        "/categories/",
        f"/categories/{slug}/",
    ]


def get(url: str) -> Response:
    """A visitor's answer, which is right whatever happens."""
    visitor = APIClient()
    visitor.raise_request_exception = False
    answer: Response = visitor.get(url)
    assert answer.status_code == 200, answer.content
    assert answer.content == truth(url)
    return answer


def truth(url: str) -> bytes:
    """The body that a visitor would get if there were no cache."""
    body: bytes = APIClient().get(f"/uncached{url}").content
    return body.replace(b"/uncached/", b"/")


def status(answer: Response) -> str:
    return answer["Cache-Status"].removeprefix("shop; ")


def is_hit(answer: Response) -> bool:
    return status(answer).startswith("hit")


def warm(url: str = LIST) -> None:
    get(url)
    assert is_hit(get(url))


def reprice(product: Product) -> None:
    Product.objects.filter(pk=product.pk).update(price="12.50")


def read_until_it_hits(url: str = LIST) -> None:
    """Every answer on the way is right."""
    wait_until(lambda: is_hit(get(url)))


class Hook:
    """An execute wrapper that acts once, before or after the first statement with these words."""

    def __init__(self, words: str, act: Callable[[], None], *, after: bool = False) -> None:
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


# Answers while Redis is away


@every_break
def test_a_cold_page_is_answered_as_if_there_were_no_cache(
    spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    spoil(server)

    for url in pages(product):
        assert status(get(url)) == "fwd=bypass; detail=outage"


@every_break
def test_a_warm_page_is_right_before_and_after_a_write(
    spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    for url in pages(product):
        warm(url)

    spoil(server)
    for url in pages(product):
        get(url)
    reprice(product)

    for url in pages(product):
        assert status(get(url)) == "fwd=bypass; detail=outage"
    assert b"12.50" in get(LIST).content


@every_break
def test_a_request_for_html_is_answered(
    spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    spoil(server)

    answer = APIClient().get(LIST, headers={"accept": "text/html"})

    assert answer.status_code == 200
    assert b"Old" in answer.content
    assert answer["Cache-Status"] == "shop; fwd=bypass; detail=outage"


@every_break
def test_conditional_requests_and_head_are_answered(
    spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    etag = get(LIST)["ETag"]

    spoil(server)

    assert APIClient().get(LIST, headers={"if-none-match": etag}).status_code == 304
    head = APIClient().head(LIST)
    assert head.status_code == 200
    assert head["Content-Length"] == str(len(truth(LIST)))


@every_break
def test_what_is_not_there_stays_404(
    spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    spoil(server)

    assert APIClient().get(f"{LIST}{product.pk + 1}/").status_code == 404


@every_break
def test_writes_go_through(
    spoil: Callable[[Server], None], server: Server, product: Product, admin_api: APIClient
) -> None:
    spoil(server)

    patched = admin_api.patch(f"{LIST}{product.pk}/", {"name": "Patched"}, format="json")
    with transaction.atomic():
        product.category.name = "Renamed"
        product.category.save()
        product.tags.clear()
    ProductFactory.create(name="Another", category=product.category)
    deleted = admin_api.delete(f"{LIST}{Product.objects.get(name='Another').pk}/")

    assert (patched.status_code, deleted.status_code) == (200, 204)
    assert [each.name for each in Product.objects.all()] == ["Patched"]
    assert [each.name for each in Category.objects.all()] == ["Renamed"]
    assert b"Patched" in get(LIST).content


@every_break
def test_hits_come_back_when_redis_does(
    spoil: Callable[[Server], None], server: Server, product: Product, quick_probes: None
) -> None:
    warm()
    spoil(server)
    reprice(product)
    assert not is_hit(get(LIST))

    server.repair()

    read_until_it_hits()


# Killed while it is used


@pytest.mark.parametrize("spoil", [Server.kill, Server.freeze], ids=["killed", "hung"])
@pytest.mark.parametrize("url", [LIST, f"{LIST}stats/", "/categories/"])
def test_a_fill_whose_redis_goes_away_before_its_end_is_answered_and_not_stored(
    url: str, spoil: Callable[[Server], None], server: Server, product: Product
) -> None:
    hook = Hook("SELECT", lambda: spoil(server))
    visitor = APIClient()
    with connection.execute_wrapper(hook):
        answer = visitor.get(url)

    assert hook.has_acted
    assert answer.status_code == 200
    assert answer.content == truth(url)
    assert status(answer) == "fwd=uri-miss; detail=outage"
    assert status(get(url)) == "fwd=bypass; detail=outage"


def test_a_view_that_fails_while_redis_goes_away_fails_with_its_own_error(
    server: Server, product: Product
) -> None:
    def fail() -> None:
        server.kill()
        raise ZeroDivisionError

    with connection.execute_wrapper(Hook("SELECT", fail)), pytest.raises(ZeroDivisionError):
        APIClient().get(LIST)


# What it costs


def test_a_hung_redis_costs_one_request_a_quarter_of_a_second(
    server: Server, product: Product, no_probes: None
) -> None:
    warm()
    visitor = APIClient()

    def longest_but_for_the_first() -> float:
        first, *others = (outage_seconds(visitor) for _ in range(50))
        assert first > LONG_SECONDS
        return max(others)

    assert least_while_hung(server, longest_but_for_the_first) < LONG_SECONDS


def outage_seconds(visitor: APIClient) -> float:
    started = time.perf_counter()
    answer = visitor.get(LIST)
    seconds = time.perf_counter() - started
    assert status(answer) == "fwd=bypass; detail=outage"
    return seconds


def least_while_hung(server: Server, trial: Callable[[], float]) -> float:
    """Of three: whatever is more is what else the machine did meanwhile."""
    found = []
    for _ in range(3):
        server.freeze()
        found.append(trial())
        server.thaw()
        wait_until(store().breaker.probe)
    return min(found)


@pytest.mark.parametrize("connected", [True, False], ids=["a connection of the pool", "a new connection"])
def test_a_hung_redis_costs_fifty_requests_a_quarter_of_a_second_together(
    connected: bool, server: Server, product: Product, no_probes: None
) -> None:
    warm()

    def ask_fifty_times() -> float:
        if not connected:
            redis_client("read").connection_pool.disconnect()
        started = time.perf_counter()
        for _ in range(50):
            with pytest.raises(Outage):
                store().read("key", ())
        return time.perf_counter() - started

    seconds = least_while_hung(server, ask_fifty_times)

    assert LONG_SECONDS < seconds < TIME_LIMIT_SECONDS + SLACK_SECONDS


def test_a_hung_redis_costs_a_write_a_quarter_of_a_second_and_the_next_ones_nothing(
    server: Server, product: Product, no_probes: None
) -> None:
    warm()

    def write() -> float:
        started = time.perf_counter()
        with transaction.atomic():
            reprice(product)
            product.category.name = "Renamed"
            product.category.save()
            product.tags.clear()
        for number in range(10):
            Product.objects.filter(pk=product.pk).update(stock=number + 1)
        return time.perf_counter() - started

    assert least_while_hung(server, write) < TIME_LIMIT_SECONDS + SLACK_SECONDS


def test_probes_of_a_hung_redis_cost_no_request_anything(
    server: Server, product: Product, quick_probes: None
) -> None:
    warm()
    server.freeze()
    visitor = APIClient()
    visitor.get(LIST)
    threads = [thread for thread in threading.enumerate() if thread.name == "read-cache"]
    assert threads

    longest = []
    for _ in range(3):
        # Probe after probe runs into its time limit meanwhile.
        ended = time.monotonic() + 2 * TIME_LIMIT_SECONDS
        seconds = []
        while time.monotonic() < ended:
            seconds.append(outage_seconds(visitor))
        longest.append(max(seconds))

    # The least: whatever is more is what else the machine did meanwhile.
    assert min(longest) < LONG_SECONDS


def test_threads_that_meet_a_hung_redis_together_wait_side_by_side(
    server: Server, product: Product, no_probes: None
) -> None:
    warm()
    together = threading.Barrier(8)

    def visit() -> float:
        together.wait(PATIENCE_SECONDS)
        started = time.perf_counter()
        # What a request asks of Redis, without the work of a view, for which threads queue.
        for _ in range(3):
            with pytest.raises(Outage):
                store().read("key", ())
        return time.perf_counter() - started

    def visit_together() -> float:
        with ThreadPoolExecutor(max_workers=8) as executor:
            return max(future.result() for future in [executor.submit(visit) for _ in range(8)])

    # None waits a second time.
    assert LONG_SECONDS < least_while_hung(server, visit_together) < 2 * TIME_LIMIT_SECONDS


# Pending rotations are flushed first


@every_break_that_keeps_the_data
def test_after_a_write_that_redis_did_not_hear_of_the_old_entry_is_never_served(
    spoil: Callable[[Server], None], server: Server, product: Product, quick_probes: None
) -> None:
    urls = pages(product)
    for url in urls:
        warm(url)
    spoil(server)
    reprice(product)
    product.tags.clear()
    product.category.name = "Renamed"
    product.category.save()

    server.repair()

    assert len(server.keys("entry")) == len(urls)
    for url in urls:
        read_until_it_hits(url)


def test_the_pending_rotation_is_flushed_without_any_request(
    server: Server, product: Product, quick_probes: None
) -> None:
    warm()
    token_key = store().token_key("catalog_product")
    old = server.redis.get(token_key)
    server.freeze()
    reprice(product)

    server.thaw()

    wait_until(lambda: not store().breaker.is_open)
    assert server.redis.get(token_key) != old
    assert status(get(LIST)) == "fwd=stale; stored"


def test_a_write_of_a_process_that_ended_without_a_flush_is_shown_after_the_outage(
    server: Server, product: Product, quick_probes: None
) -> None:
    get(LIST)
    server.freeze()
    assert status(get(LIST)) == "fwd=bypass; detail=outage"

    # As by a process that ended before Redis was back.
    with recording.suspended():
        reprice(product)
    server.thaw()
    wait_until(lambda: not store().breaker.is_open)

    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


def test_nothing_is_served_or_stored_before_the_pending_rotation_is_flushed(
    server: Server, product: Product, no_probes: None
) -> None:
    warm()
    [key] = server.keys("entry")
    stored = server.redis.get(key)
    server.freeze()
    reprice(product)
    server.thaw()

    for _ in range(3):
        assert status(get(LIST)) == "fwd=bypass; detail=outage"
    assert server.redis.get(key) == stored

    assert store().breaker.probe()
    assert status(get(LIST)) == "fwd=stale; stored"


def test_a_pending_rotation_of_a_write_that_was_rolled_back_does_no_harm(
    server: Server, product: Product, quick_probes: None
) -> None:
    warm()
    server.freeze()
    with transaction.atomic():
        reprice(product)
        transaction.set_rollback(True)
    server.thaw()

    read_until_it_hits()
    assert b"10.00" in get(LIST).content


def test_a_write_whose_guard_works_and_whose_rotation_fails_is_never_hidden_by_the_old_entry(
    server: Server, product: Product, quick_probes: None
) -> None:
    warm()
    # Refused, not frozen: a frozen server would hear of the rotation when it wakes.
    hook = Hook("UPDATE", server.refuse_writes, after=True)
    with connection.execute_wrapper(hook):
        reprice(product)
    assert hook.has_acted
    assert store().breaker.is_open

    server.repair()

    read_until_it_hits()


def test_a_write_whose_guard_fails_and_whose_rotation_works_is_never_hidden_by_the_old_entry(
    server: Server, product: Product, quick_probes: None
) -> None:
    # Without the perishable tokens of the writes that made the product.
    server.redis.flushall()
    warm()
    assert server.redis.pttl(store().token_key("catalog_product")) == -1

    def come_back() -> None:
        assert store().breaker.is_open
        server.repair()
        wait_until(lambda: not store().breaker.is_open)
        # As after a guard: this process may be killed between its COMMIT and its rotation.
        assert server.redis.pttl(store().token_key("catalog_product")) > 0
        # Another process fills anew, before the COMMIT, under the token that the flush has just set.
        with ThreadPoolExecutor(max_workers=1) as executor:
            executor.submit(fill_and_close).result()

    def fill_and_close() -> None:
        try:
            warm()
        finally:
            connection.close()

    hook = Hook("UPDATE", come_back)
    server.refuse_writes()
    with transaction.atomic(), connection.execute_wrapper(hook):
        # The guard comes with the first statement, before the hook.
        reprice(product)

    assert hook.has_acted
    assert status(get(LIST)) == "fwd=stale; stored"


@pytest.mark.parametrize("spoil", [Server.refuse_writes, Server.become_a_replica, Server.fill_up])
def test_a_redis_that_can_only_be_read_does_not_count_as_back(
    spoil: Callable[[Server], None], server: Server, product: Product, no_probes: None
) -> None:
    spoil(server)
    # A page that is not there cannot be stored: the breaker opens, and no rotation is pending.
    get(LIST)

    assert not store().breaker.probe()

    assert status(get(LIST)) == "fwd=bypass; detail=outage"


# Restarts


def test_a_server_that_was_restarted_between_two_requests_is_no_outage(
    server: Server, product: Product
) -> None:
    warm()
    server.kill()
    server.start()

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


def test_a_server_that_was_restarted_before_a_write_is_no_outage(server: Server, product: Product) -> None:
    warm()
    server.kill()
    server.start()

    reprice(product)

    assert not store().breaker.is_open
    read_until_it_hits()


def test_a_server_that_was_restarted_during_a_fill_is_no_outage(server: Server, product: Product) -> None:
    def restart() -> None:
        server.kill()
        server.start()

    with connection.execute_wrapper(Hook("SELECT", restart)):
        answer = APIClient().get(LIST)

    assert answer.content == truth(LIST)
    # The tokens are gone with the old server: the entry is stored dead.
    assert not store().breaker.is_open
    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


def test_every_connection_of_the_pool_outlives_a_restart(server: Server, product: Product) -> None:
    warm()
    threads = 8
    together = threading.Barrier(threads)

    def visit(_: int) -> str:
        try:
            together.wait(PATIENCE_SECONDS)
            return status(APIClient().get(LIST))
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=threads) as executor:
        assert all(each.startswith("hit") for each in executor.map(visit, range(threads)))
        server.kill()
        server.start()
        after = list(executor.map(visit, range(threads)))

    assert not [each for each in after if "outage" in each]
    assert is_hit(get(LIST))


def test_an_emptied_redis_is_a_cold_one(server: Server, product: Product) -> None:
    warm()
    server.redis.flushall()

    assert status(get(LIST)) == "fwd=uri-miss; stored"
    assert is_hit(get(LIST))


def test_a_lost_token_is_a_miss(server: Server, product: Product) -> None:
    warm()
    server.redis.delete(store().token_key("catalog_tag"))

    assert status(get(LIST)) == "fwd=stale; stored"
    assert is_hit(get(LIST))


# Garbage for a key


def with_another_bit(stored: bytes, place: int) -> bytes:
    return stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :]


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda stored: b"",
    "a short text": lambda stored: b"R1",
    "a long text": lambda stored: b"R1 is the mark, and this is no entry" * 100,
    "a page of the textbook": lambda stored: pickle.dumps({"page": 1}),
    "JSON": lambda stored: b'{"count": 0, "next": null, "previous": null, "results": []}',
    "an entry cut in its head": lambda stored: stored[: entries.HEADER.size - 1],
    "an entry cut at its end": lambda stored: stored[:-1],
    "an entry with more behind it": lambda stored: stored + b"\0",
    "an entry of another version": lambda stored: b"R2" + stored[2:],
    "a damaged checksum": lambda stored: with_another_bit(stored, 2),
    "a damaged time": lambda stored: with_another_bit(stored, 13),
    "a damaged flag of compression": lambda stored: with_another_bit(stored, 18),
    "a damaged digest": lambda stored: with_another_bit(stored, 20),
    "a damaged number of tokens": lambda stored: with_another_bit(stored, entries.HEADER.size - 1),
    "a damaged body": lambda stored: with_another_bit(stored, len(stored) - 20),
}


@pytest.mark.parametrize("spoil", GARBAGE.values(), ids=GARBAGE)
def test_bytes_that_are_no_entry_are_a_miss_and_are_replaced(
    spoil: Callable[[bytes], bytes], server: Server, product: Product
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
    put: Callable[[Any, Any], None], server: Server, product: Product
) -> None:
    warm()
    [key] = server.keys("entry")
    put(server.redis, key)

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


@pytest.mark.parametrize("put", [put_a_list, put_a_hash, put_short_bytes, put_nothing, put_long_bytes])
def test_what_is_no_token_hides_no_write_and_is_replaced_by_the_next(
    put: Callable[[Any, Any], None], server: Server, product: Product
) -> None:
    warm()
    put(server.redis, store().token_key("catalog_product"))

    for _ in range(3):
        get(LIST)
    assert not store().breaker.is_open
    reprice(product)
    assert b"12.50" in get(LIST).content

    read_until_it_hits()


@pytest.mark.parametrize("put", [put_a_list, put_a_hash, put_short_bytes])
def test_what_is_no_lock_costs_one_wait(
    put: Callable[[Any, Any], None], server: Server, product: Product, settings: Settings
) -> None:
    settings.READ_CACHE_WAIT_SECONDS = 0.05
    warm()
    [key] = server.keys("entry")
    put(server.redis, key.decode().replace(":entry:", ":lock:"))
    server.redis.delete(key)

    assert status(get(LIST)) == "fwd=uri-miss; stored"

    assert is_hit(get(LIST))
    assert not store().breaker.is_open


def test_a_server_that_is_no_redis_is_an_outage(settings: Settings, server: Server, product: Product) -> None:
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
            for url in pages(product):
                assert status(get(url)) == "fwd=bypass; detail=outage"
            reprice(product)
            assert status(get(LIST)) == "fwd=bypass; detail=outage"
        finally:
            store().close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_SECONDS)


def test_a_404_without_redis_says_that_the_cache_was_bypassed(server: Server, product: Product) -> None:
    server.kill()

    answer = APIClient().get(f"{LIST}{product.pk + 1}/")

    assert answer.status_code == 404
    assert status(answer) == "fwd=bypass; detail=outage"
