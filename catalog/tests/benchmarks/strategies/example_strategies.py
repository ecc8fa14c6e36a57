"""Strategies as users may write them. The tests name them by module and class."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import views
from catalog.benchmarks.strategies.base import Strategy
from catalog.models import Product

KEYS = "example-keys"


def _remember(key: str) -> None:
    cache.set(KEYS, [*cache.get(KEYS, []), key])


def _forget(**kwargs: Any) -> None:
    cache.delete_many(cache.get(KEYS, []))


@contextmanager
def _forgetting() -> Iterator[None]:
    post_save.connect(_forget, sender=Product)
    try:
        yield
    finally:
        post_save.disconnect(_forget, sender=Product)


class RememberedList(views.ProductListCreateAPIView):
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = f"remembered:{request.get_full_path()}"
        compute = super().list
        _remember(key)
        return Response(cache.get_or_set(key, lambda: compute(request).data))


class Remembering(Strategy):
    name = "remembering"
    views = SimpleNamespace(**{**vars(views), "ProductListCreateAPIView": RememberedList})

    def invalidation(self) -> AbstractContextManager[None]:
        return _forgetting()


def page_cache(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that caches the uncached pages, with which all strategies are compared."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/uncached/"):
            return get_response(request)
        # The benchmark must not mistake this text for an answer of the process.
        sys.stdout.write("A request.\n")
        key = f"page:{request.get_full_path()}"
        content = cache.get(key)
        if content is None:
            _remember(key)
            content = get_response(request).render().content  # type: ignore[attr-defined]
            cache.set(key, content)
        return HttpResponse(content, content_type="application/json", headers={"X-Pages": "cached"})

    return answer


class Apart(Strategy):
    name = "apart"
    own_process = True
    url_prefix = "/uncached"
    settings = {
        "MIDDLEWARE": [f"{__name__}.page_cache"],
        "CACHES": {"apart": {"TIMEOUT": 7}},
    }

    def invalidation(self) -> AbstractContextManager[None]:
        return _forgetting()

    def urls(self) -> list[Any]:
        """No URLs. Must not be called in a process without the strategy's settings."""
        assert "apart" in settings.CACHES
        return []


def deaf(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that makes its process ignore the signal to end."""
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    return get_response


class Deaf(Strategy):
    name = "deaf"
    own_process = True
    url_prefix = "/uncached"
    settings = {"MIDDLEWARE": [f"{__name__}.deaf"]}


class NeedsMore(Strategy):
    name = "needs-more"
    requires = ("no-such-distribution",)


class Nameless(Strategy):
    pass


class Shouting(Strategy):
    name = "SHOUTING"


class Double(Remembering):
    pass


class InFloor(Strategy):
    name = "floor"


class Viewless(Strategy):
    name = "viewless"
    views = SimpleNamespace()


class SettingsWithoutProcess(Strategy):
    name = "settings-without-process"
    settings = {"DEBUG": True}


class UnspeakableSettings(Strategy):
    name = "unspeakable"
    own_process = True
    settings = {"INSTALLED_APPS": {object()}}


class CacheElsewhere(Strategy):
    name = "elsewhere"
    own_process = True
    settings = {"CACHES": {"mine": {"LOCATION": "redis://127.0.0.1/7"}}}


class BrokenSettings(Strategy):
    name = "broken"
    own_process = True
    url_prefix = "/uncached"
    settings = {"INSTALLED_APPS": [*settings.INSTALLED_APPS, "no_such_app"]}


NOT_A_CLASS = Remembering()


def set_stock(pk: int, stock: int) -> int:
    product = Product.objects.get(pk=pk)
    product.stock = stock
    product.save()
    return product.stock


def describe_process() -> dict[str, Any]:
    alias = settings.CACHES["apart"]
    return {
        "alias": {name: alias[name] for name in ("TIMEOUT", "KEY_PREFIX")},
        "collects": gc.isenabled(),
    }


def fail() -> None:
    raise ArithmeticError("Nothing adds up.")


def never_return() -> None:
    threading.Event().wait()
