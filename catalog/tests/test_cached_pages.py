from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from catalog.cached_pages import SCAN_STEP, flush_cached_pages
from catalog.factories import ProductFactory
from catalog.options import InvalidOption

pytestmark = pytest.mark.django_db


def calls(redis: Any, command: str) -> int:
    return int(redis.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_flushing_a_prefix_removes_its_pages_and_no_other_keys(redis: Any, api: APIClient) -> None:
    ProductFactory.create()
    for path in ("products/", "products/?page_size=5", "products/stats/", "categories/"):
        api.get(f"/textbook/{path}")
    cache.set("my_product_list", "is not a page")
    redis.set("other:program:product_list", "x")

    found = flush_cached_pages(prefix="product_list")

    assert (found.pages, found.keys) == (3, 6)
    assert cache.get("my_product_list") == "is not a page"
    assert redis.exists("other:program:product_list")
    assert len(redis.keys("*category_list*")) == 2
    assert not redis.keys("*cache_page.product_list*")


@pytest.mark.parametrize("other", ["other.product_list", "product_list.GET", "product_list.more"])
def test_pages_of_a_longer_prefix_are_kept(other: str, redis: Any) -> None:
    redis.set(f":1:views.decorators.cache.cache_page.{other}.GET.{'0' * 32}.{'1' * 32}.en-us.UTC", "page")
    redis.set(f":1:views.decorators.cache.cache_header.{other}.{'0' * 32}.en-us.UTC", "header")

    for prefix in ("product_list", "GET", "en-us"):
        assert flush_cached_pages(prefix=prefix).keys == 0
    assert redis.dbsize() == 2


def test_a_dry_run_counts_and_removes_nothing(redis: Any, api: APIClient) -> None:
    api.get("/textbook/products/")

    found = flush_cached_pages(prefix="product_list", dry_run=True)

    assert (found.pages, found.keys) == (1, 2)
    assert flush_cached_pages(prefix="product_list").keys == 2
    assert flush_cached_pages(prefix="product_list").keys == 0


def test_flushing_scans_in_steps_of_a_thousand_and_never_uses_keys_or_flushdb(redis: Any) -> None:
    pipeline = redis.pipeline()
    for number in range(5 * SCAN_STEP):
        pipeline.set(f":1:views.decorators.cache.cache_page.product_list.GET.{number:032x}.en-us", "page")
    pipeline.execute()
    redis.config_resetstat()

    assert flush_cached_pages(prefix="product_list").pages == 5 * SCAN_STEP

    assert redis.dbsize() == 0
    assert calls(redis, "scan") <= 10
    assert calls(redis, "unlink") >= 1
    for forbidden in ("keys", "flushdb", "flushall", "del"):
        assert calls(redis, forbidden) == 0


@pytest.mark.parametrize("prefix", ["", "*", "product list", "a?b", "[ab]", "a\\b", "é"])
def test_a_prefix_that_could_match_other_keys_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidOption, match="--prefix must be letters"):
        flush_cached_pages(prefix=prefix)


def test_an_unknown_cache_is_refused() -> None:
    with pytest.raises(InvalidOption, match="--cache must be one of default, read, got 'nope'"):
        flush_cached_pages(prefix="product_list", alias="nope")


def test_a_cache_that_is_not_in_redis_is_refused(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }

    with pytest.raises(InvalidOption, match="must be a django-redis cache, got 'memory'"):
        flush_cached_pages(prefix="product_list", alias="memory")
