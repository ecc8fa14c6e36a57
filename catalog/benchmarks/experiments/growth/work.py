"""What the process in a scratch database does: fill it, and time hits, misses and writes there."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection

from catalog.benchmarks.clients.in_process import BenchmarkError, Requester
from catalog.benchmarks.experiments.growth.databases import require_scratch
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import Strategy, find_strategy
from catalog.models import Product
from catalog.seeding import add_missing, plan_seeding

PATH = "/products/"
# In a turn each strategy answers one miss, and then so many hits and writes.
HITS_PER_TURN = 5
WRITES_PER_TURN = 2
SEEDING_BATCH = 2000
HIT, MISS, WRITE = "hit", "miss", "write"

# Seconds by strategy, in the order in which they were taken.
Times = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """``database`` is the scratch database's name."""

    database: str
    products: int
    strategies: list[str]
    seed: int


def work() -> None:
    """The task comes by stdin, and then a line a turn; the report goes to stdout after the last.

    The first turn is a warm-up.
    """
    task = Task(**json.loads(sys.stdin.readline()))
    require_scratch(task.database)
    _fill(task)
    with Requester() as requester:
        turns = Turns(task, requester)
        _say_ready()
        for number, _ in enumerate(sys.stdin):
            with garbage_collector_off():
                turns.take()
            if number == 0:
                turns.forget()
            _say_ready()
    json.dump(turns.times, sys.stdout)


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _fill(task: Task) -> None:
    call_command("migrate", verbosity=0)
    plan = plan_seeding(count=task.products, seed=task.seed)
    add_missing(plan, batch_size=SEEDING_BATCH, on_progress=lambda _: None)
    if connection.vendor == "postgresql":
        # As autovacuum would have before long: a table without statistics is planned for blindly.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def save_product(*, pk: int) -> int:
    """The nanoseconds that it takes."""
    product = Product.objects.get(pk=pk)
    product.stock += 1
    started = time.perf_counter_ns()
    product.save()
    return time.perf_counter_ns() - started


class Turns:
    """The times of a process, by what was done and by strategy."""

    def __init__(self, task: Task, requester: Requester) -> None:
        self.strategies = [find_strategy(name) for name in task.strategies]
        self._chance = random.Random(task.seed)
        self._requester = requester
        self._keys = list(Product.objects.order_by("pk").values_list("pk", flat=True)[:1000])
        self.forget()

    def forget(self) -> None:
        self.times: dict[str, Times] = {
            what: {strategy.name: [] for strategy in self.strategies} for what in (HIT, MISS, WRITE)
        }

    def take(self) -> None:
        # Also of what a process of another size left there.
        empty_cache()
        self._time(MISS, self._ask)
        self._check_hits()
        for _ in range(HITS_PER_TURN):
            self._time(HIT, self._ask)
        for _ in range(WRITES_PER_TURN):
            self._time(WRITE, self._save)

    def _time(self, what: str, act: Callable[[Strategy], int]) -> None:
        for strategy in self._chance.sample(self.strategies, len(self.strategies)):
            self.times[what][strategy.name].append(act(strategy) / NANOSECONDS)

    def _ask(self, strategy: Strategy) -> int:
        return self._requester.time(strategy, PATH)

    def _save(self, strategy: Strategy) -> int:
        # So that there is something to invalidate.
        self._requester.ask(strategy, PATH)
        return int(self._requester.run(strategy, save_product, pk=self._chance.choice(self._keys)))

    def _check_hits(self) -> None:
        """Also a warm-up: meanwhile other processes have had the processor's caches."""
        for strategy in self.strategies:
            queries = self._requester.ask(strategy, PATH).queries
            if strategy.caches and queries:
                raise BenchmarkError(
                    f"{strategy.name} ran {queries} queries to repeat {PATH}; a hit runs none."
                )
