"""What only the database's driver knows: a transaction that Django did not begin, rows not fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# Of libpq's PGTransactionStatusType: active, in a transaction, in one that failed.
OPEN_ON_POSTGRESQL = (1, 2, 3)


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool | None:
    """Whether a transaction is open, whoever began it; ``None`` where the driver is not known."""
    driver: Any = connection.connection
    if driver is None:
        return False
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    if connection.vendor == "postgresql":
        return driver.info.transaction_status in OPEN_ON_POSTGRESQL
    return None


def commit_by_fetching(connection: BaseDatabaseWrapper, cursor: Any, result: Any) -> Any:
    """SQLite commits a statement that returns rows, such as each INSERT of Django's, when its last row
    has been fetched. ``cursor`` is Django's; returns what its ``execute`` is to return.
    """
    if connection.vendor != "sqlite" or cursor.description is None:
        return result
    fetched = PrefetchedCursor(cursor, cursor.fetchall())
    cursor.cursor = fetched
    return fetched


class PrefetchedCursor:
    """Stands in Django's cursor for the driver's, until the next statement: its rows are here already."""

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
