from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test.utils import override_settings
from redis.connection import parse_url

from catalog.benchmarks.experiments.growth.filled_redis import redis_server
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.cached_pages import redis_client
from catalog.tests.benchmarks.conftest import children
from readcache.storage.current import store


@pytest.mark.parametrize("is_private", [True, False])
def test_every_cache_uses_the_scratch_server_inside_the_block(
    is_private: bool, redis: Any, read_redis: Any
) -> None:
    before = children()
    with override_settings(USES_PRIVATE_REDIS=is_private), isolated_cache():
        with redis_server() as server:
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
        with isolated_cache(), redis_server():
            meanwhile.update(children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()

    assert meanwhile > before
    assert children() <= before


def test_child_processes_use_the_scratch_server(redis: Any) -> None:
    redis.set("precious", 1)
    with isolated_cache(), redis_server() as server:
        databases = [client.connection_pool.connection_kwargs["db"] for client in server.clients]
        assert not settings.USES_PRIVATE_REDIS
        assert databases == [parse_url(url)["db"] for url in (settings.REDIS_URL, settings.READ_REDIS_URL)]
        assert len({*databases, settings.REDIS_URL, settings.READ_REDIS_URL}) == 4
        server.empty()

    assert redis.keys() == [b"precious"]


def test_the_clients_of_the_experiment_wait_longer_for_redis_than_the_caches() -> None:
    with isolated_cache(), redis_server() as server:
        timeouts = [client.connection_pool.connection_kwargs["socket_timeout"] for client in server.clients]
        of_caches = redis_client().connection_pool.connection_kwargs["socket_timeout"]

    assert len(timeouts) >= 2
    assert min(timeouts) >= 60 > of_caches
