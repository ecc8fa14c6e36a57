"""The strategy ``builtin``: it caches, is served by the laboratory only, and leaves no keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.redis import RedisCache

from catalog.benchmarks import run
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments import selection
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.sandbox.isolation import empty_cache, isolated_cache
from catalog.benchmarks.strategies.registry import BUILTIN, TEXTBOOK, UNCACHED, only_invalidation_of
from catalog.factories import ProductFactory
from readcache.testing import PrivateRedis

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = ("/products/?page=1", "/products/stats/", "/categories/")


def test_a_repeat_request_runs_no_query_until_the_cache_is_emptied(redis: Any) -> None:
    product = ProductFactory.create()
    paths = (*PATHS, f"/products/{product.pk}/", f"/categories/{product.category.slug}/")
    requester = Requester()
    with isolated_cache():
        assert type(caches["builtin"]) is RedisCache
        for path in paths:
            first, repeat = requester.ask(BUILTIN, path), requester.ask(BUILTIN, path)
            assert first.body == repeat.body == requester.ask(UNCACHED, path).body
            assert first.queries > repeat.queries == 0
        with only_invalidation_of(TEXTBOOK):
            # The textbook's delete_pattern walks the same database, and must not delete these pages.
            product.save()
        assert {requester.ask(BUILTIN, path).queries for path in paths} == {0}
        assert all(key.startswith(b"bench_cache.") for key in redis.keys("*"))
        empty_cache()
        assert not redis.keys("*")
        assert requester.ask(BUILTIN, PATHS[0]).queries

    assert not redis.keys("*")


def test_builtin_is_served_by_the_laboratory_only(client: Any) -> None:
    with pytest.raises(InvalidCacheBackendError):
        caches["builtin"]
    assert client.get("/builtin/products/").status_code == 404
    with isolated_cache():
        assert client.get("/builtin/products/").status_code == 200
        assert client.get("/builtin/").json()["products"].endswith("/builtin/products/")


def test_the_alias_builtin_starts_the_private_redis(private_redis: PrivateRedis) -> None:
    with isolated_cache():
        private_redis.stop()
        caches["builtin"].set("key", "value")
        assert private_redis.is_running()
        assert caches["builtin"].get("key") == "value"


def test_the_alias_builtin_uses_the_redis_of_redis_url(settings: Any, redis: Any) -> None:
    """With REDIS_URL, the options have no connection class of the private Redis."""
    default = settings.CACHES["default"]
    pool = {"retry": default["OPTIONS"]["CONNECTION_POOL_KWARGS"]["retry"]}
    options = {**default["OPTIONS"], "CONNECTION_POOL_KWARGS": pool}
    settings.CACHES = {**settings.CACHES, "default": {**default, "OPTIONS": options}}

    with isolated_cache():
        caches["builtin"].set("key", "value")
        assert len(redis.keys("bench_cache.*:key")) == 1


def test_each_experiment_starts_with_an_empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    ProductFactory.create()
    queries = []

    def measure(options: Options) -> ExperimentResult:
        queries.append(Requester().ask(BUILTIN, PATHS[0]).queries)
        return ExperimentResult(experiment="one", parameters={}, figures=())

    experiment = SimpleNamespace(
        WRITES=False,
        QUESTION="",
        SECONDS_PER_STRATEGY=Scale(quick=1.0, normal=1.0, thorough=1.0),
        measure=measure,
        tables=lambda result: [],
    )
    experiments = {"one": experiment, "two": experiment}
    monkeypatch.setattr(selection, "EXPERIMENTS", experiments)
    monkeypatch.setattr(run, "EXPERIMENTS", experiments)
    run.run_benchmark(Options(strategies=(BUILTIN,)), experiments=["one", "two"])

    assert queries == [3, 3]
