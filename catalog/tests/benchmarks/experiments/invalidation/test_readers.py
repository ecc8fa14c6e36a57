from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from catalog import signals
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.invalidation.readers import Readers, readers
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

DETAIL_QUERIES = 2


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    """Disconnect the textbook's receivers, so that its stale pages stay."""
    with signals.disconnected(), isolated_cache():
        yield


@pytest.fixture
def two() -> Iterator[Readers]:
    with readers(2) as found:
        yield found


def path_of(product: Product) -> str:
    return f"/products/{product.pk}/"


def test_a_held_reader_stores_the_old_page_when_it_continues(two: Readers, redis: Any) -> None:
    product = ProductFactory.create(name="Old")
    queries = {path_of(product): DETAIL_QUERIES}

    with two.after_their_queries(TEXTBOOK, queries):
        assert not redis.keys("*product_list*")
        Product.objects.update(name="New")

    assert Requester().see(TEXTBOOK, path_of(product)).body["name"] == "Old"
    assert Requester().see(UNCACHED, path_of(product)).body["name"] == "New"


def test_readers_of_several_pages_are_held_at_the_same_time(two: Readers) -> None:
    products = ProductFactory.create_batch(2, name="Old")

    with two.after_their_queries(TEXTBOOK, {path_of(each): DETAIL_QUERIES for each in products}):
        Product.objects.update(name="New")

    names = [Requester().see(TEXTBOOK, path_of(each)).body["name"] for each in products]
    assert names == ["Old", "Old"]


def test_a_reader_that_sends_no_query_is_not_waited_for(two: Readers) -> None:
    path = path_of(ProductFactory.create())
    two.read(READ_CACHE, [path])

    with two.after_their_queries(READ_CACHE, {path: DETAIL_QUERIES}):
        pass


def test_a_write_that_fails_releases_the_readers(two: Readers) -> None:
    product = ProductFactory.create(name="Old")

    with (
        pytest.raises(ZeroDivisionError),
        two.after_their_queries(TEXTBOOK, {path_of(product): DETAIL_QUERIES}),
    ):
        raise ZeroDivisionError

    two.read(TEXTBOOK, [path_of(product)])


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())

    with readers(3) as three:
        three.read(UNCACHED, ["/categories/"])
        assert set(threading.enumerate()) - before

    assert set(threading.enumerate()) <= before
