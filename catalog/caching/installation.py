"""What an app calls in its ``ready()``, once it has imported the views that have a read cache."""

from __future__ import annotations

from django.core.checks import Tags, register

from catalog.caching import writes
from catalog.caching.checks import check_declarations, check_views


def install() -> None:
    """Watch what is written, and let ``manage.py check`` look at what the views declare."""
    writes.install()
    register(check_declarations, Tags.caches)
    register(check_views, Tags.urls)
