"""Counts queries without keeping them: Django's log of queries ends at nine thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# The response header in which a server reports its count.
QUERIES_HEADER = "X-Queries"


class QueryCount:
    """An execute wrapper, which Django calls with each statement."""

    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.queries += 1
        return execute(*arguments)


@contextmanager
def counted_queries() -> Iterator[QueryCount]:
    """Counts the queries that this thread sends to the default database within the block."""
    count = QueryCount()
    with connection.execute_wrapper(count):
        yield count


def counting_queries(application: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI application, with a header in each response that says how many queries it took."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        with counted_queries() as count:

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                return start_response(status, [*headers, (QUERIES_HEADER, str(count.queries))], *rest)

            return application(environ, start)

    return answer
