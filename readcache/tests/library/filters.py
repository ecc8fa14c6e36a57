from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend, OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from library.models import Author, Book, Topic


class BookFilter(django_filters.FilterSet):  # type: ignore[misc]
    """An unknown author or topic is a 400, like any other value that is not valid."""

    author = django_filters.ModelChoiceFilter(queryset=Author.objects.all(), to_field_name="slug")
    topic = django_filters.ModelChoiceFilter(
        field_name="topics", queryset=Topic.objects.all(), to_field_name="name"
    )

    class Meta:
        model = Book
        fields = {"title": ["iexact", "icontains"], "price": ["exact", "lt", "gt", "range"]}


class AvailableFilter(BaseFilterBackend):
    """Hides books without copies. ``query_parameters`` tells the engine that it reads no parameter."""

    query_parameters: tuple[str, ...] = ()

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        return queryset.filter(copies__gt=0)


class StableOrderingFilter(OrderingFilter):
    """Ends each ordering with the primary key. It reads no parameter besides the ordering."""

    query_parameters: tuple[str, ...] = ()

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        ordering = super().get_ordering(request, queryset, view)
        return [*ordering, "pk"] if ordering else ordering
