"""The floor: bare Django views that answer ready bytes through the same middleware, and their URLs.

The benchmark runs under these URLs. ``/floor/…`` answers from memory; ``/floor-get/…`` asks Redis
for the bytes first, with one GET: no cache in Redis can be faster.
"""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from catalog.cached_pages import redis_client

_ready: dict[str, Any] = {"body": b"", "key": ""}


def prepare(body: bytes) -> None:
    """What both answer from now on, compressed as the read cache's answers are.

    The key has the alias's prefix, and goes with it.
    """
    key = f"{caches['read'].key_prefix}:floor"
    redis_client("read").set(key, body)
    _ready.update(body=body, key=key)


def floor(request: HttpRequest, path: str) -> HttpResponse:
    return _answer(_ready["body"])


def floor_with_get(request: HttpRequest, path: str) -> HttpResponse:
    return _answer(redis_client("read").get(_ready["key"]))


def _answer(body: Any) -> HttpResponse:
    headers = {"Content-Encoding": "gzip"}
    return HttpResponse(body, content_type="application/json", headers=headers)


urlpatterns = [
    path("floor/<path:path>", floor),
    path("floor-get/<path:path>", floor_with_get),
    path("", include("shop.urls")),
]
