from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.growth.filled_redis import look_at_page, redis_server
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import (
    READ_CACHE,
    STRATEGIES,
    TEXTBOOK,
    UNCACHED,
    only_invalidation_of,
)
from catalog.factories import ProductFactory
from catalog.models import Product
from readcache.storage.entries import decode

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paths() -> Iterator[tuple[str, str]]:
    page, other = ProductFactory.create_batch(2)
    with isolated_cache():
        yield f"/products/{page.pk}/", f"/products/{other.pk}/"


def test_copies_of_a_textbook_page_have_two_keys_each_and_one_save_deletes_them(
    paths: tuple[str, str], redis: Any
) -> None:
    page = look_at_page(Requester(), TEXTBOOK, *paths, [redis])
    redis.flushall()

    page.store(page.pages_of(3_000))

    assert len(page.own) == 2
    keys = redis.keys()
    assert len(keys) == 3_000
    assert sum(b".cache_page.product_list.GET." in key for key in keys) == 1_500
    assert len({len(key) for key in keys}) == 2
    # Three different values: two pages, and the list of headers on which both vary.
    assert len({redis.get(key) for key in keys}) == 3
    assert redis.pttl(page.own[0].key) > 890_000
    assert all(890_000 < redis.pttl(key) <= 900_000 for key in keys[::100])
    assert Requester().ask(TEXTBOOK, paths[0]).queries == 0
    with only_invalidation_of(TEXTBOOK):
        Product.objects.get(pk=paths[0].split("/")[2]).save()
    assert redis.keys() == []
    assert not page.is_there()


def test_copies_of_a_read_cache_entry_are_entries_and_one_rotation_invalidates_them(
    paths: tuple[str, str], read_redis: Any
) -> None:
    page = look_at_page(Requester(), READ_CACHE, *paths, [read_redis])
    read_redis.flushall()

    page.store(page.pages_of(1_500))

    assert len(page.own) == 1
    entries = read_redis.keys("*:rc1:entry:*")
    assert len(entries) == 1_500
    assert all(decode(read_redis.get(key)) for key in entries[::50])
    assert Requester().ask(READ_CACHE, paths[0]).queries == 0
    with only_invalidation_of(READ_CACHE):
        Product.objects.get(pk=paths[0].split("/")[2]).save()
    assert page.is_there()
    assert Requester().ask(READ_CACHE, paths[0]).queries > 0


def test_the_size_of_a_page_is_the_memory_of_its_keys(paths: tuple[str, str], redis: Any) -> None:
    page = look_at_page(Requester(), TEXTBOOK, *paths, [redis])

    assert page.bytes() == sum(redis.memory_usage(each.key) for each in page.own)
    assert page.bytes() > 1_000


def test_uncached_stores_nothing(paths: tuple[str, str], redis: Any) -> None:
    page = look_at_page(Requester(), UNCACHED, *paths, [redis])

    assert page.own == ()
    assert page.pages_of(1_000) == 0


def test_every_strategy_that_caches_stores_keys_for_a_page(paths: tuple[str, str], redis: Any) -> None:
    with redis_server() as server:
        for strategy in STRATEGIES.values():
            server.empty()
            assert bool(look_at_page(Requester(), strategy, *paths, server.clients).own) is strategy.caches, (
                strategy.name
            )
