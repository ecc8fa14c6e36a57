"""Fills the catalogue with made-up products that look like a shop's, the same ones every time.

Product number *i* of a seed is a function of the seed and *i* alone, and carries both in its
SKU. So seeding brings the database to a target state: what is missing is added, what is beyond
the target is removed, and every other product is left alone.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from itertools import chain, combinations, islice
from pathlib import Path
from typing import Any, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import Q
from django.test.utils import override_settings

from catalog.models import Category, Product, ProductQuerySet, Tag
from catalog.options import require_whole_number

VOCABULARY_PATH = Path(__file__).with_name("vocabulary.toml")
SKU_PREFIX = "SEED-"
MAX_SEED = 2**32 - 1
MAX_COUNT = 100_000_000  # whose plan takes 100 MB
MAX_BATCH_SIZE = 30_000  # SQLite takes at most 32,766 parameters, and removing takes one a product
SOLD_OUT_SHARE = 10  # one product in ten
MAX_STOCK = 400
PRICE_ENDINGS = tuple(Decimal(cents).scaleb(-2) for cents in (0, 50, 90, 95, 99))
PRICE_STEPS = 10_000
TAG_ROWS_PER_STATEMENT = 400  # SQLite took at most 999 parameters for long

OptionT = TypeVar("OptionT")


@dataclass(frozen=True, kw_only=True)
class SeedingPlan:
    """What it takes to have exactly products 0 to ``count - 1`` of the seed.

    ``is_there[i]`` is 1 where product *i* is in the database: a byte a product, so that a plan
    for a million stays small. ``surplus`` is the number of seeded products beyond the target.
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
    """Compare the database with the target. With ``clear``, whatever is seeded is surplus.

    Raises ``InvalidOption``.
    """
    require_whole_number("--count", count, minimum=0, maximum=MAX_COUNT)
    require_whole_number("--seed", seed, minimum=0, maximum=MAX_SEED)
    is_there = bytearray(count)
    if not clear:
        skus = _wanted(count, seed, database).values_list("sku", flat=True)
        for sku in skus.iterator(chunk_size=10_000):
            is_there[_number_of(str(sku))] = 1
    surplus = _surplus(count, seed, clear, database).count()
    return SeedingPlan(
        count=count, seed=seed, clear=clear, database=database, is_there=is_there, surplus=surplus
    )


def require_batch_size(batch_size: int) -> None:
    """Raises ``InvalidOption``: for a caller that asks somebody before it carries out a plan."""
    require_whole_number("--batch-size", batch_size, minimum=1, maximum=MAX_BATCH_SIZE)


def carry_out(
    plan: SeedingPlan, *, batch_size: int = 2000, on_progress: Callable[[int], None] = lambda _: None
) -> SeedingResult:
    """Remove the surplus and add what is missing, a transaction a batch.

    ``on_progress`` is called with the number of products removed or added by each batch. Sends no
    signals, as ``bulk_create`` sends none: the caller clears the caches. Raises ``InvalidOption``.
    """
    started = time.perf_counter()
    removed = remove_surplus(plan, batch_size=batch_size, on_progress=on_progress)
    added = add_missing(plan, batch_size=batch_size, on_progress=on_progress)
    return SeedingResult(added=added, removed=removed, seconds=time.perf_counter() - started)


def remove_surplus(plan: SeedingPlan, *, batch_size: int, on_progress: Callable[[int], None]) -> int:
    """The first half of ``carry_out``; returns the number removed."""
    require_batch_size(batch_size)
    surplus = _surplus(plan.count, plan.seed, plan.clear, plan.database)
    tag_rows = Product.tags.through.objects.using(plan.database)
    removed = 0
    while keys := list(surplus.order_by().values_list("pk", flat=True)[:batch_size]):
        with transaction.atomic(using=plan.database):
            # Without Django's cascade, which loads each product to send its signals.
            tag_rows.filter(product_id__in=keys)._raw_delete(plan.database)
            # Fewer than the keys, where another seeding removes the same.
            removed += Product.objects.using(plan.database).filter(pk__in=keys)._raw_delete(plan.database)
        on_progress(len(keys))
    return removed


def add_missing(plan: SeedingPlan, *, batch_size: int, on_progress: Callable[[int], None]) -> int:
    """The second half of ``carry_out``; returns the number added."""
    require_batch_size(batch_size)
    if not plan.missing:
        return 0
    missing = (number for number, there in enumerate(plan.is_there) if not there)
    added = 0
    # With DEBUG on, Django keeps the text of every statement: half a gigabyte of them here.
    with override_settings(DEBUG=False):
        composer = Composer(plan.seed, database=plan.database)
        while numbers := list(islice(missing, batch_size)):
            added += _add_those_missing(composer, numbers, plan.database)
            on_progress(len(numbers))
    return added


def count_products(plan: SeedingPlan) -> tuple[int, int]:
    """How many of the plan's products are in the database now, and how many of all."""
    wanted = _wanted(plan.count, plan.seed, plan.database).count()
    return wanted, Product.objects.using(plan.database).count()


def seeded_products(database: str = "default") -> ProductQuerySet:
    """Every product that seeding made, whatever its seed."""
    return Product.objects.using(database).filter(sku__startswith=SKU_PREFIX)


def sku_of(seed: int, number: int) -> str:
    """Of one length for every number of a seed, so that SKUs sort as their numbers do."""
    return f"{SKU_PREFIX}{seed}-{number:010d}"


class Composer:
    """Composes products from the vocabulary. Makes the categories and tags that are not there yet."""

    def __init__(self, seed: int, *, database: str) -> None:
        self.seed = seed
        self._key = seed.to_bytes(8, "big")
        shelves = [_Shelf(words, database) for words in load_vocabulary()]
        # As often in the list as its weight says: picking one is then the skewed choice.
        self._shelves = [shelf for shelf in shelves for _ in range(shelf.weight)]

    def compose(self, number: int) -> tuple[Product, tuple[int, ...]]:
        """Product ``number``, not saved, and the keys of its tags."""
        draw = _Draw(self._key, number)
        shelf = draw.pick(self._shelves)
        noun, openings = draw.pick(shelf.nouns)
        details = draw.pick(shelf.details[draw.below(len(shelf.details))])
        product = Product(
            sku=sku_of(self.seed, number),
            name=(
                f"{draw.pick(shelf.makers)} {draw.pick(shelf.qualities)} {noun}, {draw.pick(shelf.variants)}"
            ),
            description=f"{draw.pick(openings)} {details}",
            price=shelf.price_at(draw.below(PRICE_STEPS)) + draw.pick(PRICE_ENDINGS),
            stock=0 if draw.below(SOLD_OUT_SHARE) == 0 else _skewed_stock(draw.below(1000)),
            category_id=shelf.category_id,
        )
        return product, draw.pick(shelf.tag_sets)


def load_vocabulary() -> list[dict[str, Any]]:
    """The categories of ``vocabulary.toml``, each with its words."""
    with VOCABULARY_PATH.open("rb") as file:
        return list(tomllib.load(file)["categories"])


class _Shelf:
    """One category's words, combined once as far as possible: composing is then only picking."""

    def __init__(self, words: dict[str, Any], database: str) -> None:
        tags = [Tag.objects.using(database).get_or_create(name=name)[0].pk for name in words["tags"]]
        self.category_id: int = _find_or_make_category(words, database).pk
        self.weight: int = words["weight"]
        self.makers: list[str] = words["makers"]
        self.qualities: list[str] = words["qualities"]
        self.variants: list[str] = words["variants"]
        self.nouns: list[tuple[str, list[str]]] = [
            (noun, [opening.format(noun=noun) for opening in words["openings"]]) for noun in words["nouns"]
        ]
        self.details = [[" ".join(some) for some in combinations(words["sentences"], n)] for n in (1, 2, 3)]
        none, one, two = ([*combinations(tags, n)] for n in (0, 1, 2))
        # A quarter without tags, the others shared evenly between one tag and two.
        self.tag_sets: list[tuple[int, ...]] = none * 20 + one * 4 + two
        self._price_min: float = words["price_min"]
        self._price_ratio: float = words["price_max"] / words["price_min"]

    def price_at(self, step: int) -> Decimal:
        """A whole price on a logarithmic scale, as prices are: many cheap things, few dear ones."""
        return Decimal(int(self._price_min * self._price_ratio ** (step / PRICE_STEPS)))


class _Draw:
    """Choices that depend on the key and the number alone, on every Python and every machine.

    The digest is read as a number in mixed radix. Its 256 bits are several times what a product
    takes, so that no choice shows in another.
    """

    __slots__ = ("_bits",)

    def __init__(self, key: bytes, number: int) -> None:
        digest = blake2b(number.to_bytes(8, "big"), key=key, digest_size=32).digest()
        self._bits = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        self._bits, value = divmod(self._bits, limit)
        return value

    def pick(self, options: Sequence[OptionT]) -> OptionT:
        self._bits, index = divmod(self._bits, len(options))
        return options[index]


def _find_or_make_category(words: dict[str, Any], database: str) -> Category:
    categories = Category.objects.using(database)
    # By its name too: somebody may have given it another slug, and names are unique.
    found = categories.filter(slug=words["slug"]).first() or categories.filter(name=words["name"]).first()
    return found or categories.get_or_create(slug=words["slug"], defaults={"name": words["name"]})[0]


def _skewed_stock(per_mille: int) -> int:
    """1 to ``MAX_STOCK``; half of the products have fewer than an eighth of the most."""
    return 1 + MAX_STOCK * per_mille**3 // 1000**3


def _number_of(sku: str) -> int:
    return int(sku.rpartition("-")[2])


def _wanted(count: int, seed: int, database: str) -> ProductQuerySet:
    return seeded_products(database).filter(_wanted_condition(count, seed))


def _wanted_condition(count: int, seed: int) -> Q:
    return Q(sku__startswith=f"{SKU_PREFIX}{seed}-", sku__lt=sku_of(seed, count))


def _surplus(count: int, seed: int, clear: bool, database: str) -> ProductQuerySet:
    seeded = seeded_products(database)
    return seeded if clear else seeded.exclude(_wanted_condition(count, seed))


def _add_those_missing(composer: Composer, numbers: list[int], database: str) -> int:
    """Add a batch; return how many were added, which is fewer where another seeding adds the same."""
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
        # Gives the products their primary keys, on SQLite from 3.35 and on PostgreSQL.
        Product.objects.using(database).bulk_create(products)
        rows = [(product.pk, tag) for product, tags in zip(products, tag_sets, strict=True) for tag in tags]
        _insert_tag_rows(rows, database)


def _insert_tag_rows(rows: list[tuple[int, int]], database: str) -> None:
    """In SQL: as model objects these pairs take six times as long, half as long as the products."""
    connection = connections[database]
    table = connection.ops.quote_name(Product.tags.through._meta.db_table)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), TAG_ROWS_PER_STATEMENT):
            chunk = rows[start : start + TAG_ROWS_PER_STATEMENT]
            places = ",".join(["(%s,%s)"] * len(chunk))
            cursor.execute(
                f"INSERT INTO {table} (product_id, tag_id) VALUES {places}", list(chain.from_iterable(chunk))
            )
