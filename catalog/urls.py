"""The URLs of the API: the same endpoints with the read cache, with the textbook's, and without one."""

from types import ModuleType
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from catalog import textbook, views


def endpoints(source: ModuleType, **initkwargs: Any) -> list[URLPattern]:
    """The endpoints of ``source``, a module with four views that are named as in ``views.py``."""
    products, product = source.ProductListCreateAPIView, source.ProductDetailAPIView
    statistics, categories = source.ProductStatsAPIView, source.CategoryViewSet
    listed = {"detail": False, "suffix": "List", **initkwargs}
    single = {"detail": True, "suffix": "Instance", **initkwargs}
    return [
        path("products/", products.as_view(**initkwargs), name="product-list"),
        path("products/stats/", statistics.as_view(**initkwargs), name="product-stats"),
        path("products/<int:pk>/", product.as_view(**initkwargs), name="product-detail"),
        path("categories/", categories.as_view({"get": "list"}, **listed), name="category-list"),
        path(
            "categories/<slug:slug>/",
            categories.as_view({"get": "retrieve"}, **single),
            name="category-detail",
        ),
    ]


def variant(namespace: str, source: ModuleType, **initkwargs: Any) -> URLResolver:
    """The endpoints of ``source`` and a root page, all below ``/<namespace>/``."""
    root = path("", views.ApiRootView.as_view(namespaces=(namespace,)), name="root")
    return path(f"{namespace}/", include(([root, *endpoints(source, **initkwargs)], namespace)))


urlpatterns = [
    path("", views.ApiRootView.as_view(), name="api-root"),
    path("", include((endpoints(views), "catalog"))),
    variant("uncached", views, read_cache=None),
    *([variant("textbook", textbook, read_cache=None)] if settings.TEXTBOOK else []),
]
