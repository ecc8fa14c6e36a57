"""Many requests for one page at the same moment, each by a visitor of its own."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

from catalog.benchmarks.clients.http import Visitor
from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.processes.servers import Server

STARTING_PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. ``queries`` is 0 where nothing was answered or the server does not count them.

    Nanoseconds are of ``time.perf_counter_ns``, from the sending to the last byte of the answer.
    """

    is_error: bool
    queries: int
    started_ns: int
    ended_ns: int


def ask_at_once(server: Server, url: str, requests: int) -> list[Asked]:
    """The connections are made before. Raises ``BenchmarkError`` where nobody listens."""
    barrier = threading.Barrier(requests)
    with ExitStack() as stack:
        visitors = [stack.enter_context(closing(Visitor(server.port))) for _ in range(requests)]
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=requests))
        # After Ctrl-C those who still wait are let go, or else the executor would wait for them.
        stack.callback(barrier.abort)
        try:
            for visitor in visitors:
                visitor.connect()
        except OSError as error:
            raise server.process.failed() from error
        futures = [executor.submit(_ask, visitor, url, barrier) for visitor in visitors]
        return [future.result() for future in futures]


def _ask(visitor: Visitor, url: str, barrier: threading.Barrier) -> Asked:
    try:
        barrier.wait(STARTING_PATIENCE_SECONDS)
    except threading.BrokenBarrierError:
        raise BenchmarkError(f"This machine did not start {barrier.parties} requests at once.") from None
    is_error, queries = True, 0
    started_ns = time.perf_counter_ns()
    try:
        answer = visitor.get(url)
        is_error, queries = answer.status != 200, max(0, answer.queries)
    except (OSError, http.client.HTTPException):
        # No answer is an error too, and its wait ends here.
        pass
    return Asked(is_error=is_error, queries=queries, started_ns=started_ns, ended_ns=time.perf_counter_ns())
