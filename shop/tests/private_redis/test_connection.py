from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django_redis.cache import RedisCache
from redis import exceptions

from conftest import ROOT
from readcache.testing import NO_SERVER_MESSAGE, PrivateRedis, PrivateRedisConnection
from shop.tests.private_redis.servers import (
    SHORT_TIMEOUT_SECONDS,
    cache_options,
    connect,
    ended,
    hung,
    kill,
    servers_in,
)

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


def test_the_settings_start_nothing_and_the_first_use_of_the_cache_does(
    manage_environment: dict[str, str],
) -> None:
    environment = manage_environment | {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SECRET_KEY": "for-tests-only",
        "ALLOWED_HOSTS": "testserver",
        "DEBUG": "",
        "REDIS_URL": "",
    }

    with ended(PrivateRedis(Path(environment["PRIVATE_REDIS_DIR"]))):
        asked = subprocess.run(
            [sys.executable, "-c", FIRST_USE],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert asked.stderr == ""
    assert asked.stdout.splitlines() == ["False", "True value"]


def test_a_connection_starts_the_server_where_there_is_none(server: PrivateRedis) -> None:
    with closing(connect(server)) as client:
        assert client.ping()

    assert server.is_running()


def test_a_new_connection_starts_the_server_anew_after_a_kill(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    with closing(connect(server)) as client:
        assert client.ping()

    assert len(servers_in(server.directory)) == 1


def test_an_open_connection_of_the_cache_outlives_a_killed_server(server: PrivateRedis) -> None:
    options = cache_options()
    pool = options["CONNECTION_POOL_KWARGS"] | {"server": server}
    cache = RedisCache(server.url(database=1), {"OPTIONS": options | {"CONNECTION_POOL_KWARGS": pool}})
    cache.set("key", "first")
    assert cache.get("key") == "first"

    kill(server)

    assert cache.get("key") is None
    cache.set("key", "second")
    assert cache.get("key") == "second"
    cache.client.get_client().connection_pool.disconnect()


def test_a_connection_in_use_outlives_a_killed_server(server: PrivateRedis) -> None:
    with closing(connect(server, single_connection_client=True)) as client:
        client.set("key", "value")
        kill(server)

        assert client.get("key") is None


def test_a_request_to_a_hung_server_fails_in_time(server: PrivateRedis) -> None:
    with closing(connect(server, socket_timeout=SHORT_TIMEOUT_SECONDS)) as client:
        client.ping()
        with hung(server):
            started = time.monotonic()
            with pytest.raises(exceptions.TimeoutError):
                client.get("key")
            seconds = time.monotonic() - started

    tries = 1 + cache_options()["CONNECTION_POOL_KWARGS"]["retry"].get_retries()
    assert seconds < 2 * tries * SHORT_TIMEOUT_SECONDS + 1
    assert tries * cache_options()["SOCKET_TIMEOUT"] <= LONGEST_WAIT_SECONDS


def test_a_connection_has_the_address_that_redis_py_reports_of_a_failed_one(server: PrivateRedis) -> None:
    connection: Any = PrivateRedisConnection(server=server, path=str(server.socket_path))
    connection.connect()

    connection.disconnect(error=exceptions.TimeoutError(), failure_count=1)

    assert connection.host == "localhost"
    assert connection.port == 0


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_a_connection_without_a_server_fails_with_that_error(server: PrivateRedis) -> None:
    with (
        closing(connect(server)) as client,
        pytest.raises(exceptions.ConnectionError, match=re.escape(NO_SERVER_MESSAGE)),
    ):
        client.ping()
