from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test.utils import override_settings

from catalog.benchmarks.experiments.growth.redis_servers import redis_server
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.cached_pages import redis_client
from catalog.tests.benchmarks.conftest import children
from readcache.storage.current import store

MIB = 2**20


def test_every_cache_uses_the_scratch_server_inside_the_block(redis: Any, read_redis: Any) -> None:
    before = children()
    with isolated_cache():
        with redis_server(seconds=10) as server:
            assert server.is_scratch
            assert len(children() - before) == 1
            cache.set("mine", 1)
            store().rotate(["catalog_product"])
            # A token, and the registry of what the views declare.
            assert [client.dbsize() for client in server.clients] == [1, 2]
            assert redis.dbsize() == read_redis.dbsize() == 0
            server.empty()
            assert cache.get("mine") is None
        cache.set("mine", 2)
        assert redis.dbsize() == 1

    assert children() <= before


def test_a_scratch_server_ends_when_the_experiment_is_interrupted() -> None:
    before, meanwhile = children(), set()

    def be_interrupted() -> None:
        with isolated_cache(), redis_server(seconds=10):
            meanwhile.update(children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()

    assert meanwhile > before
    assert children() <= before


@override_settings(USES_PRIVATE_REDIS=False)
def test_only_the_benchmarks_keys_are_removed_from_the_users_redis(redis: Any) -> None:
    redis.set("precious", 1)
    with isolated_cache(), redis_server(seconds=10) as server:
        assert not server.is_scratch
        cache.set("mine", 1)
        server.empty()

        assert redis.keys() == [b"precious"]


@override_settings(USES_PRIVATE_REDIS=False)
def test_the_users_redis_is_filled_up_to_half_of_its_free_memory(redis: Any) -> None:
    limit = redis.config_get("maxmemory")["maxmemory"]
    with isolated_cache(), redis_server(seconds=10) as server:
        redis.config_set("maxmemory", 64 * MIB)
        try:
            assert 24 * MIB < server.room_bytes() <= (64 * MIB - server.used_bytes()) / 2
        finally:
            redis.config_set("maxmemory", limit)


def test_the_clients_of_the_experiment_wait_longer_for_redis_than_the_caches() -> None:
    with isolated_cache(), redis_server(seconds=10) as server:
        timeouts = [client.connection_pool.connection_kwargs["socket_timeout"] for client in server.clients]
        of_caches = redis_client().connection_pool.connection_kwargs["socket_timeout"]

    assert len(timeouts) >= 2
    assert min(timeouts) >= 60 > of_caches
