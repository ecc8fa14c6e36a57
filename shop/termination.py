"""The signals that end a process, made to unwind its stack: what was changed is put back.

Ctrl-C does that by itself. SIGTERM and SIGHUP, left alone, end a process where it stands.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Windows has no SIGHUP.
TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(SystemExit):
    """Ends a program with 128 + the signal's number, as shells report it, unless it is caught."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


@contextmanager
def terminations_raised() -> Iterator[None]:
    """SIGTERM and SIGHUP raise ``Terminated`` inside. Once: the next ones let the unwinding go on.

    GNU timeout sends its signal twice. A signal that is ignored (``nohup``) or has a handler is
    left as it is. In another thread than the main one, which gets no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended_by: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        if not ended_by:
            ended_by.append(number)
            raise Terminated(number)

    replaced = [number for number in TERMINATING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in replaced:
            signal.signal(number, terminate)
        yield
    except OSError:
        # After a hangup, a progress bar that is taken away fails: there is no terminal to write to.
        if ended_by:
            raise Terminated(ended_by[0]) from None
        raise
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP wait until the block has ended.

    By handlers and not by a mask: a signal that the main thread blocks is taken by another thread,
    and Python runs its handler in the main thread all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handlers = {
        number: signal.signal(number, lambda caught_number, frame: caught.append(caught_number))
        for number in (signal.SIGINT, *TERMINATING)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for caught_number in caught:
            signal.raise_signal(caught_number)
