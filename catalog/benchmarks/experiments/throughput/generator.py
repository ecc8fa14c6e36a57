"""The load generator: child processes that make one window of load after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from catalog.benchmarks.experiments.throughput.load import Tally, Window, load, quiet_collector
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import Child, running_child

MAX_PROCESSES = 4
# Enough for every process to read its window and start its threads.
HEAD_START_SECONDS = 0.02
# A request that was due in a window may still be sent so long after its end.
PATIENCE_SECONDS = 1.0
# Longer than any window with its unanswered requests.
WINDOW_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a window. ``latencies`` are seconds from when a request was due to its answer.

    ``ceiling_per_second`` is how many requests a second the generator could send if it never waited;
    ``None`` if it sent none.
    """

    requests: int
    requests_per_second: float
    latencies: tuple[float, ...]
    errors: int
    first_error: str
    ceiling_per_second: float | None


class LoadGenerator:
    """``processes`` is how many make the load."""

    def __init__(self, children: Sequence[Child[None]]) -> None:
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
            child.order(load, window)
        return _sum_up([child.answer() for child in self._children], seconds)


@contextmanager
def running_load_generator() -> Iterator[LoadGenerator]:
    """A process for every two cores, so that a server has the others."""
    count = min(max((os.cpu_count() or 1) // 2, 1), MAX_PROCESSES)
    with ExitStack() as stack:
        children = [
            stack.enter_context(running_child(quiet_collector, patience_seconds=WINDOW_PATIENCE_SECONDS))
            for _ in range(count)
        ]
        for child in children:
            child.wait_until_ready()
        yield LoadGenerator(children)


def _sum_up(tallies: Sequence[Tally], seconds: float) -> Outcome:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return Outcome(
        requests=total.requests,
        requests_per_second=total.completed / seconds,
        latencies=tuple(latency_ns / NANOSECONDS for latency_ns in total.latencies_ns),
        errors=total.errors,
        first_error=total.first_error,
        ceiling_per_second=len(tallies) * total.requests / total.cpu_seconds if total.requests else None,
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
