"""Opens connections of redis-py within a deadline.

redis-py has a time limit for each address of a host and for each exchange of the handshake. Here they share
one deadline. Not bounded by it are the look-up of a host's name, and a TLS handshake whose bytes drip.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from math import inf
from socket import SHUT_RDWR
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection as TcpConnection
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

SHORTEST_ATTEMPT_SECONDS = 0.001


def opened(pool: ConnectionPool, deadline: float) -> Any:
    """A connected connection of redis-py. Raises redis-py's errors."""
    seconds = seconds_until(deadline)
    limits = {
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
    }
    raw = _with_one_limit(pool.connection_class)(**{**pool.connection_kwargs, **limits})
    raw.deadline = deadline
    with _cut_off_after(seconds, lambda: raw._sock):
        _shake_hands(raw, deadline)
    if raw._sock is None:
        raise RedisTimeoutError("Redis did not let the read cache in in time.")
    return raw


def seconds_until(deadline: float) -> float:
    """The seconds that are left. Raises redis-py's ``TimeoutError`` for none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise RedisTimeoutError("Redis did not reply in time.")
    return left


@cache
def _with_one_limit(connection_class: type[Any]) -> type[Any]:
    """A class that tries the addresses of a host until its ``deadline``, not each for the whole time."""
    if not issubclass(connection_class, TcpConnection):
        return connection_class
    limit = property(
        lambda raw: max(SHORTEST_ATTEMPT_SECONDS, raw.deadline - time.monotonic()), lambda raw, seconds: None
    )
    attributes = {"socket_connect_timeout": limit, "deadline": inf}
    return type(connection_class.__name__, (connection_class,), attributes)


def _shake_hands(raw: Any, deadline: float) -> None:
    """Raises redis-py's errors, whatever the other side replies: redis-py relies on the replies' types."""
    try:
        raw.connect()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raw.disconnect()
        raise InvalidResponse(f"The other side does not shake hands like Redis: {error}") from error
    except RedisConnectionError as error:
        if time.monotonic() < deadline:
            raise
        raise RedisTimeoutError("Redis did not let the read cache in in time.") from error


@contextmanager
def _cut_off_after(seconds: float, socket: Callable[[], Any]) -> Iterator[None]:
    """A handshake is several exchanges, and each has a time limit of its own."""

    def cut() -> None:
        with suppress(OSError, AttributeError):
            socket().shutdown(SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    # While the interpreter shuts down, no thread can be started: then each exchange has its own limit only.
    with suppress(RuntimeError):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
