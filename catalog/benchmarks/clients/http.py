"""How a visitor gets an answer, and a header of the server's that says how many queries it took."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalog.benchmarks.clients.query_counting import counted_queries

QUERIES_HEADER = "X-Queries"
REQUEST_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    queries: int
    body: bytes


class Visitor:
    """A visitor with a connection that is kept open as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_SECONDS)

    def connect(self) -> None:
        """Before the first request, so that it takes no time of it. Raises ``OSError``."""
        self._connection.connect()

    def get(self, url: str) -> Answer:
        try:
            return self._get(url)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server has closed a connection that was kept; asking later is asking of no less.
            self._connection.close()
            return self._get(url)

    def close(self) -> None:
        self._connection.close()

    def _get(self, url: str) -> Answer:
        self._connection.request("GET", url, headers={"Accept": "application/json"})
        response = self._connection.getresponse()
        body = response.read()
        queries = int(response.headers.get(QUERIES_HEADER, -1))
        return Answer(status=response.status, queries=queries, body=body)


def counting_queries(application: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI application, whose answers say how many queries they took."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        with counted_queries() as count:

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                return start_response(status, [*headers, (QUERIES_HEADER, str(count.queries))], *rest)

            return application(environ, start)

    return answer
