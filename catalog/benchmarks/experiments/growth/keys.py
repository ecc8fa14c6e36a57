"""The time of an invalidation, and the memory, with several numbers of keys in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
from django.db import connection
from redis.exceptions import RedisError

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth.filled_redis import (
    RedisServer,
    StoredPage,
    look_at_page,
    redis_server,
)
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.scratch_redis import missing_server
from catalog.benchmarks.sandbox.isolation import garbage_collector_off
from catalog.benchmarks.sandbox.rows import ScratchRows, scratch_rows
from catalog.benchmarks.strategies.registry import Strategy
from catalog.models import Product

ROUNDS = Scale(quick=4, normal=5, thorough=3)
# Several saves for one fill, as long as a save keeps the keys, because filling takes longer than saving.
SAVES_PER_ROUND = 5
# An entry in Redis's hash tables of the keys and of their expiry times.
BYTES_OF_TABLES_PER_KEY = 100
# How much of the machine's free memory the keys may take.
ROOM_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A strategy, its keys for the page at ``path``, and the primary key of the product to save.

    ``invalidates`` says whether a cached page is computed again after a save.
    """

    requester: Requester
    strategy: Strategy
    path: str
    page: StoredPage
    page_bytes: int
    product: int
    invalidates: bool

    def is_hit(self) -> bool:
        return self.requester.ask(self.strategy, self.path).queries == 0

    def save(self) -> tuple[float, bool]:
        seconds, failed = self.requester.run(self.strategy, time_invalidation, pk=self.product)
        return seconds, failed


@dataclass(kw_only=True)
class KeyFindings:
    """The results of one strategy with one number of keys. ``bytes`` is the memory of all keys.

    ``invalidations`` are seconds: the time of a save without the database.
    """

    pages: int = 0
    invalidations: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)
    failures: int = 0


@dataclass(frozen=True, kw_only=True)
class KeyResult:
    """``findings[size][strategy]``."""

    findings: dict[int, dict[str, KeyFindings]]
    invalidates: dict[str, bool]
    warnings: tuple[str, ...]


def measure_keys(options: Options, sizes: Sequence[int]) -> KeyResult:
    """Within ``isolated_cache()``. Raises ``BenchmarkError``."""
    if reason := missing_server():
        options.on_progress(1)
        unknown = {strategy.name: True for strategy in options.strategies}
        warning = f"The growth with keys was left out: {reason}"
        return KeyResult(findings={}, invalidates=unknown, warnings=(warning,))
    with scratch_rows(2) as rows, redis_server() as server, Requester() as requester:
        candidates = [_examine(strategy, requester, rows, server) for strategy in options.strategies]
        subjects = [each for each in candidates if _can_be_copied(each, server)]
        fitting, warnings = _fitting(subjects, sizes)
        warnings += [
            f"{each.strategy.name} was left out of the growth with keys: it does not serve {each.path} "
            "from copies of its keys in Redis."
            for each in candidates
            if each not in subjects
        ]
        findings = {size: {each.strategy.name: KeyFindings() for each in subjects} for size in fitting}
        pairs = [(size, subject) for size in fitting for subject in subjects]
        rounds = ROUNDS.at(options.effort)
        for order in options.shuffled(pairs, rounds=rounds):
            for size, subject in order:
                _measure_once(subject, size, server, findings[size][subject.strategy.name])
                options.on_progress(size / (rounds * len(subjects) * sum(fitting)))
    return KeyResult(
        findings=findings,
        invalidates={each.strategy.name: each.invalidates for each in candidates},
        warnings=tuple(warnings),
    )


def _examine(strategy: Strategy, requester: Requester, rows: ScratchRows, server: RedisServer) -> Subject:
    # The first product belongs to the catalogue if it has any, so that its page is a real one.
    first = Product.objects.order_by("pk").values_list("pk", flat=True)[0]
    path = f"/products/{first}/"
    server.empty()
    page = look_at_page(requester, strategy, path, rows.detail_path(1), server.clients)
    page_bytes = page.bytes()
    requester.run(strategy, time_invalidation, pk=rows.products[0])
    # A page that is never cached cannot show whether a save invalidates it.
    invalidates = not page.own or requester.ask(strategy, path).queries > 0
    return Subject(
        requester=requester,
        strategy=strategy,
        path=path,
        page=page,
        page_bytes=page_bytes,
        product=rows.products[0],
        invalidates=invalidates,
    )


def _can_be_copied(subject: Subject, server: RedisServer) -> bool:
    """Whether the page is served from the stored copies."""
    if not subject.page.own:
        return not subject.strategy.caches
    server.empty()
    subject.page.store(pages=2)
    return subject.is_hit()


def _fitting(subjects: Sequence[Subject], sizes: Sequence[int]) -> tuple[list[int], list[str]]:
    room = int(ROOM_SHARE * psutil.virtual_memory().available)
    needed = {size: max(_needed_bytes(each, size) for each in subjects) for size in sizes}
    fitting = [size for size in sizes if needed[size] <= room]
    warnings = [
        f"{size:,} keys were left out: they need {say(needed[size], 'bytes')}, and half of this machine's "
        f"free memory is {say(room, 'bytes')}. Close other programs."
        for size in sizes
        if size not in fitting
    ]
    return fitting, warnings


def _needed_bytes(subject: Subject, size: int) -> int:
    return subject.page.pages_of(size) * subject.page_bytes + size * BYTES_OF_TABLES_PER_KEY


def _measure_once(subject: Subject, size: int, server: RedisServer, found: KeyFindings) -> None:
    server.empty()
    # A warm-up, while there is nothing to invalidate.
    subject.save()
    before = server.used_bytes()
    found.pages = subject.page.pages_of(size)
    if found.pages:
        subject.page.store(found.pages)
        found.bytes.append(server.used_bytes() - before)
        if not subject.is_hit():
            raise BenchmarkError(f"{subject.strategy.name} does not serve {subject.path} from its keys.")
    with garbage_collector_off():
        for _ in range(SAVES_PER_ROUND):
            seconds, failed = subject.save()
            found.invalidations.append(seconds)
            found.failures += failed
            if not subject.page.is_there():
                return


def time_invalidation(*, pk: int) -> tuple[float, bool]:
    """The seconds of a save without the database, and whether Redis failed.

    The database is left out because a COMMIT may take longer than Redis.
    """
    product, database_ns, failed = Product.objects.get(pk=pk), 0, False

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal database_ns
        started = time.perf_counter_ns()
        try:
            return execute(*arguments)
        finally:
            database_ns += time.perf_counter_ns() - started

    product.stock += 1
    # The innermost wrapper, because the work of the read cache around a statement must count.
    with connection.execute_wrapper(count):
        started = time.perf_counter_ns()
        try:
            product.save()
        except RedisError:
            # Redis did not answer in time. The row was written, and the pages are stale.
            failed = True
        return (time.perf_counter_ns() - started - database_ns) / NANOSECONDS, failed
