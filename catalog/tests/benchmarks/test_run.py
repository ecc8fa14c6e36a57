import functools
import os
import signal
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import F
from django.db.models.signals import post_save
from rest_framework.response import Response
from rest_framework.test import APIClient

from catalog import signals, textbook, views
from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.run import run_benchmark
from catalog.benchmarks.strategies import READ_CACHE, STRATEGIES, TEXTBOOK, UNCACHED, only_invalidation_of
from catalog.caching import writes
from catalog.factories import CategoryFactory, ProductFactory
from catalog.models import Product
from catalog.options import InvalidOption

pytestmark = pytest.mark.django_db(transaction=True)


def state(redis: Any) -> tuple[list[Any], dict[bytes, bytes]]:
    return list(Product.objects.order_by("pk").values()), {key: redis.get(key) for key in redis.keys("*")}


@pytest.fixture
def shelf() -> list[Product]:
    return [*ProductFactory.create_batch(30, stock=50, category=CategoryFactory.create(slug="kitchen"))]


@pytest.mark.parametrize("path", ["/products/", "/products/?page=2&page_size=10", "/products/stats/"])
def test_a_run_measures_each_strategy(path: str, shelf: list[Product]) -> None:
    run = run_benchmark(path=path, requests=5, warmup=1)

    measured = {result.strategy: result for result in run.latency}
    assert list(measured) == ["uncached", "textbook", "readcache", "floor", "floor + GET"]
    assert {len(result.repeat_ns) for result in run.latency} == {5}
    assert measured["uncached"].repeat_queries > 0
    for name in ("textbook", "readcache"):
        assert measured[name].cold_queries > 0
        assert measured[name].repeat_queries == 0
    assert run.products == 30


@pytest.mark.parametrize("strategy", ["textbook", "readcache"])
def test_a_save_is_seen_in_the_next_answer_which_is_cold(strategy: str, shelf: list[Product]) -> None:
    result = run_benchmark(requests=1, warmup=0, strategies=[strategy]).invalidation[1]

    assert result.strategy == strategy
    for one in result.rounds:
        assert one.changed
        assert one.next_fresh
        assert not one.next_warm
        assert one.after_warm


def test_a_page_without_the_product_is_not_changed_by_it(shelf: list[Product]) -> None:
    rounds = run_benchmark(path="/categories/", requests=1, warmup=0).invalidation[1].rounds

    assert not any(one.changed for one in rounds)
    assert all(one.next_fresh and one.next_warm for one in rounds)


@pytest.mark.usefixtures("shelf")
def test_a_stale_answer_is_reported() -> None:
    with signals.disconnected(), writes.suspended():
        _, *caches = run_benchmark(requests=1, warmup=0).invalidation

    assert len(caches) == 2
    for result in caches:
        assert not any(one.next_fresh for one in result.rounds)


@pytest.mark.usefixtures("shelf")
def test_a_run_leaves_catalogue_and_cache_as_it_found_them(redis: Any, api: APIClient) -> None:
    api.get("/products/")
    cache.set("mine", 1)
    before = state(redis)

    run_benchmark(requests=3, warmup=1)

    assert state(redis) == before
    assert post_save.has_listeners(Product)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_everything_as_it_found_it(
    number: signal.Signals, redis: Any, api: APIClient
) -> None:
    api.get("/products/")
    before = state(redis)
    handler = signal.getsignal(signal.SIGTERM)

    def interrupt(rounds: int) -> None:
        assert len(redis.keys("bench_cache.*")) > 0
        os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(requests=3, warmup=1, on_progress=interrupt)

    assert state(redis) == before
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.usefixtures("shelf")
def test_ctrl_c_in_the_middle_of_a_save_puts_the_product_back(redis: Any) -> None:
    before = state(redis)
    interrupted = []

    def interrupt(**kwargs: Any) -> None:
        interrupted.append(kwargs["instance"].pk)
        os.kill(os.getpid(), signal.SIGINT)

    post_save.connect(interrupt, sender=Product)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(requests=1, warmup=0)
    finally:
        post_save.disconnect(interrupt, sender=Product)

    assert interrupted
    assert state(redis) == before


def test_a_sale_during_the_run_is_not_lost(shelf: list[Product]) -> None:
    row = Product.objects.filter(pk=shelf[0].pk)

    def sell_one(**kwargs: Any) -> None:
        row.update(stock=F("stock") - 1)

    post_save.connect(sell_one, sender=Product)
    try:
        run = run_benchmark(requests=1, warmup=0)
    finally:
        post_save.disconnect(sell_one, sender=Product)

    sold = sum(len(result.rounds) for result in run.invalidation)
    assert row.get().stock == shelf[0].stock - sold


def test_a_product_is_put_back_when_its_save_fails_half_way(shelf: list[Product], redis: Any) -> None:
    before = state(redis)

    def fail(**kwargs: Any) -> None:
        raise ConnectionError

    post_save.connect(fail, sender=Product)
    try:
        with pytest.raises(ConnectionError):
            run_benchmark(requests=1, warmup=0)
    finally:
        post_save.disconnect(fail, sender=Product)

    assert state(redis) == before


def test_a_different_body_is_an_error(shelf: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        textbook.ProductListCreateAPIView, "list", lambda *args, **kwargs: Response({"results": []})
    )

    with pytest.raises(BenchmarkError, match="textbook answers /products/ with another body"):
        run_benchmark(requests=1, warmup=0)


def test_a_repeat_that_runs_a_query_is_an_error(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textbook.ProductListCreateAPIView, "list", views.ProductListCreateAPIView.list)

    with pytest.raises(BenchmarkError, match="textbook ran 3 queries to repeat"):
        run_benchmark(requests=1, warmup=0)


def test_an_empty_catalogue_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(BenchmarkError, match="seed_products"):
        run_benchmark(requests=1, warmup=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": 0}, "--requests must be at least 1, got 0."),
        ({"warmup": -1}, "--warmup must be at least 0, got -1."),
        ({"simulated_latency_seconds": -0.5}, "--simulate-latency must be at least 0, got -0.5."),
        ({"simulated_latency_seconds": float("nan")}, "--simulate-latency must be at least 0, got nan."),
        ({"strategies": ["magic"]}, "--strategy must be one of uncached, textbook, readcache, got 'magic'."),
        ({"path": "products/"}, "--path must start with /"),
        ({"path": "/nowhere/"}, "/uncached/nowhere/ answered 404"),
        ({"path": "/products/?page=99"}, "answered 404"),
        ({"path": "/products/?price=x"}, "answered 400"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str, shelf: list[Product]) -> None:
    with pytest.raises(InvalidOption) as raised:
        run_benchmark(**{"requests": 1, "warmup": 0, **options})
    assert message in str(raised.value)


def test_the_simulated_latency_slows_the_uncached_view_only(shelf: list[Product]) -> None:
    run = run_benchmark(requests=2, warmup=0, simulated_latency_seconds=0.05)

    assert min(run.latency[0].repeat_ns) > 50_000_000 > max(run.latency[1].repeat_ns)


def test_only_the_measured_strategys_receivers_are_connected() -> None:
    connected = {}
    for strategy in (UNCACHED, TEXTBOOK, READ_CACHE):
        heard: list[frozenset[str]] = []
        listener = functools.partial(_hear, heard)
        writes.rotated.connect(listener)
        with only_invalidation_of(strategy):
            ProductFactory.create()
            connected[strategy.name] = (post_save.has_listeners(Product), bool(heard))
        writes.rotated.disconnect(listener)

    assert connected == {"uncached": (False, False), "textbook": (True, False), "readcache": (False, True)}
    assert post_save.has_listeners(Product)


def _hear(heard: list[frozenset[str]], tags: frozenset[str], **kwargs: Any) -> None:
    heard.append(tags)


def test_receivers_that_were_off_stay_off() -> None:
    with signals.disconnected():
        with only_invalidation_of(UNCACHED):
            pass
        assert not post_save.has_listeners(Product)


def test_uncached_is_the_baseline_of_every_selection(shelf: list[Product]) -> None:
    run = run_benchmark(requests=1, warmup=0, strategies=["textbook", "textbook"])

    assert [result.strategy for result in run.invalidation] == ["uncached", "textbook"]
    assert set(STRATEGIES) == {"uncached", "textbook", "readcache"}
