"""The settings in which a benchmark's processes differ from the shop's.

Imports nothing of Django's: the settings of child processes are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEST_CLIENT_HOST = "testserver"
URLCONF = "catalog.benchmarks.urls"
BUILTIN_ALIAS = "builtin"

Caches = Mapping[str, Mapping[str, Any]]


def overrides(caches: Caches, *, key_prefix: str, additional_caches: Caches | None = None) -> dict[str, Any]:
    """Everything cached has the key prefix. ``DEBUG`` is off: with it Django records every query.

    ``additional_caches`` are aliases as far as they differ from ``default``.
    """
    default = caches["default"]
    additional = {alias: {**default, **config} for alias, config in (additional_caches or {}).items()}
    all_caches = {**caches, BUILTIN_ALIAS: _builtin_cache(default), **additional}
    return {
        "CACHES": {alias: {**config, "KEY_PREFIX": key_prefix} for alias, config in all_caches.items()},
        "ALLOWED_HOSTS": [TEST_CLIENT_HOST, "127.0.0.1"],
        "DEBUG": False,
        "SECURE_SSL_REDIRECT": False,
        "ROOT_URLCONF": URLCONF,
    }


def _builtin_cache(default: Mapping[str, Any]) -> dict[str, Any]:
    """Django's own backend at the textbook's server, with its time-outs and its way to connect.

    Django hands its options to redis-py's ``ConnectionPool.from_url`` as they are.
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
