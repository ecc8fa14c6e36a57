"""The settings in which a benchmark's processes differ from the shop's.

Imports nothing of Django's: the settings of child processes are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEST_CLIENT_HOST = "testserver"
URLCONF = "catalog.benchmarks.strategies.urls"
BUILTIN_ALIAS = "builtin"
REDIS_PATIENCE_SECONDS = 10

Caches = Mapping[str, Mapping[str, Any]]


def overrides(
    caches: Caches, *, key_prefix: str, additional_caches: Caches | None = None, is_patient: bool = True
) -> dict[str, Any]:
    """Everything cached has the key prefix. ``DEBUG`` is off: with it Django records every query.

    ``additional_caches`` are aliases as far as they differ from ``default``. Redis has ten seconds to
    answer where ``is_patient``: a machine that has other work for the quarter of one that the read
    cache gives it would look like an outage, and that is a question of its own.
    """
    shop = {alias: _patient(config) if is_patient else config for alias, config in caches.items()}
    default = shop["default"]
    additional = {alias: {**default, **config} for alias, config in (additional_caches or {}).items()}
    all_caches = {**shop, BUILTIN_ALIAS: _builtin_cache(default), **additional}
    return {
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
