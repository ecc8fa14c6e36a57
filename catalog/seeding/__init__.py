"""Brings the catalogue to a given number of made-up products, the same ones every time.

The SKU of a seeded product contains its seed and its number. Comparing the SKUs with the target tells
which products to add and which seeded ones to remove. All other products are left alone.
``composer.py`` composes the products; this module writes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice

from django.db import IntegrityError, connections, reset_queries, transaction
from django.db.models import Q

from catalog.models import Product, ProductQuerySet
from catalog.options import require_whole_number
from catalog.seeding.composer import SKU_PATTERN, SKU_PREFIX, Composer, number_of, sku_of

MAX_SEED = 2**32 - 1
MAX_COUNT = 100_000_000  # A plan takes one byte for each product, here 100 MB.
MAX_BATCH_SIZE = 30_000  # SQLite accepts 32,766 parameters, and removing needs one for each product.
TAG_ROWS_PER_STATEMENT = 400  # Two parameters each. SQLite before 3.32 accepts 999.


@dataclass(frozen=True, kw_only=True)
class SeedingPlan:
    """The difference between the database and the target: products 0 to ``count - 1`` of the seed.

    ``is_there[i]`` is 1 if product *i* is in the database. One byte for each product keeps a plan for a
    million products small. ``surplus`` is the number of seeded products that are not in the target.
    """

    count: int
    seed: int
    clear: bool
    database: str
    is_there: bytearray
    surplus: int

    @property
    def missing(self) -> int:
        return self.is_there.count(0)


@dataclass(frozen=True, kw_only=True)
class SeedingResult:
    added: int
    removed: int
    seconds: float


def plan_seeding(*, count: int, seed: int = 0, clear: bool = False, database: str = "default") -> SeedingPlan:
    """Compare the database with the target. With ``clear``, every seeded product is surplus.

    Raises ``InvalidOption``.
    """
    require_whole_number("--count", count, minimum=0, maximum=MAX_COUNT)
    require_whole_number("--seed", seed, minimum=0, maximum=MAX_SEED)
    is_there = bytearray(count)
    if not clear:
        skus = _wanted(count, seed, database).values_list("sku", flat=True)
        for sku in skus.iterator(chunk_size=10_000):
            is_there[number_of(str(sku))] = 1
    surplus = _surplus(count, seed, clear, database).count()
    return SeedingPlan(
        count=count, seed=seed, clear=clear, database=database, is_there=is_there, surplus=surplus
    )


def require_batch_size(batch_size: int) -> None:
    """Raises ``InvalidOption``. A caller that asks the user first checks the batch size before that."""
    require_whole_number("--batch-size", batch_size, minimum=1, maximum=MAX_BATCH_SIZE)


def carry_out(
    plan: SeedingPlan, *, batch_size: int = 2000, on_progress: Callable[[int], None] = lambda _: None
) -> SeedingResult:
    """Remove the surplus, then add the missing products, in one transaction for each batch.

    ``on_progress`` is called after each batch with the number of products it removed or added. Like
    ``bulk_create`` this sends no signals, so the caller clears the textbook's pages. Raises
    ``InvalidOption``.
    """
    started = time.perf_counter()
    removed = remove_surplus(plan, batch_size=batch_size, on_progress=on_progress)
    added = add_missing(plan, batch_size=batch_size, on_progress=on_progress)
    return SeedingResult(added=added, removed=removed, seconds=time.perf_counter() - started)


def remove_surplus(plan: SeedingPlan, *, batch_size: int, on_progress: Callable[[int], None]) -> int:
    """Remove the surplus in batches; return the number of products removed."""
    require_batch_size(batch_size)
    surplus = _surplus(plan.count, plan.seed, plan.clear, plan.database).order_by("pk")
    tag_rows = Product.tags.through.objects.using(plan.database)
    removed, last = 0, 0
    # Each batch starts after the last primary key, so that no batch walks past the products that stay.
    while keys := list(surplus.filter(pk__gt=last).values_list("pk", flat=True)[:batch_size]):
        last = keys[-1]
        with transaction.atomic(using=plan.database):
            # Raw deletes, because Django's cascade would load each product to send its signals.
            tag_rows.filter(product_id__in=keys)._raw_delete(plan.database)
            # Another run may remove the same products: the database says how many this one removed.
            removed += Product.objects.using(plan.database).filter(pk__in=keys)._raw_delete(plan.database)
        on_progress(len(keys))
    return removed


def add_missing(plan: SeedingPlan, *, batch_size: int, on_progress: Callable[[int], None]) -> int:
    """Add the missing products in batches; return the number of products added."""
    require_batch_size(batch_size)
    if not plan.missing:
        return 0
    missing = (number for number, there in enumerate(plan.is_there) if not there)
    added = 0
    composer = Composer(plan.seed, database=plan.database)
    while numbers := list(islice(missing, batch_size)):
        added += _add_those_missing(composer, numbers, plan.database)
        # With DEBUG on, Django keeps the text of every statement, here up to half a gigabyte.
        reset_queries()
        on_progress(len(numbers))
    return added


def count_products(plan: SeedingPlan) -> tuple[int, int]:
    """How many products of the plan's target the database holds now, and how many products in all."""
    wanted = _wanted(plan.count, plan.seed, plan.database).count()
    return wanted, Product.objects.using(plan.database).count()


def seeded_products(database: str = "default") -> ProductQuerySet:
    """All products that seeding has made, of any seed."""
    return Product.objects.using(database).filter(sku__startswith=SKU_PREFIX, sku__regex=SKU_PATTERN)


def _wanted(count: int, seed: int, database: str) -> ProductQuerySet:
    return seeded_products(database).filter(_wanted_condition(count, seed))


def _wanted_condition(count: int, seed: int) -> Q:
    return Q(sku__startswith=f"{SKU_PREFIX}{seed}-", sku__lt=sku_of(seed, count))


def _surplus(count: int, seed: int, clear: bool, database: str) -> ProductQuerySet:
    seeded = seeded_products(database)
    return seeded if clear else seeded.exclude(_wanted_condition(count, seed))


def _add_those_missing(composer: Composer, numbers: list[int], database: str) -> int:
    """Add a batch; return how many products were added: fewer if another run adds the same ones."""
    try:
        _add(composer, numbers, database)
    except IntegrityError:
        rest = _still_missing(numbers, composer.seed, database)
        if len(rest) == len(numbers):
            raise
        if rest:
            _add(composer, rest, database)
        return len(rest)
    return len(numbers)


def _still_missing(numbers: list[int], seed: int, database: str) -> list[int]:
    between = Q(sku__gte=sku_of(seed, numbers[0]), sku__lte=sku_of(seed, numbers[-1]))
    there = set(Product.objects.using(database).filter(between).values_list("sku", flat=True))
    return [number for number in numbers if sku_of(seed, number) not in there]


def _add(composer: Composer, numbers: list[int], database: str) -> None:
    products, tag_sets = zip(*(composer.compose(number) for number in numbers), strict=True)
    with transaction.atomic(using=database):
        # bulk_create sets the primary keys on PostgreSQL, and on SQLite from 3.35.
        Product.objects.using(database).bulk_create(products)
        rows = [(product.pk, tag) for product, tags in zip(products, tag_sets, strict=True) for tag in tags]
        _insert_tag_rows(rows, database)


def _insert_tag_rows(rows: list[tuple[int, int]], database: str) -> None:
    """Insert the pairs in SQL: as model objects they would take six times as long."""
    connection = connections[database]
    table = connection.ops.quote_name(Product.tags.through._meta.db_table)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), TAG_ROWS_PER_STATEMENT):
            chunk = rows[start : start + TAG_ROWS_PER_STATEMENT]
            places = ",".join(["(%s,%s)"] * len(chunk))
            cursor.execute(
                f"INSERT INTO {table} (product_id, tag_id) VALUES {places}", list(chain.from_iterable(chunk))
            )
