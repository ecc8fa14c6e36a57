"""The engine's settings and the store that this process uses."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed

from catalog.caching.declarations import declared_tags
from catalog.caching.store import Store

ALIAS = "read"
DEFAULT_LEASE_SECONDS = 10.0
DEFAULT_WAIT_SECONDS = 5.0


def lease_seconds() -> float:
    """``READ_CACHE_LEASE_SECONDS``: how long an answer may be stale after a writer was killed."""
    return float(getattr(settings, "READ_CACHE_LEASE_SECONDS", DEFAULT_LEASE_SECONDS))


def wait_seconds() -> float:
    """``READ_CACHE_WAIT_SECONDS``: how long a request waits for another that fills the same entry."""
    return float(getattr(settings, "READ_CACHE_WAIT_SECONDS", DEFAULT_WAIT_SECONDS))


@cache
def store() -> Store:
    """One store a process: its breaker and what it owes are everybody's."""
    configured: Any = caches[ALIAS]
    return Store(
        configured.client.get_client(write=True),
        key_prefix=configured.key_prefix,
        lease_seconds=lease_seconds(),
        every_tag=declared_tags,
    )


def _forget_store(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES" or setting.startswith("READ_CACHE_"):
        if store.cache_info().currsize:
            store().close()
        store.cache_clear()


setting_changed.connect(_forget_store, dispatch_uid="read-cache-store")
