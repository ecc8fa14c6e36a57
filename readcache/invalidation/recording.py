"""What the watch does in this thread besides watching: record reads, or ignore writes."""

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
    """Yields a set, to which each statement of this thread adds the tables that it names."""
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
    """Ignore the writes of this thread. For measuring what a write costs without the watch."""
    before, this_thread.is_suspended = this_thread.is_suspended, True
    try:
        yield
    finally:
        this_thread.is_suspended = before
