"""The textbook's invalidation: saving or deleting a product clears every cached product page.

The receivers follow the tutorials to the letter, with the faults that ``textbook.py`` lists. This module
also logs the invalidations of the read cache. ``apps.py`` connects both.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import cache
from django.db.models.signals import post_delete, post_save

from catalog.models import Product

logger = logging.getLogger(__name__)


def log_rotation(sender: object, tags: frozenset[str], **kwargs: Any) -> None:
    """Log an invalidation of the read cache: the entries that depend on these tables are stale now."""
    logger.debug("Rotated the read cache's tokens of %s", ", ".join(sorted(tags)))


def clear_product_cache(sender: type[Product], raw: bool = False, **kwargs: Any) -> None:
    """Raises the errors of redis-py if Redis cannot be reached, so the save fails too."""
    # ``loaddata`` saves raw, product by product. One line each would bury its own output.
    logger.log(logging.DEBUG if raw else logging.INFO, "Clearing the product cache")
    cache.delete_pattern("*product_list*")  # type: ignore[attr-defined]


def connect() -> None:
    for signal in (post_save, post_delete):
        signal.connect(clear_product_cache, sender=Product)


@contextmanager
def disconnected() -> Iterator[None]:
    """Disconnect the receivers inside: bulk writes clear the pages once at the end, and the benchmark
    keeps the cost of these receivers out of the other strategies' writes.
    """
    were_connected = [
        signal
        for signal in (post_save, post_delete)
        if signal.disconnect(clear_product_cache, sender=Product)
    ]
    try:
        yield
    finally:
        for signal in were_connected:
            signal.connect(clear_product_cache, sender=Product)
