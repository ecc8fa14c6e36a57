"""Readers in separate threads, which request pages while another thread writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import Any

from django.db import connection, connections

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.strategies.registry import Strategy
from readcache.testing.interrupts import interrupts_deferred

PATIENCE_SECONDS = 30


class Readers:
    """Each reader has a separate database connection, which sees nothing of an open transaction."""

    def __init__(self, threads: Sequence[ThreadPoolExecutor]) -> None:
        # Two threads cannot use one Requester at the same time.
        self._readers = [(thread, Requester()) for thread in threads]

    def read(self, strategy: Strategy, paths: Sequence[str]) -> None:
        """Read the pages, and return when all were read."""
        thread, requester = self._readers[0]

        def read_all() -> None:
            for path in paths:
                requester.see(strategy, path)

        thread.submit(read_all).result(PATIENCE_SECONDS)

    @contextmanager
    def after_their_queries(self, strategy: Strategy, queries: Mapping[str, int]) -> Iterator[None]:
        """Within the block, a reader of each path has sent its queries. It stores its page after the block.

        ``queries`` maps paths, at most one for each thread, to the number of queries that fill the page.
        """
        go_on = Event()
        readings: list[tuple[Event, Future[None]]] = []
        try:
            for (thread, requester), (path, number) in zip(self._readers, queries.items(), strict=False):
                has_queried = Event()
                see = partial(requester.see, strategy, path)
                reading = thread.submit(_read_and_wait, see, number, has_queried, go_on)
                # A reader that sends fewer queries is not waited for.
                reading.add_done_callback(partial(_set, has_queried))
                readings.append((has_queried, reading))
            if not all(has_queried.wait(PATIENCE_SECONDS) for has_queried, _ in readings):
                raise BenchmarkError(f"A page of {strategy.name} took more than {PATIENCE_SECONDS} s.")
            yield
        finally:
            go_on.set()
        for _, reading in readings:
            reading.result(PATIENCE_SECONDS)


def _read_and_wait(see: Callable[[], object], number: int, has_queried: Event, go_on: Event) -> None:
    queries = 0

    def wait_after_the_last(execute: Callable[..., Any], *statement: Any) -> Any:
        nonlocal queries
        result = execute(*statement)
        queries += 1
        if queries == number:
            has_queried.set()
            go_on.wait(PATIENCE_SECONDS)
        return result

    with connection.execute_wrapper(wait_after_the_last):
        see()


def _set(event: Event, _: Future[None]) -> None:
    event.set()


@contextmanager
def readers(count: int) -> Iterator[Readers]:
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(max_workers=1)) for _ in range(count)]
        try:
            yield Readers(threads)
        finally:
            with interrupts_deferred():
                for thread in threads:
                    thread.submit(connections.close_all).result(PATIENCE_SECONDS)
