"""What is remembered of one thread's statements: which tables a fill reads, and that writes go unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _ThreadState(threading.local):
    tables: set[str] | None = None
    is_suspended = False


this_thread = _ThreadState()


@contextmanager
def recording_reads() -> Iterator[set[str]]:
    """Collects the names of the known tables that this thread reads meanwhile."""
    outer, tables = this_thread.tables, set[str]()
    this_thread.tables = tables
    try:
        yield tables
    finally:
        this_thread.tables = outer
        if outer is not None:
            outer |= tables


@contextmanager
def suspended() -> Iterator[None]:
    """This thread's writes go unnoticed inside. For measuring what they cost without the watch."""
    before, this_thread.is_suspended = this_thread.is_suspended, True
    try:
        yield
    finally:
        this_thread.is_suspended = before
