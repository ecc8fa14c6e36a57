"""Reads from the database driver what Django does not know: transactions of raw SQL, rows not yet fetched."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# Of libpq's PGTransactionStatusType: active, in a transaction, in a failed transaction.
OPEN_ON_POSTGRESQL = (1, 2, 3)
IDLE_ON_POSTGRESQL = 0


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


def is_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database answered last; ``False`` where the driver is not known."""
    driver: Any = connection.connection
    if driver is None:
        return False
    if connection.vendor == "postgresql":
        return driver.info.transaction_status in (IDLE_ON_POSTGRESQL, *OPEN_ON_POSTGRESQL[1:])
    # The database is a library in this process.
    return connection.vendor == "sqlite"


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


class _StandIn:
    """Replaces the driver's cursor inside Django's cursor until the next statement."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._cursor = owner.cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, *arguments: Any) -> Any:
        self._owner.cursor = self._cursor
        return self._cursor.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._owner.cursor = self._cursor
        return self._cursor.executemany(*arguments)


class OpenReads:
    """The statements of one connection whose rows are still being fetched.

    SQLite reads them, and everything else on the connection, from the snapshot of the first of them.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._is_needed = connection.vendor == "sqlite"
        self._open: weakref.WeakSet[ReadingCursor] = weakref.WeakSet()

    def are_open(self) -> bool:
        return bool(self._open)

    def track(self, cursor: Any, result: Any) -> Any:
        """``cursor`` is Django's; returns what its ``execute`` is to return."""
        if not self._is_needed or cursor.description is None:
            return result
        reading = ReadingCursor(cursor, self._open)
        cursor.cursor = reading
        return reading


class ReadingCursor(_StandIn):
    """Is in ``open`` until its last row was fetched, or it is closed or gone."""

    def __init__(self, owner: Any, open_: weakref.WeakSet[ReadingCursor]) -> None:
        super().__init__(owner)
        self._open = open_
        open_.add(self)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def fetchone(self) -> Any:
        row = self._cursor.fetchone()
        if row is None:
            self._open.discard(self)
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self._cursor.arraysize if size is None else size
        rows: list[Any] = self._cursor.fetchmany(wanted)
        if len(rows) < wanted:
            self._open.discard(self)
        return rows

    def fetchall(self) -> list[Any]:
        self._open.discard(self)
        rows: list[Any] = self._cursor.fetchall()
        return rows

    def close(self) -> None:
        self._open.discard(self)
        self._cursor.close()

    def execute(self, *arguments: Any) -> Any:
        self._open.discard(self)
        return super().execute(*arguments)


class PrefetchedCursor(_StandIn):
    """Its rows are here already."""

    def __init__(self, owner: Any, rows: list[Any]) -> None:
        super().__init__(owner)
        self._rows = iter(rows)

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
