"""Which tables are read: while a fill runs, before its tokens were read, and by helper threads.

A read of the thread of a request belongs to the fill that runs, or else to the early reads of the
request. Any other thread may work for any request that is being served, so its reads count for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_finished, request_started


class _ThreadState(threading.local):
    # Of the fill that runs in this thread.
    fill: RecordedReads | None = None
    # Since the request of this thread began, or since they were last taken.
    early: set[str] | None = None
    is_suspended = False


class RecordedReads:
    """``tables`` are those that the fill's own thread read, and ``by_helpers`` those that threads without
    a request read meanwhile: a thread pool of the view's, for all that anybody knows.
    """

    __slots__ = ("by_helpers", "tables")

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.by_helpers: set[str] = set()


this_thread = _ThreadState()
_running: list[RecordedReads] = []
# What the requests that are being served have read outside of fills, by their threads.
_early_of_threads: dict[int, set[str]] = {}


def record(tables: frozenset[str], *, only_reads: bool) -> None:
    """Called with the tables of each statement, by the thread that executes it.

    Neither a write nor the main thread can supply data to a request of another thread.
    """
    if this_thread.fill is not None:
        this_thread.fill.tables |= tables
    elif this_thread.early is not None:
        this_thread.early |= tables
    elif only_reads and threading.current_thread() is not threading.main_thread():
        for fill in tuple(_running):
            fill.by_helpers |= tables
        # A request may have started this thread before it read its tokens.
        for early in tuple(_early_of_threads.values()):
            early.update(tables)


@contextmanager
def recording_reads() -> Iterator[RecordedReads]:
    """Collects the tables that are read meanwhile."""
    outer, fill = this_thread.fill, RecordedReads()
    this_thread.fill = fill
    _running.append(fill)
    try:
        yield fill
    finally:
        _running.remove(fill)
        this_thread.fill = outer
        if outer is not None:
            outer.tables |= fill.tables


def take_early_reads() -> frozenset[str]:
    """The tables that this thread's request has read outside of fills, since they were last taken."""
    early = this_thread.early
    if not early:
        return frozenset()
    _begin_request()
    return frozenset(early)


@contextmanager
def suspended() -> Iterator[None]:
    """The watch ignores this thread's writes inside. For measuring what they cost without it."""
    before, this_thread.is_suspended = this_thread.is_suspended, True
    try:
        yield
    finally:
        this_thread.is_suspended = before


def _begin_request(**kwargs: Any) -> None:
    this_thread.early = _early_of_threads[threading.get_ident()] = set()


def _end_request(**kwargs: Any) -> None:
    this_thread.early = None
    _early_of_threads.pop(threading.get_ident(), None)


def install() -> None:
    request_started.connect(_begin_request, dispatch_uid="read-cache-reads")
    request_finished.connect(_end_request, dispatch_uid="read-cache-reads")
