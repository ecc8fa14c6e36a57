"""GET requests with Django's test client: the whole of Django, without a network."""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass

from django.test import Client

from catalog.benchmarks.processes.query_counting import counted_queries


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """``content`` is decompressed."""

    status: int
    queries: int
    content: bytes


class LocalSite:
    """The shop in this process, and a client that accepts compressed JSON."""

    def __init__(self) -> None:
        # Browsers and HTTP libraries accept compressed responses, too.
        self._client = Client(headers={"accept": "application/json", "accept-encoding": "gzip"})

    def time(self, url: str) -> int:
        """How many nanoseconds one request takes. Nothing but the request is inside the span."""
        started = time.perf_counter_ns()
        self._client.get(url)
        return time.perf_counter_ns() - started

    def get(self, url: str) -> Exchange:
        with counted_queries() as count:
            response = self._client.get(url)
        is_gzipped = response.headers.get("Content-Encoding") == "gzip"
        content = gzip.decompress(response.content) if is_gzipped else response.content
        return Exchange(status=response.status_code, queries=count.queries, content=content)
