from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from catalog.benchmarks.experiments.growth import experiment, keys, products
from catalog.benchmarks.experiments.growth.keys import KeyResult
from catalog.benchmarks.experiments.growth.products import ProductTimes
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.run_lock import RUN_ID
from catalog.benchmarks.strategies.registry import STRATEGIES
from catalog.factories import ProductFactory
from catalog.models import Category, Product, Tag
from catalog.tests.benchmarks.conftest import children

pytestmark = pytest.mark.django_db(transaction=True)

PLAN = Options(strategies=tuple(STRATEGIES.values()), effort=Effort.QUICK)


def left_behind() -> tuple[Any, ...]:
    """The rows, folders and schemas that exist: what an experiment can leave behind besides processes."""
    rows = [list(model.objects.order_by("pk").values()) for model in (Product, Category, Tag)]
    # Only folders of this run, because other runs may be under way.
    folders = set(Path(tempfile.gettempdir()).glob(f"bench_cache.{RUN_ID}*"))
    schemas = []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT schema_name FROM information_schema.schemata WHERE schema_name ~ '^bench_cache'"
            )
            schemas = cursor.fetchall()
    return rows, folders, schemas


def value(result: ExperimentResult, strategy: str, case: str, name: str) -> float:
    figure = result.figure(strategy, case, name)
    assert figure is not None
    assert figure.value is not None
    return figure.value


def verdict(result: ExperimentResult, strategy: str) -> str:
    return next(line for line in result.verdicts if line.startswith(f"{strategy}: "))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(experiment, "PRODUCTS", Scale(quick=(60, 240), normal=(), thorough=()))
    monkeypatch.setattr(experiment, "KEYS", Scale(quick=(200, 6_000), normal=(), thorough=()))
    monkeypatch.setattr(products, "TURNS", Scale(quick=2, normal=2, thorough=2))
    monkeypatch.setattr(keys, "ROUNDS", Scale(quick=3, normal=3, thorough=3))
    # A separate folder for temporary files, so that those of other runs are not found. tmp_path would be
    # too long for the path of a socket.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        monkeypatch.undo()


def test_every_strategy_is_measured_at_every_size_and_nothing_is_left_behind(
    redis: Any, read_redis: Any
) -> None:
    ProductFactory.create_batch(3)
    redis.set("precious", 1)
    before, processes = left_behind(), children()
    done: list[float] = []

    with isolated_cache():
        result = experiment.measure(PLAN.reporting_to(done.append))

    assert left_behind() == before
    assert children() <= processes
    assert redis.keys() == [b"precious"]
    assert not read_redis.keys("bench_cache*")
    assert sum(done) == pytest.approx(1)
    assert (result.parameters["products"], result.parameters["keys"]) == ([60, 240], [200, 6_000])
    for name, strategy in STRATEGIES.items():
        for size in (60, 240):
            times = [result.samples(name, f"products_{size}", what) for what in ("hit", "miss", "write")]
            assert [len(each) for each in times] == [10, 2, 4]
            assert min(map(min, times)) > 0
        for what in ("hit", "miss", "write"):
            assert result.figure(name, "slope_products", what) is not None
        for size in (200, 6_000):
            assert result.figure(name, f"keys_{size}", "invalidation") is not None
            assert bool(result.figure(name, f"keys_{size}", "memory_per_page")) is strategy.caches
    assert [line.partition(":")[0] for line in result.verdicts] == list(STRATEGIES)
    assert value(result, "textbook", "slope_keys", "invalidation") > 0.6
    assert value(result, "readcache", "slope_keys", "invalidation") < 0.4
    assert value(result, "textbook", "keys_6000", "pages") == 3_000
    assert value(result, "readcache", "keys_6000", "pages") == 6_000
    weight = value(result, "readcache", "keys_6000", "memory_per_page")
    assert 100 < weight < value(result, "textbook", "keys_6000", "memory_per_page") / 2
    by_products, by_keys, slopes = experiment.tables(result)
    assert [row[0].text for row in by_products.rows][:: len(STRATEGIES)] == ["60", "240"]
    assert [row[0].text for row in by_keys.rows][:: len(STRATEGIES)] == ["200", "6,000"]
    column = slopes.heads.index("invalidation")
    marks = {row[0].text: row[column].rating for row in slopes.rows}
    assert (marks["textbook"], marks["readcache"]) == ("bad", "")
    assert "the time of an invalidation GROWS" in verdict(result, "textbook")
    assert "the time of an invalidation GROWS" not in verdict(result, "readcache")
    assert {row[1].text for row in by_keys.rows if row[2].rating == "best"} == {"readcache"}
    assert verdict(result, "builtin").endswith("; a save invalidates NOTHING.")


@pytest.mark.parametrize("part", ["measure_products", "measure_keys"])
def test_ctrl_c_leaves_nothing_behind(part: str, redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before, processes = left_behind(), children()
    if part == "measure_keys":
        monkeypatch.setattr(experiment, "measure_products", lambda *args, **kwargs: ProductTimes())

    with pytest.raises(KeyboardInterrupt), isolated_cache():
        experiment.measure(PLAN.reporting_to(lambda _: os.kill(os.getpid(), signal.SIGINT)))

    assert left_behind() == before
    assert children() <= processes
    assert redis.keys() == []


def test_the_report_names_the_parts_that_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    without_products = ProductTimes(warnings=("No schema.",))
    without_keys = KeyResult(
        findings={},
        invalidates={name: name != "textbook" for name in STRATEGIES},
        warnings=("No memory.",),
    )
    monkeypatch.setattr(experiment, "measure_products", lambda *args, **kwargs: without_products)
    monkeypatch.setattr(experiment, "measure_keys", lambda *args, **kwargs: without_keys)

    result = experiment.measure(PLAN)

    assert result.warnings == ("No schema.", "No memory.")
    assert result.figures == ()
    assert (
        verdict(result, "uncached") == "uncached: the time of an answer was not measured with more products."
    )
    assert verdict(result, "textbook") == (
        "textbook: the time of a hit was not measured with more products; a save invalidates NOTHING."
    )
    assert verdict(result, "readcache") == (
        "readcache: the time of a hit was not measured with more products; "
        "the time of an invalidation was not measured with more keys."
    )
