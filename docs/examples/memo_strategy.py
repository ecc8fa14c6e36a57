"""A view that keeps its data with ``cache.get_or_set`` and never invalidates it.

python manage.py bench_cache --strategy docs.examples.memo_strategy:Memo
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import views
from catalog.benchmarks.strategies.base import Strategy


class ProductListCreateAPIView(views.ProductListCreateAPIView):
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        compute = super().list
        key = f"memo:{request.build_absolute_uri()}"
        return Response(cache.get_or_set(key, lambda: compute(request).data, timeout=60))


class Memo(Strategy):
    name = "memo"
    # The other three views are the shop's, without a cache.
    views = SimpleNamespace(**{**vars(views), "ProductListCreateAPIView": ProductListCreateAPIView})
