"""A writer: write in a random way, then record the new versions as acknowledged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from catalog.benchmarks.experiments.freshness.shelves import (
    PRICE,
    PRODUCTS_PER_WRITER,
    ROLLED_BACK,
    STOCK,
    TAGS,
    FactVersion,
    Shelf,
    Task,
    gray,
)
from catalog.benchmarks.strategies.registry import find_strategy, only_invalidation_of
from catalog.models import Category, Product, Tag

MAX_WRITES = 50_000
POLL_SECONDS = 0.001


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """``acknowledged`` maps each version to the time at which its write had returned."""

    writes: int
    rollbacks: int
    acknowledged: Mapping[FactVersion, int]


class ShelfWriter:
    """Writes to one shelf. A write takes the next version of each register that it changes."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._versions: dict[int, int] = {}
        self._taken: dict[int, int] = {}

    def next_version(self, register: int) -> int:
        self._taken[register] = self._versions.get(register, 0) + 1
        return self._taken[register]

    def acknowledged(self) -> dict[int, int]:
        """The versions that were taken since the last call."""
        taken, self._taken = self._taken, {}
        self._versions |= taken
        return taken

    def next_price(self, place: int) -> int:
        return self.next_version(self.shelf.register(place, PRICE))

    def row(self, place: int) -> Any:
        return Product.objects.filter(pk=self.shelf.products[place])

    def next_tags(self, place: int) -> list[int]:
        code = gray(self.next_version(self.shelf.register(place, TAGS)))
        bits = (key for bit, key in enumerate(self.shelf.bit_tags) if code >> bit & 1)
        return [self.shelf.name_tag, *bits]


def _save(writer: ShelfWriter, place: int) -> None:
    product = writer.row(place).get()
    product.price = writer.next_price(place)
    product.save()


def _update(writer: ShelfWriter, place: int) -> None:
    writer.row(place).update(price=writer.next_price(place))


def _bulk_update(writer: ShelfWriter, place: int) -> None:
    products = [writer.row(each).get() for each in range(len(writer.shelf.products))]
    for each, product in enumerate(products):
        product.price = Decimal(writer.next_price(each))
    Product.objects.bulk_update(products, ["price"])


def _add_one(writer: ShelfWriter, place: int) -> None:
    writer.next_version(writer.shelf.register(place, STOCK))
    writer.row(place).update(stock=F("stock") + 1)


def _save_expression(writer: ShelfWriter, place: int) -> None:
    writer.next_version(writer.shelf.register(place, STOCK))
    product = writer.row(place).get()
    product.stock = F("stock") + 1
    product.save(update_fields=["stock"])


def _run_sql(writer: ShelfWriter, place: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_product SET price = %s WHERE id = %s",
            [writer.next_price(place), writer.shelf.products[place]],
        )


def _set_tags(writer: ShelfWriter, place: int) -> None:
    writer.row(place).get().tags.set(writer.next_tags(place))


def _add_or_remove_a_tag(writer: ShelfWriter, place: int) -> None:
    tags = writer.row(place).get().tags
    had, has = {tag.pk for tag in tags.all()}, set(writer.next_tags(place))
    if has > had:
        tags.add(*(has - had))
    else:
        tags.remove(*(had - has))


def _replace_tags(writer: ShelfWriter, place: int) -> None:
    tags = writer.row(place).get().tags
    with transaction.atomic():
        tags.clear()
        tags.add(*writer.next_tags(place))


def _rename_category(writer: ShelfWriter, place: int) -> None:
    shelf = writer.shelf
    category = Category.objects.get(pk=shelf.category)
    category.name = category.slug = shelf.name("category", writer.next_version(shelf.category_register))
    category.save()


def _rename_label(writer: ShelfWriter, place: int) -> None:
    shelf = writer.shelf
    name = shelf.name("label", writer.next_version(shelf.name_tag_register))
    Tag.objects.filter(pk=shelf.name_tag).update(name=name)


def _write_together(writer: ShelfWriter, place: int) -> None:
    with transaction.atomic():
        _save(writer, place)
        _add_one(writer, place)
        _set_tags(writer, place)
        _rename_category(writer, place)


def _roll_back_savepoint_first(writer: ShelfWriter, place: int) -> None:
    with transaction.atomic():
        _roll_back(writer, place)
        _update(writer, place)


def _roll_back_savepoint_last(writer: ShelfWriter, place: int) -> None:
    with transaction.atomic():
        _update(writer, place)
        _roll_back(writer, place)


def _roll_back(writer: ShelfWriter, place: int) -> None:
    """A transaction, or a savepoint inside of one, that writes to every table and is rolled back."""
    shelf, row = writer.shelf, writer.row(place)
    with transaction.atomic():
        row.update(price=ROLLED_BACK, stock=F("stock") + ROLLED_BACK)
        row.get().tags.add(shelf.rolled_back_tag)
        Category.objects.filter(pk=shelf.category).update(slug=shelf.name("category", ROLLED_BACK))
        Tag.objects.filter(pk=shelf.name_tag).update(name=shelf.name("label", ROLLED_BACK))
        transaction.set_rollback(True)


KINDS: tuple[Callable[[ShelfWriter, int], None], ...] = (
    _save,
    _update,
    _bulk_update,
    _add_one,
    _save_expression,
    _run_sql,
    _set_tags,
    _add_or_remove_a_tag,
    _replace_tags,
    _rename_category,
    _rename_label,
    _write_together,
    _roll_back_savepoint_first,
    _roll_back_savepoint_last,
    _roll_back,
)


def write(board: memoryview[int], task: Task) -> WriteReport:
    """Write for the seconds of the task."""
    chance = random.Random(f"{task.seed} writer {task.number}")
    writer = ShelfWriter(task.shelves[task.number])
    acknowledged: dict[FactVersion, int] = {}
    writes = rollbacks = 0
    deadline = time.monotonic() + task.seconds
    with only_invalidation_of(find_strategy(task.strategy)):
        while writes < MAX_WRITES and _wait_for_reads(task, board, chance, deadline):
            kind = chance.choice(KINDS)
            kind(writer, chance.randrange(PRODUCTS_PER_WRITER))
            now_ns = time.monotonic_ns()
            for register, version in writer.acknowledged().items():
                acknowledged[register, version] = now_ns
                board[register] = version
            if kind is _roll_back:
                rollbacks += 1
            else:
                writes += 1
    return WriteReport(writes=writes, rollbacks=rollbacks, acknowledged=acknowledged)


def _wait_for_reads(task: Task, board: memoryview[int], chance: random.Random, deadline: float) -> bool:
    """Whether there is time for another write.

    A write invalidates every page of the soak. With four reads of each page for one write, on average,
    most reads can be hits, on a slow machine too. Now and then writes follow at once.
    """
    pages = 1 + len(task.shelves) * PRODUCTS_PER_WRITER
    pause = chance.randrange(8 * pages * len(task.shelves))
    goal = _count_reads(task, board) + pause
    while _count_reads(task, board) < goal:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return time.monotonic() < deadline


def _count_reads(task: Task, board: memoryview[int]) -> int:
    return sum(list(board)[-task.readers :])
