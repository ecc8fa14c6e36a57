"""Requests at once, to a small HTTP server in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from catalog.benchmarks.clients.http import QUERIES_HEADER
from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.experiments.stampede import bursts
from catalog.benchmarks.experiments.stampede.bursts import ask_at_once
from catalog.benchmarks.processes.servers import Server

REQUESTS = 20
PATIENCE_SECONDS = 20


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        request_queue_size = 2 * REQUESTS

    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield at_port(listener.server_address[1])
        finally:
            listener.shutdown()
            thread.join()


def at_port(port: int) -> Server:
    process = SimpleNamespace(failed=lambda: BenchmarkError("It has ended."))
    return Server(process=cast("Any", process), port=port)


def reply(handler: BaseHTTPRequestHandler, status: int, *, queries: int = 0) -> None:
    handler.send_response(status)
    handler.send_header(QUERIES_HEADER, str(queries))
    handler.end_headers()


def test_all_requests_are_under_way_together() -> None:
    all_are_there = threading.Barrier(REQUESTS)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        place = all_are_there.wait(PATIENCE_SECONDS)
        reply(handler, 200, queries=3 if place == 0 else 0)

    with serving(answer) as server:
        asked = ask_at_once(server, "/", REQUESTS)

    assert not any(each.is_error for each in asked)
    assert sorted(each.queries for each in asked) == [*[0] * (REQUESTS - 1), 3]
    assert max(each.started_ns for each in asked) < min(each.ended_ns for each in asked)


def test_an_error_status_and_no_answer_at_all_are_errors() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/broken":
            reply(handler, 500, queries=2)
        # Or else the connection is closed without a word.

    with serving(answer) as server:
        broken, silent = ask_at_once(server, "/broken", 2), ask_at_once(server, "/silent", 2)

    assert [(each.is_error, each.queries) for each in broken] == [(True, 2)] * 2
    assert [(each.is_error, each.queries) for each in silent] == [(True, 0)] * 2


def test_a_server_that_has_ended_is_a_failure() -> None:
    with serving(lambda _: None) as server:
        pass

    with pytest.raises(BenchmarkError, match="It has ended"):
        ask_at_once(server, "/", REQUESTS)


def test_nobody_asks_before_all_are_there_and_an_interrupt_lets_them_go(
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
        reply(handler, 200)

    monkeypatch.setattr(bursts, "ThreadPoolExecutor", Interrupted)
    monkeypatch.setattr(bursts, "STARTING_PATIENCE_SECONDS", PATIENCE_SECONDS)
    started = time.monotonic()

    with serving(answer) as server, pytest.raises(KeyboardInterrupt):
        ask_at_once(server, "/", REQUESTS)

    assert early == [False]
    assert time.monotonic() - started < PATIENCE_SECONDS / 2
