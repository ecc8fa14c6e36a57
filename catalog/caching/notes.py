"""What is remembered of one thread's statements: which tables a fill reads, and that writes go unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Notes(threading.local):
    tables: set[str] | None = None
    is_suspended = False


notes = _Notes()


@contextmanager
def noting_reads() -> Iterator[set[str]]:
    """Collects the names of the known tables that this thread reads meanwhile."""
    outer, tables = notes.tables, set[str]()
    notes.tables = tables
    try:
        yield tables
    finally:
        notes.tables = outer
        if outer is not None:
            outer |= tables


@contextmanager
def suspended() -> Iterator[None]:
    """This thread's writes go unnoticed inside. For measuring what they cost without the watch."""
    before, notes.is_suspended = notes.is_suspended, True
    try:
        yield
    finally:
        notes.is_suspended = before
