"""The scratch products of a soak, the versions of their facts, and the board on which these are shared."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlencode

from django.db import transaction

from catalog.benchmarks.sandbox.rows import SOAK_LABEL, scratch_label
from catalog.models import Category, Product, Tag

# The place of a fact on the board, and one of its versions.
FactVersion = tuple[int, int]

PRODUCTS_PER_WRITER = 2
# Versions from here on belong to writes that are rolled back.
ROLLED_BACK = 1_000_000
TAG_BITS = 16
# The registers of one product, in order.
PRICE, STOCK, TAGS = range(3)
REGISTERS_PER_SHELF = 3 * PRODUCTS_PER_WRITER + 2


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One writer's products with their category and tags, by primary key.

    Each fact has a register, its place on the board. ``first`` is the shelf's first register: there are
    three for each product, one for the category's name, and one for the name of the tag ``name_tag``,
    which all products have. The set of ``bit_tags`` that a product has encodes the version of its tags.
    Only writes that are rolled back add the tag ``rolled_back_tag``.
    """

    label: str
    number: int
    first: int
    products: list[int]
    category: int
    name_tag: int
    bit_tags: list[int]
    rolled_back_tag: int

    @property
    def category_register(self) -> int:
        return self.first + 3 * len(self.products)

    @property
    def name_tag_register(self) -> int:
        return self.category_register + 1

    def register(self, place: int, fact: int) -> int:
        return self.first + 3 * place + fact

    def name(self, kind: str, version: int) -> str:
        return _name(self.label, f"{kind}{self.number}", version)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one reader or writer is to do."""

    number: int
    strategy: str
    seed: int
    seconds: float
    port: int
    readers: int
    shelves: list[Shelf]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A path and the primary keys of the products that it shows."""

    path: str
    products: frozenset[int]


@contextmanager
def made_board(*, shelves: int, readers: int) -> Iterator[str]:
    """The path of a board: the acknowledged version of each register, and each reader's number of reads."""
    with NamedTemporaryFile() as file:
        file.write(bytes(8 * (shelves * REGISTERS_PER_SHELF + readers)))
        file.flush()
        yield file.name


@contextmanager
def opened_board(path: str) -> Iterator[memoryview[int]]:
    """The board in shared memory: what one process writes, the others see at once."""
    with (
        Path(path).open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as memory,
        memoryview(memory).cast("q") as board,
    ):
        yield board


@contextmanager
def stocked_shelves(writers: int) -> Iterator[list[Shelf]]:
    """A shelf for each writer, whose rows are removed at the end."""
    with scratch_label(SOAK_LABEL) as label:
        with transaction.atomic():
            bits = [Tag.objects.create(name=_name(label, "bit", bit)).pk for bit in range(TAG_BITS)]
            rolled_back = Tag.objects.create(name=_name(label, "bit", ROLLED_BACK)).pk
            shelves = [_fill_shelf(label, number, bits, rolled_back) for number in range(writers)]
        yield shelves


def _fill_shelf(label: str, number: int, bits: list[int], rolled_back: int) -> Shelf:
    name = f"{label.capitalize().replace('-', ' ')} #{number + 1}"
    category_name = _name(label, f"category{number}", 0)
    category = Category.objects.create(name=category_name, slug=category_name)
    name_tag = Tag.objects.create(name=_name(label, f"label{number}", 0))
    products = [
        Product.objects.create(name=f"{name}.{place + 1}", price=0, stock=1, category=category)
        for place in range(PRODUCTS_PER_WRITER)
    ]
    name_tag.products.set(products)
    return Shelf(
        label=label,
        number=number,
        first=number * REGISTERS_PER_SHELF,
        products=[product.pk for product in products],
        category=category.pk,
        name_tag=name_tag.pk,
        bit_tags=bits,
        rolled_back_tag=rolled_back,
    )


def _name(label: str, kind: str, number: int) -> str:
    return f"{label}_{kind}_{number}"


def pages(shelves: Sequence[Shelf]) -> list[Page]:
    """The list of all products of the soak, and then each product's page."""
    search = urlencode({"search": shelves[0].label.rpartition("-")[2], "page_size": 100})
    keys = [key for shelf in shelves for key in shelf.products]
    listing = Page(path=f"/products/?{search}", products=frozenset(keys))
    return [listing, *(Page(path=f"/products/{key}/", products=frozenset({key})) for key in keys)]


def gray(version: int) -> int:
    """Reflected binary code (Gray, US patent 2632058): one bit changes from a version to the next."""
    return version ^ (version >> 1)


def ungray(code: int) -> int:
    version = 0
    while code:
        version ^= code
        code >>= 1
    return version
