"""The signals that end a process, made to unwind its stack: what was changed is put back.

Ctrl-C does that by itself. SIGTERM and SIGHUP, left alone, end a process where it stands.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from readcache.testing.interrupts import TERMINATING

# What a process does with them that was not told otherwise.
UNTOLD: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    **dict.fromkeys(TERMINATING, signal.SIG_DFL),
}
SENT_AGAIN_AFTER_SECONDS = 0.01
# Where Django has the functions that SQLite calls: regular expressions, dates, sums of decimals.
SQLITE_FUNCTIONS = "django.db.backends.sqlite3._functions"


class Terminated(SystemExit):
    """Ends a program with 128 + the signal's number, as shells report it, unless it is caught."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextmanager
def terminations_raised() -> Iterator[None]:
    """SIGTERM and SIGHUP raise ``Terminated`` inside. Once: the next ones let the unwinding go on.

    GNU timeout sends its signal twice. A signal that is ignored (``nohup``) or has a handler is
    left as it is. In another thread than the main one, which gets no signals, nothing changes.
    They and Ctrl-C come a moment later where what is raised would be lost.
    """
    replaced = [number for number, handler in UNTOLD.items() if signal.getsignal(number) is handler]
    if not replaced or threading.current_thread() is not threading.main_thread():
        yield
        return
    ended_by: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if _is_called_by_sqlite(frame):
            _send_soon(number)
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        elif not ended_by:
            ended_by.append(number)
            raise Terminated(number)

    try:
        for number in replaced:
            signal.signal(number, end)
        with _dropped_ones_sent_again(ended_by.clear):
            yield
    except OSError:
        # After a hangup, a progress bar that is taken away fails: there is no terminal to write to.
        if ended_by:
            raise Terminated(ended_by[0]) from None
        raise
    finally:
        for number in replaced:
            signal.signal(number, UNTOLD[number])


def _is_called_by_sqlite(frame: FrameType | None) -> bool:
    """SQLite drops what its functions raise, and says of the whole statement that it failed."""
    while frame is not None:
        if frame.f_globals.get("__name__") == SQLITE_FUNCTIONS:
            return True
        frame = frame.f_back
    return False


@contextmanager
def _dropped_ones_sent_again(forget: Callable[[], None]) -> Iterator[None]:
    """Python drops what is raised within a destructor or a weak reference's callback. A signal that
    came there, Ctrl-C too, comes again a moment later.
    """

    def send_again(dropped: Any) -> None:
        if isinstance(dropped.exc_value, Terminated):
            forget()
            _send_soon(dropped.exc_value.number)
        elif isinstance(dropped.exc_value, KeyboardInterrupt):
            _send_soon(signal.SIGINT)
        else:
            hook(dropped)

    hook, sys.unraisablehook = sys.unraisablehook, send_again
    try:
        yield
    finally:
        sys.unraisablehook = hook


def _send_soon(number: int) -> None:
    def send() -> None:
        time.sleep(SENT_AGAIN_AFTER_SECONDS)
        os.kill(os.getpid(), number)

    # Not threading's: what was interrupted may hold its lock.
    _thread.start_new_thread(send, ())
