"""The engine's commands to Redis, each one alone. Tags here need not be tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from readcache.storage import store as module
from readcache.storage.current import store
from readcache.storage.entries import TOKEN_BYTES, Entry, make_entry
from readcache.storage.store import HIT_FOR_MISS

KEY = "shelf:http://testserver/shelf/"
TAGS = ("book", "topic")
LEASE_SECONDS = 5
# The commands with which redis-py begins a connection.
HANDSHAKE = {"HELLO", "CLIENT", "SELECT"}


@pytest.fixture(autouse=True)
def _lease(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS


def token_keys() -> tuple[str, ...]:
    return store().token_keys(TAGS)


def entry_under(tokens: tuple[bytes | None, ...]) -> Entry:
    return make_entry(b"{}", tokens=[token for token in tokens if token], now_ms=0)


def fill(key: str = KEY) -> None:
    lookup, lock = store().begin_fill(key, token_keys())
    store().save(key, entry_under(lookup.tokens), timeout_seconds=60, lock=lock)


def commands_of(redis: Any, act: Callable[[], object]) -> list[str]:
    """The names of the commands that the server executes meanwhile, in order."""
    with redis.monitor() as monitor:
        act()
        redis.echo("the end")
        seen = []
        while (command := monitor.next_command()["command"]) != "ECHO the end":
            seen.append(command.split(" ")[0])
    return [name for name in seen if name not in HANDSHAKE]


# Reading and filling


def test_an_entry_is_live_until_one_of_its_tags_is_rotated() -> None:
    assert not store().read(KEY, token_keys()).is_live
    fill()
    assert store().read(KEY, token_keys()).is_live

    store().rotate(["topic"])

    lookup = store().read(KEY, token_keys())
    assert lookup.entry
    assert not lookup.is_live


def test_one_request_at_a_time_has_the_lock_of_a_fill() -> None:
    _, first = store().begin_fill(KEY, token_keys())
    lookup, second = store().begin_fill(KEY, token_keys())
    assert first
    assert second is None
    assert lookup.lock == first

    store().unlock(KEY, first)

    _, third = store().begin_fill(KEY, token_keys())
    assert third
    assert third != first


def test_another_key_has_another_lock() -> None:
    _, first = store().begin_fill(KEY, token_keys())
    _, other = store().begin_fill(f"{KEY}?page=2", token_keys())

    assert first
    assert other


def test_a_lock_runs_out(redis: Any) -> None:
    store().begin_fill(KEY, token_keys())

    assert 0 < redis.pttl(store().lock_key(KEY)) <= module.LOCK_SECONDS * 1000


def test_a_fill_makes_the_missing_tokens_and_keeps_the_others(redis: Any) -> None:
    first, _ = store().begin_fill(KEY, token_keys())
    redis.delete(store().token_key("topic"))

    second, _ = store().begin_fill(KEY, token_keys())

    assert [len(token or b"") for token in first.tokens] == [TOKEN_BYTES] * 2
    assert second.tokens[0] == first.tokens[0]
    assert second.tokens[1] not in (None, first.tokens[1])
    assert [redis.pttl(key) for key in token_keys()] == [-1, -1]


def test_saving_an_entry_gives_the_lock_back_and_keeps_the_entry_for_its_timeout(redis: Any) -> None:
    fill()

    assert redis.get(store().lock_key(KEY)) is None
    assert 59_000 < redis.pttl(store().entry_key(KEY)) <= 60_000


def test_saving_without_the_lock_leaves_the_lock_to_its_owner(redis: Any) -> None:
    lookup, lock = store().begin_fill(KEY, token_keys())

    store().save(KEY, entry_under(lookup.tokens), timeout_seconds=60, lock=None)
    assert redis.get(store().lock_key(KEY)) == lock
    store().save(KEY, entry_under(lookup.tokens), timeout_seconds=60, lock=b"of another")
    assert redis.get(store().lock_key(KEY)) == lock


@pytest.mark.parametrize("give_back", [module.Store.unlock, module.Store.set_hit_for_miss])
def test_a_lock_is_given_back_only_by_its_owner(give_back: Callable[..., None], redis: Any) -> None:
    _, lock = store().begin_fill(KEY, token_keys())

    for other in (None, b"of another"):
        give_back(store(), KEY, other)
        assert redis.get(store().lock_key(KEY)) == lock

    give_back(store(), KEY, lock)
    assert redis.get(store().lock_key(KEY)) != lock


def test_without_a_lock_nothing_is_sent_to_give_it_back(redis: Any) -> None:
    def give_nothing_back() -> None:
        store().unlock(KEY, None)
        store().set_hit_for_miss(KEY, None)

    assert commands_of(redis, give_nothing_back) == []


def test_a_hit_for_miss_stands_in_the_place_of_the_lock_for_a_second(redis: Any) -> None:
    _, lock = store().begin_fill(KEY, token_keys())

    store().set_hit_for_miss(KEY, lock)

    assert store().read_while_filled(KEY, token_keys()).lock == HIT_FOR_MISS
    assert 0 < redis.pttl(store().lock_key(KEY)) <= 1000


# Writing


def test_a_guard_is_one_transaction_of_redis(redis: Any) -> None:
    """Without it, a token that runs out between the two commands of its tag leaves no token at all, and
    the next reader makes one that lasts.
    """
    commands = commands_of(redis, lambda: store().guard(TAGS))

    assert commands == ["MULTI", "SET", "PEXPIRE", "SET", "PEXPIRE", "EXEC"]


def test_a_guard_makes_missing_tokens_that_live_one_lease(redis: Any) -> None:
    store().guard(["book"])

    token_key, other_key = token_keys()
    assert len(redis.get(token_key)) == TOKEN_BYTES
    assert LEASE_SECONDS * 900 < redis.pttl(token_key) <= LEASE_SECONDS * 1000
    assert redis.get(other_key) is None


def test_a_guard_keeps_a_token_and_lets_it_live_one_lease(redis: Any) -> None:
    lookup, _ = store().begin_fill(KEY, token_keys())

    store().guard(TAGS)

    assert tuple(redis.get(key) for key in token_keys()) == lookup.tokens
    assert all(LEASE_SECONDS * 900 < redis.pttl(key) <= LEASE_SECONDS * 1000 for key in token_keys())


def test_a_rotation_replaces_the_tokens_of_its_tags_for_one_lease(redis: Any) -> None:
    lookup, _ = store().begin_fill(KEY, token_keys())

    store().rotate(["topic"])

    book, topic = (redis.get(key) for key in token_keys())
    assert book == lookup.tokens[0]
    assert len(topic) == TOKEN_BYTES
    assert topic != lookup.tokens[1]
    assert redis.pttl(token_keys()[0]) == -1
    assert LEASE_SECONDS * 900 < redis.pttl(token_keys()[1]) <= LEASE_SECONDS * 1000
