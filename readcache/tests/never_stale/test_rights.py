"""A user of Redis who may not send one of the commands: nothing is served, and the command is named."""

from __future__ import annotations

import logging

import pytest
from pytest_django import Settings

from instruments.reading import Read
from instruments.scratch_redis import ScratchRedis
from instruments.waiting import wait_until
from readcache.storage.current import store

pytestmark = pytest.mark.usefixtures("book")

COMMANDS = [
    "get",
    "set",
    "del",
    "mget",
    "pexpire",
    "eval",
    "evalsha",
    "zadd",
    "zrem",
    "zscore",
    "zrange",
    "info",
    "select",
]


def connect_as(server: ScratchRedis, settings: Settings, *, without: str) -> None:
    server.client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "+@all")
    server.client.execute_command("ACL", "SETUSER", "reader", f"-{without}")
    url = f"unix://reader:secret@{server.path}?db=1"
    settings.CACHES = {
        **settings.CACHES,
        "read": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_right_is_named_and_nothing_is_served(
    command: str,
    server: ScratchRedis,
    settings: Settings,
    read: Read,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect_as(server, settings, without=command)

    with caplog.at_level(logging.WARNING, logger="readcache"):
        assert read() == ("fwd=bypass; detail=outage", "Old")
        assert read() == ("fwd=bypass; detail=outage", "Old")

    [message] = [record.getMessage() for record in caplog.records if "Bypassing" in record.getMessage()]
    assert command in message.lower()
    assert not store().breaker.probe()

    server.client.execute_command("ACL", "SETUSER", "reader", f"+{command}")
    wait_until(lambda: "outage" not in read()[0])


def test_a_user_with_every_right_is_served(server: ScratchRedis, settings: Settings, read: Read) -> None:
    connect_as(server, settings, without="flushall")

    assert read()[0] == "fwd=uri-miss; stored"
    assert read()[0].startswith("hit")
    assert not list(server.client.scan_iter("*rehearsal*"))
