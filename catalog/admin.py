"""The admin. Editing a product here invalidates the cached pages."""

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.forms import NumberInput
from django.http import HttpRequest

from catalog.models import Category, Product, Tag


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "product_count"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        return Category.objects.with_product_count()

    @admin.display(description="products", ordering="product_count")
    def product_count(self, category: Category) -> int:
        return getattr(category, "product_count", 0)


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    list_display = ["name"]
    search_fields = ["name"]


class StockListFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("in", "In stock"), ("out", "Sold out")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        conditions = {"in": {"stock__gt": 0}, "out": {"stock": 0}}
        return queryset.filter(**conditions.get(self.value() or "", {}))


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "price", "stock"]
    list_editable = ["price", "stock"]
    # Inputs of the browser's default width push the columns to their right out of a 1200-pixel window.
    formfield_overrides = {
        field: {"widget": NumberInput(attrs={"style": "width: 7em"})}
        for field in (models.DecimalField, models.PositiveIntegerField)
    }
    list_filter = [StockListFilter, "category", "tags"]
    list_select_related = ["category"]
    list_per_page = 50
    # The total in "50 results (1,000,000 total)" counts every row, which is slow in a large catalogue.
    show_full_result_count = False
    search_fields = ["name", "description", "=sku"]
    autocomplete_fields = ["category", "tags"]
    readonly_fields = ["created_at", "updated_at"]
