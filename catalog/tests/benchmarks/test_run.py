import functools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_save
from pytest_django import Settings
from redis.exceptions import NoPermissionError
from rest_framework.test import APIClient

from catalog import signals
from catalog.benchmarks import environment
from catalog.benchmarks.environment import describe_environment
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.selection import DEFAULT_EXPERIMENTS, EXPERIMENTS, select_experiments
from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.run import LOCAL_HOSTS, estimate_run_seconds, require_own_database, run_benchmark
from catalog.benchmarks.sandbox.isolation import empty_cache
from catalog.benchmarks.strategies.registry import (
    READ_CACHE,
    TEXTBOOK,
    UNCACHED,
    only_invalidation_of,
    select_strategies,
)
from catalog.factories import CategoryFactory, ProductFactory
from catalog.models import Category, Product, Tag
from catalog.options import InvalidOption
from readcache.invalidation.rotations import rotated
from shop.termination import Terminated, terminations_raised

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_experiments")]

STRATEGIES = (UNCACHED, TEXTBOOK, READ_CACHE)


def quick(**changed: Any) -> Options:
    return Options(
        **{"strategies": STRATEGIES, "effort": Effort.QUICK, "requests": 2, "warmup": 1, **changed}
    )


def bench(*experiments: str, **changed: Any) -> Run:
    return run_benchmark(quick(**changed), experiments=experiments)


def state(redis: Any) -> Any:
    """All rows and keys except the tokens of the read cache, which each write replaces."""
    rows = [[*model._default_manager.order_by("pk").values()] for model in (Product, Category, Tag)]
    return rows, {key: redis.get(key) for key in redis.keys("*")}


@pytest.fixture
def shelf() -> list[Product]:
    return [*ProductFactory.create_batch(30, stock=50, category=CategoryFactory.create(slug="kitchen"))]


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("experiment", DEFAULT_EXPERIMENTS)
def test_a_run_leaves_catalogue_and_cache_unchanged(
    experiment: str, redis: Any, read_redis: Any, api: APIClient
) -> None:
    api.get("/products/")
    cache.set("mine", 1)
    before, entries = state(redis), read_redis.keys("*:entry:*")

    run = bench(experiment)

    assert [result.experiment for result in run.experiments] == [experiment]
    assert run.products == 30
    assert state(redis) == before
    assert read_redis.keys("*:entry:*") == entries
    assert not read_redis.keys("bench_cache*")
    assert post_save.has_listeners(Product)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("experiment", DEFAULT_EXPERIMENTS)
def test_an_interrupted_run_leaves_catalogue_and_cache_unchanged(
    experiment: str, number: signal.Signals, redis: Any, api: APIClient
) -> None:
    api.get("/products/")
    before = state(redis)

    def interrupt(seconds: float) -> None:
        os.kill(os.getpid(), number)

    with pytest.raises((KeyboardInterrupt, Terminated)), terminations_raised():
        bench(experiment, on_progress=interrupt)

    assert state(redis) == before


@pytest.mark.usefixtures("shelf")
def test_a_run_that_writes_makes_earlier_entries_stale(api: APIClient) -> None:
    api.get("/products/")

    bench("latency")

    assert "fwd=stale" in api.get("/products/")["Cache-Status"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": 0}, "--requests must be at least 1, got 0."),
        ({"warmup": -1}, "--warmup must be at least 0, got -1."),
        ({"path": "products/"}, "--path must start with /"),
        ({"path": "/nowhere/"}, "/uncached/nowhere/ answered 404"),
        ({"path": "/products/?page=99"}, "answered 404"),
        ({"path": "/products/?price=x"}, "answered 400"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str, shelf: list[Product]) -> None:
    with pytest.raises(InvalidOption) as raised:
        bench("latency", **options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("seconds", "rule"), [(-0.5, "at least 0"), (float("nan"), "at least 0"), (61, "at most 60")]
)
def test_an_invalid_latency_is_refused(seconds: float, rule: str) -> None:
    with pytest.raises(InvalidOption, match=f"--simulate-latency must be {rule}, got {seconds}"):
        run_benchmark(quick(), simulated_latency_seconds=seconds)


@pytest.mark.usefixtures("shelf")
def test_the_configured_latency_is_in_the_report(settings: Settings) -> None:
    settings.SIMULATED_LATENCY_SECONDS = 0.001

    assert run_benchmark(quick(), experiments=["invalidation"]).simulated_latency_seconds == 0.001
    found = run_benchmark(quick(), experiments=["invalidation"], simulated_latency_seconds=0.002)
    assert found.simulated_latency_seconds == 0.002


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.7"])
def test_a_database_on_another_machine_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "HOST", host)
    with pytest.raises(InvalidOption, match=f"{host} is not on this machine.*--yes-this-database"):
        require_own_database(may_write_anywhere=False)
    require_own_database(may_write_anywhere=True)


@pytest.mark.parametrize("host", [*LOCAL_HOSTS, "/var/run/postgresql"])
def test_a_database_on_this_machine_is_accepted(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "HOST", host)
    require_own_database(may_write_anywhere=False)


def test_experiments_run_once_and_in_their_fixed_order() -> None:
    assert select_experiments(["invalidation", "latency", "invalidation"]) == ["latency", "invalidation"]
    assert select_experiments([]) == [*DEFAULT_EXPERIMENTS]
    assert select_experiments(["all"]) == [*EXPERIMENTS]
    with pytest.raises(InvalidOption, match=r"EXPERIMENT must be one of latency, .*, all, got 'magic'"):
        select_experiments(["magic"])


@pytest.mark.usefixtures("shelf")
def test_progress_adds_up_to_the_estimate() -> None:
    done: list[float] = []

    bench(*DEFAULT_EXPERIMENTS, on_progress=done.append)

    assert sum(done) == pytest.approx(estimate_run_seconds(quick(), DEFAULT_EXPERIMENTS))


def test_uncached_is_part_of_every_selection() -> None:
    assert [each.name for each in select_strategies(["textbook", "textbook"])] == ["uncached", "textbook"]


def test_only_the_receivers_of_the_measured_strategy_are_connected() -> None:
    connected = {}
    for strategy in STRATEGIES:
        heard: list[frozenset[str]] = []
        listener = functools.partial(_hear, heard)
        rotated.connect(listener)
        with only_invalidation_of(strategy):
            ProductFactory.create()
            connected[strategy.name] = (post_save.has_listeners(Product), bool(heard))
        rotated.disconnect(listener)

    assert connected == {"uncached": (False, False), "textbook": (True, False), "readcache": (False, True)}
    assert post_save.has_listeners(Product)


def _hear(heard: list[frozenset[str]], tags: frozenset[str], **kwargs: Any) -> None:
    heard.append(tags)


def test_disconnected_receivers_stay_disconnected() -> None:
    with signals.disconnected():
        with only_invalidation_of(UNCACHED):
            pass
        assert not post_save.has_listeners(Product)


def test_the_cache_can_only_be_emptied_while_it_is_isolated(redis: Any) -> None:
    redis.set("mine", 1)

    with pytest.raises(RuntimeError, match="isolated_cache"):
        empty_cache()
    assert redis.get("mine") == b"1"


def test_the_environment_names_versions_cores_and_processor() -> None:
    environment = describe_environment()

    assert {"python", "django", "redis", "redis server"} < set(environment.versions)
    assert environment.cores >= 1
    assert environment.cpu


@contextmanager
def read_only() -> Iterator[None]:
    on, off = (
        ("PRAGMA query_only = on", "PRAGMA query_only = off")
        if connection.vendor == "sqlite"
        else ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
        try:
            yield
        finally:
            cursor.execute(off)


@pytest.mark.usefixtures("shelf")
def test_a_database_that_cannot_be_written_is_reported_before_the_run(redis: Any) -> None:
    done: list[float] = []
    with read_only():
        with pytest.raises(
            InvalidOption, match="invalidation must write to the database, and cannot"
        ) as told:
            bench("latency", "invalidation", on_progress=done.append)
        assert done == []
        assert bench("latency").experiments

    assert str(told.value).endswith("or choose among latency, throughput, stampede.")


@pytest.mark.usefixtures("shelf")
def test_results_of_finished_experiments_are_kept_if_a_later_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(options: Options) -> None:
        raise BenchmarkError("A page was wrong.")

    failures: list[tuple[str, str]] = []

    def note(name: str, error: Exception) -> None:
        failures.append((name, str(error)))

    monkeypatch.setattr(EXPERIMENTS["invalidation"], "measure", fail)
    run = run_benchmark(quick(), experiments=["latency", "invalidation"], on_failure=note)

    assert [result.experiment for result in run.experiments] == ["latency"]
    assert failures == [("invalidation", "A page was wrong.")]
    for experiments in (["latency", "invalidation"], ["invalidation"]):
        with pytest.raises(BenchmarkError, match=r"A page was wrong\."):
            run_benchmark(quick(), experiments=experiments, on_failure=None if len(experiments) > 1 else note)


@pytest.mark.usefixtures("shelf")
def test_a_redis_user_without_the_right_to_info_can_measure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: Any) -> None:
        raise NoPermissionError("this user has no permissions to run the 'info' command")

    monkeypatch.setattr(environment, "redis_client", lambda: SimpleNamespace(info=refuse))

    assert bench("latency").environment.versions["redis server"] == "unknown"


def test_a_warning_reports_a_full_redis(redis: Any) -> None:
    limit = redis.config_get("maxmemory")["maxmemory"]
    used = redis.info("memory")["used_memory"]
    redis.config_set("maxmemory", int(1.05 * used))
    try:
        assert any("Redis is full: " in line for line in environment.disturbances())
    finally:
        redis.config_set("maxmemory", limit)
    assert not any("Redis is full" in line for line in environment.disturbances())


@pytest.mark.usefixtures("shelf")
def test_a_redis_user_without_the_right_to_unlink_is_refused_before_the_run(
    redis: Any, read_redis: Any
) -> None:
    def count_keys() -> int:
        return len([*redis.keys("bench_cache*"), *read_redis.keys("bench_cache*")])

    done: list[float] = []
    redis.execute_command("ACL", "SETUSER", "default", "-unlink")
    try:
        with pytest.raises(NoPermissionError, match="unlink"):
            bench("latency", on_progress=done.append)
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "+unlink")

    assert done == []
    # Only keys that test the rights of the user are left, and they expire.
    assert count_keys() <= 2
    assert all(0 < redis.ttl(key) <= 60 for key in redis.keys("bench_cache*"))
