"""The plain views with ``cache_page`` on Django's own Redis backend. Only the laboratory serves them.

Django's backend cannot delete keys by a pattern, so only the timeout invalidates a page.
"""

from __future__ import annotations

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import views
from catalog.benchmarks.figures.names import BUILTIN

# The prefix must not contain "product_list": the textbook's delete_pattern deletes every key that does.
cached = method_decorator(cache_page(60 * 15, cache=BUILTIN, key_prefix="django_alone"))


class ProductListCreateAPIView(views.ProductListCreateAPIView):
    @cached
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)


class ProductDetailAPIView(views.ProductDetailAPIView):
    @cached
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)


class ProductStatsAPIView(views.ProductStatsAPIView):
    @cached
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class CategoryViewSet(views.CategoryViewSet):
    @cached
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @cached
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)
