"""The times of hits, misses and writes in catalogues of several sizes.

Each size has a scratch database and a process, which fills the database and times strategies there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from django.core.management import call_command
from django.db import connection

from catalog.benchmarks.clients.in_process import Requester, require_hit
from catalog.benchmarks.experiments.growth.databases import (
    NoScratchDatabase,
    ScratchDatabase,
    free_bytes,
    require_scratch,
    scratch_database,
)
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import Strategy, find_strategy
from catalog.models import Product
from catalog.seeding import add_missing, plan_seeding

TURNS = Scale(quick=8, normal=20, thorough=40)
# The size of a product with its tags and index entries, plus half of it for the write-ahead log.
BYTES_PER_PRODUCT = 1_000
# A process that takes longer to fill its database, or for a turn, counts as hanging.
FILLING_PATIENCE_SECONDS = 3600
TURN_PATIENCE_SECONDS = 600
PATH = "/products/"
# How many hits and writes each strategy has in a turn, after one miss.
HITS_PER_TURN = 5
WRITES_PER_TURN = 2
SEEDING_BATCH = 2000
HIT, MISS, WRITE = "hit", "miss", "write"

# Seconds by strategy, in the order in which they were measured.
Times = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class ProductTimes:
    """``times[size][what][strategy]`` are seconds; ``what`` is a hit, a miss or a write."""

    times: dict[int, dict[str, Times]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def measure_products(options: Options, sizes: Sequence[int]) -> ProductTimes:
    """Each size has a process and a scratch database, which take turns. Raises ``BenchmarkError``."""
    fitting, warnings = _fitting(sizes)
    with ExitStack() as stack:
        try:
            databases = {size: stack.enter_context(scratch_database()) for size in fitting}
        except NoScratchDatabase as error:
            warning = f"The growth with products was left out: no scratch schema can be used: {error}"
            options.on_progress(1)
            return ProductTimes(warnings=(warning,))
        children = {
            size: stack.enter_context(_running_child(options, size, database))
            for size, database in databases.items()
        }
        for child in children.values():
            child.wait_until_ready(timeout_seconds=FILLING_PATIENCE_SECONDS)
        times = _take_turns(options, children)
    return ProductTimes(times=times, warnings=warnings)


def _take_turns(options: Options, children: Mapping[int, Child[Turns]]) -> dict[int, dict[str, Times]]:
    """Only one process works at a time."""
    names = [strategy.name for strategy in options.strategies]
    times: dict[int, dict[str, Times]] = {
        size: {what: {name: [] for name in names} for what in (HIT, MISS, WRITE)} for size in children
    }
    rounds = 1 + TURNS.at(options.effort)
    for number, order in enumerate(options.shuffled(list(children), rounds=rounds)):
        for size in order:
            turn = children[size].ask(Turns.take)
            # The first turn is a warm-up.
            for what, by_strategy in turn.items() if number else ():
                for name, values in by_strategy.items():
                    times[size][what][name] += values
            options.on_progress(1 / (rounds * len(order)))
    return times


def _running_child(
    options: Options, size: int, database: ScratchDatabase
) -> AbstractContextManager[Child[Turns]]:
    names = [strategy.name for strategy in options.strategies]
    task = Task(database=database.name, products=size, strategies=names, seed=options.seed)
    environment = {
        **database.environment,
        # A wait that is as long in a small catalogue as in a large one would hide the growth.
        "SIMULATED_LATENCY_SECONDS": "0",
    }
    return running_child(
        partial(taking_turns, task), environment=environment, patience_seconds=TURN_PATIENCE_SECONDS
    )


def _fitting(sizes: Sequence[int]) -> tuple[list[int], tuple[str, ...]]:
    free = free_bytes()
    needed = [total * BYTES_PER_PRODUCT for total in accumulate(sizes)]
    fitting = [size for size, total in zip(sizes, needed, strict=True) if free is None or total < free]
    if len(fitting) == len(sizes):
        return fitting, ()
    warning = (
        f"{sizes[len(fitting)]:,} products and more were left out: the temporary folder has "
        f"{say(free, 'bytes')} and they need {say(needed[len(fitting)], 'bytes')}. Set TMPDIR to another."
    )
    return fitting, (warning,)


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
        """The times of one turn of all strategies: of the miss, the hits and the writes."""
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
        """Also warms up, because other processes have used the processor's caches since the last turn."""
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
        # As autovacuum would do later. The planner knows nothing about a table without statistics.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def save_product(*, pk: int) -> int:
    """How many nanoseconds the save takes."""
    product = Product.objects.get(pk=pk)
    product.stock += 1
    started = time.perf_counter_ns()
    product.save()
    return time.perf_counter_ns() - started
