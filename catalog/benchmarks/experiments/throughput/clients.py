"""What a process of the load generator runs: clients, each a thread with a connection of its own.

A window of load comes as a line of stdin, and what became of it goes as a line to stdout.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from hdrh.histogram import HdrHistogram

from catalog.benchmarks.experiments.throughput.connections import Connection

NANOSECONDS = 1_000_000_000
NANOSECONDS_PER_MICROSECOND = 1000
# From a microsecond to a minute, three digits of it.
LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS = 1, 60_000_000, 3
PAUSE_SECONDS = 0.001


@dataclass(frozen=True, kw_only=True)
class Window:
    """A time of load on one URL, by the clock ``time.monotonic_ns``, which all processes share.

    Requests begin at ``starts_ns`` and count from ``counts_from_ns``. ``rate`` is how many requests
    a second are due from all ``clients`` together; with ``None`` each client asks again as soon as
    it is answered. The process has every ``step``-th client from the number ``first`` on.
    """

    port: int
    url: str
    clients: int
    first: int
    step: int
    starts_ns: int
    counts_from_ns: int
    ends_ns: int
    gives_up_ns: int
    rate: float | None


@dataclass(kw_only=True)
class Tally:
    """``completed`` and ``latencies_ns`` are of requests that count, the others of all."""

    requests: int = 0
    completed: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""

    def fail(self, words: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or words


@dataclass(frozen=True, kw_only=True)
class Report:
    """``histogram`` is encoded, of microseconds; ``cpu_seconds`` are the process's own."""

    requests: int
    completed: int
    errors: int
    first_error: str
    cpu_seconds: float
    histogram: str


def new_histogram() -> HdrHistogram:
    return HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)


def serve() -> None:
    """Until stdin ends, which it does when the benchmark ends, however it ends."""
    # A collection in the middle of a request would be counted as its time.
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        json.dump(asdict(load(Window(**json.loads(line)))), sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()
        gc.collect()


def load(window: Window) -> Report:
    clients = range(window.first, window.clients, window.step)
    tallies = [Tally() for _ in clients]
    threads = [
        threading.Thread(target=ask, args=(window, client, tally), daemon=True)
        for client, tally in zip(clients, tallies, strict=True)
    ]
    cpu_before = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_seconds = time.process_time() - cpu_before
    return _report(tallies, cpu_seconds)


def ask(window: Window, client: int, tally: Tally) -> None:
    """One client's requests. The latency of each counts from the time at which it was due."""
    connection = Connection(window.port, window.url)
    for due_ns in _due_times(window, client):
        if time.monotonic_ns() <= window.gives_up_ns:
            answered = _ask_once(window, connection, tally)
        else:
            # Its latency would be more than this. To leave it out would be to omit the worst.
            tally.fail("a request could not be sent within a second of the end")
            answered = True
        if answered and due_ns >= window.counts_from_ns:
            tally.latencies_ns.append(time.monotonic_ns() - due_ns)
    connection.close()


def _ask_once(window: Window, connection: Connection, tally: Tally) -> bool:
    tally.requests += 1
    try:
        answer = connection.get()
    except OSError as error:
        tally.fail(f"{type(error).__name__}: {error}")
        # A server that refuses would be asked in a busy loop.
        time.sleep(PAUSE_SECONDS)
        return False
    if answer.status != 200:
        tally.fail(f"an answer was {answer.status}")
        return False
    tally.completed += window.counts_from_ns <= time.monotonic_ns() < window.ends_ns
    return True


def _due_times(window: Window, client: int) -> Iterator[int]:
    """When each request of the client is due, at that time or, where the client is late, after it."""
    if window.rate is None:
        _sleep_until(window.starts_ns)
        while (now_ns := time.monotonic_ns()) < window.ends_ns:
            yield now_ns
        return
    number = client
    while (due_ns := window.starts_ns + round(number * NANOSECONDS / window.rate)) < window.ends_ns:
        _sleep_until(due_ns)
        yield due_ns
        number += window.clients


def _sleep_until(wanted_ns: int) -> None:
    left_ns = wanted_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / NANOSECONDS)


def _report(tallies: list[Tally], cpu_seconds: float) -> Report:
    histogram = new_histogram()
    for tally in tallies:
        for latency_ns in tally.latencies_ns:
            microseconds = max(latency_ns // NANOSECONDS_PER_MICROSECOND, LOWEST_MICROSECONDS)
            histogram.record_value(min(microseconds, HIGHEST_MICROSECONDS))
    return Report(
        requests=sum(tally.requests for tally in tallies),
        completed=sum(tally.completed for tally in tallies),
        errors=sum(tally.errors for tally in tallies),
        first_error=next((tally.first_error for tally in tallies if tally.first_error), ""),
        cpu_seconds=cpu_seconds,
        histogram=histogram.encode().decode(),
    )
