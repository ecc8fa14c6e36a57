"""A benchmark's own corner of Redis, so that it finds nothing cached and leaves nothing behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test.utils import override_settings
from django_redis.client.default import glob_escape

from catalog.benchmarks.sandbox.overrides import BUILTIN_ALIAS, overrides
from catalog.benchmarks.sandbox.run_lock import PREFIX, living, new_mark
from catalog.cached_pages import redis_client, scan_batches
from readcache.testing.interrupts import interrupts_deferred

KEY_PREFIX = PREFIX


@contextmanager
def isolated_cache(*, simulated_latency_seconds: float | None = None) -> Iterator[None]:
    """Cache under a key prefix of its own inside, in this process and in those that it starts.

    The keys are removed at the end, also after an interrupt. ``None`` keeps the configured
    simulated latency. Not thread-safe.
    """
    prefix = f"{KEY_PREFIX}.{new_mark()}"
    changed = overrides(settings.CACHES, key_prefix=prefix)
    if simulated_latency_seconds is not None:
        changed["SIMULATED_LATENCY_SECONDS"] = simulated_latency_seconds
    with living(), override_settings(**changed):
        try:
            yield
        finally:
            with interrupts_deferred():
                empty_cache()


def key_prefix() -> str:
    """The isolated cache's. Raises ``RuntimeError`` outside of one: its keys must never be anybody's."""
    prefix = str(settings.CACHES["default"].get("KEY_PREFIX", ""))
    if not prefix.startswith(f"{KEY_PREFIX}."):
        raise RuntimeError("This works only within isolated_cache().")
    return prefix


def empty_cache() -> None:
    """Remove every key of the isolated cache, tokens too, from each database of Redis that has some."""
    for client in cache_clients():
        for batch in scan_batches(client, f"{glob_escape(key_prefix())}:*"):
            client.unlink(*batch)


def require_own_corner() -> None:
    """Raises a ``RedisError`` where the user of Redis may not do what cleaning up takes."""
    for client in cache_clients():
        client.set(f"{key_prefix()}:probe", b"", ex=60)
    empty_cache()


def cache_clients() -> list[Any]:
    """One of each database of Redis that the caches are in."""
    aliases = {
        config["LOCATION"]: alias
        for alias, config in settings.CACHES.items()
        # Django's own backend gives nobody its connection. It is where "default" is.
        if alias != BUILTIN_ALIAS
    }
    return [redis_client(alias) for alias in aliases.values()]


@contextmanager
def garbage_collector_off(*, collects_first: bool = True) -> Iterator[None]:
    """A collection in the middle of one request would be counted as that request's time.

    To collect takes a tenth of a second: too long where each of many requests has a block of its own.
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
