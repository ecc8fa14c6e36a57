"""Does the next answer after a save show it, and what does that cost?

Measures: the time of ``Product.save()`` with only the strategy's own invalidation connected, of
the next request and of the one after; whether each was answered without a query (warm); and
whether the next answer equals what the uncached view says at that moment (fresh). Leaves out:
writes without signals and readers that overlap the write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from catalog.benchmarks.client import BenchmarkError, Requester
from catalog.benchmarks.isolation import garbage_collector_off, interrupts_deferred
from catalog.benchmarks.strategies import UNCACHED, Strategy, only_invalidation_of
from catalog.models import Product

ROUNDS = 5
# So that a few more in stock fit into every database's integer.
MAX_STOCK = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class InvalidationRound:
    """One save and the two requests after it. ``changed``: the true answer is another than before."""

    save_ns: int
    next_ns: int
    after_ns: int
    changed: bool
    next_fresh: bool
    next_warm: bool
    after_warm: bool


@dataclass(frozen=True, kw_only=True)
class InvalidationResult:
    strategy: str
    rounds: tuple[InvalidationRound, ...]


def measure_invalidation(requester: Requester, strategies: Sequence[Strategy]) -> list[InvalidationResult]:
    """A few rounds for each strategy. The product that is saved is put back as it was."""
    results = []
    for strategy in strategies:
        # The answer is warm before the save, so that there is something to invalidate.
        shown = requester.ask(strategy).body
        with only_invalidation_of(strategy), garbage_collector_off(), _borrowed_product(shown) as save:
            rounds = tuple(_measure_round(requester, strategy, save) for _ in range(ROUNDS))
        results.append(InvalidationResult(strategy=strategy.name, rounds=rounds))
    return results


def _measure_round(requester: Requester, strategy: Strategy, save: Callable[[], int]) -> InvalidationRound:
    before = requester.ask(UNCACHED).body
    save_ns = save()
    following = requester.ask(strategy)
    later = requester.ask(strategy)
    true_body = requester.ask(UNCACHED).body
    return InvalidationRound(
        save_ns=save_ns,
        next_ns=following.nanoseconds,
        after_ns=later.nanoseconds,
        changed=true_body != before,
        next_fresh=following.body == true_body,
        next_warm=following.queries == 0,
        after_warm=later.queries == 0,
    )


@contextmanager
def _borrowed_product(body: Any) -> Iterator[Callable[[], int]]:
    """Yields what saves one more of a product in stock, and returns the nanoseconds that took.

    It is a product that the answer shows, if it shows any. Its row is as before when the block
    ends; one that was sold meanwhile stays sold.
    """
    products = Product.objects.filter(stock__lt=MAX_STOCK).order_by("pk")
    product = products.filter(pk__in=_keys_in(body)).first() or products.first()
    if product is None:
        raise BenchmarkError("The catalogue is empty. Fill it with: python manage.py seed_products")
    row = Product.objects.filter(pk=product.pk)
    updated_at_before = product.updated_at
    added = 0

    def save() -> int:
        nonlocal added
        # The row and the count of what was added to it change together, so that it can be put back.
        with interrupts_deferred():
            product.stock = F("stock") + 1
            try:
                started = time.perf_counter_ns()
                product.save(update_fields=["stock", "updated_at"])
                return time.perf_counter_ns() - started
            finally:
                # Also where the row was written and a receiver failed after it.
                added += row.filter(updated_at=product.updated_at).exists()

    try:
        yield save
    finally:
        with interrupts_deferred():
            row.update(stock=F("stock") - added, updated_at=updated_at_before)


def _keys_in(body: Any) -> list[int]:
    if not isinstance(body, dict):
        return []
    rows = body.get("results", [body])
    return [row["id"] for row in rows if isinstance(row, dict) and "id" in row]
