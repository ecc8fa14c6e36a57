"""The floor: bare Django views that answer ready bytes through the same middleware.

``/floor/…`` answers from memory; ``/floor-get/…`` asks Redis for the bytes first, with one GET: no
cache in Redis can be faster.
"""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from catalog.cached_pages import redis_client

ALIAS = "read"
# Longer than any run. Keys of one that was killed go by themselves, as the strategies' do.
LIFETIME_SECONDS = 24 * 3600

_ready: dict[str, bytes] = {}


def prepare(path: str, body: bytes) -> None:
    """What both answer to this path and query from now on, compressed as the read cache's answers are.

    In Redis it has the alias's key prefix, and goes with it.
    """
    redis_client(ALIAS).set(_key(path), body, ex=LIFETIME_SECONDS)
    _ready[path] = body


def floor(request: HttpRequest, path: str) -> HttpResponse:
    asked = _asked(request, path)
    body = _ready.get(asked)
    if body is None:
        # A server was started after the body was made.
        body = _ready[asked] = _fetch(asked)
    return _answer(body)


def floor_with_get(request: HttpRequest, path: str) -> HttpResponse:
    return _answer(_fetch(_asked(request, path)))


def _asked(request: HttpRequest, path: str) -> str:
    query = request.META.get("QUERY_STRING")
    return f"/{path}?{query}" if query else f"/{path}"


def _fetch(path: str) -> bytes:
    body: Any = redis_client(ALIAS).get(_key(path))
    return body or b""


def _key(path: str) -> str:
    return f"{caches[ALIAS].key_prefix}:floor:{path}"


def _answer(body: bytes) -> HttpResponse:
    headers = {"Content-Encoding": "gzip"}
    return HttpResponse(body, content_type="application/json", headers=headers)
