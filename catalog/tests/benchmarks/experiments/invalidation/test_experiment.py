"""Each kind of write with each strategy. Planted faults show that every check can fail."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_save
from pytest_django import Settings

from catalog import signals
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.invalidation import experiment, trials
from catalog.benchmarks.experiments.invalidation.writes import KINDS, Kind, Target
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy, find_strategy
from catalog.factories import ProductFactory, TagFactory
from catalog.models import Category, Product, Tag
from catalog.tests.benchmarks.conftest import children
from readcache.invalidation import rotations

pytestmark = pytest.mark.django_db(transaction=True)

ONE_VERSION_BEHIND = "catalog.tests.benchmarks.strategies.planted_strategies:OneVersionBehind"
SEEN_BY_THE_TEXTBOOK = ["save", "save_in_the_admin", "save_through_the_api", "loaddata", "second_process"]
UNSEEN_BY_THE_TEXTBOOK = ["create", "update", "bulk_create", "add_a_tag", "rename_the_category", "raw_sql"]


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "ROUNDS", Scale(quick=1, normal=1, thorough=1))


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Measure only these kinds of write."""

    def leave(*chosen: str | Kind) -> None:
        by_name = {kind.name: kind for kind in KINDS}
        kinds = [by_name[each] if isinstance(each, str) else each for each in chosen]
        monkeypatch.setattr(experiment, "KINDS", kinds)

    return leave


def measure(*strategies: Strategy, on_progress: Callable[[float], None] = lambda _: None) -> ExperimentResult:
    options = Options(strategies=(UNCACHED, *strategies), effort=Effort.QUICK, on_progress=on_progress)
    with isolated_cache():
        return experiment.measure(options)


def value(result: ExperimentResult, path: str) -> float | None:
    figure = result.figure(*path.split("."))
    assert figure is not None, path
    return figure.value


def state(redis: Any, read_redis: Any) -> list[Any]:
    """All rows and keys."""
    models = (Product, Category, Tag, Product.tags.through, User, Session, LogEntry)
    rows = [list(model._default_manager.order_by("pk").values()) for model in models]
    keys = [sorted(client.keys("bench_cache*")) for client in (redis, read_redis)]
    return [*rows, *keys]


def test_the_read_cache_notices_every_kind_of_write_even_in_a_race() -> None:
    result = measure(READ_CACHE)

    assert value(result, "readcache.invalidation.kinds") == len(KINDS)
    assert value(result, "readcache.invalidation.stale") == 0
    assert value(result, "readcache.invalidation.stale_race") == 0
    start = f"readcache: the next answer shows each of {len(KINDS)} kinds of write, also in a race; "
    assert result.verdicts[0].startswith(start)


def test_the_textbook_notices_writes_with_signals_and_none_in_a_race(
    choose: Callable[..., None],
) -> None:
    choose(*SEEN_BY_THE_TEXTBOOK, *UNSEEN_BY_THE_TEXTBOOK)

    result = measure(TEXTBOOK)

    kinds = [*SEEN_BY_THE_TEXTBOOK, *UNSEEN_BY_THE_TEXTBOOK]
    assert [kind for kind in kinds if not value(result, f"textbook.{kind}.stale")] == SEEN_BY_THE_TEXTBOOK
    assert {value(result, f"textbook.{kind}.stale_race") for kind in kinds} == {2}
    assert value(result, "textbook.invalidation.stale_race") == len(kinds)
    assert value(result, "textbook.create.stale_list") == 0
    assert value(result, "textbook.create.stale_category") == 1
    assert result.verdicts[0].startswith(
        "textbook: a page is STALE after 6 of 11 kinds of write, and after 11 in a race; "
    )


# Planted faults


def test_a_read_cache_that_does_not_rotate_is_detected(
    choose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose("save", "rename_the_tag")
    monkeypatch.setattr(rotations, "rotate_tokens", lambda tags, ends: None)

    result = measure(READ_CACHE)

    assert value(result, "readcache.invalidation.stale") == 2
    assert {value(result, f"readcache.{name}.stale_race") for name in ("save", "rename_the_tag")} == {2}


def test_a_strategy_one_version_behind_is_stale_on_each_of_its_pages(
    choose: Callable[..., None],
) -> None:
    choose("create")

    result = measure(find_strategy(ONE_VERSION_BEHIND))

    figures = (figure for figure in result.figures if figure.path.startswith("one-version-behind.create.s"))
    assert {figure.name: figure.value for figure in figures} == {
        "stale": 1,
        "stale_list": 1,
        # The page of the category comes from the database.
        "stale_category": 0,
        # Both races end with the old list.
        "stale_race": 2,
    }
    assert result.verdicts[0].startswith("one-version-behind: a page is STALE after 1 of 1 kind of write, ")


@contextmanager
def clearing_after_commit() -> Iterator[None]:
    """The textbook's invalidation, but after COMMIT. It does not prevent a late fill."""

    def clear(**kwargs: Any) -> None:
        transaction.on_commit(lambda: signals.clear_product_cache(sender=Product))

    post_save.connect(clear, sender=Product)
    try:
        yield
    finally:
        post_save.disconnect(clear, sender=Product)


def test_the_two_races_are_distinguished(choose: Callable[..., None]) -> None:
    choose("save")
    with signals.disconnected(), clearing_after_commit():
        on_commit = measure(TEXTBOOK)

    assert value(on_commit, "textbook.save.stale") == 0
    assert value(on_commit, "textbook.save.stale_race") == 1
    assert value(measure(TEXTBOOK), "textbook.save.stale_race") == 2


def change_nothing(target: Target) -> None:
    Product.objects.filter(pk=target.product.pk).update(stock=target.product.stock)


def test_a_write_that_does_not_change_its_pages_is_an_error(choose: Callable[..., None]) -> None:
    choose(Kind(name="change_nothing", changes=frozenset({"detail"}), write=change_nothing))

    with pytest.raises(BenchmarkError, match=r"The write change_nothing was to change /products/\d+/"):
        measure(READ_CACHE)


def test_the_time_of_an_invalidation_counts_for_its_own_strategy_only(
    choose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose("save")
    monkeypatch.setattr(experiment, "ROUNDS", Scale(quick=3, normal=1, thorough=1))
    monkeypatch.setattr(experiment, "MOST_SECONDS", 0.1)
    # A clock on which only the invalidation takes long, so that a busy machine does not matter.
    now_ns = 0

    def take(milliseconds: int) -> int:
        nonlocal now_ns
        now_ns += milliseconds * 1_000_000
        return now_ns

    monkeypatch.setattr(trials, "time", SimpleNamespace(perf_counter_ns=lambda: take(1)))
    monkeypatch.setattr(signals, "cache", SimpleNamespace(delete_pattern=lambda pattern: take(200)))

    result = measure(TEXTBOOK, READ_CACHE)

    assert value(result, "textbook.save.write") > 0.2  # type: ignore[operator]
    assert value(result, "textbook.invalidation.write_extra") > 0.1  # type: ignore[operator]
    assert max(value(result, f"{name}.save.write") or 1 for name in ("uncached", "readcache")) < 0.2
    # A slow write is repeated less often.
    assert len(result.samples("textbook", "save", "write")) == 1
    assert len(result.samples("readcache", "save", "write")) == 3


def test_the_action_before_a_timed_write_is_the_same_for_all(
    choose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, see = [], Requester.see

    def note(requester: Requester, strategy: Strategy, path: str) -> Any:
        asked.append(strategy.name)
        return see(requester, strategy, path)

    def write(target: Target) -> None:
        before.append(asked[-2:])
        Product.objects.filter(pk=target.product.pk).update(stock=3)

    before: list[list[str]] = []
    monkeypatch.setattr(Requester, "see", note)
    monkeypatch.setattr(experiment, "_check", lambda *arguments: ({}, 0))
    choose(Kind(name="noted", changes=frozenset({"detail"}), write=write))

    measure(READ_CACHE)

    assert {tuple(pair) for pair in before} == {("uncached", "uncached"), ("readcache", "uncached")}


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((0.9, 1.2), "the time of a write shows no significant difference"),
        ((1.4, 1.6), "a write takes 1.50 times as long (95% interval 1.40 to 1.60, 0.50 s more)"),
    ],
)
def test_a_price_that_may_be_chance_is_not_claimed(times: tuple[float, float], words: str) -> None:
    own, plain = (
        [
            experiment.Finding(
                strategy=name, kind=str(number), pages={}, stale_races=0, seconds=(seconds[number % 2],)
            )
            for number in range(12)
        ]
        for name, seconds in (("mine", times), ("uncached", (1.0, 1.0)))
    )

    [verdict] = experiment._verdicts([*plain, *own])

    assert verdict == f"mine: the next answer shows each of 12 kinds of write, also in a race; {words}."


# Clean-up


def fail(target: Target) -> None:
    raise ConnectionError


def interrupt(target: Target) -> None:
    Product.objects.filter(pk=target.product.pk).update(name="interrupted")
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def bystander() -> Product:
    return ProductFactory.create(tags=[TagFactory.create()])


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    ("last", "error"),
    [("second_process", None), (fail, ConnectionError), (interrupt, KeyboardInterrupt)],
    ids=["done", "failed", "interrupted"],
)
def test_the_experiment_leaves_everything_unchanged(
    last: Any, error: type[BaseException] | None, choose: Callable[..., None], redis: Any, read_redis: Any
) -> None:
    before, processes = state(redis, read_redis), children()
    chosen = ["save_in_the_admin", "delete_in_the_admin", "change_the_slug", "bulk_create"]
    kind = Kind(name="last", changes=frozenset({"list"}), write=last) if error else last
    choose(*chosen, kind)

    if error:
        with pytest.raises(error):
            measure(TEXTBOOK)
    else:
        measure(TEXTBOOK)

    assert state(redis, read_redis) == before
    assert children() <= processes
    assert post_save.has_listeners(Product)


# Strategies that cannot be measured


class Elsewhere(Strategy):
    name = "elsewhere"
    own_process = True


def test_a_strategy_with_a_separate_process_is_left_out_with_a_warning(choose: Callable[..., None]) -> None:
    choose("save")

    result = measure(Elsewhere(), READ_CACHE)

    assert {figure.strategy for figure in result.figures} == {"uncached", "readcache"}
    assert result.warnings == (
        "elsewhere: its invalidation was not measured, because it needs a separate process.",
    )


def test_the_experiment_ignores_the_simulated_latency(
    choose: Callable[..., None], settings: Settings
) -> None:
    choose("update")
    settings.SIMULATED_LATENCY_SECONDS = 60

    assert value(measure(READ_CACHE), "readcache.update.stale") == 0


# Tables and verdicts


def test_the_tables_have_a_row_for_each_kind_and_mark_stale_pages(choose: Callable[..., None]) -> None:
    choose("save", "create", "update", "raw_sql_after_a_comment")

    notice, price = experiment.tables(measure(TEXTBOOK, READ_CACHE))

    assert notice.heads == ("write", "uncached", "textbook", "readcache")
    assert [[(cell.text, cell.rating) for cell in row] for row in notice.rows] == [
        [("save", ""), ("fresh", ""), ("stale in a race", "bad"), ("fresh", "")],
        [("create", ""), ("fresh", ""), ("stale: category", "bad"), ("fresh", "")],
        [("update", ""), ("fresh", ""), ("stale", "bad"), ("fresh", "")],
        [("raw SQL after a comment", ""), ("fresh", ""), ("stale", "bad"), ("fresh", "")],
    ]
    heads = ("write", "uncached ms", "textbook ms", "/ uncached", "readcache ms", "/ uncached")
    assert price.heads == heads
    assert all(float(cell.text) > 0 for row in price.rows for cell in row[1:])


def test_each_kind_of_write_is_the_same_share_of_the_progress(choose: Callable[..., None]) -> None:
    choose("update", "save")
    done: list[float] = []

    measure(TEXTBOOK, READ_CACHE, on_progress=done.append)

    assert done == [0.5, 0.5]
