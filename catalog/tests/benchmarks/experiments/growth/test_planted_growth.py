"""Planted growth: the verdicts, the tables, one round with keys, and one turn in a catalogue."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth import experiment, keys, products
from catalog.benchmarks.experiments.growth.keys import SAVES_PER_ROUND, KeyFindings, KeyResult
from catalog.benchmarks.experiments.growth.products import (
    HITS_PER_TURN,
    WRITES_PER_TURN,
    ProductTimes,
    Task,
    Turns,
)
from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.options import Options
from catalog.benchmarks.strategies.registry import BUILTIN, READ_CACHE, TEXTBOOK, UNCACHED, Strategy

STRATEGIES = (UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE)
SIZES = (1_000, 10_000, 100_000)
# Hits, misses and writes with products, and invalidations with keys.
EXPONENTS = {
    "uncached": (1.0, 1.0, 0.0, 0.0),
    "textbook": (0.5, 1.0, 1.0, 1.0),
    "builtin": (0.0, 1.0, 0.0, 0.0),
    "readcache": (0.1, 1.0, 0.0, 0.4),
}


def spread(seconds: float) -> list[float]:
    """Ten samples whose median is ``seconds``."""
    return [seconds * (1 + step / 100) for step in (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5)]


def planted_products() -> ProductTimes:
    return ProductTimes(
        times={
            size: {
                what: {name: spread(1e-6 * size ** each[place]) for name, each in EXPONENTS.items()}
                for place, what in enumerate(("hit", "miss", "write"))
            }
            for size in SIZES
        }
    )


def planted_keys(*, failures: int = 0) -> KeyResult:
    return KeyResult(
        findings={
            size: {
                name: KeyFindings(
                    invalidations=spread(1e-6 * size ** exponents[3]),
                    bytes=[] if name == "uncached" else [200.0 * size],
                    pages=0 if name == "uncached" else size,
                    failures=failures if name == "textbook" else 0,
                )
                for name, exponents in EXPONENTS.items()
            }
            for size in SIZES
        },
        invalidates={name: name != "builtin" for name in EXPONENTS},
        warnings=("Too little memory.",),
    )


def measure(monkeypatch: pytest.MonkeyPatch, found: KeyResult) -> ExperimentResult:
    monkeypatch.setattr(experiment, "measure_products", lambda *args, **kwargs: planted_products())
    monkeypatch.setattr(experiment, "measure_keys", lambda *args, **kwargs: found)
    return experiment.measure(Options(strategies=STRATEGIES))


def test_the_verdicts_name_what_grows_and_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    uncached, textbook, builtin, read_cache = measure(monkeypatch, planted_keys(failures=1)).verdicts

    assert uncached.startswith(
        "uncached: the time of an answer grows linearly with the products (slope 1.00, 95% interval "
    )
    assert uncached.endswith("; 100.0 ms at 100,000).")
    hit, invalidation = textbook.split("; the time of an ")
    assert hit.startswith(
        "textbook: the time of a hit GROWS LESS THAN LINEARLY with the products (slope 0.50, "
    )
    assert hit.endswith("; 0.32 ms at 100,000)")
    assert invalidation.startswith("invalidation GROWS LINEARLY with the keys (slope 1.00, ")
    # One at each number of keys.
    assert invalidation.endswith("; 100.0 ms at 100,000), and 3 invalidations FAILED.")
    assert builtin.startswith("builtin: the time of a hit does not grow with the products (slope ")
    assert builtin.endswith("; 1.00 µs at 100,000); a save invalidates NOTHING.")
    assert read_cache.startswith("readcache: the time of a hit does not grow with the products (slope 0.10, ")
    # A hundred times the keys is less than ten times the time: it grows, and it is no fault.
    assert "; the time of an invalidation grows less than linearly with the keys (slope 0.40, " in read_cache
    assert "FAILED" not in read_cache


def test_the_result_says_how_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measure(monkeypatch, planted_keys())

    assert result.parameters["products"] == result.parameters["keys"] == list(SIZES)
    assert result.parameters["without_invalidation"] == ["builtin"]
    assert result.warnings == ("Too little memory.",)
    assert result.samples("textbook", "keys_1000", "invalidation") == tuple(spread(1e-3))
    assert result.samples("textbook", "products_10000", "write") == tuple(spread(1e-2))


def test_the_tables_mark_growth_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    by_products, by_keys, slopes = experiment.tables(measure(monkeypatch, planted_keys(failures=1)))

    assert [row[0].text for row in by_products.rows] == [f"{size:,}" for size in SIZES for _ in STRATEGIES]
    assert {row[1].text for row in by_keys.rows if row[by_keys.heads.index("failed")].rating == "bad"} == {
        "textbook"
    }
    # Uncached and builtin invalidate nothing, which is no merit.
    invalidation = next(place for place, head in enumerate(by_keys.heads) if head.startswith("invalidation"))
    assert {row[1].text for row in by_keys.rows if row[invalidation].rating == "best"} == {"readcache"}
    bad = {
        (row[0].text, head)
        for row in slopes.rows
        for head, cell in zip(slopes.heads, row, strict=True)
        if cell.rating == "bad"
    }
    assert bad == {("textbook", "hit"), ("textbook", "invalidation")}
    assert not any(cell.rating == "best" for row in slopes.rows for cell in row)


def test_a_table_without_failures_has_no_column_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, by_keys, _ = experiment.tables(measure(monkeypatch, planted_keys()))

    assert "failed" not in by_keys.heads


@pytest.mark.parametrize(
    ("changes", "is_fault"),
    [
        ({}, True),
        ({"value": 0.49}, False),
        ({"low": 0.15}, False),
        ({"low": 0.16}, True),
        ({"low": None}, False),
        ({"value": None}, False),
        ({"name": "hit"}, True),
        ({"name": "miss"}, False),
        ({"name": "memory"}, False),
        ({"strategy": "uncached"}, False),
    ],
)
def test_a_slope_of_a_half_is_a_fault_if_it_is_significant(changes: dict[str, Any], is_fault: bool) -> None:
    slope = Figure(
        strategy="mine", case="slope_keys", name="invalidation", value=0.5, low=0.3, high=0.7, unit="ratio"
    )

    assert experiment._is_fault(replace(slope, **changes)) is is_fault


# One round with keys


class Subject:
    """Its pages weigh 100 bytes each, and go at the save with the number ``invalidated_by``."""

    def __init__(self, *, pages: int = 50, invalidated_by: int = 100, is_served: bool = True) -> None:
        self.strategy, self.path, self.page = READ_CACHE, "/page/", self
        self.pages, self.invalidated_by, self.is_served = pages, invalidated_by, is_served
        self.stored = self.saves = 0

    def pages_of(self, size: int) -> int:
        return self.pages

    def store(self, pages: int) -> None:
        self.stored = pages

    def is_hit(self) -> bool:
        return self.is_served

    def is_there(self) -> bool:
        return self.saves <= self.invalidated_by

    def save(self) -> tuple[float, bool]:
        # The warm-up comes while there is nothing to invalidate.
        assert bool(self.stored) is bool(self.saves and self.pages)
        assert gc.isenabled() is not bool(self.saves)
        self.saves += 1
        return float(self.saves), self.saves == 3


def measured(subject: Subject) -> KeyFindings:
    found = KeyFindings()
    given: Any = subject
    server: Any = SimpleNamespace(empty=lambda: None, used_bytes=lambda: 1_000 + 100 * subject.stored)
    keys._measure_once(given, 100, server, found)
    return found


def test_a_round_weighs_the_pages_and_times_saves_as_long_as_they_stay() -> None:
    found = measured(Subject())

    assert found == KeyFindings(
        pages=50, bytes=[5_000], invalidations=[2.0, 3.0, 4.0, 5.0, 6.0][:SAVES_PER_ROUND], failures=1
    )


def test_a_round_ends_with_the_save_that_invalidates_the_pages() -> None:
    assert measured(Subject(invalidated_by=1)).invalidations == [2.0]
    assert measured(Subject(invalidated_by=2)).invalidations == [2.0, 3.0]


def test_a_strategy_without_pages_has_no_weight() -> None:
    found = measured(Subject(pages=0))

    assert (found.pages, found.bytes, len(found.invalidations)) == (0, [], SAVES_PER_ROUND)


def test_pages_that_are_not_served_are_an_error() -> None:
    with pytest.raises(BenchmarkError, match="readcache does not serve /page/ from its keys"):
        measured(Subject(is_served=False))


# One turn in a catalogue


class Requester:
    """Takes 3 ms for the first request of a strategy, 1 ms for the next ones, and 7 ms for a save."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []

    def time(self, strategy: Strategy, path: str) -> int:
        assert not gc.isenabled()
        self.log.append((strategy.name, "time"))
        self.requests[strategy.name] += 1
        return 3_000_000 if self.requests[strategy.name] == 1 else 1_000_000

    def ask(self, strategy: Strategy, path: str) -> Any:
        self.log.append((strategy.name, "ask"))
        return SimpleNamespace(queries=0)

    def run(self, strategy: Strategy, function: Any, **arguments: Any) -> int:
        assert function is products.save_product
        # There is something to invalidate.
        assert self.log[-1] == (strategy.name, "ask")
        return 7_000_000


@pytest.mark.django_db
def test_a_turn_is_a_miss_and_then_hits_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    requester = Requester()
    monkeypatch.setattr(products, "empty_cache", requester.requests.clear)
    given: Any = requester
    taken = Turns(Task(database="", products=1, strategies=["uncached", "textbook"], seed=0), given)
    monkeypatch.setattr(taken, "_keys", [1])

    for _ in range(2):
        assert taken.take() == {
            "miss": {name: [0.003] for name in ("uncached", "textbook")},
            "hit": {name: [0.001] * HITS_PER_TURN for name in ("uncached", "textbook")},
            "write": {name: [0.007] * WRITES_PER_TURN for name in ("uncached", "textbook")},
        }
    assert gc.isenabled()
