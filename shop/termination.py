"""Makes SIGTERM and SIGHUP raise an exception, so that ``finally`` blocks restore what was changed.

Ctrl-C raises one anyway. By default SIGTERM and SIGHUP end a process without unwinding its stack.
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

# The handlers of a process that has changed none.
DEFAULT_HANDLERS: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    **dict.fromkeys(TERMINATING, signal.SIG_DFL),
}
SENT_AGAIN_AFTER_SECONDS = 0.01
# Django's module with the functions that SQLite calls back: regular expressions, dates, sums.
SQLITE_FUNCTIONS = "django.db.backends.sqlite3._functions"


class Terminated(SystemExit):
    """Ends the program with exit code 128 + the number of the signal, as shells do, unless caught."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Inside, the first SIGTERM or SIGHUP raises ``Terminated``; later ones do not disturb the unwinding.

    (GNU timeout sends its signal twice.) A signal that is ignored, as by ``nohup``, or that has a handler
    keeps it. Only the main thread receives signals, so nothing changes in other threads. Where the
    exception would be lost, the signal, Ctrl-C included, is sent again a moment later.
    """
    replaced = [number for number, handler in DEFAULT_HANDLERS.items() if signal.getsignal(number) is handler]
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
        with _resending_dropped_signals(ended_by.clear):
            yield
    except OSError:
        # After a hangup, removing a progress bar fails, because the terminal is gone.
        if ended_by:
            raise Terminated(ended_by[0]) from None
        raise
    finally:
        for number in replaced:
            signal.signal(number, DEFAULT_HANDLERS[number])


def _is_called_by_sqlite(frame: FrameType | None) -> bool:
    """Whether SQLite called the code: it drops exceptions of its callbacks and fails the statement."""
    while frame is not None:
        if frame.f_globals.get("__name__") == SQLITE_FUNCTIONS:
            return True
        frame = frame.f_back
    return False


@contextmanager
def _resending_dropped_signals(forget: Callable[[], None]) -> Iterator[None]:
    """Send a signal again if Python dropped its exception.

    Python drops exceptions that are raised in a destructor or in the callback of a weak reference.
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

    # Not a thread of the threading module, whose lock the interrupted code may hold.
    _thread.start_new_thread(send, ())
