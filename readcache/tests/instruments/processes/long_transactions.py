"""A writer whose transactions stay open for long."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction

from library.models import Book
from readcache.invalidation.watch import Watch
from readcache.storage.current import store
from readcache.storage.store import new_mark

STATEMENT_PAUSE_SECONDS = 0.05


def write_in_long_transactions(pk: str, seconds: str, guards_early: str) -> None:
    """Transactions of so many seconds, one after the other, that write the book again and again.

    With ``guards_early`` set to "True", each statement guards, as a rule did that the engine no longer has.
    """
    if guards_early == "True":
        watch: Any = Watch
        watch.rotate_at_commit = _guarding_early
    print("ready", flush=True)
    while True:
        with transaction.atomic():
            until = time.monotonic() + float(seconds)
            while time.monotonic() < until:
                Book.objects.filter(pk=pk).update(copies=1)
                time.sleep(STATEMENT_PAUSE_SECONDS)


_rotate_at_commit = Watch.rotate_at_commit
_mark = new_mark()


def _guarding_early(watch: Watch, tags: frozenset[str]) -> None:
    store().guard(tags, _mark)
    _rotate_at_commit(watch, tags)
