"""A process that serves one strategy, because the strategy changes Django itself.

A cache that patches the ORM, say, would change every strategy's figures, so it is measured in a process
with settings of its own. The benchmark sends that process a URL; the process asks its own test client
and times the request there. So strategies can take turns, and their times are of the same span.

Writes must happen where the strategy's invalidation is connected: ``run`` calls a function there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from catalog.benchmarks.clients.local_site import Exchange, LocalSite
from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.strategies.registry import Strategy, find_strategy, only_invalidation_of

# Longer than the longest latency that can be simulated.
ANSWER_PATIENCE_SECONDS = 120.0
WARMING_URL = "/floor-get/nothing"


class SiteService:
    """What the process offers: ``LocalSite``, and calls of functions."""

    def __init__(self) -> None:
        self._site = LocalSite()

    def time(self, url: str, *, collects_garbage: bool) -> int:
        self._prepare(collects_garbage)
        return self._site.time(url)

    def get(self, url: str, *, collects_garbage: bool) -> Exchange:
        self._prepare(collects_garbage)
        return self._site.get(url)

    def run(self, function: Callable[..., Any], arguments: dict[str, Any], *, collects_garbage: bool) -> Any:
        self._prepare(collects_garbage)
        return function(**arguments)

    def _prepare(self, collects_garbage: bool) -> None:
        _let_collect(collects_garbage)
        # In the benchmark's own process another strategy has just answered a request. Without one here,
        # the time of waking up would be counted: a third of a millisecond.
        self._site.get(WARMING_URL)


@contextmanager
def serving_own_strategy() -> Iterator[SiteService]:
    """Only the invalidation of the process's own strategy is connected inside."""
    # Only the settings of child processes have it, and the type checker does not read those.
    with only_invalidation_of(find_strategy(getattr(settings, "BENCH_PROCESS_OF"))):  # noqa: B009
        yield SiteService()


class Worker:
    """The process as the benchmark sees it. Methods raise ``BenchmarkError`` if it fails."""

    def __init__(self, child: Child[SiteService]) -> None:
        self._child = child

    def time(self, url: str) -> int:
        return self._child.ask(SiteService.time, url, collects_garbage=gc.isenabled())

    def get(self, url: str) -> Exchange:
        return self._child.ask(SiteService.get, url, collects_garbage=gc.isenabled())

    def run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """The function's result. Raises ``ValueError`` for a function that cannot be imported."""
        if "<" in function.__qualname__:
            raise ValueError(
                f"{function.__qualname__} must be a function of a module, which can be imported."
            )
        return self._child.ask(SiteService.run, function, arguments, collects_garbage=gc.isenabled())


@contextmanager
def running_worker(strategy: Strategy) -> Iterator[Worker]:
    """Within ``isolated_cache()``."""
    with running_child(
        serving_own_strategy, strategy=strategy, patience_seconds=ANSWER_PATIENCE_SECONDS
    ) as child:
        child.wait_until_ready()
        yield Worker(child)


def _let_collect(collects_garbage: bool) -> None:
    """Collections here must be counted where those in the benchmark's process are, and only there."""
    if gc.isenabled() and not collects_garbage:
        gc.collect()
        gc.disable()
    elif collects_garbage:
        gc.enable()
