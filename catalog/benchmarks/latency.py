"""How fast is the first request, and how fast are its repeats?

Measures: the time of a GET through Django's test client, that is URL resolving, middleware, view,
database and cache, for one path in every strategy. Leaves out: sockets, HTTP parsing and waiting
for a worker, which are the same for all. The strategies take turns, in an order shuffled each
round, so that a busy moment of the machine hits all alike; warm-up, interleaving and the choice
of figures follow pyperf and hyperfine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.benchmarks.client import BenchmarkError, Requester
from catalog.benchmarks.isolation import garbage_collector_off
from catalog.benchmarks.strategies import FLOORS, UNCACHED, Strategy

COLD_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class LatencyResult:
    """Times of one strategy, in the order in which they were taken."""

    strategy: str
    cold_ns: tuple[int, ...]
    repeat_ns: tuple[int, ...]
    cold_queries: int
    repeat_queries: int


def measure_latency(
    requester: Requester,
    strategies: Sequence[Strategy],
    *,
    requests: int,
    warmup: int,
    seed: int,
    empty_cache: Callable[[], None],
    on_progress: Callable[[int], None],
) -> list[LatencyResult]:
    """``requests`` repeats of each strategy and of the floors.

    Raises ``BenchmarkError`` if bodies or queries are wrong.
    """
    chance = random.Random(seed)
    strategies = [*strategies, *FLOORS]
    cold_ns: dict[str, list[int]] = {strategy.name: [] for strategy in strategies}
    repeat_ns: dict[str, list[int]] = {strategy.name: [] for strategy in strategies}
    queries = _check(requester, strategies, empty_cache)
    with garbage_collector_off():
        for _ in range(COLD_ROUNDS):
            # So that the first read is a true miss.
            empty_cache()
            requester.prepare_floor()
            for strategy in chance.sample(strategies, len(strategies)):
                cold_ns[strategy.name].append(requester.time(strategy))
        for number in range(warmup + requests):
            for strategy in chance.sample(strategies, len(strategies)):
                nanoseconds = requester.time(strategy)
                if number >= warmup:
                    repeat_ns[strategy.name].append(nanoseconds)
            on_progress(1)
    return [
        LatencyResult(
            strategy=strategy.name,
            cold_ns=tuple(cold_ns[strategy.name]),
            repeat_ns=tuple(repeat_ns[strategy.name]),
            cold_queries=queries[strategy.name][0],
            repeat_queries=queries[strategy.name][1],
        )
        for strategy in strategies
    ]


def _check(
    requester: Requester, strategies: Sequence[Strategy], empty_cache: Callable[[], None]
) -> dict[str, tuple[int, int]]:
    """The number of queries of a cold request and of a repeat, after comparing every body."""
    empty_cache()
    expected = requester.ask(UNCACHED).body
    requester.prepare_floor()
    queries = {}
    for strategy in strategies:
        cold, repeat = requester.ask(strategy), requester.ask(strategy)
        if not cold.body == repeat.body == expected:
            raise BenchmarkError(
                f"{strategy.name} answers {requester.path} with another body than {UNCACHED.name}."
            )
        if strategy.caches and repeat.queries:
            raise BenchmarkError(
                f"{strategy.name} ran {repeat.queries} queries to repeat {requester.path}; a hit runs none."
            )
        queries[strategy.name] = (cold.queries, repeat.queries)
    return queries
