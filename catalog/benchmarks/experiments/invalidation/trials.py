"""Trials of one write: its time, the pages before and after it, and two races with readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from django.test import Client
from django.test.utils import override_settings

from catalog.benchmarks.clients.in_process import Page as SeenPage
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.invalidation.readers import Readers, readers
from catalog.benchmarks.experiments.invalidation.writes import Kind, Page, Target, make_targets
from catalog.benchmarks.experiments.invalidation.writes.second_process import SecondProcess, second_process
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.sandbox.accounts import browsing, scratch_accounts
from catalog.benchmarks.sandbox.isolation import garbage_collector_off
from catalog.benchmarks.sandbox.rows import scratch_label
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, only_invalidation_of

# Each shows few rows. The statistics add up the whole catalogue, which would be most of the work.
ASKED: tuple[Page, ...] = ("detail", "list", "category")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The equipment of the trials. Rows whose names start with ``label`` are removed at the end.

    ``queries`` is the number of queries that fill each page.
    """

    label: str
    admin: Client
    requester: Requester
    queries: Mapping[Page, int]
    readers: Readers
    process: SecondProcess

    def make_targets(self, count: int) -> list[Target]:
        """Their pages are not cached yet, so no strategy needs to invalidate anything for them."""
        with only_invalidation_of(UNCACHED):
            return make_targets(self.label, count, admin=self.admin, process=self.process)

    @contextmanager
    def only_invalidation_of(self, strategy: Strategy) -> Iterator[None]:
        """No other invalidation is connected within the block, nor in the second process."""
        self.process.strategy = strategy
        with only_invalidation_of(strategy):
            yield


@contextmanager
def opened_bench() -> Iterator[Bench]:
    """Raises ``BenchmarkError`` for a database in memory, which no other connection can use."""
    with ExitStack() as stack:
        # The simulated latency would slow down every page and change no finding.
        stack.enter_context(override_settings(SIMULATED_LATENCY_SECONDS=0))
        label = stack.enter_context(scratch_label())
        *_, account = stack.enter_context(scratch_accounts())
        admin = stack.enter_context(browsing(account, accept="text/html"))
        requester = Requester()
        yield Bench(
            label=label,
            admin=admin,
            requester=requester,
            queries=_count_queries(label, admin, requester),
            readers=stack.enter_context(readers(len(ASKED))),
            process=stack.enter_context(second_process()),
        )


def _count_queries(label: str, admin: Client, requester: Requester) -> dict[Page, int]:
    with only_invalidation_of(UNCACHED):
        [target] = make_targets(label, 1, admin=admin)
    return {page: requester.ask(UNCACHED, path).queries for page, path in _paths(target, ASKED).items()}


def time_write(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> float:
    """Seconds. One of the pages that the write changes is warm before it."""
    path = next(iter(_paths(target, kind.changes).values()))
    bench.requester.see(strategy, path)
    # The same request comes right before each write, whose time depends on the work before it.
    bench.requester.see(UNCACHED, path)
    with garbage_collector_off(collects_first=False):
        started = time.perf_counter_ns()
        kind.write(target)
        return (time.perf_counter_ns() - started) / NANOSECONDS


def find_stale_pages(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> dict[Page, bool]:
    """For each page in ``ASKED`` that the write changes, whether the next response is stale.

    Raises ``BenchmarkError`` if the write does not change a page that its kind names.
    """
    paths = _paths(target, kind.changes)
    before = _show(bench, strategy, paths)
    kind.write(target)
    shown, true = _show(bench, strategy, paths), _show(bench, UNCACHED, paths)
    for page, path in paths.items():
        if before[page] == true[page]:
            raise BenchmarkError(f"The write {kind.name} was to change {path} and did not.")
    return {page: shown[page] != true[page] for page in paths}


def is_stale_after_a_read_before_commit(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> bool:
    """A reader asks for the pages, which are warm, after the write and before its COMMIT."""
    paths = _paths(target, kind.changes)
    _show(bench, strategy, paths)
    kind.write_in_a_transaction(target, before_commit=lambda: bench.readers.read(strategy, [*paths.values()]))
    return _is_stale(bench, strategy, paths)


def is_stale_after_a_late_fill(bench: Bench, strategy: Strategy, kind: Kind, target: Target) -> bool:
    """Readers find nothing cached, send their queries, and store the pages after the write."""
    paths = _paths(target, kind.changes)
    queries = {path: bench.queries[page] for page, path in paths.items()}
    with bench.readers.after_their_queries(strategy, queries):
        kind.write(target)
    return _is_stale(bench, strategy, paths)


RACES: tuple[Callable[[Bench, Strategy, Kind, Target], bool], ...] = (
    is_stale_after_a_read_before_commit,
    is_stale_after_a_late_fill,
)


def _paths(target: Target, pages: Collection[Page]) -> dict[Page, str]:
    """The paths of the pages that are in ``ASKED``."""
    slug = quote(target.category.slug)
    paths: dict[Page, str] = {
        "detail": f"/products/{target.product.pk}/",
        "list": f"/products/?category={slug}",
        "category": f"/categories/{slug}/",
    }
    return {page: paths[page] for page in ASKED if page in pages}


def _show(bench: Bench, strategy: Strategy, paths: Mapping[Page, str]) -> dict[Page, SeenPage]:
    return {page: bench.requester.see(strategy, path) for page, path in paths.items()}


def _is_stale(bench: Bench, strategy: Strategy, paths: Mapping[Page, str]) -> bool:
    return _show(bench, strategy, paths) != _show(bench, UNCACHED, paths)
