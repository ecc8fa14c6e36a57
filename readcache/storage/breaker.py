"""Keeps requests away from a Redis that does not answer, and keeps the rotations that it has not received.

After the first failure no request waits for Redis. A background thread asks once a second whether Redis
answers, flushes the pending rotations, and only then lets requests through.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TypeVar

from redis.exceptions import RedisError

from readcache.wording import counted

logger = logging.getLogger(__name__)

PROBE_INTERVAL_SECONDS = 1.0

T = TypeVar("T")


class Outage(Exception):
    """Redis cannot be used now. Bypass the cache."""


class Breaker:
    """``is_open`` while Redis does not answer or rotations are pending.

    ``flush`` rotates the given tags and raises redis-py's errors. The breaker is thread-safe. A forked
    process starts a prober of its own. A process that exits flushes first, because its prober ends with it.
    """

    def __init__(self, flush: Callable[[Iterable[str]], None]) -> None:
        self.is_open = False
        self._flush = flush
        # The tags of pending rotations. The numbers tell a rotation that a flush has included from one of
        # the same tag that was added during the flush.
        self._pending: dict[str, int] = {}
        self._last_number = 0
        self._lock = threading.Lock()
        self._prober: threading.Thread | None = None
        self._closing = threading.Event()
        _breakers.add(self)

    def call(self, command: Callable[[], T]) -> T:
        """Return the command's result. Raises ``Outage``; at once while the breaker is open."""
        if self.is_open:
            raise Outage
        try:
            return command()
        except (RedisError, OSError) as error:
            self.open(error)
            raise Outage from error

    def open(self, error: BaseException) -> None:
        with self._lock:
            if not self.is_open:
                logger.warning("Bypassing the read cache until Redis answers: %s", error)
            self.is_open = True
            self._start_prober()

    def add_pending(self, tags: Iterable[str]) -> None:
        """Rotate these tags as soon as Redis answers, and bypass the cache until then."""
        with self._lock:
            self._last_number += 1
            self._pending.update(dict.fromkeys(tags, self._last_number))
            self.is_open = True
            self._start_prober()

    def probe(self) -> bool:
        """Flush the pending rotations; if Redis takes them, close the breaker and return ``True``."""
        with self._lock:
            flushed = dict(self._pending)
        try:
            self._flush(flushed)
        except (RedisError, OSError):
            return False
        with self._lock:
            # A rotation that was added during the flush stays pending until the next probe.
            self._pending = {
                tag: number for tag, number in self._pending.items() if flushed.get(tag) != number
            }
            self.is_open = bool(self._pending)
            if not self.is_open:
                self._prober = None
                logger.warning("Redis is back; sent %s.", counted(len(flushed), "pending rotation"))
            return not self.is_open

    def flush_now(self) -> bool:
        """Whether no rotation is pending, after a probe if one was."""
        return not self._pending or self.probe()

    def close(self) -> None:
        """End the prober of a breaker that is no longer used."""
        self._closing.set()

    def flush_at_exit(self) -> None:
        if not self._closing.is_set():
            self.flush_now()

    def start_anew_after_fork(self) -> None:
        self._lock = threading.Lock()
        was_closed, self._closing = self._closing.is_set(), threading.Event()
        if was_closed:
            self._closing.set()
        self._prober = None
        if self.is_open:
            self._start_prober()

    def _start_prober(self) -> None:
        if self._prober is None:
            self._prober = threading.Thread(target=self._probe_until_closed, name="read-cache", daemon=True)
            self._prober.start()

    def _probe_until_closed(self) -> None:
        while not self._closing.wait(PROBE_INTERVAL_SECONDS):
            try:
                if self.probe():
                    return
            except Exception:
                # Without its prober this process would bypass the cache forever.
                logger.exception("Probing Redis failed. Trying again in %g s.", PROBE_INTERVAL_SECONDS)


# The breakers that are in use. Hooks of each breaker's own would keep it alive forever.
_breakers: weakref.WeakSet[Breaker] = weakref.WeakSet()


def _start_anew_after_fork() -> None:
    for breaker in list(_breakers):
        breaker.start_anew_after_fork()


def _flush_at_exit() -> None:
    for breaker in list(_breakers):
        breaker.flush_at_exit()


os.register_at_fork(after_in_child=_start_anew_after_fork)
atexit.register(_flush_at_exit)
