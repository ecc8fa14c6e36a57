"""The API's URLs: the same endpoints three times, each namespace served in its own way."""

from types import ModuleType

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from catalog import textbook, views


def endpoints(source: ModuleType) -> list[URLPattern | URLResolver]:
    """The endpoints of a module that has the four views by their names in ``views.py``."""
    router = SimpleRouter()
    router.register("categories", source.CategoryViewSet, basename="category")
    return [
        path("products/", source.ProductListCreateAPIView.as_view(), name="product-list"),
        path("products/stats/", source.ProductStatsAPIView.as_view(), name="product-stats"),
        path("products/<int:pk>/", source.ProductDetailAPIView.as_view(), name="product-detail"),
        *router.urls,
    ]


def variant(namespace: str, source: ModuleType) -> URLResolver:
    """The endpoints below a folder of their own, which has a root page of its own."""
    root = path("", views.ApiRootView.as_view(namespaces=(namespace,)), name="root")
    return path(f"{namespace}/", include(([root, *endpoints(source)], namespace)))


urlpatterns = [
    path("", views.ApiRootView.as_view(), name="api-root"),
    path("", include((endpoints(textbook), "catalog"))),
    variant("uncached", views),
    variant("textbook", textbook),
]
