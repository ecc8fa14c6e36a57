"""``check --deploy`` asks Redis whether its rights and its eviction policy suffice."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from pytest_django import Settings

from instruments.scratch_redis import ScratchRedis
from readcache import declarations
from readcache.checks import ALLKEYS, NOEVICTION, check_server
from readcache.storage.current import store
from readcache.storage.replies import Memory
from readcache.storage.store import Store


def said() -> list[tuple[str | None, str]]:
    return [(message.id, message.msg) for message in check_server()]


@pytest.mark.parametrize(("policy", "effect"), [("noeviction", NOEVICTION), ("allkeys-lru", ALLKEYS)])
def test_a_policy_that_the_read_cache_cannot_recommend_is_a_warning(
    policy: str, effect: str, server: ScratchRedis
) -> None:
    server.client.config_set("maxmemory-policy", policy)
    assert said() == []

    server.client.config_set("maxmemory", "64mb")

    message = f"The Redis of the read cache has the maxmemory-policy {policy}. {effect}"
    assert said() == [("readcache.W002", message)]


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random"])
def test_a_volatile_policy_is_no_warning(policy: str, server: ScratchRedis) -> None:
    server.client.config_set("maxmemory-policy", policy)
    server.client.config_set("maxmemory", "64mb")

    assert said() == []


def test_a_command_that_is_refused_is_named(server: ScratchRedis, settings: Settings) -> None:
    server.client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-zadd")
    _connect(settings, f"unix://reader:secret@{server.path}?db=1")

    [(number, message)] = said()

    assert number == "readcache.W001"
    assert message.startswith("The read cache cannot use its Redis: ")
    assert "zadd" in message.lower()
    assert "secret" not in message


def test_a_redis_that_does_not_answer_is_a_warning(settings: Settings) -> None:
    _connect(settings, "redis://127.0.0.1:1/9")

    [(number, message)] = said()

    assert number == "readcache.W001"
    assert "127.0.0.1:1" in message
    # The check has not decided anything for the requests.
    assert not store().breaker.is_open


def test_settings_that_are_wrong_are_left_to_the_other_check(settings: Settings) -> None:
    settings.READ_CACHE_ALIAS = "missing"

    assert said() == []


def test_a_project_without_a_declaration_is_not_connected(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declarations, "_declared", [])
    _connect(settings, "redis://127.0.0.1:1/9")

    assert said() == []


def test_only_a_deployment_check_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def memory(store: Store) -> Memory:
        asked.append("memory")
        return Memory(0, "")

    monkeypatch.setattr(Store, "memory", memory)

    checks.run_checks(tags=[checks.Tags.caches])
    assert asked == []

    checks.run_checks(tags=[checks.Tags.caches], include_deployment_checks=True)
    assert asked == ["memory"]


def _connect(settings: Settings, url: str) -> None:
    caches: dict[str, Any] = settings.CACHES
    settings.CACHES = {**caches, "read": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}}
