"""A burst: many requests for one page at the same moment, each on a separate connection."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

from catalog.benchmarks.clients.http import HTTPClient
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.servers import Server

STARTING_PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class BurstRequest:
    """``queries`` is 0 if there was no response, or the server does not count them.

    Nanoseconds are of ``time.perf_counter_ns``, from sending to the last byte of the response.
    """

    is_error: bool
    queries: int
    started_ns: int
    ended_ns: int


def send_burst(server: Server, url: str, requests: int) -> list[BurstRequest]:
    """All connections exist before the first request. Raises ``BenchmarkError`` if no server listens."""
    barrier = threading.Barrier(requests)
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(HTTPClient(server.port))) for _ in range(requests)]
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=requests))
        # After Ctrl-C this releases the waiting threads, for which the executor would wait.
        stack.callback(barrier.abort)
        try:
            for client in clients:
                client.connect()
        except OSError as error:
            raise server.process.failed() from error
        futures = [executor.submit(_send, client, url, barrier) for client in clients]
        return [future.result() for future in futures]


def _send(client: HTTPClient, url: str, barrier: threading.Barrier) -> BurstRequest:
    try:
        barrier.wait(STARTING_PATIENCE_SECONDS)
    except threading.BrokenBarrierError:
        raise BenchmarkError(f"This machine did not start {barrier.parties} requests at once.") from None
    is_error, queries = True, 0
    started_ns = time.perf_counter_ns()
    try:
        response = client.get(url)
    except OSError:
        # A request without a response ends here.
        ended_ns = time.perf_counter_ns()
    else:
        ended_ns = time.perf_counter_ns()
        is_error, queries = response.status != 200, response.queries or 0
    return BurstRequest(is_error=is_error, queries=queries, started_ns=started_ns, ended_ns=ended_ns)
