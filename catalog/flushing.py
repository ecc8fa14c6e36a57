"""Empties both caches of product pages: the textbook's pages and the read cache's entries."""

from __future__ import annotations

import time
from dataclasses import dataclass

from catalog.cached_pages import CachedPages, flush_cached_pages, redis_client
from catalog.models import Product
from catalog.textbook import CATEGORY_PREFIX, PRODUCT_PREFIX
from readcache.flushing import Selection, UnknownName, count, select, sweep
from readcache.invalidation.rotations import rotate_tags


@dataclass(frozen=True, kw_only=True)
class Flushed:
    """What was removed. After ``rotation_seconds`` no old entry was served any more."""

    pages: CachedPages
    entries: int
    rotation_seconds: float
    seconds: float


def flush(*, prefix: str | None = None, alias: str = "default", dry_run: bool = False) -> Flushed:
    """Remove the pages and entries of one prefix or, without a prefix, all that show products.

    Rotating the tokens invalidates the entries of the read cache at once, however many are stored. The
    sweep that follows only frees memory. Raises ``InvalidOption`` and the errors of redis-py.
    """
    started = time.perf_counter()
    redis_client(alias)  # Refuses an unknown alias before anything is removed.
    selection = _selection(prefix)
    # Rotate first: finding the pages walks all keys, and old entries would be served meanwhile.
    if not dry_run and selection.tags:
        rotate_tags(selection.tags)
    rotation_seconds = time.perf_counter() - started
    page_prefix = PRODUCT_PREFIX if prefix is None else prefix
    pages = flush_cached_pages(prefix=page_prefix, alias=alias, dry_run=dry_run)
    entries = count(selection) if dry_run else sweep(selection)
    seconds = time.perf_counter() - started
    return Flushed(pages=pages, entries=entries, rotation_seconds=rotation_seconds, seconds=seconds)


def flush_textbook_pages() -> None:
    """Remove the textbook's pages after a bulk write, which sends no signals to its receivers."""
    for prefix in (PRODUCT_PREFIX, CATEGORY_PREFIX):
        flush_cached_pages(prefix=prefix)


def _selection(prefix: str | None) -> Selection:
    try:
        return select([Product._meta.label if prefix is None else prefix])
    except UnknownName:
        # A prefix of the textbook's pages alone.
        return Selection(tags=frozenset(), starts=())
