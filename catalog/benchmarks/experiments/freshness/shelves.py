"""What is written and read: the soak's own products, and where the version of each of their facts is kept.

The versions are counted in registers: one place on a board that all processes share for each fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db import transaction

from catalog.benchmarks.sandbox.rows import SOAK_MARK, remove_rows
from catalog.benchmarks.sandbox.run_lock import new_mark
from catalog.models import Category, Product, Tag
from readcache.testing.interrupts import interrupts_deferred

PRODUCTS_PER_WRITER = 2
# Versions from here on are of writes that are rolled back.
POISON = 1_000_000
TAG_BITS = 16
# The facts of one product, by their place among its registers.
PRICE, STOCK, TAGS = range(3)
REGISTERS_PER_SHELF = 3 * PRODUCTS_PER_WRITER + 2


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One writer's products with their category and tags, by primary key.

    ``first`` is the place of its first register: three for each product, one for the category's
    name and one for the name of ``label``, a tag that all its products have. The set of ``bits``
    that a product has is the version of its tags.
    """

    mark: str
    number: int
    first: int
    products: list[int]
    category: int
    label: int
    bits: list[int]
    poison: int

    @property
    def category_register(self) -> int:
        return self.first + 3 * len(self.products)

    @property
    def label_register(self) -> int:
        return self.category_register + 1

    def register(self, place: int, fact: int) -> int:
        return self.first + 3 * place + fact

    def name(self, kind: str, version: int) -> str:
        return _name(self.mark, f"{kind}{self.number}", version)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process is to do. ``board`` is the file of the numbers that all of them share.

    On the board is the acknowledged version of each register, and then each reader's number of reads.
    """

    reads: bool
    number: int
    strategy: str
    seed: int
    seconds: float
    port: int
    readers: int
    board: str
    shelves: list[Shelf]


@contextmanager
def stocked_shelves(writers: int) -> Iterator[list[Shelf]]:
    """Categories, tags and products of the soak's own, which are gone at the end."""
    mark = f"{SOAK_MARK}-{new_mark()}"
    try:
        with transaction.atomic():
            bits = [Tag.objects.create(name=_name(mark, "bit", bit)).pk for bit in range(TAG_BITS)]
            poison = Tag.objects.create(name=_name(mark, "bit", POISON)).pk
            shelves = [_fill_shelf(mark, number, bits, poison) for number in range(writers)]
        yield shelves
    finally:
        with interrupts_deferred():
            remove_rows(mark)


def _fill_shelf(mark: str, number: int, bits: list[int], poison: int) -> Shelf:
    name = f"{mark.capitalize().replace('-', ' ')} #{number + 1}"
    category_name = _name(mark, f"category{number}", 0)
    category = Category.objects.create(name=category_name, slug=category_name)
    label = Tag.objects.create(name=_name(mark, f"label{number}", 0))
    products = [
        Product.objects.create(name=f"{name}.{place + 1}", price=0, stock=1, category=category)
        for place in range(PRODUCTS_PER_WRITER)
    ]
    label.products.set(products)
    return Shelf(
        mark=mark,
        number=number,
        first=number * REGISTERS_PER_SHELF,
        products=[product.pk for product in products],
        category=category.pk,
        label=label.pk,
        bits=bits,
        poison=poison,
    )


def _name(mark: str, kind: str, number: int) -> str:
    return f"{mark}_{kind}_{number}"


def pages(shelves: Sequence[Shelf]) -> list[str]:
    """The list of all products of the soak, and each product."""
    search = urlencode({"search": shelves[0].mark.rpartition("-")[2], "page_size": 100})
    keys = [key for shelf in shelves for key in shelf.products]
    return [f"/products/?{search}", *(f"/products/{key}/" for key in keys)]


def gray(version: int) -> int:
    """Reflected binary code (Gray, US patent 2632058): from one version to the next one bit changes."""
    return version ^ (version >> 1)


def ungray(code: int) -> int:
    version = 0
    while code:
        version ^= code
        code >>= 1
    return version
