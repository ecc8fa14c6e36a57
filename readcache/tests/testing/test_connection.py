from __future__ import annotations

import re
import time
from contextlib import closing
from typing import Any

import pytest
from django_redis.cache import RedisCache
from redis import exceptions

from instruments.processes.first_use import use_the_cache
from instruments.processes.process import Process
from instruments.servers import (
    SHORT_TIMEOUT_SECONDS,
    cache_options,
    connect,
    hung,
    kill,
    servers_in,
)
from readcache.testing import PrivateRedis, PrivateRedisConnection
from readcache.testing.programs import NO_SERVER_MESSAGE


def test_the_settings_start_nothing_and_the_first_use_of_the_cache_starts_the_server(
    server: PrivateRedis,
) -> None:
    with Process(use_the_cache, LIBRARY_REDIS_DIR=str(server.directory)) as process:
        assert process.output().splitlines() == ["False", "True value"]


def test_a_connection_starts_the_server_where_none_runs(server: PrivateRedis) -> None:
    with closing(connect(server)) as client:
        assert client.ping()

    assert server.is_running()


def test_a_new_connection_starts_the_server_again_after_a_kill(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    with closing(connect(server)) as client:
        assert client.ping()

    assert len(servers_in(server.directory)) == 1


def test_a_cache_with_an_open_connection_works_after_its_server_was_killed(server: PrivateRedis) -> None:
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


def test_a_client_with_a_single_connection_works_after_its_server_was_killed(server: PrivateRedis) -> None:
    with closing(connect(server, single_connection_client=True)) as client:
        client.set("key", "value")
        kill(server)

        assert client.get("key") is None


def test_a_command_to_a_hung_server_times_out(server: PrivateRedis) -> None:
    with closing(connect(server, socket_timeout=SHORT_TIMEOUT_SECONDS)) as client:
        client.ping()
        with hung(server):
            started = time.monotonic()
            with pytest.raises(exceptions.TimeoutError):
                client.get("key")
            seconds = time.monotonic() - started

    tries = 1 + cache_options()["CONNECTION_POOL_KWARGS"]["retry"].get_retries()
    assert seconds < 2 * tries * SHORT_TIMEOUT_SECONDS + 1


def test_a_connection_has_the_address_that_redis_py_reports_when_one_fails(server: PrivateRedis) -> None:
    connection: Any = PrivateRedisConnection(server=server, path=str(server.socket_path))
    connection.connect()

    connection.disconnect(error=exceptions.TimeoutError(), failure_count=1)

    assert connection.host == "localhost"
    assert connection.port == 0


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_a_connection_without_a_server_program_says_what_to_do(server: PrivateRedis) -> None:
    with (
        closing(connect(server)) as client,
        pytest.raises(exceptions.ConnectionError, match=re.escape(NO_SERVER_MESSAGE)),
    ):
        client.ping()
