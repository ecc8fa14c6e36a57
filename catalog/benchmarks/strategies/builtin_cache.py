"""The cache alias of the strategy ``builtin``. Imports no Django, because settings are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUILTIN_ALIAS = "builtin"


def builtin_cache(default: Mapping[str, Any]) -> dict[str, Any]:
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
