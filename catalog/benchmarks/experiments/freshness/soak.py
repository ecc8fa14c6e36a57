"""Starts the servers, readers and writers of a soak together, and sums up what they report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.experiments.freshness.results import FreshnessResult
from catalog.benchmarks.experiments.freshness.shelves import (
    REGISTERS_PER_SHELF,
    Shelf,
    Task,
    pages,
    stocked_shelves,
)
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, running_process
from catalog.benchmarks.processes.servers import Server, running_server
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, Strategy
from catalog.options import InvalidOption, require_at_least

# All products of a soak are on one page of the list.
MAX_WRITERS = 50
MAX_SECONDS = 3600
THREADS_PER_WORKER = 2
WORK = "import django; django.setup(); from catalog.benchmarks.experiments.freshness.work import work; work()"


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
    """One strategy after the other, each on servers of its own; what was made is removed.

    Within ``isolated_cache()``, which removes what is cached.

    ``on_progress`` is called with 1 after each. Raises ``InvalidOption`` and ``BenchmarkError``.
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
    with TemporaryDirectory() as folder, ExitStack() as processes:
        board = Path(folder) / "board"
        board.write_bytes(bytes(8 * (len(shelves) * REGISTERS_PER_SHELF + readers)))
        running = []
        for number in range(len(shelves) + readers):
            reads = number >= len(shelves)
            task = Task(
                reads=reads,
                number=number - len(shelves) if reads else number,
                strategy=strategy.name,
                seed=seed,
                seconds=seconds,
                port=server.port,
                readers=readers,
                board=str(board),
                shelves=shelves,
            )
            process = processes.enter_context(
                running_process(["-c", WORK], Path(folder) / f"log-{number}", strategy=strategy)
            )
            process.send(json.dumps(asdict(task)))
            running.append(process)
        # It starts while they do. A page that it does not serve at all is an error, and no stale answer.
        for page in pages(shelves):
            server.wait_until_ready(strategy.url(page))
        for process in running:
            process.wait_until_ready()
        for process in running:
            process.send("go")
        reports = [process.report(timeout_seconds=seconds + EXIT_PATIENCE_SECONDS) for process in running]
    return _sum_up(strategy, reports[: len(shelves)], reports[len(shelves) :])


def _sum_up(strategy: Strategy, written: Sequence[Any], read: Sequence[Any]) -> FreshnessResult:
    reads = sum(report["reads"] for report in read)
    if not reads:
        raise BenchmarkError("Not one answer was read. Try more --seconds.")
    acknowledged_ns = {
        (register, version): ns for report in written for register, version, ns in report["acknowledged"]
    }
    if not acknowledged_ns:
        raise BenchmarkError(
            "Not one write was acknowledged, so no answer could be stale. Try more --seconds."
        )
    return FreshnessResult(
        strategy=strategy.name,
        reads=reads,
        hits=sum(report["hits"] for report in read),
        writes=sum(report["writes"] for report in written),
        rollbacks=sum(report["rollbacks"] for report in written),
        stale_reads=sum(report["stale_reads"] for report in read),
        uncommitted_reads=sum(report["uncommitted_reads"] for report in read),
        oldest_stale_seconds=max(_ages_ns(read, acknowledged_ns), default=0) / NANOSECONDS,
    )


def _ages_ns(read: Sequence[Any], acknowledged_ns: Mapping[tuple[int, int], int]) -> Iterator[int]:
    """For how long the oldest write that a stale answer lacks had been acknowledged when it was asked for."""
    for report in read:
        for register, version, asked_ns in report["stale"]:
            # An answer that lacks a whole product (version -1) lacks every write of it.
            lacked = (register, max(version, 0) + 1)
            # No write of the missing product may have been acknowledged yet.
            yield asked_ns - acknowledged_ns.get(lacked, asked_ns)
