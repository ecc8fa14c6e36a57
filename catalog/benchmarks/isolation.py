"""A benchmark's own corner of Redis, so that it finds nothing cached and leaves nothing behind."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test.utils import override_settings
from django_redis.client.default import glob_escape

from catalog import signals
from catalog.benchmarks.overrides import BUILTIN_ALIAS, overrides
from catalog.cached_pages import redis_client, scan_batches

KEY_PREFIX = "bench_cache"


@contextmanager
def isolated_cache(*, simulated_latency_seconds: float | None = None) -> Iterator[None]:
    """Cache under a key prefix of its own inside, in this process and in those that it starts.

    The keys are removed at the end, also after Ctrl-C and SIGTERM. ``None`` keeps the configured
    simulated latency. Not thread-safe.
    """
    prefix = f"{KEY_PREFIX}.{uuid.uuid4().hex[:12]}"
    changed = overrides(settings.CACHES, key_prefix=prefix)
    if simulated_latency_seconds is not None:
        changed["SIMULATED_LATENCY_SECONDS"] = simulated_latency_seconds
    with terminating_like_ctrl_c(), _quiet_signals(), override_settings(**changed):
        try:
            yield
        finally:
            with interrupts_deferred():
                empty_cache()


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """A line for each invalidation would bury the report, and its time is no cache's."""
    logger = logging.getLogger(signals.__name__)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def key_prefix() -> str:
    """The isolated cache's. Raises ``RuntimeError`` outside of one: its keys must never be anybody's."""
    prefix = str(settings.CACHES["default"].get("KEY_PREFIX", ""))
    if not prefix.startswith(f"{KEY_PREFIX}."):
        raise RuntimeError("This works only within isolated_cache().")
    return prefix


def empty_cache() -> None:
    """Remove every key of the isolated cache, tokens too, from each database of Redis that has some."""
    locations = {
        config["LOCATION"]: alias
        for alias, config in settings.CACHES.items()
        # Django's own backend gives nobody its connection. It is where "default" is.
        if alias != BUILTIN_ALIAS
    }
    for alias in locations.values():
        client = redis_client(alias)
        for batch in scan_batches(client, f"{glob_escape(key_prefix())}:*"):
            client.unlink(*batch)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block has ended.

    By handlers and not by a mask: a signal that the main thread blocks is taken by another thread,
    and Python runs its handler in the main thread all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handlers = {
        number: signal.signal(number, lambda caught_number, frame: caught.append(caught_number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for caught_number in caught:
            signal.raise_signal(caught_number)


@contextmanager
def garbage_collector_off() -> Iterator[None]:
    """A collection in the middle of one request would be counted as that request's time."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def terminating_like_ctrl_c() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that what was changed is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
