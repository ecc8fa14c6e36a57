"""The times of hits, misses and writes in catalogues of several sizes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.benchmarks.experiments.growth.databases import (
    NoScratchDatabase,
    ScratchDatabase,
    free_bytes,
    scratch_database,
)
from catalog.benchmarks.experiments.growth.work import HITS_PER_TURN, WRITES_PER_TURN, Task, Times
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.children import (
    EXIT_PATIENCE_SECONDS,
    STARTING_PATIENCE_SECONDS,
    Process,
    running_process,
)

WORK = "import django; django.setup(); from catalog.benchmarks.experiments.growth.work import work; work()"
TURNS = Scale(quick=8, normal=20, thorough=40)
STARTING_SECONDS = 1.5
SECONDS_PER_PRODUCT = 90e-6
SECONDS_PER_REQUEST = 0.0025
# What counting the products takes, which a miss does.
SECONDS_PER_REQUEST_AND_PRODUCT = 30e-9
# Of a product with its tags in the file and its indexes, and half as much again in the write-ahead log.
BYTES_PER_PRODUCT = 1_000
# So many times the estimate, a process is taken to hang.
PATIENCE_TIMES = 20


@dataclass(frozen=True, kw_only=True)
class ProductTimes:
    """``times[size][what][strategy]`` are seconds; ``what`` is a hit, a miss or a write."""

    times: dict[int, dict[str, Times]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def estimate_seconds(options: Options, sizes: Sequence[int]) -> float:
    starting = sum(map(_starting_seconds, sizes))
    return starting + (1 + TURNS.at(options.effort)) * sum(_turn_seconds(options, size) for size in sizes)


def measure_products(
    options: Options, sizes: Sequence[int], *, on_progress: Callable[[float], None] = lambda _: None
) -> ProductTimes:
    """A process and a scratch database for each size, which take turns. Raises ``BenchmarkError``.

    ``on_progress`` is called with the seconds of the estimate that are done.
    """
    fitting, warnings = _fitting(sizes)
    with ExitStack() as stack:
        try:
            databases = {size: stack.enter_context(scratch_database()) for size in fitting}
        except NoScratchDatabase as error:
            return ProductTimes(warnings=(_no_database(error),))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        processes = {}
        for size, database in databases.items():
            processes[size] = stack.enter_context(_process(size, database, folder))
            processes[size].send(json.dumps(asdict(_task(options, size, database))))
        for size, process in processes.items():
            process.wait_until_ready(timeout_seconds=_patience_seconds(_starting_seconds(size)))
            on_progress(_starting_seconds(size))
        _take_turns(options, processes, on_progress)
        times = {
            size: process.report(timeout_seconds=EXIT_PATIENCE_SECONDS) for size, process in processes.items()
        }
    return ProductTimes(times=times, warnings=warnings)


def _take_turns(
    options: Options, processes: dict[int, Process], on_progress: Callable[[float], None]
) -> None:
    """One process at a time, so that a busy moment of the machine hits all sizes alike."""
    chance = random.Random(options.seed)
    for _ in range(1 + TURNS.at(options.effort)):
        for size in chance.sample(list(processes), len(processes)):
            processes[size].send("turn")
            processes[size].wait_until_ready(timeout_seconds=_patience_seconds(_turn_seconds(options, size)))
            on_progress(_turn_seconds(options, size))


def _task(options: Options, size: int, database: ScratchDatabase) -> Task:
    names = [strategy.name for strategy in options.strategies]
    return Task(database=database.name, products=size, strategies=names, seed=options.seed)


def _process(size: int, database: ScratchDatabase, folder: Path) -> AbstractContextManager[Process]:
    environment = {
        **database.environment,
        # A wait as long in a small catalogue as in a large one would hide the growth.
        "SIMULATED_LATENCY_SECONDS": "0",
    }
    return running_process(["-c", WORK], folder / f"log-{size}", environment=environment)


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


def _no_database(error: NoScratchDatabase) -> str:
    return f"The growth with products was left out: a schema of its own cannot be used: {error}"


def _starting_seconds(size: int) -> float:
    return STARTING_SECONDS + size * SECONDS_PER_PRODUCT


def _patience_seconds(estimated: float) -> float:
    """For what takes so long on an ordinary machine; all processes start at the same time."""
    return STARTING_PATIENCE_SECONDS + PATIENCE_TIMES * estimated


def _turn_seconds(options: Options, size: int) -> float:
    """A write comes with a miss before it; the hits of ``uncached`` are misses."""
    misses = 1 + WRITES_PER_TURN
    requests = len(options.strategies) * (misses + HITS_PER_TURN + WRITES_PER_TURN)
    counted = len(options.strategies) * misses + HITS_PER_TURN
    return requests * SECONDS_PER_REQUEST + counted * size * SECONDS_PER_REQUEST_AND_PRODUCT
