"""The store that this process uses."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, setting_changed

from readcache.conf import configuration
from readcache.declarations import declared_tags
from readcache.storage.standstill import stands_still_between_requests
from readcache.storage.store import Store


@cache
def store() -> Store:
    """One store for all threads: they share its breaker and the pending rotations."""
    configured: Any = caches[configuration().alias]
    return Store(
        configured.client.get_client(write=True),
        key_prefix=configured.key_prefix,
        lease_seconds=configuration().lease_seconds,
        longest_write_seconds=configuration().longest_write_seconds,
        read_seconds=configuration().read_seconds,
        write_seconds=configuration().write_seconds,
        declaration_seconds=configuration().declaration_seconds,
        declared_tags=declared_tags,
    )


def flush_before_standstill(**kwargs: Any) -> None:
    """Called at the end of each request, after its response was sent."""
    if stands_still_between_requests() and store.cache_info().currsize:
        store().breaker.flush_before_standstill(configuration().lease_seconds)


def known_tags() -> frozenset[str]:
    """The tags that some process declares, as far as this one knows: the same object until it learns more."""
    chosen = store_of_writes()
    return chosen.registry.tags() if chosen else declared_tags()


@cache
def store_of_writes() -> Store | None:
    """The store, or ``None`` where no view of this process needs it and the settings name none."""
    try:
        return store()
    except (ImproperlyConfigured, ImportError, AttributeError, TypeError, ValueError):
        return None


def _forget_store(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES" or setting.startswith("READ_CACHE_"):
        if store.cache_info().currsize:
            store().close()
        store.cache_clear()
        store_of_writes.cache_clear()


setting_changed.connect(_forget_store, dispatch_uid="read-cache-store")
request_finished.connect(flush_before_standstill, dispatch_uid="read-cache-standstill")
