"""Strategies with planted faults, which the experiments must notice."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

from django.core.cache import cache
from django.db.models.signals import m2m_changed
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import views
from catalog.benchmarks.strategies.base import Strategy
from catalog.models import Product
from catalog.serializers import ProductSerializer

POLL_SECONDS = 0.01
# The name of an account of the leak experiment, and the CSRF token of a browsable page.
USERNAME = re.compile(r"bench-cache-[\w.-]+")
CSRF_TOKEN = re.compile(r'csrf[^<>]*?"[A-Za-z0-9]{64}"', re.IGNORECASE)


def with_views(**changed: Any) -> Any:
    """The shop's views, of which the views passed by name replace the originals."""
    return SimpleNamespace(**{**vars(views), **changed})


class _PageBefore:
    """Answers with the page from before its latest change."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        key = f"page-before:{request.get_full_path()}"
        pages = cache.get(key, [])
        if response.data not in pages[-1:]:
            pages = [*pages[-1:], response.data]
            cache.set(key, pages)
        response.data = pages[0]
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc, no-any-return]


class ListBefore(_PageBefore, views.ProductListCreateAPIView):
    pass


class DetailBefore(_PageBefore, views.ProductDetailAPIView):
    pass


class OneVersionBehind(Strategy):
    name = "one-version-behind"
    views = with_views(ProductListCreateAPIView=ListBefore, ProductDetailAPIView=DetailBefore)


class DetailOnceWritten(views.ProductDetailAPIView):
    """Shows the product that a writer has put into the cache, once, and otherwise the database."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = f"written:{kwargs['pk']}"
        written = cache.get(key)
        cache.delete(key)
        return Response(written) if written else super().retrieve(request, *args, **kwargs)


def _write_through(instance: Any, action: str, **kwargs: Any) -> None:
    if isinstance(instance, Product) and action == "post_add":
        product = Product.objects.get(pk=instance.pk)
        cache.set(f"written:{product.pk}", ProductSerializer(product).data)


@contextmanager
def _writing_through() -> Iterator[None]:
    m2m_changed.connect(_write_through, sender=Product.tags.through)
    try:
        yield
    finally:
        m2m_changed.disconnect(_write_through, sender=Product.tags.through)


class ShowsUncommitted(Strategy):
    """Writes to the cache when a tag is added to a product, even if the transaction is rolled back."""

    name = "shows-uncommitted"
    caches = False
    views = with_views(ProductDetailAPIView=DetailOnceWritten)

    def invalidation(self) -> AbstractContextManager[None]:
        return _writing_through()


class _Changed:
    """Changes the rendered HTML. ``before`` is the page that the previous request got."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if request.accepted_renderer.format == "api":
            response.add_post_render_callback(lambda rendered: self._change_and_keep(request, rendered))
        return response

    def _change_and_keep(self, request: Request, response: Any) -> None:
        key = f"changed:{request.get_full_path()}"
        page = response.content.decode()
        self.change(response, page, cache.get(key, ""))
        cache.set(key, page)

    def change(self, response: Any, page: str, before: str) -> None:
        raise NotImplementedError


class ListThatNames(_Changed, views.ProductListCreateAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        response.content = page + " ".join(USERNAME.findall(before))


class DetailWithAToken(_Changed, views.ProductDetailAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        response.content = page + "".join(CSRF_TOKEN.findall(before))


class StatisticsWithAForm(_Changed, views.ProductStatsAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        response.content = f'{page}<form method="POST">'


class Leaky(Strategy):
    """The list leaks the name of the previous account, a product leaks a token, the statistics a form."""

    name = "leaky"
    caches = False
    views = with_views(
        ProductListCreateAPIView=ListThatNames,
        ProductDetailAPIView=DetailWithAToken,
        ProductStatsAPIView=StatisticsWithAForm,
    )


class ListWithACookie(_Changed, views.ProductListCreateAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        response.set_cookie("basket", "everybody's")


class DetailOfNobody(_Changed, views.ProductDetailAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        if before:
            response.content = USERNAME.sub("somebody", page)


class StatisticsToKeep(_Changed, views.ProductStatsAPIView):
    def change(self, response: Any, page: str, before: str) -> None:
        response["Cache-Control"] = "max-age=60"


class Careless(Strategy):
    """The list sets the same cookie for everyone, a product loses the name of the account after the first
    request, and shared caches may keep the statistics.
    """

    name = "careless"
    caches = False
    views = with_views(
        ProductListCreateAPIView=ListWithACookie,
        ProductDetailAPIView=DetailOfNobody,
        ProductStatsAPIView=StatisticsToKeep,
    )


class ComputedTwiceList(views.ProductListCreateAPIView):
    """The first two requests for a page compute it, and all others wait for the result."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = f"computed-twice:{request.get_full_path()}"
        cache.add(f"{key}:requests", 0)
        if cache.incr(f"{key}:requests") <= 2:
            response = super().list(request, *args, **kwargs)
            cache.set(key, response.data)
            return response
        while (page := cache.get(key)) is None:
            time.sleep(POLL_SECONDS)
        return Response(page)


class ComputesTwice(Strategy):
    name = "computes-twice"
    views = with_views(ProductListCreateAPIView=ComputedTwiceList)
