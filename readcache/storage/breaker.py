"""Keeps requests away from a Redis that does not answer, and remembers what it is pending.

After the first failure nothing waits for Redis again: a thread in the background asks once a
second whether it is back, pays the rotations that are pending, and only then lets requests through.
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

logger = logging.getLogger(__name__)

PROBE_INTERVAL_SECONDS = 1.0

T = TypeVar("T")


class Outage(Exception):
    """Redis cannot be used now; the cache is to be passed by."""


class Breaker:
    """``is_open`` while Redis is away or pending a rotation. ``pay`` rotates tags, and raises if it cannot.

    Thread-safe; a forked process starts a prober of its own. A process that ends pays first, if Redis
    answers: its thread ends with it.
    """

    def __init__(self, flush: Callable[[Iterable[str]], None]) -> None:
        self.is_open = False
        self._flush = flush
        # Each number has a number: one that arises while an older of its tag is paid is another number.
        self._pending: dict[str, int] = {}
        self._last_number = 0
        self._lock = threading.Lock()
        self._prober: threading.Thread | None = None
        self._closing = threading.Event()
        _breakers.add(self)

    def call(self, command: Callable[[], T]) -> T:
        """The command's result. Raises ``Outage``, at once while the breaker is open."""
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
        """Rotate these as soon as Redis answers, and serve nothing from the cache before."""
        with self._lock:
            self._last_number += 1
            self._pending.update(dict.fromkeys(tags, self._last_number))
            self.is_open = True
            self._start_prober()

    def probe(self) -> bool:
        """Pay what is pending and close the breaker, if Redis answers."""
        with self._lock:
            pending = dict(self._pending)
        try:
            self._flush(pending)
        except (RedisError, OSError):
            return False
        with self._lock:
            self._pending = {
                tag: number for tag, number in self._pending.items() if pending.get(tag) != number
            }
            # A rotation that became pending while these were paid is paid by the next probe.
            self.is_open = bool(self._pending)
            if not self.is_open:
                self._prober = None
                rotations = "1 pending rotation" if len(pending) == 1 else f"{len(pending)} pending rotations"
                logger.warning("Redis is back; sent %s.", rotations)
            return not self.is_open

    def flush_now(self) -> bool:
        """Whether nothing is pending, or what was is paid: at once, where the next probe comes too late."""
        return not self._pending or self.probe()

    def close(self) -> None:
        """End the prober, for a breaker that is not used any more."""
        self._closing.set()

    def flush_at_exit(self) -> None:
        if not self._closing.is_set():
            self.flush_now()

    def _start_prober(self) -> None:
        if self._prober is None:
            self._prober = threading.Thread(target=self._probe_until_back, name="read-cache", daemon=True)
            self._prober.start()

    def _probe_until_back(self) -> None:
        while not self._closing.wait(PROBE_INTERVAL_SECONDS):
            try:
                if self.probe():
                    return
            except Exception:
                # Without a prober this process would pass the cache by for ever.
                logger.exception("Probing Redis failed; it is tried again.")

    def start_anew_after_fork(self) -> None:
        self._lock = threading.Lock()
        was_closed, self._closing = self._closing.is_set(), threading.Event()
        if was_closed:
            self._closing.set()
        self._prober = None
        if self.is_open:
            self._start_prober()


# Those that somebody has: a hook of each one's own would keep it for ever.
_breakers: weakref.WeakSet[Breaker] = weakref.WeakSet()


def _start_anew_after_fork() -> None:
    for breaker in list(_breakers):
        breaker.start_anew_after_fork()


def _flush_at_exit() -> None:
    for breaker in list(_breakers):
        breaker.flush_at_exit()


os.register_at_fork(after_in_child=_start_anew_after_fork)
atexit.register(_flush_at_exit)
