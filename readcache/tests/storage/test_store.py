"""The engine's commands to Redis, each one alone. Tags here need not be tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from readcache.storage import store as module
from readcache.storage.current import store
from readcache.storage.entries import TOKEN_BYTES, Entry, make_entry
from readcache.storage.lookups import Lookup
from readcache.storage.scripts import HIT_FOR_MISS

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


def entry_under(lookup: Lookup) -> Entry:
    tokens = [token for token in lookup.tokens if token]
    return make_entry(b"{}", tokens=tokens, history=lookup.history, now_ms=0)


def lives(redis: Any) -> list[int]:
    """How many milliseconds each token has left; -1 for an immortal one, -2 for none."""
    return [redis.pttl(key) for key in token_keys()]


def marks(redis: Any, tag: str) -> list[bytes]:
    """The names of the tag's marks, without the member for the history."""
    names = redis.zrange(store().marks_key(tag), 0, -1)
    return [name.removeprefix(b"m:") for name in names if name.startswith(b"m:")]


@pytest.fixture
def known_history() -> None:
    """The tags' marks have the member for the history, and no mark stands."""
    store().begin_fill("another key", TAGS)
    for tag in TAGS:
        for name in marks(store().client, tag):
            store().unmark([tag], name.decode())
    store().rotate(TAGS)


def fill(key: str = KEY) -> None:
    lookup, lock = store().begin_fill(key, TAGS)
    store().save(key, entry_under(lookup), timeout_seconds=60, lock=lock)


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
    _, first = store().begin_fill(KEY, TAGS)
    lookup, second = store().begin_fill(KEY, TAGS)
    assert first
    assert second is None
    assert lookup.lock == first

    store().unlock(KEY, first)

    _, third = store().begin_fill(KEY, TAGS)
    assert third
    assert third != first


def test_another_key_has_another_lock() -> None:
    _, first = store().begin_fill(KEY, TAGS)
    _, other = store().begin_fill(f"{KEY}?page=2", TAGS)

    assert first
    assert other


def test_a_lock_runs_out(redis: Any) -> None:
    store().begin_fill(KEY, TAGS)

    assert 0 < redis.pttl(store().lock_key(KEY)) <= module.LOCK_SECONDS * 1000


def test_a_fill_makes_the_missing_tokens_and_keeps_the_others(redis: Any, known_history: None) -> None:
    first, _ = store().begin_fill(KEY, TAGS)
    redis.delete(store().token_key("topic"))

    second, _ = store().begin_fill(KEY, TAGS)

    assert [len(token or b"") for token in first.tokens] == [TOKEN_BYTES] * 2
    assert second.tokens[0] == first.tokens[0]
    assert second.tokens[1] not in (None, first.tokens[1])
    assert lives(redis) == [-1, -1]


def test_the_first_fill_in_a_history_leaves_a_mark_and_replaces_the_token(redis: Any) -> None:
    """Marks may have been lost with the last history, and the writers that left them may still commit."""
    redis.set(store().token_key("book"), b"t" * TOKEN_BYTES)

    lookup, _ = store().begin_fill(KEY, TAGS)

    assert lookup.tokens[0] != b"t" * TOKEN_BYTES
    assert [len(marks(redis, tag)) for tag in TAGS] == [1, 1]
    assert all(0 < life <= LEASE_SECONDS * 1000 for life in lives(redis))


def test_a_tag_whose_marks_were_evicted_is_met_anew(redis: Any, known_history: None) -> None:
    store().guard(["book"], "of a writer")
    redis.delete(store().marks_key("book"))
    before = redis.get(store().token_key("book"))

    store().begin_fill(KEY, TAGS)

    assert redis.get(store().token_key("book")) != before
    assert len(marks(redis, "book")) == 1
    assert 0 < lives(redis)[0] <= LEASE_SECONDS * 1000


def test_a_value_of_another_type_is_no_ones_lock(redis: Any) -> None:
    redis.lpush(store().lock_key(KEY), "something")

    _, lock = store().begin_fill(KEY, TAGS)

    assert lock
    assert redis.get(store().lock_key(KEY)) == lock


def test_a_lock_from_before_the_clock_was_set_back_is_replaced(redis: Any) -> None:
    redis.set(store().lock_key(KEY), "of a killed filler", px=3_600_000)

    assert store().begin_fill(KEY, TAGS)[1]


def test_saving_an_entry_gives_the_lock_back_and_keeps_the_entry_for_its_timeout(redis: Any) -> None:
    fill()

    assert redis.get(store().lock_key(KEY)) is None
    assert 59_000 < redis.pttl(store().entry_key(KEY)) <= 60_000


def test_saving_without_the_lock_leaves_the_lock_to_its_owner(redis: Any) -> None:
    lookup, lock = store().begin_fill(KEY, TAGS)

    store().save(KEY, entry_under(lookup), timeout_seconds=60, lock=None)
    assert redis.get(store().lock_key(KEY)) == lock
    store().save(KEY, entry_under(lookup), timeout_seconds=60, lock=b"of another")
    assert redis.get(store().lock_key(KEY)) == lock


@pytest.mark.parametrize("give_back", [module.Store.unlock, module.Store.set_hit_for_miss])
def test_a_lock_is_given_back_only_by_its_owner(give_back: Callable[..., None], redis: Any) -> None:
    _, lock = store().begin_fill(KEY, TAGS)

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
    _, lock = store().begin_fill(KEY, TAGS)

    store().set_hit_for_miss(KEY, lock)

    assert store().read_while_filled(KEY, token_keys()).lock == HIT_FOR_MISS
    assert 0 < redis.pttl(store().lock_key(KEY)) <= 1000


# Writing


def test_a_guard_a_begin_fill_and_a_rotation_are_one_command_each(redis: Any) -> None:
    def act() -> None:
        store().guard(TAGS, "a mark")
        store().begin_fill(KEY, TAGS)
        store().rotate(TAGS, ends=["a mark"])

    act()  # Redis knows the scripts now, and the connection is confirmed.

    assert [name for name in commands_of(redis, act) if name.startswith("EVAL")] == ["EVALSHA"] * 3


def test_a_guard_leaves_a_mark_that_lives_as_long_as_a_write_can_take(
    redis: Any, settings: Settings, known_history: None
) -> None:
    settings.READ_CACHE_LONGEST_WRITE_SECONDS = 100
    store().guard(["book"], "of a writer")

    [(_, deadline)] = redis.zrangebyscore(store().marks_key("book"), 0, 1e15, withscores=True)
    seconds, microseconds = redis.time()
    assert 99_000 < deadline - (seconds * 1000 + microseconds / 1000) <= 100_000
    assert redis.ttl(store().marks_key("book")) == -1
    assert marks(redis, "topic") == []


def test_a_guard_lets_an_immortal_token_live_one_lease(redis: Any, known_history: None) -> None:
    lookup, _ = store().begin_fill(KEY, TAGS)
    assert lives(redis) == [-1, -1]

    store().guard(TAGS, "of a writer")

    assert tuple(redis.get(key) for key in token_keys()) == lookup.tokens
    assert all(LEASE_SECONDS * 900 < life <= LEASE_SECONDS * 1000 for life in lives(redis))


def test_a_guard_only_ever_shortens_the_life_of_a_token(redis: Any, known_history: None) -> None:
    redis.pexpire(store().token_key("book"), 500)

    store().guard(["book"], "of a writer")

    assert 0 < lives(redis)[0] <= 500


def test_a_guard_makes_no_token(redis: Any) -> None:
    store().guard(["book"], "of a writer")

    assert lives(redis) == [-2, -2]


def test_a_token_that_is_made_while_a_mark_stands_lives_one_lease(redis: Any, known_history: None) -> None:
    store().guard(["book"], "of a writer")
    redis.delete(*token_keys())

    store().begin_fill(KEY, TAGS)

    assert 0 < lives(redis)[0] <= LEASE_SECONDS * 1000
    assert lives(redis)[1] == -1


def test_a_mark_whose_deadline_is_past_stands_no_more(redis: Any, known_history: None) -> None:
    redis.zadd(store().marks_key("book"), {"m:of a writer": 1_000})
    redis.delete(store().token_key("book"))

    store().begin_fill(KEY, TAGS)

    assert lives(redis) == [-1, -1]
    assert marks(redis, "book") == []


def test_a_rotation_replaces_the_tokens_of_its_tags_for_good(redis: Any, known_history: None) -> None:
    lookup, _ = store().begin_fill(KEY, TAGS)
    store().guard(["topic"], "of this writer")

    store().rotate(["topic"], ends=["of this writer"])

    book, topic = (redis.get(key) for key in token_keys())
    assert book == lookup.tokens[0]
    assert len(topic) == TOKEN_BYTES
    assert topic != lookup.tokens[1]
    assert lives(redis) == [-1, -1]
    assert marks(redis, "topic") == []


def test_a_rotation_ends_the_marks_of_its_own_writer_only(redis: Any, known_history: None) -> None:
    """The other one may commit yet, and be killed before it rotates."""
    store().guard(["book"], "of this writer")
    store().guard(["book"], "of another")

    store().rotate(["book"], ends=["of this writer"])

    assert marks(redis, "book") == [b"of another"]
    assert 0 < lives(redis)[0] <= LEASE_SECONDS * 1000


def test_a_rotation_in_a_history_that_nobody_has_met_lasts_one_lease(redis: Any) -> None:
    store().rotate(["book"])

    assert 0 < lives(redis)[0] <= LEASE_SECONDS * 1000


@pytest.mark.parametrize("value", ["a string", ["a", "list"]])
def test_whatever_else_is_under_the_key_of_the_marks_is_replaced(value: Any, redis: Any) -> None:
    key = store().marks_key("book")
    redis.rpush(key, *value) if isinstance(value, list) else redis.set(key, value)

    store().guard(["book"], "of a writer")

    assert marks(redis, "book") == [b"of a writer"]


# The registry


def test_a_name_in_the_registry_that_is_no_text_is_no_error(redis: Any) -> None:
    redis.zadd(store()._registry_key, {b"\xff": 1, "library_book": 1})
    store().registry._looked_at = float("-inf")

    store().look()

    assert "library_book" in store().registry.tags()


@pytest.mark.usefixtures("known_history")
def test_a_first_declaration_replaces_the_tokens_by_some_that_live_one_lease(redis: Any) -> None:
    """A writer that took the tags for undeclared has guarded none of them."""
    before, _ = store().begin_fill(KEY, TAGS)
    assert lives(redis) == [-1] * len(TAGS)
    redis.delete(store()._registry_key)

    after, _ = store().begin_fill("another key", TAGS)

    assert {*before.tokens}.isdisjoint(after.tokens)
    assert all(0 < life <= LEASE_SECONDS * 1000 for life in lives(redis))


def test_a_declaration_from_before_the_clock_was_set_back_counts_from_now(redis: Any) -> None:
    seconds, _ = redis.time()
    redis.zadd(store()._registry_key, dict.fromkeys(TAGS, (seconds + 3600) * 1000))

    store().begin_fill(KEY, TAGS)

    for tag in TAGS:
        assert seconds * 1000 <= redis.zscore(store()._registry_key, tag) < (seconds + 60) * 1000


def test_whatever_else_is_under_the_key_of_the_registry_is_replaced_by_the_next_fill(redis: Any) -> None:
    redis.set(store()._registry_key, "a string")

    store().begin_fill(KEY, TAGS)

    assert {tag.encode() for tag in TAGS} <= {*redis.zrange(store()._registry_key, 0, -1)}
