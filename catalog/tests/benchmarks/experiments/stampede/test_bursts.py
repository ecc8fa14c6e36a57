"""A burst of requests to a small HTTP server in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any, cast

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.stampede import bursts
from catalog.benchmarks.experiments.stampede.bursts import send_burst
from catalog.benchmarks.processes.servers import Server
from catalog.tests.benchmarks.small_server import Reply, send, serving

REQUESTS = 20
PATIENCE_SECONDS = 20


@contextmanager
def running(reply: Reply) -> Iterator[Server]:
    with serving(reply) as port:
        process = SimpleNamespace(failed=lambda: BenchmarkError("It has ended."))
        yield Server(process=cast("Any", process), port=port)


def test_all_requests_of_a_burst_are_under_way_at_the_same_time() -> None:
    all_are_there = threading.Barrier(REQUESTS)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        place = all_are_there.wait(PATIENCE_SECONDS)
        send(handler, 200, queries=3 if place == 0 else 0)

    with running(answer) as server:
        requests = send_burst(server, "/", REQUESTS)

    assert not any(each.is_error for each in requests)
    assert sorted(each.queries for each in requests) == [*[0] * (REQUESTS - 1), 3]
    assert max(each.started_ns for each in requests) < min(each.ended_ns for each in requests)


def test_an_error_status_and_a_missing_response_are_errors() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/broken":
            send(handler, 500, queries=2)
        # Any other connection is closed without a response.
        handler.close_connection = True

    with running(answer) as server:
        broken, silent = send_burst(server, "/broken", 2), send_burst(server, "/silent", 2)

    assert [(each.is_error, each.queries) for each in broken] == [(True, 2)] * 2
    assert [(each.is_error, each.queries) for each in silent] == [(True, 0)] * 2


def test_a_burst_to_a_server_that_has_ended_fails() -> None:
    with running(lambda _: None) as server:
        pass

    with pytest.raises(BenchmarkError, match="It has ended"):
        send_burst(server, "/", REQUESTS)


def test_no_request_is_sent_before_all_threads_are_ready_and_an_interrupt_releases_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    somebody_asked = threading.Event()
    early = []

    class Interrupted(ThreadPoolExecutor):
        submitted = 0

        def submit(self, *arguments: Any, **options: Any) -> Any:
            self.submitted += 1
            if self.submitted == REQUESTS:
                early.append(somebody_asked.wait(0.2))
                raise KeyboardInterrupt
            return super().submit(*arguments, **options)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        somebody_asked.set()
        send(handler, 200)

    monkeypatch.setattr(bursts, "ThreadPoolExecutor", Interrupted)
    monkeypatch.setattr(bursts, "STARTING_PATIENCE_SECONDS", PATIENCE_SECONDS)
    started = time.monotonic()

    with running(answer) as server, pytest.raises(KeyboardInterrupt):
        send_burst(server, "/", REQUESTS)

    assert early == [False]
    assert time.monotonic() - started < PATIENCE_SECONDS / 2


def test_requests_that_this_machine_does_not_start_at_once_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class OneThreadShort(ThreadPoolExecutor):
        submitted = 0

        def submit(self, *arguments: Any, **options: Any) -> Any:
            self.submitted += 1
            return Future() if self.submitted == REQUESTS else super().submit(*arguments, **options)

    monkeypatch.setattr(bursts, "ThreadPoolExecutor", OneThreadShort)
    monkeypatch.setattr(bursts, "STARTING_PATIENCE_SECONDS", 0.05)

    with (
        running(send) as server,
        pytest.raises(BenchmarkError, match=r"This machine did not start 20 requests at once\."),
    ):
        send_burst(server, "/", REQUESTS)


def test_an_answer_without_a_query_count_counts_as_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(lambda handler: send(handler, queries=-1)) as server:
        [one] = send_burst(server, "/", 1)

    assert (one.is_error, one.queries) == (False, 0)
