"""A benchmark's own corner of Redis, so that it finds nothing cached and leaves nothing behind."""

from __future__ import annotations

import gc
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test.utils import override_settings
from django_redis.client.default import glob_escape

from catalog.cached_pages import redis_client, scan_batches

KEY_PREFIX = "bench_cache"
HOST = "testserver"


@contextmanager
def isolated_cache(*, simulated_latency_seconds: float | None = None) -> Iterator[Callable[[], None]]:
    """Cache under a key prefix of its own inside; yields a function that empties it.

    The keys are removed at the end, also after Ctrl-C and SIGTERM. ``None`` keeps the configured
    simulated latency. ``DEBUG`` is off inside: with it Django records every query, which a
    production server does not. Only for this process, and not thread-safe.
    """
    prefix = f"{KEY_PREFIX}.{uuid.uuid4().hex[:12]}"
    overrides: dict[str, Any] = {
        "CACHES": {alias: {**config, "KEY_PREFIX": prefix} for alias, config in settings.CACHES.items()},
        "ALLOWED_HOSTS": [HOST],
        "DEBUG": False,
        "SECURE_SSL_REDIRECT": False,
        "ROOT_URLCONF": "catalog.benchmarks.floor",
    }
    if simulated_latency_seconds is not None:
        overrides["SIMULATED_LATENCY_SECONDS"] = simulated_latency_seconds
    with terminating_like_ctrl_c(), override_settings(**overrides):
        try:
            yield lambda: _remove_keys(prefix)
        finally:
            with interrupts_deferred():
                _remove_keys(prefix)


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


def _remove_keys(prefix: str) -> None:
    for alias in settings.CACHES:
        client = redis_client(alias)
        for batch in scan_batches(client, f"{glob_escape(prefix)}:*"):
            client.unlink(*batch)


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
