"""The plain views with ``cache_page`` on Django's own Redis backend. Only the laboratory serves them.

Django's backend cannot delete keys by a pattern, so only the timeout invalidates a page.
"""

from __future__ import annotations

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page

from catalog import views
from catalog.benchmarks.figures.names import BUILTIN

# The prefix must not contain "product_list": the textbook's delete_pattern deletes every key that does.
cached = cache_page(60 * 15, cache=BUILTIN, key_prefix="django_alone")


@method_decorator(cached, name="list")
class ProductListCreateAPIView(views.ProductListCreateAPIView):
    pass


@method_decorator(cached, name="retrieve")
class ProductDetailAPIView(views.ProductDetailAPIView):
    pass


@method_decorator(cached, name="get")
class ProductStatsAPIView(views.ProductStatsAPIView):
    pass


@method_decorator(cached, name="list")
@method_decorator(cached, name="retrieve")
class CategoryViewSet(views.CategoryViewSet):
    pass
