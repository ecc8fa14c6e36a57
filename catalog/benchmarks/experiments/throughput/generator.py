"""The load generator as an experiment sees it: windows of load, one after the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hdrh.histogram import HdrHistogram

from catalog.benchmarks.experiments.throughput.clients import NANOSECONDS, Report, Window, new_histogram
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, Process, running_process

COMMAND = "from catalog.benchmarks.experiments.throughput.clients import serve; serve()"
MAX_PROCESSES = 4
MICROSECOND = 1e-6
FEWEST_SAMPLES_FOR_P99 = 100
# Until every process has read its window and made its threads.
HEAD_START_SECONDS = 0.02
# How long after the end of a window a request that was due in it may still be sent.
PATIENCE_SECONDS = 1.0


class Latencies:
    """Times from when a request was due to its answer, in an HDR histogram: exact to 0.1 %."""

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
        """Seconds; ``None`` where there are too few samples: none, or below 100 for a p99."""
        if self.count < (FEWEST_SAMPLES_FOR_P99 if percent >= 99 else 1):
            return None
        return float(self._histogram.get_value_at_percentile(percent)) * MICROSECOND


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a window. ``ceiling_per_second`` is how many requests a second the generator
    could send if it never waited; ``None`` where it sent none."""

    requests: int
    requests_per_second: float
    latencies: Latencies
    errors: int
    first_error: str
    ceiling_per_second: float | None


class LoadGenerator:
    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    @property
    def processes(self) -> int:
        return len(self._processes)

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
        """``lead_seconds`` of load that does not count, then a window that does.

        With a ``rate``, so many requests a second are due, in all; without, the loop is closed. It
        returns when every request was answered. Raises ``BenchmarkError``.
        """
        starts_ns = time.monotonic_ns() + _nanoseconds(HEAD_START_SECONDS)
        counts_from_ns = starts_ns + _nanoseconds(lead_seconds)
        ends_ns = counts_from_ns + _nanoseconds(seconds)
        for number, process in enumerate(self._processes):
            window = Window(
                port=port,
                url=url,
                clients=clients,
                first=number,
                step=len(self._processes),
                starts_ns=starts_ns,
                counts_from_ns=counts_from_ns,
                ends_ns=ends_ns,
                gives_up_ns=ends_ns + _nanoseconds(PATIENCE_SECONDS),
                rate=rate,
            )
            process.send(json.dumps(asdict(window)))
        patience_seconds = seconds + EXIT_PATIENCE_SECONDS
        reports = [process.answer(timeout_seconds=patience_seconds) for process in self._processes]
        return _sum_up([Report(**json.loads(report)) for report in reports], seconds)


@contextmanager
def running_load_generator() -> Iterator[LoadGenerator]:
    """A process for every two cores, so that a server has the others."""
    count = min(max((os.cpu_count() or 1) // 2, 1), MAX_PROCESSES)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        processes = [
            stack.enter_context(running_process(["-c", COMMAND], Path(folder) / f"log-{number}"))
            for number in range(count)
        ]
        for process in processes:
            process.wait_until_ready()
        yield LoadGenerator(processes)


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
