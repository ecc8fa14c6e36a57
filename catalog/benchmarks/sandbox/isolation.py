"""A separate key prefix in Redis: a benchmark finds nothing cached and leaves nothing behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test.utils import override_settings
from django_redis.client.default import glob_escape

from catalog.benchmarks.figures.names import BUILTIN
from catalog.benchmarks.sandbox.overrides import overrides
from catalog.benchmarks.sandbox.run_lock import PREFIX, locked_run, new_suffix
from catalog.cached_pages import redis_client, scan_batches
from readcache.testing.interrupts import interrupts_deferred


@contextmanager
def isolated_cache(*, simulated_latency_seconds: float | None = None) -> Iterator[None]:
    """Within the block, this process and its children cache under a new key prefix.

    The keys are removed at the end, also after an interrupt. ``None`` keeps the configured simulated
    latency. Not thread-safe.
    """
    changed = overrides(settings.CACHES, key_prefix=f"{PREFIX}.{new_suffix()}")
    if simulated_latency_seconds is not None:
        changed["SIMULATED_LATENCY_SECONDS"] = simulated_latency_seconds
    with locked_run(), override_settings(**changed):
        try:
            yield
        finally:
            with interrupts_deferred():
                empty_cache()


def key_prefix() -> str:
    """The prefix of the isolated cache. Raises ``RuntimeError`` outside: keys without it belong to others."""
    prefix = str(settings.CACHES["default"].get("KEY_PREFIX", ""))
    if not prefix.startswith(f"{PREFIX}."):
        raise RuntimeError("This works only within isolated_cache().")
    return prefix


def empty_cache() -> None:
    """Remove every key of the isolated cache, tokens included, from each Redis database."""
    for client in cache_clients():
        for batch in scan_batches(client, f"{glob_escape(key_prefix())}:*"):
            client.unlink(*batch)


def require_permissions() -> None:
    """Raises a ``RedisError`` if the user of Redis may not run the commands that remove keys."""
    for client in cache_clients():
        client.set(f"{key_prefix()}:probe", b"", ex=60)
    empty_cache()


def cache_clients() -> list[Any]:
    """A client of each Redis database that the caches use."""
    aliases = {
        config["LOCATION"]: alias
        for alias, config in settings.CACHES.items()
        # Django's own backend does not reveal its client. It uses the database of "default".
        if alias != BUILTIN
    }
    return [redis_client(alias) for alias in aliases.values()]


@contextmanager
def garbage_collector_off(*, collects_first: bool = True) -> Iterator[None]:
    """Within the block, no request pays for a garbage collection that it happens to trigger.

    A collection takes a tenth of a second, so it is too slow before each of many requests.
    """
    was_enabled = gc.isenabled()
    if collects_first:
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
