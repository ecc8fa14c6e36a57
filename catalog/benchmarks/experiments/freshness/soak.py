"""A soak: servers, readers and writers that run together, and the sum of their reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness.readers import ReadReport, read
from catalog.benchmarks.experiments.freshness.shelves import (
    FactVersion,
    Shelf,
    Task,
    made_board,
    opened_board,
    pages,
    stocked_shelves,
)
from catalog.benchmarks.experiments.freshness.writers import WriteReport, write
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, running_child
from catalog.benchmarks.processes.servers import Server, running_server
from catalog.benchmarks.strategies.registry import Strategy

READERS, WRITERS = 4, 2
WORKERS, THREADS_PER_WORKER = 2, 2


@dataclass(frozen=True, kw_only=True)
class FreshnessResult:
    """``stale_reads`` and ``uncommitted_reads`` count responses. A hit is a response that took no query.

    ``oldest_stale_seconds`` is the longest time between the acknowledgement of a write and a request
    whose response did not show it.
    """

    strategy: str
    reads: int
    hits: int
    writes: int
    rollbacks: int
    stale_reads: int
    uncommitted_reads: int
    oldest_stale_seconds: float

    @property
    def hit_share(self) -> float:
        return self.hits / self.reads

    @property
    def is_fresh(self) -> bool:
        return not self.stale_reads and not self.uncommitted_reads


def soak(
    strategy: Strategy,
    *,
    seconds: float,
    seed: int,
    readers: int = READERS,
    writers: int = WRITERS,
    workers: int = WORKERS,
) -> FreshnessResult:
    """Call it within ``isolated_cache()``. Raises ``BenchmarkError``."""
    with (
        stocked_shelves(writers) as shelves,
        running_server(
            workers=workers,
            threads=THREADS_PER_WORKER,
            counts_queries=True,
            strategy=strategy,
        ) as server,
    ):
        return _soak(strategy, shelves, server, seconds=seconds, readers=readers, seed=seed)


def _soak(
    strategy: Strategy, shelves: list[Shelf], server: Server, *, seconds: float, readers: int, seed: int
) -> FreshnessResult:
    task = partial(
        Task,
        strategy=strategy.name,
        seed=seed,
        seconds=seconds,
        port=server.port,
        readers=readers,
        shelves=shelves,
    )
    with made_board(shelves=len(shelves), readers=readers) as board, ExitStack() as stack:
        run = partial(
            running_child,
            partial(opened_board, board),
            strategy=strategy,
            patience_seconds=seconds + EXIT_PATIENCE_SECONDS,
        )
        writing = [stack.enter_context(run()) for _ in shelves]
        reading = [stack.enter_context(run()) for _ in range(readers)]
        # The server starts at the same time as the children. A page that it never serves is an error, not a
        # stale response.
        for page in pages(shelves):
            wait_until_ready(server, strategy.url(page.path))
        for child in (*writing, *reading):
            child.wait_until_ready()
        for number, child in enumerate(writing):
            child.order(write, task(number=number))
        for number, child in enumerate(reading):
            child.order(read, task(number=number))
        writes = [child.answer() for child in writing]
        return sum_up(strategy, writes, [child.answer() for child in reading])


def sum_up(
    strategy: Strategy, writing: Sequence[WriteReport], reading: Sequence[ReadReport]
) -> FreshnessResult:
    """Raises ``BenchmarkError`` if nothing was read, or nothing was written that could be stale."""
    reads = sum(report.reads for report in reading)
    if not reads:
        raise BenchmarkError("No response was read. Measure with --thorough.")
    acknowledged_ns = {key: ns for report in writing for key, ns in report.acknowledged.items()}
    if not acknowledged_ns:
        raise BenchmarkError(
            "No write was acknowledged, so no response could be stale. Measure with --thorough."
        )
    return FreshnessResult(
        strategy=strategy.name,
        reads=reads,
        hits=sum(report.hits for report in reading),
        writes=sum(report.writes for report in writing),
        rollbacks=sum(report.rollbacks for report in writing),
        stale_reads=sum(report.stale_reads for report in reading),
        uncommitted_reads=sum(report.uncommitted_reads for report in reading),
        oldest_stale_seconds=max(_ages_ns(reading, acknowledged_ns), default=0) / NANOSECONDS,
    )


def _ages_ns(reading: Sequence[ReadReport], acknowledged_ns: Mapping[FactVersion, int]) -> Iterator[int]:
    """How long the first write that a stale response lacks had been acknowledged before the request."""
    for report in reading:
        for (register, version), asked_ns in report.stale.items():
            # A response without a whole product lacks every write to it, of which there may be none yet.
            lacked = (register, max(version, 0) + 1)
            yield asked_ns - acknowledged_ns.get(lacked, asked_ns)
