"""Requests for pages of every strategy, each in the process in which it is to be measured."""

from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from django.utils.encoding import iri_to_uri

from catalog.benchmarks.clients.local_site import LocalSite
from catalog.benchmarks.clients.workers import Worker, running_worker
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.strategies import floors, plug_ins
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, only_invalidation_of
from catalog.options import InvalidOption

HOST = "testserver"


@dataclass(frozen=True, kw_only=True)
class Page:
    """``body`` is JSON as ``comparable_json`` returns it."""

    queries: int
    body: Any


class Requester:
    """A client that asks the strategies for pages, with Django's test client.

    A strategy with a process of its own can be asked only inside of the context manager, which starts
    the process at the first request and ends it at the end. Outside, it is a ``BenchmarkError``.
    """

    def __init__(self) -> None:
        self._here = LocalSite()
        self._workers: dict[str, Worker] = {}
        self._running: ExitStack | None = None

    def __enter__(self) -> Requester:
        self._running = ExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.clear()
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def time(self, strategy: Strategy, path: str) -> int:
        """How many nanoseconds one request takes. Nothing but the request is inside the span."""
        return self._site(strategy).time(strategy.url(path))

    def prepare_floor(self, path: str) -> None:
        """Make the floors answer the bytes that the uncached view answers now."""
        content = _without_prefix(self._here.get(UNCACHED.url(path)).content, HOST, UNCACHED)
        floors.prepare(path, gzip.compress(content, mtime=0))

    def see(self, strategy: Strategy, path: str) -> tuple[int, Any]:
        """The status and the JSON, also of a page that is not there."""
        exchange = self._site(strategy).get(strategy.url(path))
        return exchange.status, comparable_json(exchange.content, HOST, strategy)

    def ask(self, strategy: Strategy, path: str) -> Page:
        """One request. Raises ``InvalidOption`` unless the status is 200."""
        url = strategy.url(path)
        exchange = self._site(strategy).get(url)
        if exchange.status != 200:
            raise InvalidOption(
                f"--path must be a page of the API that answers 200, but {url} answered "
                f"{exchange.status}. Try --path /products/?page=2"
            )
        body = comparable_json(exchange.content, HOST, strategy)
        return Page(queries=exchange.queries, body=body)

    def run(self, strategy: Strategy, function: Callable[..., Any], **arguments: Any) -> Any:
        """Call the function where only the strategy's invalidation is connected, and return its result.

        For writes: ``seconds = requester.run(strategy, save_product, pk=7, stock=3)``. The function may
        have to run in another process: a module must contain it, arguments and result must be picklable,
        and it times itself what is to be timed.
        """
        site = self._site(strategy)
        if isinstance(site, Worker):
            return site.run(function, arguments)
        with only_invalidation_of(strategy):
            return function(**arguments)

    def _site(self, strategy: Strategy) -> LocalSite | Worker:
        if not plug_ins.is_elsewhere(strategy):
            return self._here
        if self._running is None:
            raise plug_ins.not_measured_here(strategy)
        if strategy.name not in self._workers:
            self._workers[strategy.name] = self._running.enter_context(running_worker(strategy))
        return self._workers[strategy.name]


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
    """For a body that differs from that of ``UNCACHED``, which may itself have changed meanwhile."""
    if has_changed:
        return BenchmarkError(
            f"{path} changed while it was looked at: somebody writes to the catalogue. Measure when nobody "
            "does, or measure freshness and invalidation, which use scratch rows."
        )
    return BenchmarkError(f"{strategy.name} answers {path} with another body than {UNCACHED.name}.")


def comparable_json(content: bytes, host: str, strategy: Strategy) -> Any:
    """The JSON with links that are the same for every strategy and host."""
    return json.loads(_without_prefix(content, host, strategy))


def _without_prefix(content: bytes, host: str, strategy: Strategy) -> bytes:
    return content.replace(f"{host}{strategy.url_prefix}/".encode(), f"{HOST}/".encode())
