"""An entry of ``CACHES`` for tests, on a Redis server of their own."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from readcache.testing.connection import PrivateRedisConnection
from readcache.testing.server import PrivateRedis

# Much longer than in production: a machine that runs tests on every core answers late.
TIMEOUT_SECONDS = 10


def private_cache() -> dict[str, Any]:
    """An entry of ``CACHES``, whose server starts at the first connection and ends with this process.

    A forked process uses its parent's server. Where no server program is found, each use fails with
    ``PrivateRedisError``, which names the remedies.
    """
    name = f"readcache-{os.getpid()}-{secrets.token_hex(4)}"
    server = PrivateRedis(Path(tempfile.gettempdir()) / name)
    atexit.register(_remove, server, owner=os.getpid())
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server.url(database=0),
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": TIMEOUT_SECONDS,
            "SOCKET_TIMEOUT": TIMEOUT_SECONDS,
            "CONNECTION_POOL_KWARGS": {"connection_class": PrivateRedisConnection, "server": server},
        },
    }


def _remove(server: PrivateRedis, *, owner: int) -> None:
    if os.getpid() == owner:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)
