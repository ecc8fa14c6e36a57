"""One timed GET with Django's test client: the whole of Django, without a network."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.benchmarks.strategies import Strategy
from catalog.options import InvalidOption


class BenchmarkError(Exception):
    """What was measured is not what it should be, so no figure of it would mean anything."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``body`` is the JSON with the strategy's own URL prefix taken out of its links."""

    nanoseconds: int
    queries: int
    body: Any


class Requester:
    """Asks for one path of every strategy, as a visitor who accepts JSON."""

    def __init__(self, path: str) -> None:
        if not path.startswith("/"):
            raise InvalidOption(f"--path must start with /, got {path!r}. Try --path /products/?page=2")
        self.path = path
        self._client = Client(headers={"accept": "application/json"})

    def time(self, strategy: Strategy) -> int:
        """Nanoseconds that one request takes. Nothing but the request is inside the span."""
        url = strategy.url(self.path)
        started = time.perf_counter_ns()
        self._client.get(url)
        return time.perf_counter_ns() - started

    def ask(self, strategy: Strategy) -> Answer:
        """One request with its queries and its body. Raises ``InvalidOption`` unless it is a 200."""
        url = strategy.url(self.path)
        with CaptureQueriesContext(connection) as queries:
            started = time.perf_counter_ns()
            response = self._client.get(url)
            nanoseconds = time.perf_counter_ns() - started
        if response.status_code != 200:
            raise InvalidOption(
                f"--path must be a page of the API that answers 200, but {url} answered "
                f"{response.status_code}. Try --path /products/?page=2"
            )
        return Answer(nanoseconds=nanoseconds, queries=len(queries), body=_body(response.content, strategy))


def _body(content: bytes, strategy: Strategy) -> Any:
    links = content.replace(f"testserver{strategy.url_prefix}/".encode(), b"testserver/")
    return json.loads(links)
