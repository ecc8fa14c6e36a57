"""Asks for pages of every strategy, each in the process in which it is to be measured."""

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

from catalog.benchmarks.clients.exchanges import Exchange, LocalSite
from catalog.benchmarks.clients.workers import Worker, running_worker
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.strategies import floors, plug_ins
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, only_invalidation_of
from catalog.options import InvalidOption

__all__ = ["Answer", "BenchmarkError", "Requester", "other_body", "require_path"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``body`` is the JSON with the strategy's own URL prefix taken out of its links."""

    nanoseconds: int
    queries: int
    body: Any


class Requester:
    """Asks for pages with the test client, as a visitor who accepts JSON.

    A context manager: at its end it ends the processes of strategies that have one of their own,
    which it starts when they are first asked. Without it, they are a ``BenchmarkError``.
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
        """Nanoseconds that one request takes. Nothing but the request is inside the span."""
        return self._site(strategy).time(strategy.url(path))

    def prepare_floor(self, path: str) -> None:
        """Let the floors answer the bytes that the uncached view answers now."""
        body = _decoded(self._here.get(UNCACHED.url(path))).replace(_links_of(UNCACHED), b"testserver/")
        floors.prepare(path, gzip.compress(body, mtime=0))

    def see(self, strategy: Strategy, path: str) -> tuple[int, Any]:
        """The status and the body, also of a page that is not there."""
        exchange = self._site(strategy).get(strategy.url(path))
        return exchange.status, _json(exchange, strategy)

    def ask(self, strategy: Strategy, path: str) -> Answer:
        """One request with its queries and its body. Raises ``InvalidOption`` unless it is a 200."""
        url = strategy.url(path)
        exchange = self._site(strategy).get(url)
        if exchange.status != 200:
            raise InvalidOption(
                f"--path must be a page of the API that answers 200, but {url} answered "
                f"{exchange.status}. Try --path /products/?page=2"
            )
        body = _json(exchange, strategy)
        return Answer(nanoseconds=exchange.nanoseconds, queries=exchange.queries, body=body)

    def run(self, strategy: Strategy, function: Callable[..., Any], **arguments: Any) -> Any:
        """What the function returns where the strategy's invalidation is connected, and no other's.

        For writes: ``seconds = requester.run(strategy, save_product, pk=7, stock=3)``. The function
        is one of a module, and times itself what is to be timed; arguments and result are what JSON
        can say, since they may have to go to another process.
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


def other_body(strategy: Strategy, path: str, *, has_changed: bool) -> BenchmarkError:
    """For an answer that is not ``UNCACHED``'s. ``has_changed``: that has become another itself."""
    if has_changed:
        return BenchmarkError(
            f"{path} changed while it was looked at: somebody writes to the catalogue. Measure when nobody "
            "does, or freshness and invalidation, which use rows of their own."
        )
    return BenchmarkError(f"{strategy.name} answers {path} with another body than {UNCACHED.name}.")


def _json(exchange: Exchange, strategy: Strategy) -> Any:
    return json.loads(_decoded(exchange).replace(_links_of(strategy), b"testserver/"))


def _decoded(exchange: Exchange) -> bytes:
    is_gzipped = exchange.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(exchange.body) if is_gzipped else exchange.body


def _links_of(strategy: Strategy) -> bytes:
    return f"testserver{strategy.url_prefix}/".encode()
