"""One write, with what visitors were shown before and are shown after it: alone, and under two races."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db import connection
from django.test.utils import override_settings

from catalog.benchmarks.clients.in_process import BenchmarkError, Requester
from catalog.benchmarks.experiments.invalidation.readers import Readers, readers
from catalog.benchmarks.experiments.invalidation.writes import (
    Admin,
    Kind,
    Page,
    Target,
    make_targets,
    own_admin,
)
from catalog.benchmarks.experiments.invalidation.writes.second import SecondProcess, second_process
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.sandbox.isolation import garbage_collector_off
from catalog.benchmarks.sandbox.rows import own_mark
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, only_invalidation_of

# Of few rows each. The statistics add up the whole catalogue, which would be most of the work.
ASKED: tuple[Page, ...] = ("detail", "list", "category")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What trials are made with. Rows that start with ``mark`` are gone at the end.

    ``queries`` is how many fill each page. ``readers`` and ``process`` are not there for a database
    in memory, which nobody else can read or write.
    """

    mark: str
    admin: Admin
    requester: Requester
    queries: Mapping[Page, int]
    readers: Readers | None = None
    process: SecondProcess | None = None

    def make_targets(self, count: int) -> list[Target]:
        """Unseen by any strategy: nobody has asked for their pages."""
        with only_invalidation_of(UNCACHED):
            return make_targets(self.mark, count, admin=self.admin, process=self.process)

    @contextmanager
    def only_invalidation_of(self, strategy: Strategy) -> Iterator[None]:
        """In the second process, too."""
        if self.process:
            self.process.strategy = strategy
        with only_invalidation_of(strategy):
            yield


@contextmanager
def opened_bench(*, needs_process: bool) -> Iterator[Bench]:
    with ExitStack() as stack:
        # A slow database changes nothing of what is found out, and would be waited for at each page.
        stack.enter_context(override_settings(SIMULATED_LATENCY_SECONDS=0))
        mark = stack.enter_context(own_mark())
        admin = stack.enter_context(own_admin(mark))
        requester = Requester()
        queries = _count_queries(mark, admin, requester)
        others: dict[str, Any] = {}
        if not is_in_memory():
            others["readers"] = stack.enter_context(readers(len(ASKED)))
            if needs_process:
                others["process"] = stack.enter_context(second_process())
        yield Bench(mark=mark, admin=admin, requester=requester, queries=queries, **others)


def _count_queries(mark: str, admin: Admin, requester: Requester) -> dict[Page, int]:
    with only_invalidation_of(UNCACHED):
        [target] = make_targets(mark, 1, admin=admin)
    paths = zip(ASKED, _paths(target, ASKED), strict=True)
    return {page: requester.ask(UNCACHED, path).queries for page, path in paths}


def is_in_memory() -> bool:
    """Whether the database is one that no other connection can read while a transaction is open."""
    return connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]


def time_write(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> float:
    """Seconds. One of the pages that it changes is warm before it."""
    paths = _paths(target, kind.changes)[:1]
    _show(bench, strategy, paths)
    # The same for all right before the write, which would be slower after one strategy's work than
    # after another's.
    _show(bench, UNCACHED, paths)
    with garbage_collector_off(collects_first=False):
        started = time.perf_counter_ns()
        kind.write(target)
        return (time.perf_counter_ns() - started) / NANOSECONDS


def find_stale_pages(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> dict[Page, bool]:
    """For each page that is asked for and changes, whether its next answer is stale.

    Raises ``BenchmarkError`` where the write does not change what its kind says."""
    paths = _paths(target, kind.changes)
    before = _show(bench, strategy, paths)
    kind.write(target)
    shown, true = _show(bench, strategy, paths), _show(bench, UNCACHED, paths)
    for path in paths:
        if before[path] == true[path]:
            raise BenchmarkError(f"The write {kind.name} was to change {path} and did not.")
    return {page: shown[path] != true[path] for page, path in zip(_asked(kind.changes), paths, strict=True)}


def is_stale_after_a_read_before_commit(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> bool:
    """A reader asks for the pages, which were warm, when all is written and not committed."""
    visitors, paths = _require_readers(bench), _paths(target, kind.changes)
    _show(bench, strategy, paths)
    kind.write_in_a_transaction(target, before_commit=lambda: visitors.read(strategy, paths))
    return _is_stale(bench, strategy, paths)


def is_stale_after_a_late_fill(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> bool:
    """Readers find nothing cached, query, and store their pages when the write was acknowledged."""
    visitors, paths = _require_readers(bench), _paths(target, kind.changes)
    queries = dict(zip(paths, (bench.queries[page] for page in _asked(kind.changes)), strict=True))
    with visitors.after_their_queries(strategy, queries):
        kind.write(target)
    return _is_stale(bench, strategy, paths)


RACES: tuple[Callable[[Bench, Strategy, Kind, Target], bool], ...] = (
    is_stale_after_a_read_before_commit,
    is_stale_after_a_late_fill,
)


def _asked(pages: Collection[Page]) -> list[Page]:
    return [page for page in ASKED if page in pages]


def _paths(target: Target, pages: Collection[Page]) -> list[str]:
    """Of those of the pages that are asked for, in the order of ``ASKED``."""
    slug = quote(target.category.slug)
    paths: dict[Page, str] = {
        "list": f"/products/?category={slug}",
        "detail": f"/products/{target.product.pk}/",
        "category": f"/categories/{slug}/",
    }
    return [paths[page] for page in _asked(pages)]


def _show(bench: Bench, strategy: Strategy, paths: Sequence[str]) -> dict[str, tuple[int, Any]]:
    return {path: bench.requester.see(strategy, path) for path in paths}


def _is_stale(bench: Bench, strategy: Strategy, paths: Sequence[str]) -> bool:
    return _show(bench, strategy, paths) != _show(bench, UNCACHED, paths)


def _require_readers(bench: Bench) -> Readers:
    if bench.readers is None:
        raise BenchmarkError("Nobody else can read a database in memory while it is written. Use a file.")
    return bench.readers
