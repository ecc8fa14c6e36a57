from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from catalog.cached_pages import CachedPages, flush_cached_pages
from catalog.models import ProductQuerySet
from conftest import Manage
from readcache.flushing import Selection, sweep
from readcache.inspection import stored_entries

pytestmark = pytest.mark.django_db(transaction=True)


def flush(**options: Any) -> str:
    output = StringIO()
    call_command("flush_product_cache", stdout=output, **options)
    return output.getvalue()


def warm(api: APIClient, *paths: str) -> None:
    for path in paths:
        assert api.get(path).status_code == 200


def test_flush_reports_the_pages_the_entries_and_the_time(
    redis: Any, read_redis: Any, api: APIClient
) -> None:
    warm(api, "/textbook/products/", "/textbook/products/stats/", "/textbook/categories/")
    warm(api, "/products/", "/products/?page_size=5", "/products/stats/", "/categories/")

    found = "2 pages of the textbook (4 keys) and 4 entries of the read cache"
    assert flush(dry_run=True) == f"Would remove {found}.\n"
    assert redis.dbsize() == 6
    assert len(read_redis.keys("*:entry:*")) == 4
    assert flush(no_input=True).startswith(f"Removed {found} in ")
    assert redis.dbsize() == 2
    assert not read_redis.keys("*:entry:*")


def test_a_prefix_limits_the_flush_to_its_pages_and_entries(
    redis: Any, read_redis: Any, api: APIClient
) -> None:
    warm(api, "/textbook/products/", "/textbook/categories/", "/products/", "/categories/")

    output = flush(no_input=True, prefix="category_list")

    assert output.startswith("Removed 1 page of the textbook (2 keys) and 1 entry of the read cache in ")
    assert redis.dbsize() == 2
    assert [key.split(b":")[3] for key in read_redis.keys("*:entry:*")] == [b"product_list"]


def test_entries_are_stale_before_they_are_deleted(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    warm(api, "/products/")
    states: list[bool] = []

    def look_and_sweep(selection: Selection) -> int:
        states.extend(each.is_live for each in stored_entries())
        return sweep(selection)

    monkeypatch.setattr("catalog.flushing.sweep", look_and_sweep)
    flush(no_input=True)

    assert states
    assert not any(states)


def test_flush_asks_before_it_removes_anything(redis: Any, read_redis: Any, api: APIClient) -> None:
    warm(api, "/textbook/products/", "/products/")

    with pytest.raises(CommandError, match=r"Remove 1 page .* 1 entry of the read cache\? .*--no-input"):
        flush()
    assert redis.dbsize() == 2
    assert api.get("/products/").headers["Cache-Status"].startswith("shop; hit")


def test_flush_does_not_ask_if_nothing_is_cached() -> None:
    assert flush().startswith("Removed 0 pages of the textbook (0 keys) and 0 entries of the read cache in ")


def test_an_entry_that_is_filled_during_a_flush_is_stale_when_it_is_stored(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = ProductQuerySet.statistics

    def flushed_meanwhile(products: ProductQuerySet) -> dict[str, Any]:
        found = statistics(products)
        flush(no_input=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(ProductQuerySet, "statistics", flushed_meanwhile)
        assert api.get("/products/stats/").headers["Cache-Status"] == "shop; fwd=uri-miss; stored"

    assert api.get("/products/stats/").headers["Cache-Status"] == "shop; fwd=stale; stored"


def test_entries_are_stale_before_the_search_for_pages_begins(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(api, "/products/")
    states: list[bool] = []

    def look_and_flush(**options: Any) -> CachedPages:
        if not options["dry_run"]:
            states.extend(each.is_live for each in stored_entries())
        return flush_cached_pages(**options)

    monkeypatch.setattr("catalog.flushing.flush_cached_pages", look_and_flush)
    flush(no_input=True)

    assert states == [False]


def test_verbosity_zero_is_silent() -> None:
    assert flush(no_input=True, verbosity=0) == ""


def test_an_unreachable_redis_is_reported_in_one_line_without_its_password(manage: Manage) -> None:
    done = manage("flush_product_cache", REDIS_URL="redis://:s3cret@127.0.0.1:1/1")

    assert done.returncode == 1
    assert done.stderr == (
        "CommandError: Cannot reach Redis at redis://:***@127.0.0.1:1/1. Start it with: "
        "docker compose up -d redis, or unset REDIS_URL to use the private one.\n"
    )


def test_a_prefix_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(CommandError, match=r"--prefix must be letters, .* got 5"):
        flush(prefix=5, no_input=True)


@pytest.mark.parametrize("arguments", [["--prefix", "*"], ["--cache", "nope"], ["--bogus"]])
def test_invalid_options_end_with_exit_code_2(arguments: list[str], manage: Manage) -> None:
    done = manage("flush_product_cache", *arguments)

    assert done.returncode == 2
    assert arguments[0] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
