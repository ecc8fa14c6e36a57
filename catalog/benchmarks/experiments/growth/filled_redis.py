"""A scratch Redis that every cache uses, filled with copies of what a strategy stores for one page.

The server has no memory limit and evicts nothing, it shows how much memory the keys use, and no key of other
programs is there. The copies have keys of the same form. Asking for a million pages would take hours; their
values would differ, but not their size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.test.utils import override_settings
from redis import ConnectionPool, Redis

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.isolation import cache_clients, key_prefix
from catalog.benchmarks.strategies.registry import Strategy
from catalog.cached_pages import scan_batches
from readcache.testing import PrivateRedis

PATIENCE_SECONDS = 60
# Small batches, so that Redis can answer other clients in between.
COPIES_PER_CALL = 1_000
DIGEST = re.compile(rb"[0-9a-f]{32}")
LAST_NUMBER = re.compile(rb"\d+(?!.*\d)")
# In the key of a copy, the digest of the copy's number replaces the digest. A key without a digest gets a
# number of seven digits instead of its last number.
SCRIPT = """
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local name = string.format('%d', 1000000 + number)
  if ARGV[5] == 'digest' then name = string.sub(redis.sha1hex(name), 1, 32) end
  redis.call('RESTORE', ARGV[3] .. name .. ARGV[4], ARGV[6], ARGV[7], 'REPLACE')
end
"""


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """``clients`` has one for each database of the caches.

    The clients have long timeouts: a command on a million keys takes longer than a page may wait.
    """

    clients: tuple[Redis, ...]

    def used_bytes(self) -> int:
        return int(dict(self.clients[0].info("memory"))["used_memory"])

    def empty(self) -> None:
        """Remove all keys, and give their memory back."""
        self.clients[0].flushall()


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Within the block, every cache is on the server."""
    with scratch_redis() as redis, _caches_on(redis), _patient_clients() as clients:
        yield RedisServer(clients=clients)


@contextmanager
def _caches_on(redis: PrivateRedis) -> Iterator[None]:
    """Caches that were in different databases remain in different databases."""
    locations = dict.fromkeys(cache["LOCATION"] for cache in settings.CACHES.values())
    moved = {location: redis.url(database=number) for number, location in enumerate(locations)}
    caches = {
        alias: {**cache, "LOCATION": moved[cache["LOCATION"]]} for alias, cache in settings.CACHES.items()
    }
    with override_settings(
        CACHES=caches,
        # From these, the processes of strategies know the server.
        USES_PRIVATE_REDIS=False,
        REDIS_URL=caches["default"]["LOCATION"],
        READ_REDIS_URL=caches["read"]["LOCATION"],
    ):
        try:
            yield
        finally:
            for client in cache_clients():
                client.connection_pool.disconnect()


@contextmanager
def _patient_clients() -> Iterator[tuple[Redis, ...]]:
    with ExitStack() as stack:
        clients = []
        for pool in (client.connection_pool for client in cache_clients()):
            patience = {**pool.connection_kwargs, "socket_timeout": PATIENCE_SECONDS}
            patient_pool = ConnectionPool(connection_class=pool.connection_class, **patience)
            stack.callback(patient_pool.disconnect)
            clients.append(Redis(connection_pool=patient_pool))
        yield tuple(clients)


@dataclass(frozen=True, kw_only=True)
class Original:
    """A key with its value as Redis dumps it. ``ttl_ms`` is 0 for a key that does not expire."""

    client: Redis
    key: bytes
    dump: bytes
    ttl_ms: int

    def restore(self) -> None:
        self.client.restore(self.key, self.ttl_ms, self.dump, replace=True)

    def copy(self, first: int, last: int) -> None:
        """Store the copies with these numbers."""
        start, name, end = _split(self.key)
        kind = "digest" if DIGEST.fullmatch(name) else "number"
        for begin in range(first, last + 1, COPIES_PER_CALL):
            until = min(last, begin + COPIES_PER_CALL - 1)
            self.client.eval(SCRIPT, 0, begin, until, start, end, kind, self.ttl_ms, self.dump)


@dataclass(frozen=True, kw_only=True)
class StoredPage:
    """The keys of one page that a strategy keeps in Redis, and ``others``, which were there before."""

    own: tuple[Original, ...]
    others: tuple[Original, ...]

    def pages_of(self, keys: int) -> int:
        """The number of pages that have this many keys; 0 if the strategy keeps nothing in Redis."""
        return keys // len(self.own) if self.own else 0

    def bytes(self) -> int:
        """The memory of the page's keys and values, without the hash tables of Redis."""
        return sum(int(each.client.memory_usage(each.key) or 0) for each in self.own)

    def store(self, pages: int) -> None:
        """Store this number of pages: the original, its copies, and the page that was there before."""
        for each in self.own:
            each.copy(1, pages - 2)
        # Last, so that a short-lived key is still there afterwards.
        for each in (*self.others, *self.own):
            each.restore()

    def is_there(self) -> bool:
        """Whether the page's keys are still there."""
        return all(each.client.exists(each.key) for each in self.own)


def look_at_page(
    requester: Requester, strategy: Strategy, path: str, other_path: str, clients: Sequence[Redis]
) -> StoredPage:
    """Request both pages. The keys that the page adds are its own. Nothing may be cached before."""
    requester.ask(strategy, other_path)
    before = {(client, key) for client, key in _keys(clients)}
    requester.ask(strategy, path)
    own: list[Original] = []
    others: list[Original] = []
    for client, key in _keys(clients):
        ttl_ms = max(0, int(client.pttl(key)))
        original = Original(client=client, key=key, dump=client.dump(key), ttl_ms=ttl_ms)
        (others if (client, key) in before else own).append(original)
    return StoredPage(own=tuple(own), others=tuple(others))


def _keys(clients: Sequence[Any]) -> Iterator[tuple[Any, bytes]]:
    return ((client, key) for client in clients for batch in scan_batches(client, "*") for key in batch)


def _split(key: bytes) -> tuple[bytes, bytes, bytes]:
    """The parts of the key before, in and after the digest or number of the page, which may be empty."""
    after_prefix = len(key_prefix()) + 1
    found = DIGEST.search(key, after_prefix) or LAST_NUMBER.search(key, after_prefix)
    if found is None:
        return key, b"", b""
    return key[: found.start()], found.group(), key[found.end() :]
