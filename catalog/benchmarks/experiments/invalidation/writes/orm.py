"""Writes through Django's models, of products, categories, tags, and the tags of products."""

from __future__ import annotations

from django.db.models import F

from catalog.benchmarks.experiments.invalidation.writes.kinds import Target, kind
from catalog.models import Category, Product, Tag


@kind("list", "detail")
def save(target: Target) -> None:
    target.product.name = target.new_name
    target.product.save()


@kind("list", "detail", "statistics")
def save_one_field(target: Target) -> None:
    target.product.price = target.new_price
    target.product.save(update_fields=["price"])


@kind("list", "detail", "statistics")
def save_an_expression(target: Target) -> None:
    changed = Product.objects.get(pk=target.product.pk)
    changed.stock = F("stock") + 1
    changed.save()


@kind("list", "statistics", "category")
def create(target: Target) -> None:
    target.new_product().save()


@kind("list", "statistics", "category")
def get_or_create(target: Target) -> None:
    made = target.new_product()
    Product.objects.get_or_create(
        sku=target.sku(2),
        defaults={"name": made.name, "price": made.price, "stock": made.stock, "category": made.category},
    )


@kind("list", "detail")
def update_or_create(target: Target) -> None:
    Product.objects.update_or_create(sku=target.sku(0), defaults={"name": target.new_name})


@kind("list", "detail", "statistics", "category")
def delete(target: Target) -> None:
    Product.objects.get(pk=target.product.pk).delete()


@kind("list", "detail", "statistics")
def update(target: Target) -> None:
    Product.objects.filter(pk=target.product.pk).update(price=target.new_price)


@kind("list", "detail", "statistics")
def update_by_an_expression(target: Target) -> None:
    Product.objects.filter(pk=target.product.pk).update(stock=F("stock") - 1)


@kind("list", "detail", "statistics", "category")
def delete_by_a_query(target: Target) -> None:
    Product.objects.filter(pk=target.product.pk).delete()


@kind("list", "statistics", "category")
def bulk_create(target: Target) -> None:
    Product.objects.bulk_create([target.new_product(), target.new_product()])


@kind("list", "statistics", "category")
def bulk_create_ignoring_conflicts(target: Target) -> None:
    made = [target.new_product(target.sku(0)), target.new_product(target.sku(2))]
    Product.objects.bulk_create(made, ignore_conflicts=True)


@kind("list", "detail")
def bulk_create_updating_conflicts(target: Target) -> None:
    Product.objects.bulk_create(
        [target.new_product(target.sku(0))],
        update_conflicts=True,
        unique_fields=["sku"],
        update_fields=["name"],
    )


@kind("list", "detail")
def bulk_update(target: Target) -> None:
    target.product.name = target.new_name
    Product.objects.bulk_update([target.product], ["name"])


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
