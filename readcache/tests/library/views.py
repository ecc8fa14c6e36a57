"""One view of each kind that a project has: a list, a single resource, a plain ``get``, a ViewSet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Max, Min, Sum
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics, viewsets
from rest_framework.filters import SearchFilter
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from library.filters import AvailableFilter, BookFilter, StableOrderingFilter
from library.models import Author, Book, Topic
from library.pagination import LibraryPagination
from library.serializers import AuthorSerializer, BookSerializer
from readcache import CachedReadMixin, ReadCache

BOOK_TABLES = (Book, Author, Topic, Book.topics.through)
TIMEOUT_SECONDS = 15 * 60


class OpenToReadersMixin(generics.GenericAPIView[Any]):
    """Anyone may read, admins may write."""

    def get_permissions(self) -> Sequence[BasePermission]:
        return [AllowAny() if self.request.method in SAFE_METHODS else IsAdminUser()]


class BookList(CachedReadMixin, OpenToReadersMixin, generics.ListCreateAPIView[Book]):
    read_cache = ReadCache("book_list", depends_on=BOOK_TABLES, timeout=TIMEOUT_SECONDS)
    queryset = Book.objects.select_related("author").prefetch_related("topics").order_by("pk")
    serializer_class = BookSerializer
    pagination_class = LibraryPagination
    filter_backends = [DjangoFilterBackend, SearchFilter, StableOrderingFilter, AvailableFilter]
    filterset_class = BookFilter
    search_fields = ["title", "summary"]
    ordering_fields = ["title", "price", "copies"]


class BookDetail(CachedReadMixin, OpenToReadersMixin, generics.RetrieveUpdateDestroyAPIView[Book]):
    read_cache = ReadCache("book_detail", depends_on=BOOK_TABLES, timeout=TIMEOUT_SECONDS)
    queryset = Book.objects.select_related("author").prefetch_related("topics")
    serializer_class = BookSerializer


class BookStatistics(CachedReadMixin, generics.GenericAPIView[Book]):
    read_cache = ReadCache("book_statistics", depends_on=(Book, Author), timeout=TIMEOUT_SECONDS)
    queryset = Book.objects.all()
    permission_classes = [AllowAny]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        figures = {
            "count": Count("pk"),
            "price_min": Min("price"),
            "price_max": Max("price"),
            "total_copies": Sum("copies"),
        }
        by_author = self.get_queryset().order_by("author__slug").values("author__slug").annotate(**figures)
        return Response({**self.get_queryset().aggregate(**figures), "authors": list(by_author)})


class AuthorViewSet(CachedReadMixin, viewsets.ReadOnlyModelViewSet[Author]):
    read_cache = ReadCache("author_list", depends_on=(Author, Book), timeout=TIMEOUT_SECONDS)
    queryset = Author.objects.with_book_count().order_by("name")
    serializer_class = AuthorSerializer
    permission_classes = [AllowAny]
    pagination_class = LibraryPagination
    lookup_field = "slug"
