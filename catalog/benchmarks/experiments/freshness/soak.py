"""A soak: servers, readers and writers that run together, and the sum of what they report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness.participants import Participant, participating
from catalog.benchmarks.experiments.freshness.results import (
    FactVersion,
    FreshnessResult,
    ReadReport,
    WriteReport,
)
from catalog.benchmarks.experiments.freshness.shelves import Shelf, Task, make_board, pages, stocked_shelves
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, running_child
from catalog.benchmarks.processes.servers import Server, running_server
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, Strategy
from catalog.options import InvalidOption, require_at_least

# All products of a soak are on one page of the list.
MAX_WRITERS = 50
MAX_SECONDS = 3600
THREADS_PER_WORKER = 2


def measure_freshness(
    *,
    strategies: Sequence[Strategy] = (TEXTBOOK, READ_CACHE),
    seconds: float = 5,
    readers: int = 4,
    writers: int = 2,
    workers: int = 2,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[FreshnessResult]:
    """One strategy after the other, each with servers and scratch rows of its own.

    Call it within ``isolated_cache()``. ``on_progress`` is called with 1 after each strategy. Raises
    ``InvalidOption`` and ``BenchmarkError``.
    """
    require_at_least("--seconds", seconds, 0.1)
    for option, value in (("--readers", readers), ("--writers", writers), ("--workers", workers)):
        require_at_least(option, value, 1)
    if seconds > MAX_SECONDS:
        raise InvalidOption(f"--seconds must be at most {MAX_SECONDS}, got {seconds}.")
    if writers > MAX_WRITERS:
        raise InvalidOption(f"--writers must be at most {MAX_WRITERS}, got {writers}.")
    results = []
    for strategy in strategies:
        with (
            stocked_shelves(writers) as shelves,
            running_server(
                workers=workers,
                threads=THREADS_PER_WORKER,
                seconds=seconds,
                counts_queries=True,
                strategy=strategy,
            ) as server,
        ):
            results.append(_soak(strategy, shelves, server, seconds=seconds, readers=readers, seed=seed))
        on_progress(1)
    return results


def _soak(
    strategy: Strategy, shelves: list[Shelf], server: Server, *, seconds: float, readers: int, seed: int
) -> FreshnessResult:
    writers = len(shelves)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        board = Path(folder) / "board"
        make_board(board, shelves=writers, readers=readers)
        children = []
        for number in (*range(writers), *range(readers)):
            task = Task(
                number=number,
                strategy=strategy.name,
                seed=seed,
                seconds=seconds,
                port=server.port,
                readers=readers,
                board=str(board),
                shelves=shelves,
            )
            child = running_child(
                partial(participating, task),
                strategy=strategy,
                patience_seconds=seconds + EXIT_PATIENCE_SECONDS,
            )
            children.append(stack.enter_context(child))
        # The server starts at the same time as the children. A page that it never serves is an error, not a
        # stale response.
        for page in pages(shelves):
            wait_until_ready(server, strategy.url(page.path))
        for each in children:
            each.wait_until_ready()
        for place, each in enumerate(children):
            each.order(Participant.write if place < writers else Participant.read)
        reports = [each.answer() for each in children]
    return sum_up(strategy, reports[:writers], reports[writers:])


def sum_up(strategy: Strategy, written: Sequence[WriteReport], read: Sequence[ReadReport]) -> FreshnessResult:
    """Raises ``BenchmarkError`` if nothing was read, or nothing was written that could be stale."""
    reads = sum(report.reads for report in read)
    if not reads:
        raise BenchmarkError("No response was read. Try more --seconds.")
    acknowledged_ns = {key: ns for report in written for key, ns in report.acknowledged.items()}
    if not acknowledged_ns:
        raise BenchmarkError("No write was acknowledged, so no response could be stale. Try more --seconds.")
    return FreshnessResult(
        strategy=strategy.name,
        reads=reads,
        hits=sum(report.hits for report in read),
        writes=sum(report.writes for report in written),
        rollbacks=sum(report.rollbacks for report in written),
        stale_reads=sum(report.stale_reads for report in read),
        uncommitted_reads=sum(report.uncommitted_reads for report in read),
        oldest_stale_seconds=max(_ages_ns(read, acknowledged_ns), default=0) / NANOSECONDS,
    )


def _ages_ns(read: Sequence[ReadReport], acknowledged_ns: Mapping[FactVersion, int]) -> Iterator[int]:
    """How long the first write that a stale response lacks had been acknowledged before the request."""
    for report in read:
        for (register, version), asked_ns in report.stale.items():
            # A response without a whole product lacks every write to it, of which there may be none yet.
            lacked = (register, max(version, 0) + 1)
            yield asked_ns - acknowledged_ns.get(lacked, asked_ns)
