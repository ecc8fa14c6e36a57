"""GET requests with Django's test client: the whole of Django, without a network.

A strategy that changes Django itself, such as a cache that patches the ORM, would change every strategy's
figures. So it has a child process with settings of its own, in which the same test client sends the
requests and times them. Strategies can take turns, and their times are of the same span.
"""

from __future__ import annotations

import gc
import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import Client

from catalog.benchmarks.processes.query_counting import counted_queries
from catalog.benchmarks.strategies.registry import find_strategy, only_invalidation_of

WARMING_URL = "/floor-get/nothing"


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

    def fetch(self, url: str) -> tuple[int, int, bytes]:
        """The status, the number of queries, and the content, decompressed."""
        with counted_queries() as count:
            response = self._client.get(url)
        is_gzipped = response.headers.get("Content-Encoding") == "gzip"
        content = gzip.decompress(response.content) if is_gzipped else response.content
        return response.status_code, count.queries, content

    def run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        return function(**arguments)

    def in_child(self, collects_garbage: bool, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call the method as the benchmark's own process would."""
        # Garbage collections must be counted here where they are counted there, and only then.
        if gc.isenabled() and not collects_garbage:
            gc.collect()
            gc.disable()
        elif collects_garbage:
            gc.enable()
        # There, another strategy has just answered a request. Without one here, the time of waking up would
        # be counted: a third of a millisecond.
        self._client.get(WARMING_URL)
        return method(self, *arguments)


@contextmanager
def serving_own_strategy() -> Iterator[LocalSite]:
    """Only the invalidation of the process's own strategy is connected inside."""
    # Only the settings of child processes have it, and the type checker does not read those.
    with only_invalidation_of(find_strategy(getattr(settings, "BENCH_PROCESS_OF"))):  # noqa: B009
        yield LocalSite()
