"""The same views with the cache that tutorials teach: ``cache_page`` and ``delete_pattern``.

Other caches are measured against this one, so its known faults are kept on purpose:

- It invalidates before COMMIT. The receivers in ``signals.py`` run inside the transaction, and the
  admin wraps every save in one. A reader that comes before COMMIT caches the old page for 15 minutes.
- It stores late. A reader that ran its query before a write may store the old page after the
  invalidation.
- It misses every write that sends no signal of a product: ``update()``, ``bulk_create()``,
  ``bulk_update()``, added or removed tags, a renamed category or tag, raw SQL. The API saves a product
  first and its tags afterwards, so the tags are written after the invalidation.
- ``delete_pattern`` walks every key of the database, ten keys in a round trip. It also deletes the
  keys of other programs that contain these words.
- Nothing clears the pages of ``category_list``. The number of products in a category may be 15 minutes
  old.
- The browser keeps a copy for 15 minutes too (``Cache-Control: max-age=900``). No invalidation
  reaches it.
- An anonymous client may get the browsable page of an admin: the user name, forms and CSRF token.
- Fifty simultaneous requests for a page that is not cached run its queries fifty times.
- ``?utm=1`` … ``?utm=N`` store N copies of one page.
- When Redis is down, every request and every save fails. When Redis hangs, they first wait for
  seconds. A save outside a transaction fails after its row was written.
- Pages are pickled, so whoever can write to Redis can run code in Django.
- A hit takes two round trips. Each page is stored in two forms, as data and rendered.
"""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import views

PRODUCT_PREFIX = "product_list"
CATEGORY_PREFIX = "category_list"


class ProductListCreateAPIView(views.ProductListCreateAPIView):
    __doc__ = views.ProductListCreateAPIView.__doc__

    @method_decorator(cache_page(60 * 15, key_prefix=PRODUCT_PREFIX))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)


class ProductDetailAPIView(views.ProductDetailAPIView):
    __doc__ = views.ProductDetailAPIView.__doc__

    @method_decorator(cache_page(60 * 15, key_prefix=PRODUCT_PREFIX))
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)


class ProductStatsAPIView(views.ProductStatsAPIView):
    __doc__ = views.ProductStatsAPIView.__doc__

    @method_decorator(cache_page(60 * 15, key_prefix=PRODUCT_PREFIX))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class CategoryViewSet(views.CategoryViewSet):
    __doc__ = views.CategoryViewSet.__doc__

    @method_decorator(cache_page(60 * 15, key_prefix=CATEGORY_PREFIX))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @method_decorator(cache_page(60 * 15, key_prefix=CATEGORY_PREFIX))
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)
