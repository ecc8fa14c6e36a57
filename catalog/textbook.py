"""The same views with the cache that tutorials teach: ``cache_page`` and ``delete_pattern``.

This is the baseline that better caches are measured against, so its known faults stay in it:

- It invalidates before COMMIT. The receivers in ``signals.py`` run inside the transaction (the
  admin wraps every save in one); a reader re-caches the old page meanwhile, for 15 minutes.
- It fills late. A reader that queried before a write stores its old page after the invalidation.
- It misses silent writes: ``update()``, ``bulk_create()``, ``bulk_update()``, tags added or
  removed, a renamed category or tag, raw SQL. None of them sends a product's signals. Tags that
  come with a save through the API are written after it, and so after the invalidation.
- ``delete_pattern`` walks every key of the database, ten keys a round trip, and also deletes other
  people's keys that have these words in them.
- Nothing clears the pages of ``category_list``: a category's number of products is up to 15
  minutes old.
- The browser keeps a copy of its own: ``Cache-Control: max-age=900`` outlives every invalidation.
- The browsable page that an admin saw, with user name, forms and CSRF token, is served to visitors.
- Fifty requests at once for a cold page run its queries fifty times.
- ``?utm=1`` … ``?utm=N`` are N copies of one page.
- Without Redis every request, and every save, is an error; with a hung one they wait for seconds.
  A save outside a transaction fails after its row was written.
- Pages are pickled: whoever can write to Redis can run code in Django.
- A hit takes two round trips, and each page is stored twice over (data and rendering).
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
