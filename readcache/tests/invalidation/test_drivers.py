"""The questions to the drivers of databases, including drivers that this test run does not use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from instruments.transactions import execute
from readcache.invalidation.drivers import commit_by_fetching, is_in_transaction


class Cursor:
    """A cursor of Django's, around one of a driver."""

    def __init__(self, rows: list[Any] | None) -> None:
        self.cursor = object()
        self.description = None if rows is None else ["a column"]
        self.fetched = 0
        self._rows = rows

    def fetchall(self) -> list[Any]:
        self.fetched += 1
        return self._rows or []


def fake_connection(vendor: str, driver: object = None) -> Any:
    return SimpleNamespace(vendor=vendor, connection=driver)


def postgresql_connection(status: int) -> Any:
    driver = SimpleNamespace(info=SimpleNamespace(transaction_status=status))
    return fake_connection("postgresql", driver)


@pytest.mark.parametrize(("vendor", "rows"), [("postgresql", [1]), ("postgresql", None), ("sqlite", None)])
def test_rows_are_fetched_at_once_only_where_sqlite_returns_some(vendor: str, rows: list[Any] | None) -> None:
    cursor, result = Cursor(rows), object()
    of_the_driver = cursor.cursor

    assert commit_by_fetching(fake_connection(vendor), cursor, result) is result
    assert cursor.fetched == 0
    assert cursor.cursor is of_the_driver


def test_the_rows_of_sqlite_are_fetched_once_and_served_from_memory() -> None:
    cursor: Any = Cursor([(1,), (2,)])

    result = commit_by_fetching(fake_connection("sqlite"), cursor, object())

    assert cursor.fetched == 1
    assert cursor.cursor is result
    assert result.fetchall() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("status", "is_open"),
    [(0, False), (1, True), (2, True), (3, True), (4, False)],
    ids=["idle", "active", "in a transaction", "in a failed transaction", "unknown"],
)
def test_libpq_says_whether_a_transaction_of_postgresql_is_open(status: int, is_open: bool) -> None:
    assert is_in_transaction(postgresql_connection(status)) is is_open


def test_a_closed_connection_has_no_transaction() -> None:
    assert is_in_transaction(fake_connection("sqlite")) is False


def test_another_driver_is_not_asked() -> None:
    assert is_in_transaction(fake_connection("oracle", object())) is None


@pytest.mark.django_db(transaction=True)
def test_the_driver_knows_of_a_transaction_that_django_did_not_begin() -> None:
    connection.ensure_connection()
    assert is_in_transaction(connection) is False

    execute("BEGIN")
    try:
        assert is_in_transaction(connection) is True
    finally:
        execute("ROLLBACK")
