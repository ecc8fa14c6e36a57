"""Filters and orderings of the product list."""

from typing import Any, TypeVar

import django_filters
from django.db.models import Model, QuerySet
from rest_framework.filters import BaseFilterBackend, OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog.models import Category, Product, Tag

# The labels in the filter dialog of the browsable API. The default labels would say "Price lt".
LABELS = {
    "name__iexact": "Name is",
    "name__icontains": "Name contains",
    "price": "Price is",
    "price__lt": "Price is less than",
    "price__gt": "Price is greater than",
    "price__range": "Price is from, to (such as 5,20)",
}


class ProductFilter(django_filters.FilterSet):
    """Filters by name, price, category slug and tag name.

    An unknown category or tag is answered with 400, like any other invalid value.
    """

    category = django_filters.ModelChoiceFilter(
        queryset=Category.objects.all(), to_field_name="slug", label="Category", empty_label="Any"
    )
    tag = django_filters.ModelChoiceFilter(
        field_name="tags", queryset=Tag.objects.all(), to_field_name="name", label="Tag", empty_label="Any"
    )

    class Meta:
        model = Product
        fields = {
            "name": ["iexact", "icontains"],
            "price": ["exact", "lt", "gt", "range"],
        }

    @classmethod
    def get_filters(cls) -> dict[str, django_filters.Filter]:
        filters: dict[str, django_filters.Filter] = super().get_filters()
        for name, label in LABELS.items():
            filters[name].label = label
        # The label explains it better than the default, "Multiple values may be separated by commas."
        filters["price__range"].extra["help_text"] = ""
        return filters


ModelT = TypeVar("ModelT", bound=Model)
RowT = TypeVar("RowT")


class InStockFilter(BaseFilterBackend):
    """Hides products that are sold out."""

    # For the keys of the read cache: this filter reads no query parameter.
    query_parameters: tuple[str, ...] = ()

    def filter_queryset(
        self, request: Request, queryset: QuerySet[ModelT, RowT], view: APIView
    ) -> QuerySet[ModelT, RowT]:
        return queryset.filter(stock__gt=0)


class StableOrderingFilter(OrderingFilter):
    """An ordering that ends with the primary key, so that rows with equal values keep their order."""

    # For the keys of the read cache: this filter reads no query parameter but the ordering.
    query_parameters: tuple[str, ...] = ()

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        ordering = super().get_ordering(request, queryset, view)
        if not ordering:
            return ordering
        # The primary key follows the direction of the last term, so that one index serves both directions.
        return [*ordering, "-pk" if ordering[-1].startswith("-") else "pk"]
