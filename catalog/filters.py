"""Which products a list shows, and in which order."""

from typing import Any, TypeVar

import django_filters
from django.db.models import Model, QuerySet
from rest_framework.filters import BaseFilterBackend, OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog.models import Category, Product, Tag


class ProductFilter(django_filters.FilterSet):
    """Filters by name, price, category slug and tag name.

    An unknown category or tag is a 400, like any other value that is not valid.
    """

    category = django_filters.ModelChoiceFilter(queryset=Category.objects.all(), to_field_name="slug")
    tag = django_filters.ModelChoiceFilter(
        field_name="tags", queryset=Tag.objects.all(), to_field_name="name", label="Tag"
    )

    class Meta:
        model = Product
        fields = {
            "name": ["iexact", "icontains"],
            "price": ["exact", "lt", "gt", "range"],
        }


ModelT = TypeVar("ModelT", bound=Model)
RowT = TypeVar("RowT")


class InStockFilter(BaseFilterBackend):
    """Hides products that are sold out."""

    # What it reads of a request, for the read cache's keys: nothing.
    query_parameters: tuple[str, ...] = ()

    def filter_queryset(
        self, request: Request, queryset: QuerySet[ModelT, RowT], view: APIView
    ) -> QuerySet[ModelT, RowT]:
        return queryset.filter(stock__gt=0)


class StableOrderingFilter(OrderingFilter):
    """An ordering that ends with the primary key, so that equal values never swap between pages."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        ordering = super().get_ordering(request, queryset, view)
        if not ordering:
            return ordering
        # In the direction of the last term, so that one index serves both.
        return [*ordering, "-pk" if ordering[-1].startswith("-") else "pk"]
