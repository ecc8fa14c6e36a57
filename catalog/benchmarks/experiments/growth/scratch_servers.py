"""The Redis that is filled with keys: a scratch server, or the user's, and what it has room for.

The private server is bounded at 256 MB and evicts, so a server of the same program without these
bounds stands in for it, which also tells how much memory it uses. A user's own Redis is filled
itself, as far as half of its free memory goes: other people's keys are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil
from django.conf import settings
from django.test.utils import override_settings
from redis import ConnectionPool, Redis

from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.processes import scratch_redis
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, running_process
from catalog.benchmarks.sandbox.isolation import empty_cache
from catalog.benchmarks.sandbox.overrides import BUILTIN_ALIAS
from catalog.cached_pages import redis_client
from readcache.testing import NO_SERVER_MESSAGE, SERVER_NAMES, PrivateRedis, find_program

ROOM_SHARE = 0.5
PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """``is_scratch`` means that nobody else uses it. ``clients`` has one for each database of the caches.

    They wait for long: what they do to a million keys takes longer than a page may wait for.
    """

    is_scratch: bool
    clients: tuple[Redis, ...]

    @property
    def client(self) -> Redis:
        return self.clients[0]

    def used_bytes(self) -> int:
        return int(self._memory()["used_memory"])

    def room_bytes(self) -> int:
        """What may be stored: half of what is free, by the server's limit and the machine's memory."""
        memory = self._memory()
        used, limit = int(memory["used_memory"]), int(memory.get("maxmemory", 0))
        total = int(memory.get("total_system_memory", 0))
        machine = psutil.virtual_memory()
        # Another total is another machine's, of which only the total is known.
        free = machine.available if total in (0, machine.total) else total - used
        return int(ROOM_SHARE * max(0, min(free, limit - used) if limit else free))

    def empty(self) -> None:
        """Of all keys of the benchmark, with their memory given back where nobody else's are there."""
        if self.is_scratch:
            self.client.flushall()
        else:
            empty_cache()

    def foreign_keys(self) -> int:
        """Of others, in the databases of the caches, counted while the benchmark has none there."""
        return max(int(client.dbsize()) for client in self.clients)

    def _memory(self) -> dict[str, Any]:
        return dict(self.client.info("memory"))


@contextmanager
def redis_server(*, seconds: float) -> Iterator[RedisServer]:
    """Inside, every cache is on it. A scratch server ends by itself some time after ``seconds``."""
    if not settings.USES_PRIVATE_REDIS:
        with _patient_clients() as clients:
            yield RedisServer(is_scratch=False, clients=clients)
        return
    with (
        TemporaryDirectory() as folder,
        _running_redis(Path(folder), seconds),
        _caches_on(scratch_redis.socket_in(Path(folder))),
        _patient_clients() as clients,
    ):
        yield RedisServer(is_scratch=True, clients=clients)


@contextmanager
def _patient_clients() -> Iterator[tuple[Redis, ...]]:
    clients: dict[tuple[Any, ...], Redis] = {}
    for alias in _aliases():
        pool = redis_client(alias).connection_pool
        address = tuple(pool.connection_kwargs.get(name) for name in ("host", "port", "path", "db"))
        patience = {**pool.connection_kwargs, "socket_timeout": PATIENCE_SECONDS}
        own_pool = ConnectionPool(connection_class=pool.connection_class, **patience)
        clients.setdefault(address, Redis(connection_pool=own_pool))
    try:
        yield tuple(clients.values())
    finally:
        for client in clients.values():
            client.connection_pool.disconnect()


@contextmanager
def _running_redis(folder: Path, seconds: float) -> Iterator[None]:
    program = find_program(SERVER_NAMES)
    if program is None:
        raise BenchmarkError(NO_SERVER_MESSAGE)
    limit_seconds = seconds + 4 * EXIT_PATIENCE_SECONDS
    command = scratch_redis.command(program, folder, limit_seconds=limit_seconds)
    with running_process(command, folder / "stderr") as process:
        scratch_redis.wait_until_it_answers(process, program, folder)
        yield


@contextmanager
def _caches_on(socket_path: Path) -> Iterator[None]:
    private = PrivateRedis(settings.PRIVATE_REDIS_DIR).url(database=0).partition("?")[0]
    scratch = f"unix://{quote(str(socket_path))}"
    moved = {
        name: _rewritten(getattr(settings, name), lambda text: text.replace(private, scratch))
        for name in ("CACHES", "REDIS_URL", "READ_REDIS_URL")
    }
    # The processes of strategies that have one of their own are told by the URLs.
    with override_settings(USES_PRIVATE_REDIS=False, **moved):
        try:
            yield
        finally:
            for alias in _aliases():
                redis_client(alias).connection_pool.disconnect()


def _aliases() -> list[str]:
    """Those of django-redis. Django's own backend is where "default" is."""
    return [alias for alias in settings.CACHES if alias != BUILTIN_ALIAS]


def _rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    """The settings with their texts rewritten, without what starts the private server."""
    if isinstance(value, dict):
        starters = {"server"} | ({"connection_class"} if "server" in value else set())
        return {key: _rewritten(each, rewrite) for key, each in value.items() if key not in starters}
    return rewrite(value) if isinstance(value, str) else value
