"""A private, real Redis for machines without one: the server that runs when REDIS_URL is not set.

It listens on a unix socket in a folder that only its owner can enter, opens no TCP port, keeps
no data on disk, and is shared by every process of the project. The first connection that finds
no server starts one; a socket left behind by a killed server counts as none.

Needs the extra ``django-readcache[testing]``. The names are imported when they are first used, so
that ``readcache.testing.interrupts`` costs a program neither redis-py nor psutil.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from readcache.testing.connection import PrivateRedisConnection as PrivateRedisConnection
    from readcache.testing.errors import PrivateRedisError as PrivateRedisError
    from readcache.testing.programs import CLIENT_NAMES as CLIENT_NAMES
    from readcache.testing.programs import NO_SERVER_MESSAGE as NO_SERVER_MESSAGE
    from readcache.testing.programs import SERVER_NAMES as SERVER_NAMES
    from readcache.testing.programs import find_program as find_program
    from readcache.testing.server import PrivateRedis as PrivateRedis

_MODULES = {
    "CLIENT_NAMES": "programs",
    "NO_SERVER_MESSAGE": "programs",
    "SERVER_NAMES": "programs",
    "PrivateRedis": "server",
    "PrivateRedisConnection": "connection",
    "PrivateRedisError": "errors",
    "find_program": "programs",
}
__all__ = [
    "CLIENT_NAMES",
    "NO_SERVER_MESSAGE",
    "SERVER_NAMES",
    "PrivateRedis",
    "PrivateRedisConnection",
    "PrivateRedisError",
    "find_program",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
