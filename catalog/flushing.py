"""Emptying both caches of the product pages: the textbook's pages and the read cache's entries."""

from __future__ import annotations

import time
from dataclasses import dataclass

from catalog.cached_pages import CachedPages, flush_cached_pages, redis_client
from catalog.models import Product
from catalog.textbook import CATEGORY_PREFIX, PRODUCT_PREFIX
from readcache.declarations import ReadCache, declarations
from readcache.inspection import sweep
from readcache.invalidation.rotations import rotate_tags


@dataclass(frozen=True, kw_only=True)
class Flushed:
    """``rotation_seconds`` is the time after which no entry was served any more."""

    pages: CachedPages
    entries: int
    rotation_seconds: float
    seconds: float


def flush(*, prefix: str | None = None, alias: str = "default", dry_run: bool = False) -> Flushed:
    """Remove the pages and entries of one prefix, or all that show products.

    The read cache is emptied by rotating tokens, in a time that does not depend on what is stored;
    sweeping only gives the memory back. Raises ``InvalidOption`` and redis-py's errors.
    """
    started = time.perf_counter()
    redis_client(alias)  # refuses an alias that is none before anything is removed
    chosen = _declarations_of(prefix)
    # First: the pages are found by walking all keys, and the entries would be served meanwhile.
    if not dry_run and chosen:
        rotate_tags(frozenset(tag for each in chosen for tag in each.tags))
    rotation_seconds = time.perf_counter() - started
    page_prefix = PRODUCT_PREFIX if prefix is None else prefix
    pages = flush_cached_pages(prefix=page_prefix, alias=alias, dry_run=dry_run)
    entries = sum(sweep(each.prefix, dry_run=dry_run).entries for each in chosen)
    seconds = time.perf_counter() - started
    return Flushed(pages=pages, entries=entries, rotation_seconds=rotation_seconds, seconds=seconds)


def flush_textbook_pages() -> None:
    """For rows written in bulk, which send no signals: the textbook's receivers did not see them."""
    for prefix in (PRODUCT_PREFIX, CATEGORY_PREFIX):
        flush_cached_pages(prefix=prefix)


def _declarations_of(prefix: str | None) -> list[ReadCache]:
    if prefix is None:
        return [each for each in declarations() if Product in each.depends_on]
    return [each for each in declarations() if each.prefix == prefix]
