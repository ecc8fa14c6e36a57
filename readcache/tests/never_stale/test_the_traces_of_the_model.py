"""The interleavings that a model checker of the protocol found, each one on a real Redis, step by step.

Each trace ends with an entry that lacks a committed write. With all rules the entry is dead one lease after
the COMMIT took effect. Without the rule that closes the trace, it is served for longer: the second test shows
that the first can fail. A writer's COMMIT takes effect as on a database that goes on after its client was
killed; time passes by hand (``tick``).

The model's names of its traces, and where each is played:

======================  ==============================================================================
a-guard-prolongs        here; with a killed process: ``test_killed_writers``
b-shared-mark           here
c-mark-too-short        here
c0-no-mark              here; on PostgreSQL, with a killed process: ``test_killed_writers``
d-no-history            here; with another process: ``test_a_redis_that_forgets``
d2-history-of-store     here
e-no-registry, G-…      ``test_declarations_that_a_writer_does_not_know``
f-mark-evicted          here
f2-allkeys              here
g-rotate-immortal       here; ``test_killed_writers``
B-fill-not-a-script     ``storage/test_store``: guard, begin-fill and rotate are one command each
C-long-txn              here; with a killed process: ``test_killed_writers``
D-unknown               here; on PostgreSQL, with a connection that is cut: ``test_killed_writers``
E-restart               here; with a killed process: ``test_a_redis_that_forgets``
E-failover-…            here
H-no-rotate             ``serving/test_outage``: a write whose guard works and whose rotation fails
H-oom-guard             here; ``test_a_redis_that_refuses_writes``
======================  ==============================================================================

C-stall-after-guard, H-no-guard and H-neither are conceded (``docs/design.md`` says so), and the values of
F-nested do not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import Settings

from instruments.reading import LEASE_SECONDS, Read
from instruments.scratch_redis import ScratchRedis, scratch_redis
from instruments.steps import TAG, Steps
from library.models import Book
from readcache.invalidation import rotations
from readcache.invalidation import watch as watch_module
from readcache.storage.current import store
from readcache.storage.entries import Entry
from readcache.storage.store import Store

# The library's settings for this folder: a mark lives for a minute.
MARK_SECONDS = 60


@pytest.fixture
def steps(
    server: ScratchRedis, book: Book, read: Read, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Steps]:
    settings.READ_CACHE_LONGEST_WRITE_SECONDS = MARK_SECONDS
    with scratch_redis() as replica:
        yield Steps(server, replica, read, monkeypatch)


# The traces, and the rules that close them


def a_guard_prolongs(steps: Steps) -> None:
    def others_guard() -> None:
        steps.commit_takes_effect()
        steps.tick(1.0)
        steps.guard()
        steps.tick(0.9)

    steps.guard()
    steps.fill(others_guard)


def guards_set_an_expiry_unconditionally(steps: Steps) -> None:
    steps.change("GUARD", ("if left == -1 or left > tonumber(ARGV[1]) then", "if true then"))


def two_writers(steps: Steps) -> None:
    """One rotates; the other has guarded before, commits after, and is killed."""
    first = steps.guard()
    steps.guard()
    steps.rotate(first)
    steps.fill(steps.commit_takes_effect)


def writers_share_a_mark(steps: Steps) -> None:
    steps.patch.setattr(watch_module, "new_mark", lambda: "shared")


def rotations_make_immortal_tokens(steps: Steps) -> None:
    steps.change("ROTATE", ("if is_unmarked(KEYS[i + 1], current) then", "if true then"))


def a_slow_commit(steps: Steps) -> None:
    """The database goes on for longer than a lease after its client was killed."""
    steps.guard()
    steps.tick(LEASE_SECONDS + 2)
    steps.fill(steps.commit_takes_effect)


def marks_live_shorter_than_a_commit_takes(steps: Steps) -> None:
    steps.patch.setattr(store(), "_mark_ms", (LEASE_SECONDS + 1) * 1000)


def guards_leave_no_mark(steps: Steps) -> None:
    steps.change("GUARD", ("redis.call('ZADD', KEYS[i + 1], now + ARGV[2], 'm:' .. ARGV[3])", ""))


def a_snapshot_with_the_old_token(steps: Steps) -> None:
    steps.save()
    steps.guard()
    steps.commit_takes_effect()
    steps.restart()


def readers_compare_no_history(steps: Steps) -> None:
    is_live = Entry.is_live
    steps.patch.setattr(Entry, "is_live", lambda entry, tokens, _: is_live(entry, tokens, entry.history))


def a_restart_during_a_fill(steps: Steps) -> None:
    def restart_after_a_write() -> None:
        steps.save()
        steps.guard()
        steps.commit_takes_effect()
        steps.restart()

    steps.fill(restart_after_a_write)


def entries_have_the_history_of_their_store(steps: Steps) -> None:
    save = Store.save

    def save_with_the_last_history(chosen: Store, key: str, entry: Entry, **options: Any) -> None:
        now = chosen.read(key, chosen.token_keys((TAG,))).history
        save(chosen, key, entry._replace(history=now), **options)

    steps.patch.setattr(Store, "save", save_with_the_last_history)


def an_eviction_of_what_expires(steps: Steps) -> None:
    steps.guard()
    steps.evict_what_expires()
    steps.fill(steps.commit_takes_effect)


def marks_are_keys_that_expire(steps: Steps) -> None:
    steps.change("GUARD", ("return 1", "redis.call('PEXPIRE', KEYS[2], ARGV[2]) return 1"))
    fills_do_not_ask_for_the_member_of_the_history(steps)


def an_eviction_of_anything(steps: Steps) -> None:
    steps.guard()
    steps.evict(store().token_key(TAG), store().marks_key(TAG))
    steps.fill(steps.commit_takes_effect)


def fills_do_not_ask_for_the_member_of_the_history(steps: Steps) -> None:
    steps.change(
        "BEGIN_FILL",
        ("if not redis.call('ZSCORE', marks, 'h:' .. current) then", "if false then"),
        (
            "return redis.call('ZSCORE', marks, 'h:' .. current) and redis.call('ZCARD', marks) == 1",
            "return redis.call('ZCOUNT', marks, '-inf', '(inf') == 0",
        ),
    )


def a_long_transaction(steps: Steps) -> None:
    """It is open for longer than a mark lives, and its writer is killed after it sent COMMIT."""

    class Killed(BaseException):
        pass

    def be_killed() -> None:
        # What the database does with the COMMIT that it was sent comes below.
        connection.connection.rollback()
        raise Killed

    def write_slowly() -> None:
        with transaction.atomic():
            Book.objects.update(title="New")
            steps.tick(MARK_SECONDS + 1)

    with steps.patch.context() as patch:
        patch.setattr(watch_module.watch(connection), "_commit", be_killed)
        patch.setattr(rotations, "rotate_tokens", lambda *arguments, **options: None)
        with pytest.raises(Killed):
            write_slowly()
    steps.fill(steps.commit_takes_effect)


def transactions_guard_at_their_first_statement(steps: Steps) -> None:
    rotate_at_commit = watch_module.Watch.rotate_at_commit

    def guard_early(watched: Any, tags: frozenset[str]) -> None:
        if tags:
            store().guard(tags, watch_module.new_mark())  # type: ignore[attr-defined]
        rotate_at_commit(watched, tags)

    steps.patch.setattr(watch_module.Watch, "rotate_at_commit", guard_early)
    steps.patch.setattr(watch_module.Watch, "_guard", lambda watched, tags: frozenset())


def a_commit_whose_answer_was_lost(steps: Steps) -> None:
    """The writer rotates after the error. A reader fills, and then the database commits."""

    def lose_the_answer() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with steps.patch.context() as patch:
        patch.setattr(watch_module.watch(connection), "_commit", lose_the_answer)
        patch.setattr(watch_module, "is_open", lambda connection: False)
        with pytest.raises(OperationalError), transaction.atomic():
            Book.objects.update(title="New")
    steps.fill(steps.commit_takes_effect)


def rotations_end_the_mark_of_an_unknown_outcome(steps: Steps) -> None:
    steps.patch.setattr(watch_module.Watch, "_was_refused", lambda watched, error: True)


def a_snapshot_without_the_mark(steps: Steps) -> None:
    steps.save()
    steps.guard()
    steps.restart()
    steps.fill(steps.commit_takes_effect)


def a_promotion_that_loses_the_mark(steps: Steps) -> None:
    steps.save()
    steps.guard()
    steps.promote()
    steps.fill(steps.commit_takes_effect)


def a_full_redis(steps: Steps) -> None:
    """The guard is refused, and deletes what it can instead."""
    # A script of which every command needs memory: the guard's own first one needs none.
    steps.change("GUARD", ("for i =", "redis.call('SET', 'needs memory', '') for i ="))
    steps.server.client.config_set("maxmemory-policy", "noeviction")
    steps.server.client.config_set("maxmemory", "1")
    steps.guard()
    steps.server.client.config_set("maxmemory", "0")
    steps.fill(steps.commit_takes_effect)


def a_full_redis_loses_only_the_tokens(steps: Steps) -> None:
    def forget_tokens(chosen: Store, keys: list[str], error: Exception) -> None:
        chosen._call(("DEL", *keys[::2]))

    steps.patch.setattr(Store, "_forget", forget_tokens)


@dataclass(frozen=True, slots=True)
class Trace:
    name: str
    play: Callable[[Steps], None]
    take_out_the_rule: Callable[[Steps], None]


TRACES = [
    Trace("a-guard-prolongs", a_guard_prolongs, guards_set_an_expiry_unconditionally),
    Trace("b-shared-mark", two_writers, writers_share_a_mark),
    Trace("c-mark-too-short", a_slow_commit, marks_live_shorter_than_a_commit_takes),
    Trace("c0-no-mark", a_slow_commit, guards_leave_no_mark),
    Trace("d-no-history", a_snapshot_with_the_old_token, readers_compare_no_history),
    Trace("d2-history-of-store", a_restart_during_a_fill, entries_have_the_history_of_their_store),
    Trace("f-mark-evicted", an_eviction_of_what_expires, marks_are_keys_that_expire),
    Trace("f2-allkeys", an_eviction_of_anything, fills_do_not_ask_for_the_member_of_the_history),
    Trace("g-rotate-immortal", two_writers, rotations_make_immortal_tokens),
    Trace("C-long-txn", a_long_transaction, transactions_guard_at_their_first_statement),
    Trace("D-unknown", a_commit_whose_answer_was_lost, rotations_end_the_mark_of_an_unknown_outcome),
    Trace("E-restart", a_snapshot_without_the_mark, fills_do_not_ask_for_the_member_of_the_history),
    Trace("E-failover", a_promotion_that_loses_the_mark, fills_do_not_ask_for_the_member_of_the_history),
    Trace("H-oom-guard", a_full_redis, a_full_redis_loses_only_the_tokens),
]
each_trace = pytest.mark.parametrize("trace", TRACES, ids=[trace.name for trace in TRACES])


@each_trace
def test_nothing_is_served_beyond_the_lease(trace: Trace, steps: Steps) -> None:
    steps.warm()
    trace.play(steps)

    assert steps.read_after_the_lease() == ("fwd=stale; stored", "New")


@each_trace
def test_without_its_rule_the_entry_is_served_beyond_the_lease(trace: Trace, steps: Steps) -> None:
    trace.take_out_the_rule(steps)
    steps.warm()
    trace.play(steps)

    status, title = steps.read_after_the_lease()
    assert status.startswith("hit")
    assert title == "Old"


def test_a_rotation_that_lands_on_an_old_master_costs_one_lease(steps: Steps) -> None:
    """The replica has heard of the guard, and is promoted before the COMMIT.

    Without a Sentinel to ask, a writer with an open connection cannot know that it is the old master's.
    """
    steps.warm()
    mark = steps.guard()
    steps.save()
    [to_the_old_master] = store()._connections._idle
    steps.promote()

    def commit_and_rotate() -> None:
        steps.commit_takes_effect()
        store()._connections._idle.append(to_the_old_master)
        steps.rotate(mark)
        store()._connections._forget()

    steps.fill(commit_and_rotate)

    assert steps.read_after_the_lease() == ("fwd=stale; stored", "New")
