"""Scratch rows: products that a benchmark adds to the catalogue, recognises by their label, and removes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from catalog.benchmarks.sandbox.run_lock import new_suffix
from catalog.benchmarks.strategies.registry import UNCACHED, only_invalidation_of
from catalog.models import Category, Product, Tag
from readcache.testing.interrupts import interrupts_deferred

LABEL = "bench-cache"
# Another label for the soak, so that the pages that it reads show no product of other experiments.
SOAK_LABEL = "freshness-soak"


@dataclass(frozen=True, kw_only=True)
class ScratchRows:
    """A category, a tag, and the primary keys of products that have both."""

    label: str
    category: Category
    tag: Tag
    products: tuple[int, ...]

    def detail_path(self, place: int = 0) -> str:
        return f"/products/{self.products[place]}/"


@contextmanager
def scratch_label(kind: str = LABEL) -> Iterator[str]:
    """A label for rows that are created within the block and removed at its end.

    These rows are products, categories and tags whose name or slug starts with the label, and products
    in such a category.
    """
    label = f"{kind}-{new_suffix()}"
    try:
        yield label
    finally:
        with interrupts_deferred():
            remove_rows(label)


def remove_rows(label: str) -> dict[str, int]:
    """Remove the rows that ``scratch_label()`` describes, and return how many there were of each kind."""
    found: dict[str, QuerySet[Any]] = {
        "products": Product.objects.filter(Q(category__slug__startswith=label) | Q(name__startswith=label)),
        "categories": Category.objects.filter(slug__startswith=label),
        "tags": Tag.objects.filter(name__startswith=label),
    }
    # Nobody reads their pages, and the textbook would search all keys once for each product.
    with only_invalidation_of(UNCACHED), transaction.atomic():
        return {name: rows.delete()[1].get(rows.model._meta.label, 0) for name, rows in found.items()}


@contextmanager
def scratch_rows(count: int) -> Iterator[ScratchRows]:
    """``count`` products with a category and a tag, which are removed at the end."""
    with scratch_label() as label:
        with transaction.atomic():
            rows = _make(label, count)
        yield rows


def _make(label: str, count: int) -> ScratchRows:
    category = Category.objects.create(name=label, slug=label)
    tag = Tag.objects.create(name=label)
    products = [
        Product.objects.create(name=f"{label} #{number + 1}", price=number, stock=10, category=category)
        for number in range(count)
    ]
    tag.products.set(products)
    return ScratchRows(label=label, category=category, tag=tag, products=tuple(each.pk for each in products))
