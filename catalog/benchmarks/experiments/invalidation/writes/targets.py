"""What one write is done to: rows of a benchmark's own, and an admin of its own who may change them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from catalog.benchmarks.experiments.invalidation.writes.second import SecondProcess
from catalog.models import Category, Product, Tag
from readcache.testing.interrupts import interrupts_deferred


@dataclass(frozen=True, kw_only=True)
class Admin:
    """A superuser and a browser in which they are signed in."""

    user: User
    browser: Client


@dataclass(frozen=True, kw_only=True)
class Target:
    """A category, a tag and two products that have both, for one write.

    ``mark`` starts the names of all of them and of whatever the write adds or renames, by which it
    is removed at the end. ``process`` is there where other processes can reach the database.
    """

    mark: str
    category: Category
    tag: Tag
    products: tuple[Product, Product]
    admin: Admin
    process: SecondProcess | None = None

    @property
    def product(self) -> Product:
        return self.products[0]

    @property
    def new_name(self) -> str:
        return f"{self.mark} new"

    @property
    def new_price(self) -> Decimal:
        return Decimal("12.50")

    def new_product(self, sku: str | None = None) -> Product:
        """One that is not saved, in the same category."""
        return Product(name=self.new_name, price=1, stock=1, category=self.category, sku=sku)

    def sku(self, place: int) -> str:
        """Of the products at 0 and 1; of none from 2 on."""
        return f"{self.mark[-16:]}-{place}"


def make_targets(
    mark: str, count: int, *, admin: Admin, process: SecondProcess | None = None
) -> list[Target]:
    """In a few statements, however many. Whoever made the mark removes them with it."""
    marks = [f"{mark}-{uuid.uuid4().hex[:12]}" for _ in range(count)]
    with transaction.atomic():
        categories = Category.objects.bulk_create(Category(name=each, slug=each) for each in marks)
        tags = Tag.objects.bulk_create(Tag(name=each) for each in marks)
        targets = [
            Target(
                mark=each,
                category=category,
                tag=tag,
                products=(_product(each, category), _product(each, category)),
                admin=admin,
                process=process,
            )
            for each, category, tag in zip(marks, categories, tags, strict=True)
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


def _product(mark: str, category: Category) -> Product:
    return Product(name=mark, price=Decimal("10.00"), stock=5, category=category)


@contextmanager
def own_admin(mark: str) -> Iterator[Admin]:
    """Without a password: nobody else can sign in. Gone at the end, with session and log entries."""
    browser = Client()
    try:
        user = User.objects.create_superuser(mark)
        browser.force_login(user)
        yield Admin(user=user, browser=browser)
    finally:
        with interrupts_deferred():
            browser.logout()
            User.objects.filter(username=mark).delete()
