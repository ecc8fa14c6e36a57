"""Protects work from Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Windows has no SIGHUP.
TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and SIGHUP wait until the block has ended.

    A signal mask would not do: another thread receives a signal that the main thread blocks, and Python
    runs its handler in the main thread all the same.
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
