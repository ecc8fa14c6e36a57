"""The URLs that are measured: those of the shop, of the laboratory and of users' strategies."""

from django.urls import include, path

from catalog.benchmarks.strategies import builtin, floors, plug_ins
from catalog.benchmarks.strategies.registry import known_strategies
from catalog.urls import variant
from shop.urls import urlpatterns as shop_urlpatterns

# Loads the users' strategies that the settings name, which adds their URLs.
known_strategies()

urlpatterns = [
    path("floor/<path:path>", floors.floor),
    path("floor-get/<path:path>", floors.floor_with_get),
    # Unpacked, not included: one more level to resolve would cost time that the shop does not spend.
    *shop_urlpatterns,
    variant("builtin", builtin, read_cache=None),
    path("", include(plug_ins.url_patterns)),
]
