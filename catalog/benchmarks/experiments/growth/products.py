"""The times of hits, misses and writes in catalogues of several sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from catalog.benchmarks.experiments.growth.databases import (
    NoScratchDatabase,
    ScratchDatabase,
    free_bytes,
    scratch_database,
)
from catalog.benchmarks.experiments.growth.turns import (
    HIT,
    MISS,
    WRITE,
    Task,
    Times,
    Turns,
    taking_turns,
)
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.children import Child, running_child

TURNS = Scale(quick=8, normal=20, thorough=40)
# The size of a product with its tags and index entries, plus half of it for the write-ahead log.
BYTES_PER_PRODUCT = 1_000
# A process that takes longer to fill its database, or for a turn, counts as hanging.
FILLING_PATIENCE_SECONDS = 3600
TURN_PATIENCE_SECONDS = 600


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
