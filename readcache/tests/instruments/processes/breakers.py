"""Breakers in a process that forks or ends.

The process of a test cannot fork by itself: the child would have the locks of threads that it has not.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from readcache.storage import breaker as module
from readcache.storage.breaker import Breaker

PATIENCE_SECONDS = 20
# Exit statuses of a child.
CAME_TOO_LATE = 70
HUNG = 71


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS / 2
    while not condition():
        if time.monotonic() > deadline:
            os._exit(CAME_TOO_LATE)
        time.sleep(0.002)


def status_of_a_fork(work: Callable[[], None]) -> int:
    """The exit status of a forked child that does the work."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return HUNG
        time.sleep(0.002)


def fork_with_a_pending_rotation() -> None:
    flushed_by: list[tuple[int, list[str]]] = []
    module.PROBE_INTERVAL_SECONDS = 3600
    breaker = Breaker(lambda tags: flushed_by.append((os.getpid(), sorted(tags))))
    breaker.add_pending(["library_book"])
    module.PROBE_INTERVAL_SECONDS = 0.01

    def child() -> None:
        wait_until(lambda: not breaker.is_open)
        if flushed_by != [(os.getpid(), ["library_book"])]:
            os._exit(1)

    print(status_of_a_fork(child), breaker.is_open, flushed_by)


def fork_with_a_closed_breaker() -> None:
    Breaker(lambda tags: None)
    print(status_of_a_fork(lambda: os._exit(threading.active_count())))


def fork_while_a_thread_opens_the_breaker() -> None:
    is_opening, may_go_on = threading.Event(), threading.Event()

    def hold_the_log_record(record: logging.LogRecord) -> bool:
        is_opening.set()
        may_go_on.wait(PATIENCE_SECONDS)
        return False

    module.PROBE_INTERVAL_SECONDS = 0.01
    breaker = Breaker(lambda tags: None)
    logging.getLogger("readcache.storage.breaker").addFilter(hold_the_log_record)
    opening = threading.Thread(target=breaker.open, args=[OSError("away")])
    opening.start()
    is_opening.wait(PATIENCE_SECONDS)

    def child() -> None:
        may_go_on.set()
        breaker.add_pending(["library_book"])
        wait_until(lambda: not breaker.is_open)

    print(status_of_a_fork(child))
    may_go_on.set()
    opening.join()


# Held until the process ends: the engine itself keeps no breaker alive.
_held: list[Breaker] = []


def end_with_pending_rotations() -> None:
    module.PROBE_INTERVAL_SECONDS = 3600

    def breaker_of(name: str) -> Breaker:
        return Breaker(lambda tags: print(name, sorted(tags)))

    pending, away, closed = map(breaker_of, ["pending", "away", "closed"])
    _held.extend([pending, away, closed])
    for breaker in (pending, closed):
        breaker.add_pending(["library_book"])
    away.open(OSError("away"))
    closed.close()
