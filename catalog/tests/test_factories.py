import pytest

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Category

pytestmark = pytest.mark.django_db


def test_factories_make_valid_rows() -> None:
    for row in (CategoryFactory.create(), TagFactory.create(), ProductFactory.create()):
        row.full_clean()


def test_a_product_gets_the_tags_it_is_given() -> None:
    tags = TagFactory.create_batch(2)

    assert set(ProductFactory.create(tags=tags).tags.all()) == set(tags)


def test_the_same_category_is_not_made_twice() -> None:
    CategoryFactory.create(slug="kitchen")
    CategoryFactory.create(slug="kitchen")

    assert Category.objects.count() == 1
