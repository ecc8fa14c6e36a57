"""The views of the API, with the read cache. ``textbook.py`` serves them with ``cache_page`` instead."""

import time
from collections.abc import Sequence
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics, viewsets
from rest_framework.filters import SearchFilter
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from catalog.filters import InStockFilter, ProductFilter, StableOrderingFilter
from catalog.models import Category, Product, ProductQuerySet, Tag
from catalog.pagination import CatalogPagination
from catalog.serializers import CategorySerializer, ProductSerializer, ProductStatisticsSerializer
from readcache import CachedReadMixin, ReadCache

PRODUCT_TABLES = (Product, Category, Tag, Product.tags.through)


class SlowDatabaseMixin(generics.GenericAPIView[Any]):
    """Waits ``SIMULATED_LATENCY_SECONDS`` before the first query of a request, and only then."""

    _has_waited = False

    def get_queryset(self) -> QuerySet[Any]:
        # Only once: the browsable API calls get_queryset() a second time, for its filter form.
        if not self._has_waited and settings.SIMULATED_LATENCY_SECONDS:
            self._has_waited = True
            time.sleep(settings.SIMULATED_LATENCY_SECONDS)
        return super().get_queryset()


class ReadForAllWriteForAdminsMixin(generics.GenericAPIView[Any]):
    def get_permissions(self) -> Sequence[BasePermission]:
        return [AllowAny() if self.request.method in SAFE_METHODS else IsAdminUser()]


class ProductListCreateAPIView(
    CachedReadMixin, SlowDatabaseMixin, ReadForAllWriteForAdminsMixin, generics.ListCreateAPIView[Product]
):
    """The products in stock, to filter, search, sort and page through. Admins can add products."""

    name = "Products"
    read_cache = ReadCache("product_list", depends_on=PRODUCT_TABLES, timeout=60 * 15)
    queryset = Product.objects.select_related("category").prefetch_related("tags").order_by("pk")
    serializer_class = ProductSerializer
    pagination_class = CatalogPagination
    filter_backends = [DjangoFilterBackend, SearchFilter, StableOrderingFilter, InStockFilter]
    filterset_class = ProductFilter
    search_fields = ["name", "description"]
    ordering_fields = ["name", "price", "stock"]


class ProductDetailAPIView(
    CachedReadMixin,
    SlowDatabaseMixin,
    ReadForAllWriteForAdminsMixin,
    generics.RetrieveUpdateDestroyAPIView[Product],
):
    """One product, in stock or sold out. Admins can change and delete it."""

    name = "Product"
    read_cache = ReadCache("product_detail", depends_on=PRODUCT_TABLES, timeout=60 * 15)
    queryset = Product.objects.select_related("category").prefetch_related("tags")
    serializer_class = ProductSerializer


class ProductStatsAPIView(CachedReadMixin, SlowDatabaseMixin, generics.GenericAPIView[Product]):
    """Number, prices and stock of all products, in total and by category. Sold-out products count."""

    name = "Product statistics"
    read_cache = ReadCache("product_stats", depends_on=(Product, Category), timeout=60 * 15)
    queryset = Product.objects.all()
    serializer_class = ProductStatisticsSerializer
    permission_classes = [AllowAny]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        products = cast("ProductQuerySet", self.get_queryset())
        return Response(self.get_serializer(products.statistics()).data)


class CategoryViewSet(CachedReadMixin, SlowDatabaseMixin, viewsets.ReadOnlyModelViewSet[Category]):
    """The categories, each with the number of its products."""

    read_cache = ReadCache("category_list", depends_on=(Category, Product), timeout=60 * 15)
    queryset = Category.objects.with_product_count().order_by("name")
    serializer_class = CategorySerializer
    permission_classes = [AllowAny]
    pagination_class = CatalogPagination
    lookup_field = "slug"


class ApiRootView(APIView):
    """All endpoints of the shop, and those that serve the same data without a cache or with cache_page."""

    permission_classes = [AllowAny]
    # The page lists the endpoints of these URL namespaces, those of the first one at the top level.
    namespaces: tuple[str, ...] = ("catalog", "uncached", *(["textbook"] if settings.TEXTBOOK else []))

    def get_view_name(self) -> str:
        return "Shop API" if len(self.namespaces) > 1 else f"Shop API, {self.namespaces[0]}"

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        first, *others = self.namespaces
        links: dict[str, Any] = self._endpoints(first)
        for namespace in others:
            links[namespace] = self._endpoints(namespace)
        if others:
            links["admin"] = reverse("admin:index", request=request)
        return Response(links)

    def _endpoints(self, namespace: str) -> dict[str, str]:
        names = {"products": "product-list", "statistics": "product-stats", "categories": "category-list"}
        return {label: reverse(f"{namespace}:{name}", request=self.request) for label, name in names.items()}
