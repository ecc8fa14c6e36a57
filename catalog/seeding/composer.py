"""Composes made-up products from the words in ``vocabulary.toml``.

Product number *i* of a seed depends on the seed and *i* alone. Its SKU contains both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from catalog.models import Category, Product, Tag

VOCABULARY_PATH = Path(__file__).with_name("vocabulary.toml")
SKU_PREFIX = "SEED-"
# Exactly the SKUs that ``sku_of`` makes: a product that was not seeded may be called SEED-POTATO.
SKU_PATTERN = rf"^{SKU_PREFIX}[0-9]+-[0-9]{{10}}\Z"
SOLD_OUT_SHARE = 10  # one product in ten
HIGHEST_STOCK = 400
PRICE_ENDINGS = tuple(Decimal(cents).scaleb(-2) for cents in (0, 50, 90, 95, 99))
PRICE_STEPS = 10_000

OptionT = TypeVar("OptionT")


def sku_of(seed: int, number: int) -> str:
    """The SKU of product ``number``. All SKUs of a seed are equally long, so they sort by number."""
    return f"{SKU_PREFIX}{seed}-{number:010d}"


def number_of(sku: str) -> int:
    """The number of the product in its seed. ``sku`` must have been made by ``sku_of``."""
    return int(sku.rpartition("-")[2])


class Composer:
    """Composes products from the vocabulary, and creates the categories and tags that are missing."""

    def __init__(self, seed: int, *, database: str) -> None:
        self.seed = seed
        self._key = seed.to_bytes(8, "big")
        shelves = [_Shelf(words, database) for words in load_vocabulary()]
        # Each category stands in the list as often as its weight says, so a uniform choice is weighted.
        self._shelves = [shelf for shelf in shelves for _ in range(shelf.weight)]

    def compose(self, number: int) -> tuple[Product, tuple[int, ...]]:
        """Product ``number``, unsaved, and the primary keys of its tags."""
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
    """The categories in ``vocabulary.toml``, each with its words."""
    with VOCABULARY_PATH.open("rb") as file:
        return list(tomllib.load(file)["categories"])


class _Shelf:
    """The words of one category. They are combined in advance, so that composing only has to pick."""

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
        # About a quarter of the products have no tag; the others have one or two in equal shares.
        self.tag_sets: list[tuple[int, ...]] = none * 20 + one * 4 + two
        self._price_min: float = words["price_min"]
        self._price_ratio: float = words["price_max"] / words["price_min"]

    def price_at(self, step: int) -> Decimal:
        """A price without cents, on a logarithmic scale: many products are cheap and few are expensive."""
        return Decimal(int(self._price_min * self._price_ratio ** (step / PRICE_STEPS)))


class _Draw:
    """Choices that depend on the key and the number alone, whatever the Python and the machine.

    The digest is read as a number in mixed radix: each choice takes one digit. It has 256 bits, several
    times as many as the choices for one product need, so the choices are practically independent.
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
    # Also search by name: an admin may have changed the slug, and a second category of the same name
    # would break the unique constraint.
    found = categories.filter(slug=words["slug"]).first() or categories.filter(name=words["name"]).first()
    return found or categories.get_or_create(slug=words["slug"], defaults={"name": words["name"]})[0]


def _skewed_stock(per_mille: int) -> int:
    """A stock from 1 to ``HIGHEST_STOCK``. Half of all stocks are below an eighth of the highest."""
    return 1 + HIGHEST_STOCK * per_mille**3 // 1000**3
