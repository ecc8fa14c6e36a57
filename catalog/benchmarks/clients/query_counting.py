"""Counting queries without keeping them: Django's own log of them ends at nine thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


class QueryCount:
    """Django calls it with each statement, as an execute wrapper."""

    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.queries += 1
        return execute(*arguments)


@contextmanager
def counted_queries() -> Iterator[QueryCount]:
    """Counts those of this thread on the default database inside."""
    count = QueryCount()
    with connection.execute_wrapper(count):
        yield count
