"""What a made-up product looks like: composed from ``vocabulary.toml``, as a shop's would be.

Product number *i* of a seed is a function of the seed and *i* alone, and carries both in its SKU.
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
# What ``sku_of`` makes. A shop for gardeners may have a SEED-POTATO of its own.
SKU_PATTERN = rf"^{SKU_PREFIX}[0-9]+-[0-9]{{10}}\Z"
SOLD_OUT_SHARE = 10  # one product in ten
HIGHEST_STOCK = 400
PRICE_ENDINGS = tuple(Decimal(cents).scaleb(-2) for cents in (0, 50, 90, 95, 99))
PRICE_STEPS = 10_000

OptionT = TypeVar("OptionT")


def sku_of(seed: int, number: int) -> str:
    """Of one length for every number of a seed, so that SKUs sort as their numbers do."""
    return f"{SKU_PREFIX}{seed}-{number:010d}"


def number_of(sku: str) -> int:
    """The product's number in its seed, from the SKU that ``sku_of`` made."""
    return int(sku.rpartition("-")[2])


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
    """1 to ``HIGHEST_STOCK``; half of the products have fewer than an eighth of the most."""
    return 1 + HIGHEST_STOCK * per_mille**3 // 1000**3
