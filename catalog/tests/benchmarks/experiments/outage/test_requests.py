"""A steady client sends requests to a server whose responses the test determines."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from catalog.benchmarks.experiments.outage.requests import NO_RESPONSE, Request, SteadyClient
from catalog.benchmarks.strategies.registry import TEXTBOOK
from catalog.tests.benchmarks.small_server import send, serving

PATIENCE_SECONDS = 10


class Site:
    """A server. ``asked`` holds the paths of requests, and ``answer()`` gives the next response."""

    port: int

    def __init__(self) -> None:
        self.asked: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[tuple[int, int, bytes]] = queue.Queue()

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.put(handler.path)
        status, queries, body = self.answers.get(timeout=PATIENCE_SECONDS)
        send(handler, status, queries=queries, body=body)

    def next_asked(self) -> str:
        return self.asked.get(timeout=PATIENCE_SECONDS)

    def answer(self, status: int = 200, queries: int = 0, body: bytes = b'{"stock": 7}') -> None:
        self.answers.put((status, queries, body))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with serving(site.reply) as site.port:
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[SteadyClient]:
    client = SteadyClient(TEXTBOOK, site.port, "/products/1/")
    client.start()
    yield client
    # The client can only end when its last requests have been answered.
    for _ in range(10):
        site.answer()
    client.end()


def wait_for_requests(client: SteadyClient, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(client.requests) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_client_records_status_hit_and_stock_of_each_request(site: Site, client: SteadyClient) -> None:
    before = time.monotonic()
    assert site.next_asked() == "/textbook/products/1/"
    site.answer(queries=3)
    site.answer()
    site.answer(status=500, body=b"<h1>Server Error</h1>")
    wait_for_requests(client, 3)

    seen = [(each.status, each.is_hit, each.stock) for each in client.requests[:3]]
    assert seen == [(200, False, 7), (200, True, 7), (500, False, None)]
    assert all(0 < each.seconds < time.monotonic() - before + 1 for each in client.requests)


def test_a_pause_begins_after_the_current_request_and_delays_the_next_one(
    site: Site, client: SteadyClient
) -> None:
    site.next_asked()
    threading.Timer(0.05, site.answer).start()

    with client.pausing():
        assert len(client.requests) == 1
        with pytest.raises(queue.Empty):
            site.asked.get(timeout=0.1)

    assert site.next_asked()


def test_a_pause_waits_for_a_slow_response_only_until_its_limit(site: Site, client: SteadyClient) -> None:
    site.next_asked()

    with client.pausing(within_seconds=0.05):
        assert client.requests == []
        site.answer()
        wait_for_requests(client, 1)
        with pytest.raises(queue.Empty):
            site.asked.get(timeout=0.1)


def test_requests_that_were_sent_earlier_do_not_count(site: Site, client: SteadyClient) -> None:
    site.next_asked()
    asked = time.monotonic()
    site.answer()
    wait_for_requests(client, 1)

    assert not client.waits_for(lambda _: True, since=asked, until=asked)
    site.answer()
    assert client.waits_for(Request.is_cached, since=asked, until=asked + PATIENCE_SECONDS)


def test_a_request_to_a_server_that_has_ended_has_no_response() -> None:
    with serving(send) as port:
        pass
    client = SteadyClient(TEXTBOOK, port, "/products/1/")
    client.start()
    wait_for_requests(client, 2)
    client.end()

    assert {(each.status, each.is_ok) for each in client.requests} == {(NO_RESPONSE, False)}
