"""The settings of the read cache, each read from Django's settings when it is needed."""

from __future__ import annotations

from django.conf import settings

ALIAS = "read"
DEFAULT_LEASE_SECONDS = 10.0
DEFAULT_WAIT_SECONDS = 5.0


def lease_seconds() -> float:
    """``READ_CACHE_LEASE_SECONDS``: how long an answer may be stale after a writer was killed."""
    return float(getattr(settings, "READ_CACHE_LEASE_SECONDS", DEFAULT_LEASE_SECONDS))


def wait_seconds() -> float:
    """``READ_CACHE_WAIT_SECONDS``: how long a request waits for another that fills the same entry."""
    return float(getattr(settings, "READ_CACHE_WAIT_SECONDS", DEFAULT_WAIT_SECONDS))
