"""The scratch Redis that is filled with keys, while every cache uses it.

It has no memory limit and evicts nothing, it shows how much memory the keys use, and no key of other
programs is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.test.utils import override_settings
from redis import ConnectionPool, Redis

from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.isolation import cache_clients
from readcache.testing import PrivateRedis

PATIENCE_SECONDS = 60


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
    """Inside, every cache is on the server."""
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
