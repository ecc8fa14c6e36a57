"""The catalogue: categories, tags and products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, Max, Min, Q, Sum

CENT = Decimal("0.01")
# The largest integer of PostgreSQL. SQLite accepts larger ones, but their sum overflows in the statistics.
MAX_STOCK = 2_147_483_647


class CategoryQuerySet(models.QuerySet["Category"]):
    def get_by_natural_key(self, slug: str) -> Category:
        return self.get(slug=slug)

    def with_product_count(self) -> CategoryQuerySet:
        """The categories, each with its number of products as ``product_count``."""
        return self.annotate(product_count=Count("products"))


class Category(models.Model):
    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=100, unique=True)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.slug,)


class TagQuerySet(models.QuerySet["Tag"]):
    def get_by_natural_key(self, name: str) -> Tag:
        return self.get(name=name)


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)

    objects = TagQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)


class ProductQuerySet(models.QuerySet["Product"]):
    def get_by_natural_key(self, sku: str | None) -> Product:
        # A product without an SKU has no natural key, so it never matches an existing row.
        if sku is None:
            raise Product.DoesNotExist
        return self.get(sku=sku)

    def statistics(self) -> dict[str, Any]:
        """Number, prices and stock of these products, in total and by category, in one query.

        The keys are ``count``, ``price_min``, ``price_max``, ``price_mean`` (to the cent),
        ``total_stock`` and ``categories``. The last is a list of the same figures for each category,
        with the slug as ``category``, ordered by slug. Without products the prices are ``None``.
        """
        rows = (
            self.order_by("category__slug")
            .values("category__slug")
            .annotate(
                count=Count("pk"),
                price_min=Min("price"),
                price_max=Max("price"),
                price_sum=Sum("price"),
                total_stock=Sum("stock"),
            )
        )
        groups = list(rows)
        return {
            **_summarise(groups),
            "categories": [{"category": row["category__slug"], **_summarise([row])} for row in groups],
        }


class Product(models.Model):
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, validators=[MinValueValidator(0)])
    stock = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(MAX_STOCK)])
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    tags = models.ManyToManyField(Tag, related_name="products", blank=True)
    # The natural key of products from the fixture or from seeding. Other products have NULL and not "":
    # a unique column may hold many NULLs.
    sku = models.CharField("SKU", max_length=32, unique=True, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        # Each ordering of the API ends with the primary key, so that pages never overlap: see filters.py.
        indexes = [
            models.Index(fields=["name", "id"], name="product_by_name"),
            models.Index(fields=["price", "id"], name="product_by_price"),
            models.Index(fields=["stock", "id"], name="product_by_stock"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(condition=Q(stock__gte=0), name="product_stock_not_negative"),
            models.CheckConstraint(condition=Q(stock__lte=MAX_STOCK), name="product_stock_not_beyond_sum"),
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str | None]:
        return (self.sku,)

    natural_key.dependencies = ["catalog.category", "catalog.tag"]  # type: ignore[attr-defined]


def _summarise(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    count = sum(group["count"] for group in groups)
    price_sum = sum((group["price_sum"] for group in groups), Decimal(0))
    return {
        "count": count,
        "price_min": min((group["price_min"] for group in groups), default=None),
        "price_max": max((group["price_max"] for group in groups), default=None),
        "price_mean": (price_sum / count).quantize(CENT, ROUND_HALF_UP) if count else None,
        "total_stock": sum(group["total_stock"] for group in groups),
    }
