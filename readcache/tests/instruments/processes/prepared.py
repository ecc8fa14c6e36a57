"""The two halves of a two-phase commit on PostgreSQL, each in a process of its own."""

from __future__ import annotations

from django.db import connection

NAME = "prepared-by-another"


def prepare() -> None:
    _execute("BEGIN", "UPDATE library_book SET title = 'New'", f"PREPARE TRANSACTION '{NAME}'")


def end(how: str) -> None:
    """``how`` is "COMMIT" or "ROLLBACK"."""
    _execute(f"-- the second half\n{how} PREPARED '{NAME}'")


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
