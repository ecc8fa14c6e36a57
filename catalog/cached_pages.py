"""Counts and removes the pages that ``cache_page`` keeps in Redis, and no other keys."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from django.core.cache import caches
from django_redis.cache import RedisCache
from redis import Redis

from catalog.options import InvalidOption

# How many keys SCAN walks in one round trip. The default of Redis and of django-redis is ten, which
# takes a hundred times as many round trips.
SCAN_STEP = 1_000
PREFIX_RULE = re.compile(r"[A-Za-z0-9_.-]+")
PAGE_MARK = b".cache_page."


@dataclass(frozen=True, kw_only=True)
class CachedPages:
    """The pages that were found and, except in a dry run, removed.

    ``cache_page`` keeps two keys for a page: the page itself, and a header key that lists the request
    headers on which the page varies. All variants of a page share the header key.
    """

    pages: int
    keys: int
    seconds: float


def flush_cached_pages(*, prefix: str, alias: str = "default", dry_run: bool = False) -> CachedPages:
    """Remove the pages that are cached under this ``key_prefix``, with SCAN and UNLINK.

    Raises ``InvalidOption`` if the prefix could match other keys, and the errors of redis-py.
    """
    if not (isinstance(prefix, str) and PREFIX_RULE.fullmatch(prefix)):
        raise InvalidOption(f"--prefix must be letters, digits, '_', '-' and '.', got {prefix!r}.")
    started = time.perf_counter()
    client = redis_client(alias)
    # A star in a glob also matches dots, so the glob alone would match other.product_list too.
    exact = re.compile(
        rf"\bcache\.(?:cache_page\.{re.escape(prefix)}\.(?:GET|HEAD)|cache_header\.{re.escape(prefix)})"
        r"\.[0-9a-f]{32}\b".encode()
    )
    pages = keys = 0
    for found in scan_batches(client, page_pattern(prefix, alias=alias)):
        batch = [key for key in found if exact.search(key)]
        if not batch:
            continue
        keys += len(batch) if dry_run else client.unlink(*batch)
        pages += sum(PAGE_MARK in key for key in batch)
    return CachedPages(pages=pages, keys=keys, seconds=time.perf_counter() - started)


def page_pattern(prefix: str, *, alias: str = "default") -> str:
    """A glob for the keys of this prefix. It also matches keys whose longer prefix ends with this one."""
    pattern = f"views.decorators.cache.cache_*.{prefix}.*"
    return str(_redis_cache(alias).client.make_pattern(pattern))


def redis_client(alias: str = "default") -> Redis:
    """The connection of a cache alias. Raises ``InvalidOption`` if that cache is not in Redis."""
    client: Redis = _redis_cache(alias).client.get_client(write=True)
    return client


def _redis_cache(alias: str) -> RedisCache:
    if alias not in caches.settings:
        raise InvalidOption(f"--cache must be one of {', '.join(caches.settings)}, got {alias!r}.")
    cache = caches[alias]
    if not isinstance(cache, RedisCache):
        raise InvalidOption(f"--cache must be a django-redis cache, got {alias!r}.")
    return cache


def scan_batches(client: Redis, pattern: str) -> Iterator[list[bytes]]:
    """The keys that match, in batches, each key once although SCAN may return a key twice.

    Memory grows with the number of matching keys, not with the size of the database.
    """
    seen: set[bytes] = set()
    cursor = 0
    while True:
        cursor, found = cast("tuple[int, list[bytes]]", client.scan(cursor, match=pattern, count=SCAN_STEP))
        if fresh := [key for key in dict.fromkeys(found) if key not in seen]:
            seen.update(fresh)
            yield fresh
        if cursor == 0:
            return
