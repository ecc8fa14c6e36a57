"""One timed GET with Django's test client: the whole of Django, without a network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.test import Client

from catalog.benchmarks.clients.query_counting import counted_queries


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """``body`` is as it was sent, compressed or not."""

    nanoseconds: int
    queries: int
    status: int
    headers: Mapping[str, str]
    body: bytes


class LocalSite:
    """The shop in this process, asked by a visitor who accepts JSON."""

    def __init__(self) -> None:
        # As browsers and HTTP libraries ask.
        self._client = Client(headers={"accept": "application/json", "accept-encoding": "gzip"})

    def time(self, url: str) -> int:
        """Nanoseconds that one request takes. Nothing but the request is inside the span."""
        started = time.perf_counter_ns()
        self._client.get(url)
        return time.perf_counter_ns() - started

    def get(self, url: str) -> Exchange:
        with counted_queries() as count:
            started = time.perf_counter_ns()
            response = self._client.get(url)
            nanoseconds = time.perf_counter_ns() - started
        return Exchange(
            nanoseconds=nanoseconds,
            queries=count.queries,
            status=response.status_code,
            headers=dict(response.headers),
            body=response.content,
        )
