"""The load generator: child processes that make one window of load after the other.

In each process, every client is a thread with its own connection.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace

from catalog.benchmarks.clients.http import HTTPClient
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.processes.children import Child, running_child

MAX_PROCESSES = 4
# Enough for every process to read its window and start its threads.
HEAD_START_SECONDS = 0.02
# How long after the end of a window a request that was due in it may still be sent.
PATIENCE_SECONDS = 1.0
# Longer than any window with its unanswered requests.
WINDOW_PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.001
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """A time of load on one URL, by the clock ``time.monotonic_ns``, which all processes share.

    Requests begin at ``starts_ns`` and count from ``counts_from_ns`` on. ``rate`` is how many requests a
    second are due from all ``clients`` together. With ``None``, each client sends the next request as soon
    as the last one is answered. The process has every ``step``-th client, from the number ``first`` on.
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
    """``completed`` and ``latencies_ns`` are of requests that count, the other fields of all requests."""

    requests: int = 0
    completed: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    cpu_seconds: float = 0.0

    def fail(self, message: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or message

    def add(self, other: Tally) -> None:
        self.requests += other.requests
        self.completed += other.completed
        self.latencies_ns += other.latencies_ns
        self.errors += other.errors
        self.first_error = self.first_error or other.first_error
        self.cpu_seconds += other.cpu_seconds


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
    """``processes`` is the number of processes that make the load."""

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

        ``rate`` is how many requests per second are due from all clients together. Without it, the loop is
        closed. Returns when every request was answered. Raises ``BenchmarkError``.
        """
        starts_ns = time.monotonic_ns() + _nanoseconds(HEAD_START_SECONDS)
        counts_from_ns = starts_ns + _nanoseconds(lead_seconds)
        ends_ns = counts_from_ns + _nanoseconds(seconds)
        window = Window(
            port=port,
            url=url,
            clients=clients,
            first=0,
            step=self.processes,
            starts_ns=starts_ns,
            counts_from_ns=counts_from_ns,
            ends_ns=ends_ns,
            gives_up_ns=ends_ns + _nanoseconds(PATIENCE_SECONDS),
            rate=rate,
        )
        for number, child in enumerate(self._children):
            child.order(load, replace(window, first=number))
        return _sum_up([child.answer() for child in self._children], seconds)


@contextmanager
def running_load_generator() -> Iterator[LoadGenerator]:
    """One process for every two cores. The server has the other cores."""
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


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Turns the garbage collector off: a collection during a request would count as the request's time."""
    gc.collect()
    # Frozen objects make the collections between windows short.
    gc.freeze()
    gc.disable()
    yield


def load(_: None, window: Window) -> Tally:
    """Make the load of one window."""
    # The garbage of the last window.
    gc.collect()
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
    total = Tally(cpu_seconds=time.process_time() - cpu_before)
    for tally in tallies:
        total.add(tally)
    return total


def ask(window: Window, client: int, tally: Tally) -> None:
    """One client's requests. The latency of each counts from the time at which it was due."""
    http = HTTPClient(window.port, accept_encoding="gzip", timeout_seconds=TIMEOUT_SECONDS)
    with closing(http):
        for due_ns in _due_times(window, client):
            if time.monotonic_ns() <= window.gives_up_ns:
                is_answered = _ask_once(window, http, tally)
            else:
                # Its latency would be longer still. Leaving it out would omit the worst latencies.
                tally.fail("a request could not be sent within a second of the end")
                is_answered = True
            if is_answered and due_ns >= window.counts_from_ns:
                tally.latencies_ns.append(time.monotonic_ns() - due_ns)


def _ask_once(window: Window, http: HTTPClient, tally: Tally) -> bool:
    tally.requests += 1
    try:
        response = http.get(window.url)
    except OSError as error:
        tally.fail(f"{type(error).__name__}: {error}")
        # Without a pause, a server that refuses connections would be asked in a busy loop.
        time.sleep(PAUSE_SECONDS)
        return False
    if response.status != 200:
        tally.fail(f"an answer was {response.status}")
        return False
    tally.completed += window.counts_from_ns <= time.monotonic_ns() < window.ends_ns
    return True


def _due_times(window: Window, client: int) -> Iterator[int]:
    """The time at which each request of the client is due. It is yielded then, or as soon as possible."""
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
