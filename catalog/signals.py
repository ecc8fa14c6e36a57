"""The textbook's invalidation: a saved or deleted product clears every cached product page.

To the letter of the tutorials, faults included: see ``textbook.py``. Also a log of the read
cache's invalidations. Connected in ``apps.py``.
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
    """The read cache's word for an invalidation: entries that depend on these tables are dead."""
    logger.info("Rotated the read cache's tokens of %s", ", ".join(sorted(tags)))


def clear_product_cache(sender: type[Product], **kwargs: Any) -> None:
    """Raises the errors of redis-py where Redis cannot be reached: the save then fails."""
    logger.info("Clearing the product cache")
    cache.delete_pattern("*product_list*")  # type: ignore[attr-defined]


def connect() -> None:
    for signal in (post_save, post_delete):
        signal.connect(clear_product_cache, sender=Product)


@contextmanager
def disconnected() -> Iterator[None]:
    """No receiver listens inside. For bulk work that clears once at its end, and for measuring others."""
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
