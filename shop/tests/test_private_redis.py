"""The shop's settings and its private Redis. The server's own tests are in ``readcache/tests/testing``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from conftest import ROOT
from readcache.testing import PrivateRedisError
from shop.private_redis import private_redis

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


def test_errors_name_the_variables_of_the_shop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PrivateRedisError) as raised:
        private_redis(tmp_path / "file").ensure_running()

    assert str(raised.value) == (
        f"{tmp_path}/file must be a folder of yours for the private Redis: it is a link or a file. "
        "Remove it, or choose another folder. PRIVATE_REDIS_DIR sets its folder. To use another Redis, run "
        "docker compose up -d redis and set REDIS_URL=redis://127.0.0.1:6379/1."
    )
