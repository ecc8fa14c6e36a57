"""The floors: bare Django views that return prepared bytes through the same middleware.

``/floor/…`` has the bytes in memory. ``/floor-get/…`` fetches them from Redis with one GET, so no
cache in Redis can be faster.
"""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from catalog.cached_pages import redis_client

ALIAS = "read"
# Longer than any run. Keys of a killed run expire, as the keys of the strategies do.
LIFETIME_SECONDS = 24 * 3600

_ready: dict[str, bytes] = {}


def prepare(path: str, body: bytes) -> None:
    """Let both floors return this body, which is compressed, for this path and query.

    Its key in Redis has the key prefix of the alias, so it is removed with the other keys.
    """
    redis_client(ALIAS).set(_key(path), body, ex=LIFETIME_SECONDS)
    _ready[path] = body


def floor(request: HttpRequest, path: str) -> HttpResponse:
    full_path = _full_path(request, path)
    body = _ready.get(full_path)
    if body is None:
        # This server process was started after prepare() was called in another one.
        body = _ready[full_path] = _fetch(full_path)
    return _respond(body)


def floor_with_get(request: HttpRequest, path: str) -> HttpResponse:
    return _respond(_fetch(_full_path(request, path)))


def _full_path(request: HttpRequest, path: str) -> str:
    query = request.META.get("QUERY_STRING")
    return f"/{path}?{query}" if query else f"/{path}"


def _fetch(path: str) -> bytes:
    body: Any = redis_client(ALIAS).get(_key(path))
    return body or b""


def _key(path: str) -> str:
    return f"{caches[ALIAS].key_prefix}:floor:{path}"


def _respond(body: bytes) -> HttpResponse:
    headers = {"Content-Encoding": "gzip"}
    return HttpResponse(body, content_type="application/json", headers=headers)
