"""A writer of yesterday's release: none of its views has a read cache, so it declares no table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connection, transaction

from library.models import Book, Topic
from readcache.declarations import declared_tags
from readcache.invalidation.watch import watch

# The root URLconf of yesterday is this module.
urlpatterns: list[Any] = []


def write(kind: str) -> None:
    """Looks at the registry with a write of another table, prints ``ready``, and writes at each line."""
    _become_yesterdays()
    for _ in sys.stdin:
        WRITES[kind]()
        _print("written")


def write_and_stop_in_its_commit(kind: str) -> None:
    """After ``ready`` it writes at a line, stops before the database commits, and again after that."""
    _become_yesterdays()
    _stop_at_commit()
    sys.stdin.readline()
    WRITES[kind]()
    _print("written")


def update() -> None:
    Book.objects.update(title="New")


def update_in_a_transaction() -> None:
    with transaction.atomic():
        update()


def update_without_autocommit() -> None:
    transaction.set_autocommit(False)
    update()
    transaction.commit()
    transaction.set_autocommit(True)


def update_in_raw_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE library_book SET title = 'New'")
        cursor.execute("COMMIT")


WRITES: dict[str, Callable[[], None]] = {
    "autocommit": update,
    "atomic": update_in_a_transaction,
    "no autocommit": update_without_autocommit,
    "raw SQL": update_in_raw_sql,
}


def _become_yesterdays() -> None:
    Topic.objects.create(name="of yesterday")
    assert not declared_tags()
    _print("ready")


def _stop_at_commit() -> None:
    """At the COMMIT of ``atomic``, or at the statement that commits itself."""
    watched = watch(connection)
    commit = watched._commit

    def stopping_commit() -> None:
        _pause("committing")
        commit()
        _pause("committed")

    def stopping_execute(execute: Any, sql: str, *arguments: Any) -> Any:
        if not sql.startswith("UPDATE") or connection.in_atomic_block:
            return execute(sql, *arguments)
        _pause("committing")
        result = execute(sql, *arguments)
        _pause("committed")
        return result

    watched._commit = stopping_commit
    connection.execute_wrappers.append(stopping_execute)


def _pause(step: str) -> None:
    _print(step)
    with suppress(EOFError):
        sys.stdin.readline()


def _print(step: str) -> None:
    print(step, flush=True)
