import pytest

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Category

pytestmark = pytest.mark.django_db


def test_factories_create_valid_rows() -> None:
    for row in (CategoryFactory.create(), TagFactory.create(), ProductFactory.create()):
        row.full_clean()


def test_a_product_gets_the_tags_that_are_passed() -> None:
    tags = TagFactory.create_batch(2)

    assert set(ProductFactory.create(tags=tags).tags.all()) == set(tags)


def test_a_category_with_an_existing_slug_is_reused() -> None:
    CategoryFactory.create(slug="kitchen")
    CategoryFactory.create(slug="kitchen")

    assert Category.objects.count() == 1
