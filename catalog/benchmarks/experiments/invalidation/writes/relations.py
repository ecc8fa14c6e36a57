"""Writes of tags, categories and the tags of products, through Django's models."""

from __future__ import annotations

from catalog.benchmarks.experiments.invalidation.writes.kinds import kind
from catalog.benchmarks.experiments.invalidation.writes.targets import Target
from catalog.models import Category, Product, Tag


@kind("list", "detail")
def add_a_tag(target: Target) -> None:
    target.product.tags.add(Tag.objects.create(name=target.new_name))


@kind("list", "detail")
def add_a_tag_from_its_side(target: Target) -> None:
    Tag.objects.create(name=target.new_name).products.add(target.product)


@kind("list", "detail")
def add_a_tag_and_remove_it(target: Target) -> None:
    """The product had the tag before, and lost it without a signal."""
    Product.tags.through.objects.filter(product_id=target.product.pk).delete()
    target.product.tags.add(target.tag)
    target.product.tags.remove(target.tag)


@kind("list", "detail")
def remove_a_tag(target: Target) -> None:
    target.product.tags.remove(target.tag)


@kind("list", "detail")
def set_the_tags(target: Target) -> None:
    target.product.tags.set([Tag.objects.create(name=target.new_name)])


@kind("list", "detail")
def clear_the_tags(target: Target) -> None:
    target.product.tags.clear()


@kind("list", "detail")
def delete_tag_rows_by_a_raw_query(target: Target) -> None:
    rows = Product.tags.through.objects.filter(product_id=target.product.pk)
    rows._raw_delete(rows.db)


@kind("list", "detail")
def rename_the_tag(target: Target) -> None:
    Tag.objects.filter(pk=target.tag.pk).update(name=target.new_name)


@kind("list", "detail")
def delete_the_tag(target: Target) -> None:
    """The rows that join the tag to products are deleted with it."""
    Tag.objects.get(pk=target.tag.pk).delete()


@kind("category")
def rename_the_category(target: Target) -> None:
    target.category.name = target.new_name
    target.category.save()


@kind("list", "detail", "statistics", "category")
def change_the_slug(target: Target) -> None:
    """The URLs of the category's page and of its list of products contain the slug."""
    Category.objects.filter(pk=target.category.pk).update(slug=f"{target.label}-new")


@kind("list", "detail", "statistics", "category")
def delete_the_category(target: Target) -> None:
    """Together with its products, which protect it from being deleted alone."""
    Product.objects.filter(category=target.category).delete()
    Category.objects.get(pk=target.category.pk).delete()
