"""The URLs under which everything is measured: the shop's, and the floors'."""

from django.urls import path

from catalog.benchmarks import floor
from shop.urls import urlpatterns as shop_urlpatterns

urlpatterns = [
    path("floor/<path:path>", floor.floor),
    path("floor-get/<path:path>", floor.floor_with_get),
    # Not included: another level to resolve would be a cost that the shop does not have.
    *shop_urlpatterns,
]
