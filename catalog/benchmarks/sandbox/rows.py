"""Products of a benchmark's own, recognised by their names, which are gone at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from catalog.benchmarks.sandbox.run_lock import new_mark
from catalog.benchmarks.strategies.registry import UNCACHED, only_invalidation_of
from catalog.models import Category, Product, Tag
from readcache.testing.interrupts import interrupts_deferred

MARK = "bench-cache"
# Of the products on which answers are looked at for a long time.
SOAK_MARK = "freshness-soak"


@dataclass(frozen=True, kw_only=True)
class OwnRows:
    """A category, a tag, and the primary keys of products that have both. ``mark`` is in their names."""

    mark: str
    category: Category
    tag: Tag
    products: tuple[int, ...]

    def detail_path(self, place: int = 0) -> str:
        return f"/products/{self.products[place]}/"


@contextmanager
def own_mark() -> Iterator[str]:
    """What starts the names of rows of a benchmark's own, by which they are removed at the end.

    Products, categories and tags by name or slug, and products by their category's slug.
    """
    mark = f"{MARK}-{new_mark()}"
    try:
        yield mark
    finally:
        with interrupts_deferred():
            remove_rows(mark)


def remove_rows(mark: str) -> dict[str, int]:
    """How many products, categories and tags there were with a name or slug that starts with the mark."""
    found: dict[str, QuerySet[Any]] = {
        "products": Product.objects.filter(Q(category__slug__startswith=mark) | Q(name__startswith=mark)),
        "categories": Category.objects.filter(slug__startswith=mark),
        "tags": Tag.objects.filter(name__startswith=mark),
    }
    # Told of each product, the textbook would walk all keys for each: nobody will read their pages.
    with only_invalidation_of(UNCACHED), transaction.atomic():
        return {name: rows.delete()[1].get(rows.model._meta.label, 0) for name, rows in found.items()}


@contextmanager
def own_rows(count: int) -> Iterator[OwnRows]:
    with own_mark() as mark:
        with transaction.atomic():
            rows = _make(mark, count)
        yield rows


def _make(mark: str, count: int) -> OwnRows:
    category = Category.objects.create(name=mark, slug=mark)
    tag = Tag.objects.create(name=mark)
    products = [
        Product.objects.create(name=f"{mark} #{number + 1}", price=number, stock=10, category=category)
        for number in range(count)
    ]
    tag.products.set(products)
    return OwnRows(mark=mark, category=category, tag=tag, products=tuple(each.pk for each in products))
