"""A kind of write, the list of all kinds, and the scratch rows that one write changes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from django.db import transaction
from django.test import Client

from catalog.benchmarks.experiments.invalidation.writes.second_process import SecondProcess
from catalog.models import Category, Product, Tag


@dataclass(frozen=True, kw_only=True)
class Target:
    """A category, a tag and two products that have both, for one write.

    The names of all of them start with ``label``, and so does every name that the write sets: this is how
    the rows are found and removed at the end. ``admin`` is logged in as an admin. Only kinds of write that
    are elsewhere need a ``process``.
    """

    label: str
    category: Category
    tag: Tag
    products: tuple[Product, Product]
    admin: Client
    process: SecondProcess | None = None

    @property
    def product(self) -> Product:
        return self.products[0]

    @property
    def new_name(self) -> str:
        return f"{self.label} new"

    @property
    def new_price(self) -> Decimal:
        return Decimal("12.50")

    def new_product(self, sku: str | None = None) -> Product:
        """An unsaved product in the same category."""
        return Product(name=self.new_name, price=1, stock=1, category=self.category, sku=sku)

    def sku(self, place: int) -> str:
        """The products have the SKUs of the places 0 and 1. No product has a SKU of a later place."""
        return f"{self.label[-16:]}-{place}"


def make_targets(
    label: str, count: int, *, admin: Client, process: SecondProcess | None = None
) -> list[Target]:
    """Takes a few statements for any number of targets. Their labels start with ``label``."""
    labels = [f"{label}-{uuid.uuid4().hex[:12]}" for _ in range(count)]
    with transaction.atomic():
        categories = Category.objects.bulk_create(Category(name=each, slug=each) for each in labels)
        tags = Tag.objects.bulk_create(Tag(name=each) for each in labels)
        targets = [
            Target(
                label=each,
                category=category,
                tag=tag,
                products=(_product(each, category), _product(each, category)),
                admin=admin,
                process=process,
            )
            for each, category, tag in zip(labels, categories, tags, strict=True)
        ]
        for target in targets:
            for place, product in enumerate(target.products):
                product.sku = target.sku(place)
        Product.objects.bulk_create(product for target in targets for product in target.products)
        Product.tags.through.objects.bulk_create(
            Product.tags.through(product_id=product.pk, tag_id=target.tag.pk)
            for target in targets
            for product in target.products
        )
    return targets


def _product(label: str, category: Category) -> Product:
    return Product(name=label, price=Decimal("10.00"), stock=5, category=category)


Page: TypeAlias = Literal["list", "detail", "statistics", "category"]
Write: TypeAlias = Callable[[Target], object]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``changes`` are all pages that show something else after the write.

    ``is_elsewhere`` means that another process writes, which takes no part in transactions of this one.
    """

    name: str
    changes: frozenset[Page]
    write: Write
    is_elsewhere: bool = False

    def write_in_a_transaction(self, target: Target, before_commit: Callable[[], None]) -> None:
        if self.is_elsewhere and target.process:
            target.process.rename(target.product.pk, target.new_name, before_commit=before_commit)
            return
        with transaction.atomic():
            self.write(target)
            before_commit()


# In the order in which the modules are imported.
REGISTERED: list[Kind] = []


def kind(*changes: Page, is_elsewhere: bool = False) -> Callable[[Write], Write]:
    """Add the function to the list of all kinds, under the name of the function."""

    def register(write: Write) -> Write:
        name = write.__name__
        REGISTERED.append(Kind(name=name, changes=frozenset(changes), write=write, is_elsewhere=is_elsewhere))
        return write

    return register
