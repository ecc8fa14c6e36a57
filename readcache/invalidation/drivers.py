"""Reads from the database driver what Django does not know: transactions of raw SQL, rows not yet fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# Of libpq's PGTransactionStatusType: active, in a transaction, in a failed transaction.
OPEN_ON_POSTGRESQL = (1, 2, 3)


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool | None:
    """Whether a transaction is open, whoever began it; ``None`` if the driver does not report it."""
    driver: Any = connection.connection
    if driver is None:
        return False
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    if connection.vendor == "postgresql":
        return driver.info.transaction_status in OPEN_ON_POSTGRESQL
    return None


def commit_by_fetching(connection: BaseDatabaseWrapper, cursor: Any, result: Any) -> Any:
    """Make SQLite commit a statement that returns rows, such as each INSERT of Django's.

    SQLite commits such a statement when its last row is fetched. ``cursor`` is Django's cursor, and
    ``result`` what its ``execute`` returned. Returns what ``execute`` must return now.
    """
    if connection.vendor != "sqlite" or cursor.description is None:
        return result
    fetched = PrefetchedCursor(cursor, cursor.fetchall())
    cursor.cursor = fetched
    return fetched


class PrefetchedCursor:
    """Replaces the driver's cursor inside Django's cursor until the next statement, with the rows fetched."""

    def __init__(self, owner: Any, rows: list[Any]) -> None:
        self._owner = owner
        self._cursor = owner.cursor
        self._rows = iter(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def __next__(self) -> Any:
        return next(self._rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self._cursor.arraysize if size is None else size
        return [row for _, row in zip(range(wanted), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def execute(self, *arguments: Any) -> Any:
        self._owner.cursor = self._cursor
        return self._cursor.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._owner.cursor = self._cursor
        return self._cursor.executemany(*arguments)
