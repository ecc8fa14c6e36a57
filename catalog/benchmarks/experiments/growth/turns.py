"""The process in a scratch database: it fills the database, and times hits, misses and writes there."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection

from catalog.benchmarks.clients.in_process import Requester, require_hit
from catalog.benchmarks.experiments.growth.databases import require_scratch
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import Strategy, find_strategy
from catalog.models import Product
from catalog.seeding import add_missing, plan_seeding

PATH = "/products/"
# In a turn, each strategy answers one miss and then so many hits and writes.
HITS_PER_TURN = 5
WRITES_PER_TURN = 2
SEEDING_BATCH = 2000
HIT, MISS, WRITE = "hit", "miss", "write"

# Seconds by strategy, in the order in which they were measured.
Times = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """``database`` is the scratch database's name."""

    database: str
    products: int
    strategies: list[str]
    seed: int


class Turns:
    """The strategies' turns in one catalogue."""

    def __init__(self, task: Task, requester: Requester) -> None:
        self._strategies = [find_strategy(name) for name in task.strategies]
        self._chance = random.Random(task.seed)
        self._requester = requester
        self._keys = list(Product.objects.order_by("pk").values_list("pk", flat=True)[:1000])

    def take(self) -> dict[str, Times]:
        """The times of one turn of all strategies, by what was done."""
        with garbage_collector_off():
            # The processes of other sizes use the same keys.
            empty_cache()
            misses = self._time(self._ask)
            self._check_hits()
            hits, writes = self._time(self._ask, HITS_PER_TURN), self._time(self._save, WRITES_PER_TURN)
        return {MISS: misses, HIT: hits, WRITE: writes}

    def _time(self, act: Callable[[Strategy], int], repeats: int = 1) -> Times:
        times: Times = {strategy.name: [] for strategy in self._strategies}
        for _ in range(repeats):
            for strategy in self._chance.sample(self._strategies, len(self._strategies)):
                times[strategy.name].append(act(strategy) / NANOSECONDS)
        return times

    def _ask(self, strategy: Strategy) -> int:
        return self._requester.time(strategy, PATH)

    def _save(self, strategy: Strategy) -> int:
        # There must be something to invalidate.
        self._requester.ask(strategy, PATH)
        return int(self._requester.run(strategy, save_product, pk=self._chance.choice(self._keys)))

    def _check_hits(self) -> None:
        """Also a warm-up: other processes have used the processor's caches meanwhile."""
        for strategy in self._strategies:
            require_hit(strategy, PATH, self._requester.ask(strategy, PATH))


@contextmanager
def taking_turns(task: Task) -> Iterator[Turns]:
    """Raises ``BenchmarkError`` unless this process is connected to the scratch database of the task."""
    require_scratch(task.database)
    _fill(task)
    with Requester() as requester:
        yield Turns(task, requester)


def _fill(task: Task) -> None:
    call_command("migrate", verbosity=0)
    plan = plan_seeding(count=task.products, seed=task.seed)
    add_missing(plan, batch_size=SEEDING_BATCH, on_progress=lambda _: None)
    if connection.vendor == "postgresql":
        # Autovacuum would soon do so. The planner knows nothing of a table without statistics.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def save_product(*, pk: int) -> int:
    """How many nanoseconds the save takes."""
    product = Product.objects.get(pk=pk)
    product.stock += 1
    started = time.perf_counter_ns()
    product.save()
    return time.perf_counter_ns() - started
