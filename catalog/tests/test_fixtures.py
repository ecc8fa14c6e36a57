import pytest
from django.core.management import call_command

from catalog.models import Category, Product, Tag
from catalog.seeding import seeded_products

pytestmark = pytest.mark.django_db


def test_loading_the_fixture_twice_changes_nothing() -> None:
    call_command("loaddata", "catalog", verbosity=0)
    before = list(Product.objects.order_by("pk").values())
    call_command("loaddata", "catalog", verbosity=0)

    assert list(Product.objects.order_by("pk").values()) == before


def test_the_fixture_holds_valid_products_in_every_category() -> None:
    call_command("loaddata", "catalog", verbosity=0)

    assert Category.objects.count() == 8
    assert Product.objects.count() == 60
    assert not Category.objects.filter(products=None).exists()
    assert not Tag.objects.filter(products=None).exists()
    assert Product.objects.filter(stock=0).exists()
    assert not seeded_products().exists()
    for product in Product.objects.all():
        product.full_clean()
