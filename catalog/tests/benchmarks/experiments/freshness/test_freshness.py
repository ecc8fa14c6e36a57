"""A short soak with real servers, readers and writers."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness import experiment, soak
from catalog.benchmarks.experiments.freshness.readers import shown_versions
from catalog.benchmarks.experiments.freshness.shelves import ROLLED_BACK, Shelf, gray, ungray
from catalog.benchmarks.experiments.freshness.soak import FreshnessResult
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, find_strategy
from catalog.factories import ProductFactory, TagFactory
from catalog.models import Category, Product, Tag
from catalog.tests.benchmarks.conftest import children
from catalog.tests.benchmarks.processes.services import failing

SECONDS = 1.5
ENOUGH_READS, ENOUGH_WRITES = 100, 6
PLANTED = "catalog.tests.benchmarks.strategies.planted_strategies"


def stored(redis: Any) -> set[bytes]:
    return {key for key in redis.scan_iter() if b":token:" not in key}


def soak_long_enough() -> list[FreshnessResult]:
    """Repeat for longer until there are enough reads and writes for a count of 0 to be meaningful."""
    for factor in (1, 2, 4, 8):
        with isolated_cache():
            results = [
                soak.soak(strategy, seconds=factor * SECONDS, seed=0, readers=3)
                for strategy in (TEXTBOOK, READ_CACHE)
            ]
        if all(each.reads >= ENOUGH_READS and each.writes >= ENOUGH_WRITES for each in results):
            return results
    pytest.fail(f"This machine is too busy for {ENOUGH_READS} reads and {ENOUGH_WRITES} writes.")


@pytest.mark.django_db(transaction=True)
def test_the_read_cache_is_always_fresh_and_the_textbook_is_not(redis: Any, read_redis: Any) -> None:
    bystander = ProductFactory.create(tags=[TagFactory.create()])
    before = children()

    textbook, read_cache = soak_long_enough()

    assert (textbook.strategy, read_cache.strategy) == ("textbook", "readcache")
    assert (read_cache.stale_reads, read_cache.uncommitted_reads) == (0, 0)
    assert read_cache.oldest_stale_seconds == 0
    assert read_cache.hit_share > 0.5
    assert textbook.stale_reads > textbook.reads / 20
    assert textbook.oldest_stale_seconds > 0
    # All scratch rows have been removed, and no others.
    assert list(Product.objects.all()) == [bystander]
    assert list(Category.objects.all()) == [bystander.category]
    assert list(Tag.objects.all()) == list(bystander.tags.all())
    assert stored(redis) == stored(read_redis) == set()
    assert children() <= before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("planted", "fault", "words"),
    [
        ("OneVersionBehind", "stale", r"one-version-behind: \d+ of \d+ answers were STALE, by up to "),
        (
            "ShowsUncommitted",
            "uncommitted",
            r"shows-uncommitted: .*\d+ of \d+ answers showed UNCOMMITTED data\.",
        ),
    ],
)
def test_a_planted_fault_is_counted_and_named(
    planted: str, fault: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "soak", partial(soak.soak, readers=2, writers=1, workers=1))
    strategy = find_strategy(f"{PLANTED}:{planted}")
    done: list[float] = []

    # With this seed the first write is an update and the second one is rolled back. The third one comes
    # later, after enough reads. A busy machine needs more seconds.
    for seconds in (1, 2, 4, 8):
        monkeypatch.setattr(experiment, "SECONDS", Scale(quick=seconds, normal=seconds, thorough=seconds))
        done.clear()
        with isolated_cache():
            result = experiment.measure(Options(strategies=(strategy,), seed=4, on_progress=done.append))
        if (result.value(strategy.name, "freshness", "writes") or 0) >= 2:
            break

    figure = result.figure(strategy.name, "freshness", fault)
    assert figure is not None
    assert figure.value
    [verdict] = result.verdicts
    assert re.match(words, verdict)
    assert result.parameters == {"seconds": seconds, "readers": 4, "writers": 2, "workers": 2}
    assert done == [1]


@pytest.mark.django_db(transaction=True)
def test_a_soak_that_fails_leaves_no_process_and_no_row_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    monkeypatch.setattr(soak, "opened_board", failing)

    with isolated_cache(), pytest.raises(BenchmarkError, match=r"No more ink\."):
        soak.soak(READ_CACHE, seconds=SECONDS, seed=0, readers=1, writers=1, workers=1)

    assert not Product.objects.exists()
    assert not Category.objects.exists()
    assert not Tag.objects.exists()
    assert children() <= before


def test_one_tag_is_added_or_removed_from_one_version_to_the_next() -> None:
    codes = [gray(version) for version in range(1000)]

    assert [ungray(code) for code in codes] == list(range(1000))
    assert all((one ^ other).bit_count() == 1 for one, other in pairwise(codes))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(
        label="soak-1",
        number=0,
        first=0,
        products=[7, 8],
        category=1,
        name_tag=1,
        bit_tags=[1],
        rolled_back_tag=2,
    )


def row(**fields: Any) -> dict[str, Any]:
    tags = ["soak-1_label0_5", "soak-1_bit_0", "soak-1_bit_1"]
    return {"id": 7, "price": "3.00", "stock": 5, "category": "soak-1_category0_6", "tags": tags, **fields}


def test_every_fact_of_a_product_has_its_version(shelf: Shelf) -> None:
    assert shown_versions([row()], [shelf], {7}) == {0: 3, 1: 4, 2: 2, 6: 6, 7: 5}


def test_a_product_that_is_not_in_the_list_is_missing(shelf: Shelf) -> None:
    shown = shown_versions([row()], [shelf], {7, 8})

    assert {register for register, version in shown.items() if version < 0} == {3, 4, 5}


def test_a_product_that_a_page_need_not_show_is_ignored(shelf: Shelf) -> None:
    assert shown_versions([row(), row(id=8), row(id=9)], [shelf], {7}) == {0: 3, 1: 4, 2: 2, 6: 6, 7: 5}


@pytest.mark.parametrize(
    ("fields", "register"),
    [
        ({"price": f"{ROLLED_BACK}.00"}, 0),
        ({"stock": ROLLED_BACK + 5}, 1),
        ({"tags": ["soak-1_label0_5", f"soak-1_bit_{ROLLED_BACK}"]}, 2),
        ({"category": f"soak-1_category0_{ROLLED_BACK}"}, 6),
        ({"tags": [f"soak-1_label0_{ROLLED_BACK}"]}, 7),
    ],
)
def test_a_value_that_was_rolled_back_is_recognised(
    shelf: Shelf, fields: dict[str, Any], register: int
) -> None:
    shown = shown_versions([row(**fields)], [shelf], {7})

    assert {each for each, version in shown.items() if version >= ROLLED_BACK} == {register}
