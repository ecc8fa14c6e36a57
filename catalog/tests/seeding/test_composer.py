from decimal import Decimal
from itertools import product as combinations
from typing import Any

import pytest

from catalog.models import Category
from catalog.seeding.composer import Composer, load_vocabulary, number_of, sku_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", [0, 7, 99_999_999])
def test_a_sku_contains_the_number_of_its_product(number: int) -> None:
    assert number_of(sku_of(3, number)) == number


def test_composed_products_are_valid_and_varied() -> None:
    composer = Composer(0, database="default")
    composed = [composer.compose(number) for number in range(4000)]
    products = [product for product, _ in composed]

    for product in products[:200]:
        product.full_clean()
    assert all(100 <= len(product.description) <= 400 for product in products)
    assert 0.08 < sum(product.stock == 0 for product in products) / len(products) < 0.12
    assert max(product.stock for product in products) > 100
    assert len({product.name for product in products}) > 3500
    assert len({product.price for product in products}) > 300
    assert all(product.price > Decimal(1) for product in products)
    assert {len(tags) for _, tags in composed} == {0, 1, 2}
    shares = sorted(
        sum(product.category_id == category.pk for product in products) / len(products)
        for category in Category.objects.all()
    )
    assert len(shares) == 8
    assert shares[-1] > 5 * shares[0] > 0


def test_the_first_product_never_changes() -> None:
    product, _ = Composer(0, database="default").compose(0)

    assert (product.name, product.price, product.stock) == (
        "Wexcombe enamelled measuring jug, set of two",
        Decimal("21.95"),
        12,
    )


@pytest.mark.parametrize("words", load_vocabulary(), ids=lambda words: str(words["slug"]))
def test_every_combination_of_words_keeps_the_limits_of_length(words: dict[str, Any]) -> None:
    openings = [
        len(opening.format(noun=noun)) for opening, noun in combinations(words["openings"], words["nouns"])
    ]
    details = sorted(len(sentence) for sentence in words["sentences"])

    assert min(openings) + 1 + details[0] >= 100
    assert max(openings) + 3 + sum(details[-3:]) <= 400
    longest = sum(max(map(len, words[kind])) for kind in ("makers", "qualities", "nouns", "variants"))
    assert longest + len("  , ") <= 200
