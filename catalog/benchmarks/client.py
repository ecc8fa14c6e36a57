"""One timed GET with Django's test client: the whole of Django, without a network."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.benchmarks import floor
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.strategies import UNCACHED, Strategy
from catalog.options import InvalidOption

__all__ = ["Answer", "BenchmarkError", "Requester", "require_path"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``body`` is the JSON with the strategy's own URL prefix taken out of its links."""

    nanoseconds: int
    queries: int
    body: Any


class Requester:
    """Asks for pages of every strategy with the test client, as a visitor who accepts JSON."""

    def __init__(self) -> None:
        # As browsers and HTTP libraries ask.
        self._client = Client(headers={"accept": "application/json", "accept-encoding": "gzip"})

    def time(self, strategy: Strategy, path: str) -> int:
        """Nanoseconds that one request takes. Nothing but the request is inside the span."""
        url = strategy.url(path)
        started = time.perf_counter_ns()
        self._client.get(url)
        return time.perf_counter_ns() - started

    def prepare_floor(self, path: str) -> None:
        """Let the floors answer the bytes that the uncached view answers now."""
        response = self._client.get(UNCACHED.url(path))
        body = _decoded(response).replace(_links_of(UNCACHED), b"testserver/")
        floor.prepare(path, gzip.compress(body, mtime=0))

    def ask(self, strategy: Strategy, path: str) -> Answer:
        """One request with its queries and its body. Raises ``InvalidOption`` unless it is a 200."""
        url = strategy.url(path)
        with CaptureQueriesContext(connection) as queries:
            started = time.perf_counter_ns()
            response = self._client.get(url)
            nanoseconds = time.perf_counter_ns() - started
        if response.status_code != 200:
            raise InvalidOption(
                f"--path must be a page of the API that answers 200, but {url} answered "
                f"{response.status_code}. Try --path /products/?page=2"
            )
        return Answer(nanoseconds=nanoseconds, queries=len(queries), body=_body(response, strategy))


def require_path(path: str) -> None:
    """Raises ``InvalidOption``."""
    if not path.startswith("/"):
        raise InvalidOption(f"--path must start with /, got {path!r}. Try --path /products/?page=2")


def _body(response: Any, strategy: Strategy) -> Any:
    return json.loads(_decoded(response).replace(_links_of(strategy), b"testserver/"))


def _decoded(response: Any) -> bytes:
    is_gzipped = response.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(response.content) if is_gzipped else bytes(response.content)


def _links_of(strategy: Strategy) -> bytes:
    return f"testserver{strategy.url_prefix}/".encode()
