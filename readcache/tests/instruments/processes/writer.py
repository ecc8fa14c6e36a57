"""Writers that stop or end between their COMMIT and their rotation."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.db import connection, transaction

from library.models import Book
from readcache.invalidation import rotations


def write_alone() -> None:
    rotations.rotate_tokens = _stop
    Book.objects.update(title="New")


def write_and_exit() -> None:
    """Ends between the COMMIT and the rotation, without a last word."""
    rotations.rotate_tokens = lambda *arguments, **options: os._exit(0)
    Book.objects.update(title="New")


def write_in_a_transaction() -> None:
    """Waits for a line before the COMMIT."""
    rotations.rotate_tokens = _stop
    with transaction.atomic():
        Book.objects.update(title="New")
        _print("written")
        sys.stdin.readline()


def write_slowly(seconds: str) -> None:
    """One statement of PostgreSQL that takes so long and commits itself: its writer is killed meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE library_book SET title = 'New' FROM pg_sleep(%s)", [float(seconds)])


def _stop(tags: frozenset[str], **options: Any) -> None:
    _print("committed")
    sys.stdin.readline()


def _print(step: str) -> None:
    print(step, flush=True)
