"""The URLs under which everything is measured: the shop's, and the floors'."""

from django.urls import include, path

from catalog.benchmarks import floor

urlpatterns = [
    path("floor/<path:path>", floor.floor),
    path("floor-get/<path:path>", floor.floor_with_get),
    path("", include("shop.urls")),
]
