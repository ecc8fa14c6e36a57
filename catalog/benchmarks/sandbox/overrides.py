"""The settings that differ between the shop and the processes of a benchmark.

This module does not import Django, because the settings module of child processes imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.benchmarks.figures.names import BUILTIN

TEST_CLIENT_HOST = "testserver"
URLCONF = "catalog.benchmarks.strategies.urls"
REDIS_PATIENCE_SECONDS = 10

Caches = Mapping[str, Mapping[str, Any]]


def overrides(
    caches: Caches, *, key_prefix: str, additional_caches: Caches | None = None, is_patient: bool = True
) -> dict[str, Any]:
    """The cache aliases get the key prefix, and ``DEBUG`` is off: with it, Django records every query.

    ``additional_caches`` are aliases as far as they differ from ``default``. If ``is_patient``, Redis
    has ten seconds to answer. With the read cache's quarter of a second, a busy machine would look like
    an outage, and outages have a separate experiment.
    """
    shop = {alias: _patient(config) if is_patient else config for alias, config in caches.items()}
    default = shop["default"]
    additional = {alias: {**default, **config} for alias, config in (additional_caches or {}).items()}
    all_caches = {**shop, BUILTIN: _builtin_cache(default), **additional}
    patience = {
        "READ_CACHE_READ_SECONDS": REDIS_PATIENCE_SECONDS,
        "READ_CACHE_WRITE_SECONDS": REDIS_PATIENCE_SECONDS,
    }
    return {
        **(patience if is_patient else {}),
        # Nothing but the processes of the run, which know what the views declare, uses its key prefix.
        "READ_CACHE_DECLARATION_SECONDS": 0,
        "CACHES": {alias: {**config, "KEY_PREFIX": key_prefix} for alias, config in all_caches.items()},
        "ALLOWED_HOSTS": [TEST_CLIENT_HOST, "127.0.0.1"],
        "DEBUG": False,
        "SECURE_SSL_REDIRECT": False,
        "ROOT_URLCONF": URLCONF,
    }


def _patient(cache: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(cache.get("OPTIONS", {}))
    for limit in ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"):
        if limit in options:
            options[limit] = REDIS_PATIENCE_SECONDS
    return {**cache, "OPTIONS": options}


def _builtin_cache(default: Mapping[str, Any]) -> dict[str, Any]:
    """Django's own backend on the textbook's server, with the same timeouts and way to connect.

    Django passes its options to redis-py's ``ConnectionPool.from_url`` unchanged.
    """
    options = default["OPTIONS"]
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": default["LOCATION"],
        "OPTIONS": {
            "socket_connect_timeout": options["SOCKET_CONNECT_TIMEOUT"],
            "socket_timeout": options["SOCKET_TIMEOUT"],
            **options["CONNECTION_POOL_KWARGS"],
        },
    }
