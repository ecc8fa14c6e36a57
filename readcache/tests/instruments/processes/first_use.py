"""Prints whether the folder of the private Redis is there: after the start, and after the first use."""

from __future__ import annotations

import django

django.setup()

from django.conf import settings
from django.core.cache import caches

if __name__ == "__main__":
    print(settings.PRIVATE_REDIS_DIR.exists())
    caches["read"].set("key", "value")
    print(settings.PRIVATE_REDIS_DIR.exists(), caches["read"].get("key"))
