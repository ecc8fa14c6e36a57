"""Which store the process uses, and when it takes a new one."""

from __future__ import annotations

import pytest
from django.conf import settings as project
from pytest_django import Settings

from readcache.storage.current import store


def test_the_process_has_one_store() -> None:
    assert store() is store()


@pytest.mark.parametrize("name", ["READ_CACHE_NAME", "READ_CACHE_LEASE_SECONDS"])
def test_a_setting_of_the_read_cache_makes_a_new_store_and_closes_the_old(
    name: str, settings: Settings
) -> None:
    before = store()

    setattr(settings, name, 7 if name.endswith("SECONDS") else "other")

    assert store() is not before
    assert before.breaker._closing.is_set()
    assert not store().breaker._closing.is_set()


def test_other_settings_leave_the_store_alone(settings: Settings) -> None:
    before = store()

    settings.USE_TZ = False

    assert store() is before
    assert not before.breaker._closing.is_set()


def test_of_several_servers_the_store_uses_the_first_to_which_django_redis_writes(settings: Settings) -> None:
    replicas = [project.PRIVATE_REDIS.url(database=database) for database in (3, 4, 5)]
    alias = project.CACHES["read"]
    settings.CACHES = {**project.CACHES, "read": {**alias, "LOCATION": [alias["LOCATION"], *replicas]}}

    assert store().client.connection_pool.connection_kwargs["db"] == 2


def test_the_key_prefix_of_the_alias_begins_every_key(settings: Settings) -> None:
    alias = project.CACHES["read"]
    settings.CACHES = {**project.CACHES, "read": {**alias, "KEY_PREFIX": "prefix"}}

    assert store().token_key("book").startswith("prefix:")
    assert store().entry_key("shelf").startswith("prefix:")
