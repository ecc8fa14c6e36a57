"""Factories of rows for tests and for the shell. ``seeding.py`` fills the catalogue without them."""

from decimal import Decimal
from typing import Any

import factory
from django.utils.text import slugify

from catalog.models import Category, Product, Tag


class CategoryFactory(factory.django.DjangoModelFactory[Category]):
    class Meta:
        model = Category
        django_get_or_create = ["slug"]

    name = factory.Sequence(lambda number: f"Category {number}")
    slug = factory.LazyAttribute(lambda category: slugify(category.name))


class TagFactory(factory.django.DjangoModelFactory[Tag]):
    class Meta:
        model = Tag
        django_get_or_create = ["name"]

    name = factory.Sequence(lambda number: f"tag-{number}")


class ProductFactory(factory.django.DjangoModelFactory[Product]):
    """``ProductFactory(tags=[tag, …])`` also adds the tags."""

    class Meta:
        model = Product
        skip_postgeneration_save = True

    name = factory.Sequence(lambda number: f"Stoneware teapot no. {number}")
    description = factory.Faker("paragraph", nb_sentences=3)
    price = factory.Faker("pydecimal", min_value=Decimal("1.00"), max_value=Decimal("500.00"), right_digits=2)
    stock = factory.Faker("random_int", min=1, max=200)
    category = factory.SubFactory(CategoryFactory)

    @factory.post_generation
    def tags(product: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        if create and extracted:
            product.tags.add(*extracted)
