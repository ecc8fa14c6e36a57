"""The load generator: child processes that make one window of load after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

from catalog.benchmarks.experiments.throughput.load import (
    LoadMaker,
    Report,
    Window,
    making_load,
    new_histogram,
)
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import Child, running_child

MAX_PROCESSES = 4
MICROSECOND = 1e-6
FEWEST_SAMPLES_FOR_P99 = 100
# Enough for every process to read its window and start its threads.
HEAD_START_SECONDS = 0.02
# A request that was due in a window may still be sent so long after its end.
PATIENCE_SECONDS = 1.0
# Longer than any window with its unanswered requests.
WINDOW_PATIENCE_SECONDS = 60.0


class Latencies:
    """Times from when a request was due until it was answered, in an HDR histogram: exact to 0.1 %."""

    def __init__(self) -> None:
        self._histogram: HdrHistogram = new_histogram()

    def add(self, encoded: str) -> None:
        self._histogram.decode_and_add(encoded)

    def merge(self, other: Latencies) -> None:
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile(self, percent: float) -> float | None:
        """Seconds; ``None`` with too few samples, which is none at all, or fewer than 100 for a p99."""
        if self.count < (FEWEST_SAMPLES_FOR_P99 if percent >= 99 else 1):
            return None
        return float(self._histogram.get_value_at_percentile(percent)) * MICROSECOND


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a window. ``ceiling_per_second`` is how many requests a second the generator could
    send if it never waited; ``None`` if it sent none."""

    requests: int
    requests_per_second: float
    latencies: Latencies
    errors: int
    first_error: str
    ceiling_per_second: float | None


class LoadGenerator:
    """``processes`` is how many make the load."""

    def __init__(self, children: Sequence[Child[LoadMaker]]) -> None:
        self._children = children
        self.processes = len(children)

    def load(
        self,
        port: int,
        url: str,
        *,
        clients: int,
        seconds: float,
        lead_seconds: float,
        rate: float | None = None,
    ) -> Outcome:
        """Make ``lead_seconds`` of load that does not count, then ``seconds`` of load that does.

        With a ``rate``, so many requests a second are due from all clients together; without, the loop is
        closed. It returns when every request was answered. Raises ``BenchmarkError``.
        """
        starts_ns = time.monotonic_ns() + _nanoseconds(HEAD_START_SECONDS)
        counts_from_ns = starts_ns + _nanoseconds(lead_seconds)
        ends_ns = counts_from_ns + _nanoseconds(seconds)
        for number, child in enumerate(self._children):
            window = Window(
                port=port,
                url=url,
                clients=clients,
                first=number,
                step=self.processes,
                starts_ns=starts_ns,
                counts_from_ns=counts_from_ns,
                ends_ns=ends_ns,
                gives_up_ns=ends_ns + _nanoseconds(PATIENCE_SECONDS),
                rate=rate,
            )
            child.order(LoadMaker.load, window)
        return _sum_up([child.answer() for child in self._children], seconds)


@contextmanager
def running_load_generator() -> Iterator[LoadGenerator]:
    """A process for every two cores, so that a server has the others."""
    count = min(max((os.cpu_count() or 1) // 2, 1), MAX_PROCESSES)
    with ExitStack() as stack:
        children = [
            stack.enter_context(running_child(making_load, patience_seconds=WINDOW_PATIENCE_SECONDS))
            for _ in range(count)
        ]
        for child in children:
            child.wait_until_ready()
        yield LoadGenerator(children)


def _sum_up(reports: Sequence[Report], seconds: float) -> Outcome:
    latencies = Latencies()
    for report in reports:
        latencies.add(report.histogram)
    requests = sum(report.requests for report in reports)
    cpu_seconds = sum(report.cpu_seconds for report in reports)
    return Outcome(
        requests=requests,
        requests_per_second=sum(report.completed for report in reports) / seconds,
        latencies=latencies,
        errors=sum(report.errors for report in reports),
        first_error=next((report.first_error for report in reports if report.first_error), ""),
        ceiling_per_second=len(reports) * requests / cpu_seconds if requests else None,
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
