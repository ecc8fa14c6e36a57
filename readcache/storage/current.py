"""The store that this process uses."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.cache import caches
from django.core.signals import setting_changed

from readcache.conf import configuration
from readcache.declarations import declared_tags
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
        every_tag=declared_tags,
    )


def _forget_store(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES" or setting.startswith("READ_CACHE_"):
        if store.cache_info().currsize:
            store().close()
        store.cache_clear()


setting_changed.connect(_forget_store, dispatch_uid="read-cache-store")
