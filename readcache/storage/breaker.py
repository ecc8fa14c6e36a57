"""Keeps requests away from a Redis that does not answer, and keeps the rotations that it has not received.

After the first failure no request waits for Redis. A background thread asks once a second whether Redis
answers, flushes the pending rotations, and only then lets requests through.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from redis.exceptions import RedisError

from readcache.wording import counted

logger = logging.getLogger(__name__)

PROBE_INTERVAL_SECONDS = 1.0
# How long a process that ends waits for Redis.
EXIT_PATIENCE_SECONDS = 2.0
EXIT_POLL_SECONDS = 0.1

T = TypeVar("T")
# The tags to rotate, and the names of the marks that end with each one's rotation.
PendingRotations = dict[str, frozenset[str]]


class Outage(Exception):
    """Redis cannot be used now. Bypass the cache."""

    # In Cache-Status.
    detail = "outage"


class Breaker:
    """``is_open`` while Redis does not answer or rotations are pending.

    ``flush`` rotates the given tags, ends the marks that go with each tag, and raises redis-py's errors.
    The breaker is thread-safe. A forked process starts a prober of its own. A process that exits flushes
    first, because its prober ends with it.
    """

    def __init__(self, flush: Callable[[PendingRotations], None]) -> None:
        self.is_open = False
        self._flush = flush
        self._pending: PendingRotations = {}
        self._lock = threading.Lock()
        self._prober: threading.Thread | None = None
        self._closing = threading.Event()
        self._has_waited = False
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

    def add_pending(self, tags: Iterable[str], *, ends: Iterable[str] = ()) -> None:
        """Rotate these tags as soon as Redis answers, and bypass the cache until then.

        ``ends`` names the marks that end with the rotation.
        """
        with self._lock:
            for tag in tags:
                # The random member tells a rotation that a flush has included from one that was added
                # during the flush.
                self._pending[tag] = self._pending.get(tag, frozenset()) | {*ends, secrets.token_hex(8)}
            self.is_open = True
            self._start_prober()
        _flush_at_exit_of_a_worker()

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
            self._pending = {tag: ends for tag, ends in self._pending.items() if flushed.get(tag) != ends}
            self.is_open = bool(self._pending)
            if not self.is_open:
                self._prober = None
                self._has_waited = False
                logger.warning("Redis is back; sent %s.", counted(len(flushed), "pending rotation"))
            return not self.is_open

    def flush_now(self) -> bool:
        """Whether no rotation is pending, after a probe if one was."""
        return not self._pending or self.probe()

    def close(self) -> None:
        """End the prober of a breaker that is no longer used."""
        self._closing.set()

    def flush_at_exit(self) -> None:
        """Flush the pending rotations. A process that exits waits ``EXIT_PATIENCE_SECONDS`` for Redis."""
        if not self._flush_within(EXIT_PATIENCE_SECONDS):
            logger.error(
                "This process ends with pending rotations of %s: entries that depend on them may be old "
                "until their timeout. Run: python manage.py flush_read_cache",
                ", ".join(sorted(self._pending)),
            )

    def flush_before_standstill(self, seconds: float) -> None:
        """Flush the pending rotations of a process whose prober does not run until its next request.

        It waits for Redis once in an outage: a long one must not take the workers away.
        """
        if self._has_waited or not self._pending:
            return
        self._has_waited = True
        if not self._flush_within(seconds):
            logger.error(
                "This worker stands still with pending rotations of %s: entries that depend on them may be "
                "old until its next request. Set enable-threads = true.",
                ", ".join(sorted(self._pending)),
            )

    def _flush_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not (self._closing.is_set() or self.flush_now()):
            if time.monotonic() > deadline:
                return False
            time.sleep(EXIT_POLL_SECONDS)
        return True

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
            prober = threading.Thread(target=self._probe_until_closed, name="read-cache", daemon=True)
            # While the interpreter shuts down, no thread can be started. The flush at exit is left then.
            with suppress(RuntimeError):
                prober.start()
                self._prober = prober

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


def _flush_at_exit_of_a_worker() -> None:
    """The processes of a pool, Python's or Celery's, end without atexit and have exits of their own."""
    for name in ("multiprocessing.util", "billiard.util"):
        module: Any = sys.modules.get(name)
        if module is not None:
            module.Finalize(None, _flush_at_exit, exitpriority=0)


def _flush_at_exit() -> None:
    for breaker in list(_breakers):
        breaker.flush_at_exit()


os.register_at_fork(after_in_child=_start_anew_after_fork)
atexit.register(_flush_at_exit)
