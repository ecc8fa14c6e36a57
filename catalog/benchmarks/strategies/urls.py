"""The URLs under which everything is measured: the shop's, the laboratory's, and the plug-ins'."""

from django.urls import include, path

from catalog.benchmarks.strategies import builtin, floors, plug_ins
from catalog.benchmarks.strategies.registry import known_strategies
from catalog.urls import variant
from shop.urls import urlpatterns as shop_urlpatterns

# Loads those that this process was told of, and with each its URLs.
known_strategies()

urlpatterns = [
    path("floor/<path:path>", floors.floor),
    path("floor-get/<path:path>", floors.floor_with_get),
    # Not included: another level to resolve would be a cost that the shop does not have.
    *shop_urlpatterns,
    variant("builtin", builtin, read_cache=None),
    path("", include(plug_ins.url_patterns)),
]
