from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper
from django.db.models.signals import post_save
from django.test.utils import override_settings
from redis.exceptions import TimeoutError as RedisTimeout

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth import keys
from catalog.benchmarks.experiments.growth.copies import StoredPage
from catalog.benchmarks.experiments.growth.keys import measure_keys, time_invalidation
from catalog.benchmarks.options import Effort, Options, Scale
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


@override_settings(USES_PRIVATE_REDIS=False)
@pytest.mark.usefixtures("isolated")
def test_keys_that_do_not_fit_into_the_users_redis_are_left_out(redis: Any) -> None:
    redis.set("precious", 1)
    limit = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 2**20)
    try:
        result = measure_keys(quick(READ_CACHE), [100, 100_000])
    finally:
        redis.config_set("maxmemory", limit)

    assert list(result.findings) == [100]
    assert not result.from_server
    assert result.warnings[0].startswith("100,000 keys were left out: they need ")
    assert redis.keys() == [b"precious"]


@override_settings(USES_PRIVATE_REDIS=False)
@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize(("foreign", "is_warned_of"), [(5, False), (20, True)])
def test_a_warning_reports_keys_of_other_programs(foreign: int, is_warned_of: bool, redis: Any) -> None:
    redis.mset({f"precious:{number}": 1 for number in range(foreign)})

    warnings = measure_keys(quick(READ_CACHE), [100]).warnings

    expected = [f"The database in Redis holds {foreign} other keys"] if is_warned_of else []
    assert [warning.partition(",")[0] for warning in warnings] == expected
    assert redis.dbsize() == foreign


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
