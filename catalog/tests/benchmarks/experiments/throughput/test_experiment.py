"""A short load on a real gunicorn. ``test_load.py`` tests the load generator alone."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from catalog import textbook, views
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput import experiment
from catalog.benchmarks.experiments.throughput.experiment import require_equal_answers
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.processes.servers import running_server
from catalog.benchmarks.run import run_benchmark
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy, find_strategy
from catalog.factories import ProductFactory
from catalog.models import Product
from catalog.options import InvalidOption
from catalog.tests.benchmarks.conftest import children
from shop.termination import Terminated, terminations_raised

pytestmark = pytest.mark.django_db(transaction=True)

STRATEGIES = (UNCACHED, TEXTBOOK, READ_CACHE)


def keys(redis: Any) -> set[bytes]:
    return set(redis.keys("bench_cache*"))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOSED_SECONDS", "OPEN_SECONDS"):
        monkeypatch.setattr(experiment, name, Scale(quick=0.06, normal=0.06, thorough=0.06))
    monkeypatch.setattr(experiment, "CLOSED_ROUNDS", Scale(quick=2, normal=2, thorough=2))
    monkeypatch.setattr(experiment, "OPEN_ROUNDS", Scale(quick=1, normal=1, thorough=1))


@pytest.fixture
def products() -> list[Product]:
    return ProductFactory.create_batch(20)


def measure(**fields: Any) -> ExperimentResult:
    options = Options(**{"strategies": STRATEGIES, "effort": Effort.QUICK, **fields})
    return run_benchmark(options, experiments=["throughput"]).experiments[0]


def value(result: ExperimentResult, path: str) -> float:
    found = result.figure(*path.split("."))
    assert found is not None
    assert found.value is not None
    return found.value


def test_every_strategy_and_floor_is_loaded_and_nothing_is_left_behind(
    products: list[Product], redis: Any, read_redis: Any
) -> None:
    before, rows = children(), list(Product.objects.order_by("pk").values())
    done: list[float] = []

    result = measure(on_progress=done.append)

    for strategy in ("uncached", "textbook", "readcache", "floor", "floor-get"):
        assert value(result, f"{strategy}.w2c8.requests_per_second") > 0
        assert value(result, f"{strategy}.w2c8.errors") == 0
        assert value(result, f"{strategy}.w2c8.p50") > 0
        assert len(result.samples(strategy, "w2c8", "requests_per_second")) == 2
    # These differ clearly on any machine: one runs three queries and renders, the other needs one round trip.
    rates = {name: value(result, f"{name}.w2c8.requests_per_second") for name in ("uncached", "readcache")}
    assert rates["readcache"] > 1.5 * rates["uncached"]
    assert value(result, "readcache.w2c8.of_floor") > value(result, "uncached.w2c8.of_floor")
    assert value(result, "readcache.w2c8.arrivals_per_second") == pytest.approx(rates["readcache"] / 2)
    assert [line.partition(":")[0] for line in result.verdicts] == ["uncached", "textbook", "readcache"]
    assert sum(done) == pytest.approx(experiment.SECONDS_PER_STRATEGY.quick * len(STRATEGIES))
    assert children() <= before
    assert list(Product.objects.order_by("pk").values()) == rows
    assert keys(redis) == keys(read_redis) == set()


def test_a_strategy_with_a_separate_process_has_a_separate_server(products: list[Product]) -> None:
    apart = find_strategy("catalog.tests.benchmarks.strategies.example_strategies:Apart")

    result = measure(strategies=(UNCACHED, apart))

    assert value(result, "apart.w2c8.errors") == 0
    # Both request the same URLs, but only the separate server answers them from a cache.
    assert value(result, "apart.w2c8.requests_per_second") > 1.5 * value(
        result, "uncached.w2c8.requests_per_second"
    )
    assert not any("left it out" in line for line in result.warnings)


def test_an_interrupted_load_leaves_no_process_and_no_key_behind(
    products: list[Product], redis: Any, read_redis: Any
) -> None:
    before = children()

    def interrupt(seconds: float) -> None:
        assert len(children() - before) >= 4
        assert keys(read_redis)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated), terminations_raised():
        measure(on_progress=interrupt)

    assert children() <= before
    assert keys(redis) == keys(read_redis) == set()


@pytest.mark.parametrize("path", ["/nowhere/", "/products/?page=99", "/products/?price=x"])
def test_a_path_without_an_answer_is_reported(path: str, products: list[Product]) -> None:
    with pytest.raises(InvalidOption, match="--path must be a page of the API that answers 200"):
        measure(path=path)


def test_a_repeat_that_runs_a_query_is_an_error(
    products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textbook.ProductListCreateAPIView, "list", views.ProductListCreateAPIView.list)
    with pytest.raises(BenchmarkError, match="textbook ran 3 queries to repeat /products/"):
        measure()


class OtherPage(Strategy):
    name = "other"
    url_prefix = ""

    def url(self, path: str) -> str:
        return "/categories/"


class Nowhere(Strategy):
    name = "gone"
    url_prefix = "/nowhere"


def test_a_server_with_different_answers_is_an_error(products: list[Product]) -> None:
    with isolated_cache(), running_server(workers=1) as server:
        servers = dict.fromkeys(["other", "gone", *(each.name for each in STRATEGIES)], server)
        require_equal_answers(servers, STRATEGIES, "/products/")
        with pytest.raises(BenchmarkError, match="other answers /products/ with another body"):
            require_equal_answers(servers, [*STRATEGIES, OtherPage()], "/products/")
        with pytest.raises(BenchmarkError, match="/nowhere/products/ answered 404, not 200"):
            require_equal_answers(servers, [*STRATEGIES, Nowhere()], "/products/")


@pytest.mark.parametrize(
    ("effort", "cores", "counts"),
    [
        (Effort.QUICK, 1, [2]),
        (Effort.NORMAL, 1, [1, 2]),
        (Effort.THOROUGH, None, [1, 2]),
        (Effort.THOROUGH, 1, [1, 2]),
        (Effort.THOROUGH, 4, [1, 2, 4]),
        (Effort.THOROUGH, 6, [1, 2, 4]),
        (Effort.THOROUGH, 64, [1, 2, 4, 8]),
    ],
)
def test_there_are_workers_for_the_effort_and_the_cores(
    effort: Effort, cores: int | None, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    cases = {setting.case for setting in experiment._settings(effort)}

    assert sorted({int(case[1:].partition("c")[0]) for case in cases}) == counts
    # CI has a gate on this case, so every effort must measure it.
    assert "w2c8" in cases
