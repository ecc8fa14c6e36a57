"""Writes of products through Django's models: one at a time, with a query, and in bulk."""

from __future__ import annotations

from django.db.models import F

from catalog.benchmarks.experiments.invalidation.writes.kinds import kind
from catalog.benchmarks.experiments.invalidation.writes.targets import Target
from catalog.models import Product


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
