"""Requests for pages of every strategy with Django's test client: the whole of Django, without a network.

A strategy that changes Django itself, such as a cache that patches the ORM, would change every strategy's
figures. So it has a separate child process with its settings, in which the same test client sends the
requests and times them. Strategies can take turns, and all times measure the same work.
"""

from __future__ import annotations

import gc
import gzip
import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.conf import settings
from django.test import Client
from django.utils.encoding import iri_to_uri

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.processes.query_counting import counted_queries
from catalog.benchmarks.strategies import floors, plug_ins
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, find_strategy, only_invalidation_of
from catalog.options import InvalidOption

# Longer than the longest latency that can be simulated.
ANSWER_PATIENCE_SECONDS = 120.0

HOST = "testserver"
WARMING_URL = "/floor-get/nothing"

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Page:
    """Pages are equal if a client sees no difference. ``body`` is JSON with common links."""

    status: int
    queries: int = field(compare=False)
    body: Any


class LocalSite:
    """The shop in this process, and a client that accepts compressed JSON."""

    def __init__(self) -> None:
        # Browsers and HTTP libraries also accept compressed responses.
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
        """Call the method under the same conditions as in the benchmark's process."""
        # A garbage collection must count in this process exactly if it counts in the benchmark's.
        if gc.isenabled() and not collects_garbage:
            gc.collect()
            gc.disable()
        elif collects_garbage:
            gc.enable()
        # In the benchmark's process, another strategy has just answered a request. Without a request here,
        # the time of waking up would count: a third of a millisecond.
        self._client.get(WARMING_URL)
        return method(self, *arguments)


@contextmanager
def serving_own_strategy() -> Iterator[LocalSite]:
    """Within the block, only the invalidation of the strategy of this process is connected."""
    # Only the settings of child processes have it, and the type checker does not read those.
    with only_invalidation_of(find_strategy(getattr(settings, "BENCH_PROCESS_OF"))):  # noqa: B009
        yield LocalSite()


class Requester:
    """A client that asks the strategies for pages, with Django's test client.

    Requests to a strategy with a separate process work only within the context manager, which starts
    the process at the first request and ends it at the end. Otherwise they raise ``BenchmarkError``.
    """

    def __init__(self) -> None:
        self._here = LocalSite()
        self._children: dict[str, Child[LocalSite]] = {}
        self._running: ExitStack | None = None

    def __enter__(self) -> Requester:
        self._running = ExitStack()
        return self

    def __exit__(self, *error: object) -> None:
        self._children.clear()
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def time(self, strategy: Strategy, path: str) -> int:
        """How many nanoseconds one request takes. Nothing but the request is inside the span."""
        return self._call(strategy, LocalSite.time, strategy.url(path))

    def see(self, strategy: Strategy, path: str) -> Page:
        """One request, also for a page that is not there."""
        return _page(strategy, *self._call(strategy, LocalSite.fetch, strategy.url(path)))

    def ask(self, strategy: Strategy, path: str) -> Page:
        """One request. Raises ``InvalidOption`` unless the status is 200."""
        url = strategy.url(path)
        status, queries, content = self._call(strategy, LocalSite.fetch, url)
        if status != 200:
            raise InvalidOption(
                f"--path must be a page of the API that answers 200, but {url} answered "
                f"{status}. Try --path /products/?page=2"
            )
        return _page(strategy, status, queries, content)

    def check(
        self, strategies: Sequence[Strategy], path: str, *, must_hit: bool = True
    ) -> dict[str, tuple[Page, Page]]:
        """A first page of each strategy and a repeat, by name. The floors answer what ``UNCACHED`` does.

        Raises ``InvalidOption`` unless the status is 200, and ``BenchmarkError`` for a body that differs
        from that of ``UNCACHED`` or, with ``must_hit``, for a repeat with queries.
        """
        expected = self.ask(UNCACHED, path).body
        self.prepare_floor(path)
        pages = {}
        for strategy in strategies:
            first, repeat = self.ask(strategy, path), self.ask(strategy, path)
            if not first.body == repeat.body == expected:
                raise other_body(strategy, path, has_changed=self.ask(UNCACHED, path).body != expected)
            if must_hit:
                require_hit(strategy, path, repeat)
            pages[strategy.name] = first, repeat
        return pages

    def prepare_floor(self, path: str) -> None:
        """Make the floors answer the bytes that the uncached view answers now."""
        _, _, content = self._here.fetch(UNCACHED.url(path))
        content = with_common_links(content, f"{HOST}{UNCACHED.url_prefix}")
        floors.prepare(path, gzip.compress(content, mtime=0))

    def run(self, strategy: Strategy, function: Callable[..., Any], **arguments: Any) -> Any:
        """Call the function while only the strategy's invalidation is connected, and return its result.

        For writes: ``seconds = requester.run(strategy, save_product, pk=7, stock=3)``. The function may
        have to run in another process: a module must contain it, arguments and result must be picklable,
        and it measures times itself.
        """
        with nullcontext() if plug_ins.is_elsewhere(strategy) else only_invalidation_of(strategy):
            return self._call(strategy, LocalSite.run, function, arguments)

    def _call(self, strategy: Strategy, method: Callable[..., R], *arguments: Any) -> R:
        if not plug_ins.is_elsewhere(strategy):
            return method(self._here, *arguments)
        result: R = self._child_of(strategy).ask(LocalSite.in_child, gc.isenabled(), method, *arguments)
        return result

    def _child_of(self, strategy: Strategy) -> Child[LocalSite]:
        if self._running is None:
            raise plug_ins.not_measured_here(strategy)
        if strategy.name not in self._children:
            running = running_child(
                serving_own_strategy, strategy=strategy, patience_seconds=ANSWER_PATIENCE_SECONDS
            )
            child = self._children[strategy.name] = self._running.enter_context(running)
            child.wait_until_ready()
        return self._children[strategy.name]


def require_path(path: str) -> None:
    """Raises ``InvalidOption``."""
    if not path.startswith("/"):
        raise InvalidOption(f"--path must start with /, got {path!r}. Try --path /products/?page=2")
    as_sent = iri_to_uri(path).partition("#")[0]
    if path != as_sent:
        raise InvalidOption(
            f"--path must be as browsers send it, got {path!r}. Try --path {shlex.quote(as_sent)}"
        )


def require_hit(strategy: Strategy, path: str, repeat: Page) -> None:
    """Raises ``BenchmarkError`` where a repeat of the request ran queries that a cache must avoid."""
    if strategy.caches and repeat.queries:
        raise BenchmarkError(
            f"{strategy.name} ran {repeat.queries} queries to repeat {path}; a hit runs none."
        )


def other_body(strategy: Strategy, path: str, *, has_changed: bool) -> BenchmarkError:
    """For a body that differs from the one of ``UNCACHED``, unless the page itself has changed."""
    if has_changed:
        return BenchmarkError(
            f"{path} changed during the measurement: another program writes to the catalogue. Stop it, or "
            "measure freshness and invalidation, which use scratch rows."
        )
    return BenchmarkError(f"{strategy.name} answers {path} with another body than {UNCACHED.name}.")


def _page(strategy: Strategy, status: int, queries: int, content: bytes) -> Page:
    body = json.loads(with_common_links(content, f"{HOST}{strategy.url_prefix}"))
    return Page(status=status, queries=queries, body=body)


def with_common_links(content: bytes, origin: str) -> bytes:
    """The content, with links that begin with the same host instead of ``origin``."""
    return content.replace(f"{origin}/".encode(), f"{HOST}/".encode())
