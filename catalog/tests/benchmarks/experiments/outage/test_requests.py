"""A visitor and a server whose answers the test gives."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from catalog.benchmarks.clients.http import QUERIES_HEADER
from catalog.benchmarks.experiments.outage.requests import NO_ANSWER, Request, SteadyVisitor
from catalog.benchmarks.strategies.registry import TEXTBOOK

PATIENCE_SECONDS = 10


class Site:
    """``asked`` has the path of each request that waits for an answer, which ``answer`` gives."""

    def __init__(self) -> None:
        self.asked: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[tuple[int, int, bytes]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.put(self.path)
                status, queries, body = site.answers.get(timeout=PATIENCE_SECONDS)
                self.send_response(status)
                self.send_header(QUERIES_HEADER, str(queries))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        self.port = self.server.server_address[1]

    def next_asked(self) -> str:
        return self.asked.get(timeout=PATIENCE_SECONDS)

    def answer(self, status: int = 200, queries: int = 0, body: bytes = b'{"stock": 7}') -> None:
        self.answers.put((status, queries, body))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def visitor(site: Site) -> Iterator[SteadyVisitor]:
    visitor = SteadyVisitor(TEXTBOOK, site.port, "/products/1/")
    visitor.start()
    yield visitor
    # Whatever it still asks for is answered.
    for _ in range(10):
        site.answer()
    visitor.end()


def wait_for_requests(visitor: SteadyVisitor, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(visitor.requests) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_it_remembers_how_each_request_went(site: Site, visitor: SteadyVisitor) -> None:
    before = time.monotonic()
    assert site.next_asked() == "/textbook/products/1/"
    site.answer(queries=3)
    site.answer()
    site.answer(status=500, body=b"<h1>Server Error</h1>")
    wait_for_requests(visitor, 3)

    seen = [(each.status, each.is_hit, each.stock) for each in visitor.requests[:3]]
    assert seen == [(200, False, 7), (200, True, 7), (500, False, None)]
    assert all(0 < each.seconds < time.monotonic() - before + 1 for each in visitor.requests)


def test_a_pause_begins_when_the_last_request_is_answered_and_keeps_the_next_back(
    site: Site, visitor: SteadyVisitor
) -> None:
    site.next_asked()
    threading.Timer(0.05, site.answer).start()

    with visitor.pausing():
        assert len(visitor.requests) == 1
        with pytest.raises(queue.Empty):
            site.asked.get(timeout=0.1)

    assert site.next_asked()


def test_a_pause_does_not_wait_for_ever(site: Site, visitor: SteadyVisitor) -> None:
    site.next_asked()

    with visitor.pausing(within_seconds=0.05):
        assert visitor.requests == []
        site.answer()
        wait_for_requests(visitor, 1)
        with pytest.raises(queue.Empty):
            site.asked.get(timeout=0.1)


def test_what_was_asked_before_is_not_waited_for(site: Site, visitor: SteadyVisitor) -> None:
    site.next_asked()
    asked = time.monotonic()
    site.answer()
    wait_for_requests(visitor, 1)

    assert not visitor.waits_for(Request.is_any, since=asked, until=asked)
    site.answer()
    assert visitor.waits_for(Request.is_cached, since=asked, until=asked + PATIENCE_SECONDS)


def test_a_server_that_is_not_there_is_no_answer(site: Site) -> None:
    site.server.shutdown()
    site.server.server_close()
    visitor = SteadyVisitor(TEXTBOOK, site.port, "/products/1/")
    visitor.start()
    wait_for_requests(visitor, 2)
    visitor.end()

    assert {(each.status, each.is_ok) for each in visitor.requests} == {(NO_ANSWER, False)}
