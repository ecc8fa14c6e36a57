"""Transactions that stay open for long, one after the other: what they cost the readers of the same table."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from instruments.processes import long_transactions
from instruments.processes.process import Process
from instruments.scratch_redis import ScratchRedis
from library.models import Book

LEASE_SECONDS = 0.4
TRANSACTION_SECONDS = 10 * LEASE_SECONDS
MEASURED_SECONDS = 12 * LEASE_SECONDS
PAGES = 8
# Each page is read less often than once a lease, so an entry that lives for one lease is no help.
READ_EVERY_SECONDS = 1.3 * LEASE_SECONDS / PAGES
MeasureHitShare = Callable[..., float]


@pytest.fixture
def books(transactional_db: None, book: Book) -> list[Book]:
    """One for each writer: SQLite has one writer at a time."""
    if connection.vendor == "sqlite":
        return [book]
    return [book, Book.objects.create(title="Second", price=1, copies=1, author=book.author)]


@pytest.fixture
def measure_hit_share(server: ScratchRedis, books: list[Book], settings: Settings) -> MeasureHitShare:
    settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS
    settings.READ_CACHE_LONGEST_WRITE_SECONDS = LEASE_SECONDS
    variables = {
        "LIBRARY_REDIS_URL": server.url,
        "LIBRARY_LEASE_SECONDS": str(LEASE_SECONDS),
        "LIBRARY_LONGEST_WRITE_SECONDS": str(LEASE_SECONDS),
    }

    def measure(*, guards_early: bool) -> float:
        arguments = (TRANSACTION_SECONDS, guards_early)
        with ExitStack() as running:
            writers = [
                running.enter_context(
                    Process(long_transactions.write_in_long_transactions, book.pk, *arguments, **variables)
                )
                for book in books
            ]
            for each in writers:
                each.wait_for("ready")
                # The transactions of two writers overlap by half.
                time.sleep(TRANSACTION_SECONDS / len(books))
            return hit_share()

    return measure


def hit_share() -> float:
    client = Client(headers={"Accept": "application/json"})
    urls = [f"/books/?page_size={size}" for size in range(1, PAGES + 1)]
    for url in urls:
        client.get(url)
    hits: list[bool] = []
    until = time.monotonic() + MEASURED_SECONDS
    for url in cycle(urls):
        if time.monotonic() > until:
            break
        time.sleep(READ_EVERY_SECONDS)
        response: Any = client.get(url)
        hits.append("; hit" in response["Cache-Status"])
    return sum(hits) / len(hits)


def test_a_table_keeps_its_hits_while_transactions_that_write_it_are_open(
    measure_hit_share: MeasureHitShare,
) -> None:
    """Only a COMMIT shortens the life of a token. Before, each write of an open transaction did."""
    before, now = measure_hit_share(guards_early=True), measure_hit_share(guards_early=False)

    shares = f"{now:.0%}, before {before:.0%}"
    print(f"Hits while transactions of {TRANSACTION_SECONDS:g} s are open: {shares}")  # noqa: T201 - for -s
    assert now > 0.5 > before
