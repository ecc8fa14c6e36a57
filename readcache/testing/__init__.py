"""A real Redis for tests, for development, and for machines that have none.

``private_cache()`` is an entry of ``CACHES`` for the settings of tests. ``PrivateRedis`` is the server
behind it: it listens on a Unix socket in a folder that only its owner can enter, opens no TCP port and
writes no data to disk. Every process that uses the folder shares it. A ``PrivateRedisConnection`` starts
the server if none is running.

Needs ``pip install "django-readcache[testing]"``. The names are imported when they are first used, so
that ``readcache.testing.interrupts`` costs a program neither redis-py nor psutil.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from readcache.testing.caches import private_cache as private_cache
    from readcache.testing.connection import PrivateRedisConnection as PrivateRedisConnection
    from readcache.testing.errors import PrivateRedisError as PrivateRedisError
    from readcache.testing.programs import CLIENT_NAMES as CLIENT_NAMES
    from readcache.testing.programs import SERVER_NAMES as SERVER_NAMES
    from readcache.testing.programs import find_program as find_program
    from readcache.testing.server import PrivateRedis as PrivateRedis

_MODULES = {
    "CLIENT_NAMES": "programs",
    "SERVER_NAMES": "programs",
    "PrivateRedis": "server",
    "PrivateRedisConnection": "connection",
    "PrivateRedisError": "errors",
    "find_program": "programs",
    "private_cache": "caches",
}
__all__ = [
    "CLIENT_NAMES",
    "SERVER_NAMES",
    "PrivateRedis",
    "PrivateRedisConnection",
    "PrivateRedisError",
    "find_program",
    "private_cache",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
