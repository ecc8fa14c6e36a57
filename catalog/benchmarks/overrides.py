"""The settings in which a benchmark's processes differ from the shop's.

Imports nothing of Django's: the settings of child processes are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEST_CLIENT_HOST = "testserver"
URLCONF = "catalog.benchmarks.urls"


def overrides(caches: Mapping[str, Mapping[str, Any]], *, key_prefix: str) -> dict[str, Any]:
    """Everything cached has the key prefix. ``DEBUG`` is off: with it Django records every query."""
    return {
        "CACHES": {alias: {**config, "KEY_PREFIX": key_prefix} for alias, config in caches.items()},
        "ALLOWED_HOSTS": [TEST_CLIENT_HOST, "127.0.0.1"],
        "DEBUG": False,
        "SECURE_SSL_REDIRECT": False,
        "ROOT_URLCONF": URLCONF,
    }
