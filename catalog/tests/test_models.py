from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection
from django.db.models import ProtectedError

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import MAX_STOCK, Category, Product, Tag

pytestmark = pytest.mark.django_db


INVALID_VALUES = [{"price": Decimal("-0.01")}, {"stock": -1}, {"stock": MAX_STOCK + 1}]


@pytest.mark.parametrize("values", INVALID_VALUES)
def test_an_invalid_price_or_stock_fails_validation(values: dict[str, Any]) -> None:
    product = ProductFactory.build(category=CategoryFactory.create(), **values)

    with pytest.raises(ValidationError):
        product.full_clean()


@pytest.mark.parametrize("values", INVALID_VALUES)
def test_an_invalid_price_or_stock_is_refused_by_the_database(values: dict[str, Any]) -> None:
    product = ProductFactory.create()

    # PostgreSQL refuses a number that its integer cannot hold (DataError) before it checks constraints.
    with pytest.raises((IntegrityError, DataError)):
        Product.objects.filter(pk=product.pk).update(**values)


def test_a_category_with_products_cannot_be_deleted() -> None:
    product = ProductFactory.create()

    with pytest.raises(ProtectedError):
        product.category.delete()


def test_names_and_slugs_are_unique() -> None:
    Category.objects.create(name="Kitchen", slug="kitchen")

    with pytest.raises(ValidationError) as raised:
        Category(name="Kitchen", slug="kitchen").full_clean()
    assert set(raised.value.message_dict) == {"name", "slug"}


def test_several_products_can_have_no_sku() -> None:
    ProductFactory.create(sku=None)
    ProductFactory.create(sku=None)

    assert Product.objects.filter(sku=None).count() == 2


@pytest.mark.parametrize("ordering", ["name", "-name", "price", "-price", "stock", "-stock"])
def test_each_ordering_of_the_api_has_an_index(ordering: str) -> None:
    indexed = {tuple(index.fields) for index in Product._meta.indexes}

    assert (ordering.removeprefix("-"), "id") in indexed


def test_an_ordered_page_is_read_from_an_index_and_not_sorted() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL sorts a table that is as small as this one.")
    for ordering in ("price", "-price", "name", "-stock"):
        tie = "-pk" if ordering.startswith("-") else "pk"
        plan = Product.objects.order_by(ordering, tie)[:20].explain()
        assert "USE TEMP B-TREE" not in plan
        assert f"product_by_{ordering.removeprefix('-')}" in plan


def test_natural_keys_find_their_rows() -> None:
    category, tag, product = CategoryFactory.create(), TagFactory.create(), ProductFactory.create(sku="KIT-1")

    assert Category.objects.get_by_natural_key(*category.natural_key()) == category
    assert Tag.objects.get_by_natural_key(*tag.natural_key()) == tag
    assert Product.objects.get_by_natural_key("KIT-1") == product


def test_products_without_a_sku_have_no_natural_key() -> None:
    ProductFactory.create(sku=None)

    with pytest.raises(Product.DoesNotExist):
        Product.objects.get_by_natural_key(None)


def test_statistics_are_given_in_total_and_by_category() -> None:
    kitchen, garden = CategoryFactory.create(slug="kitchen"), CategoryFactory.create(slug="garden")
    ProductFactory.create(category=kitchen, price=Decimal("10.00"), stock=3)
    ProductFactory.create(category=kitchen, price=Decimal("20.01"), stock=0)
    ProductFactory.create(category=garden, price=Decimal("5.00"), stock=7)

    statistics = Product.objects.all().statistics()

    assert statistics == {
        "count": 3,
        "price_min": Decimal("5.00"),
        "price_max": Decimal("20.01"),
        "price_mean": Decimal("11.67"),
        "total_stock": 10,
        "categories": [
            {
                "category": "garden",
                "count": 1,
                "price_min": Decimal("5.00"),
                "price_max": Decimal("5.00"),
                "price_mean": Decimal("5.00"),
                "total_stock": 7,
            },
            {
                "category": "kitchen",
                "count": 2,
                "price_min": Decimal("10.00"),
                "price_max": Decimal("20.01"),
                "price_mean": Decimal("15.01"),
                "total_stock": 3,
            },
        ],
    }


def test_the_largest_stocks_can_be_summed() -> None:
    ProductFactory.create_batch(3, stock=MAX_STOCK)

    assert Product.objects.all().statistics()["total_stock"] == 3 * MAX_STOCK


@pytest.mark.django_db(transaction=True)
def test_the_migration_lowers_stocks_above_the_limit() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL never accepted such a stock.")
    call_command("migrate", "catalog", "0001", verbosity=0)
    try:
        product = ProductFactory.create(stock=2**62)
    finally:
        call_command("migrate", "catalog", verbosity=0)

    product.refresh_from_db()
    assert product.stock == MAX_STOCK


def test_statistics_of_no_products_have_no_prices() -> None:
    assert Product.objects.all().statistics() == {
        "count": 0,
        "price_min": None,
        "price_max": None,
        "price_mean": None,
        "total_stock": 0,
        "categories": [],
    }
