"""Transactions of every kind, and work on connections of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.db import connection, transaction

T = TypeVar("T")


class Undo(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone() -> Iterator[None]:
    """A transaction, or a savepoint in one, that is rolled back."""
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


@contextmanager
def manual_transaction() -> Iterator[None]:
    """A block without autocommit. Writes that the block does not commit are rolled back."""
    transaction.set_autocommit(False)
    try:
        yield
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def execute(sql: Any, parameters: Any = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@contextmanager
def threads(number: int) -> Iterator[Callable[[Callable[[], T]], Future[T]]]:
    """Submits work to threads that have database connections of their own."""

    def work_and_close(work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=number) as executor:
        yield lambda work: executor.submit(work_and_close, work)


def in_another_thread(work: Callable[[], T]) -> T:
    """Do the work in a thread with a database connection of its own, and wait for its result."""
    with threads(1) as submit:
        return submit(work).result()
