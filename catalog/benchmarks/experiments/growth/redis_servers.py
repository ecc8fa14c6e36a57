"""The Redis that is filled with keys, and how much room it has: a scratch server, or the user's own.

The private server is limited to 256 MB and evicts keys, so a scratch server without that limit takes
its place. It also shows how much memory the keys use. A user's own Redis holds other keys, too, so it is
filled up to half of its free memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from django.conf import settings
from django.test.utils import override_settings
from redis import ConnectionPool, Redis

from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.isolation import cache_clients, empty_cache
from readcache.testing import PrivateRedis

ROOM_SHARE = 0.5
PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """``is_scratch`` means that nobody else uses it. ``clients`` has one for each database of the caches.

    The clients have long timeouts: a command on a million keys takes longer than a page may wait.
    """

    is_scratch: bool
    clients: tuple[Redis, ...]

    @property
    def client(self) -> Redis:
        return self.clients[0]

    def used_bytes(self) -> int:
        return int(self._memory()["used_memory"])

    def room_bytes(self) -> int:
        """How much may be stored: half of what the server's limit and the machine's memory leave free."""
        memory = self._memory()
        used, limit = int(memory["used_memory"]), int(memory.get("maxmemory", 0))
        total = int(memory.get("total_system_memory", 0))
        machine = psutil.virtual_memory()
        # With another total it is another machine, of which only the total is known.
        free = machine.available if total in (0, machine.total) else total - used
        return int(ROOM_SHARE * max(0, min(free, limit - used) if limit else free))

    def empty(self) -> None:
        """Remove all keys of the benchmark. A scratch server also gives their memory back."""
        if self.is_scratch:
            self.client.flushall()
        else:
            empty_cache()

    def foreign_keys(self) -> int:
        """How many keys of others there are. Call it while the benchmark has none there."""
        return max(int(client.dbsize()) for client in self.clients)

    def _memory(self) -> dict[str, Any]:
        return dict(self.client.info("memory"))


@contextmanager
def redis_server(*, seconds: float) -> Iterator[RedisServer]:
    """Inside, every cache is on the server. A scratch server ends by itself some time after ``seconds``."""
    if not settings.USES_PRIVATE_REDIS:
        with _patient_clients() as clients:
            yield RedisServer(is_scratch=False, clients=clients)
        return
    with (
        scratch_redis(limit_seconds=seconds + 4 * EXIT_PATIENCE_SECONDS) as redis,
        _caches_on(redis),
        _patient_clients() as clients,
    ):
        yield RedisServer(is_scratch=True, clients=clients)


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


@contextmanager
def _caches_on(redis: PrivateRedis) -> Iterator[None]:
    private = PrivateRedis(settings.PRIVATE_REDIS_DIR)

    def moved(url: str) -> str:
        return url.replace(_address(private), _address(redis))

    with override_settings(
        CACHES={
            alias: {**cache, "LOCATION": moved(cache["LOCATION"])} for alias, cache in settings.CACHES.items()
        },
        # From these, the processes of strategies know the server.
        USES_PRIVATE_REDIS=False,
        REDIS_URL=moved(settings.REDIS_URL),
        READ_REDIS_URL=moved(settings.READ_REDIS_URL),
    ):
        try:
            yield
        finally:
            for client in cache_clients():
                client.connection_pool.disconnect()


def _address(redis: PrivateRedis) -> str:
    """The server's URL without a database."""
    return redis.url(database=0).partition("?")[0]
