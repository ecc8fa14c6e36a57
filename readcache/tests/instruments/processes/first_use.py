from __future__ import annotations

from django.conf import settings
from django.core.cache import caches


def use_the_cache() -> None:
    """Prints whether the folder of the private Redis is there: before the first use, and after it."""
    print(settings.PRIVATE_REDIS_DIR.exists())
    caches["read"].set("key", "value")
    print(settings.PRIVATE_REDIS_DIR.exists(), caches["read"].get("key"))
