"""The shop's settings and its private Redis. The server's own tests are in ``readcache/tests/testing``."""

from __future__ import annotations

import subprocess
import sys

from django.conf import settings

from conftest import ROOT

LONGEST_WAIT_SECONDS = 5  # of a visitor, for a cache that hangs

FIRST_USE = """
import django
django.setup()
from django.conf import settings
from django.core.cache import cache
print(settings.PRIVATE_REDIS_DIR.exists())
cache.set("key", "value")
print(settings.PRIVATE_REDIS_DIR.exists(), cache.get("key"))
"""


def test_the_settings_start_nothing_and_the_first_use_of_the_cache_starts_the_server(
    manage_environment: dict[str, str],
) -> None:
    environment = manage_environment | {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SECRET_KEY": "for-tests-only",
        "ALLOWED_HOSTS": "testserver",
        "DEBUG": "",
        "REDIS_URL": "",
    }

    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["False", "True value"]


def test_a_visitor_waits_a_few_seconds_at_most_for_a_cache_that_hangs() -> None:
    options = settings.CACHES["default"]["OPTIONS"]
    tries = 1 + options["CONNECTION_POOL_KWARGS"]["retry"].get_retries()

    assert tries * options["SOCKET_TIMEOUT"] <= LONGEST_WAIT_SECONDS
