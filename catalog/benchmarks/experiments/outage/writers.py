"""The writer: a process that saves one product whenever it is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog.benchmarks.strategies.registry import find_strategy, only_invalidation_of
from catalog.models import Product
from readcache.storage.current import store


@dataclass(frozen=True, kw_only=True)
class Save:
    """One ``Product.save()``. ``ended`` is monotonic time. ``error`` is empty if it returned."""

    ended: float
    seconds: float
    error: str = ""


@contextmanager
def product_of(strategy: str, key: int) -> Iterator[Product]:
    """Only the invalidation of the named strategy is connected inside."""
    with only_invalidation_of(find_strategy(strategy)):
        yield Product.objects.get(pk=key)


def save(product: Product, *, stock: int) -> Save:
    product.stock = stock
    error = ""
    started = time.monotonic()
    try:
        product.save()
    except Exception as raised:  # noqa: BLE001, whatever a strategy's receivers raise is what is measured
        error = f"{type(raised).__name__}: {raised}"
    ended = time.monotonic()
    return Save(ended=ended, seconds=ended - started, error=error)


def has_recovered(_: Product) -> bool:
    """Whether the read cache, which may have bypassed Redis in the last outage, uses it again."""
    return not store().breaker.is_open
