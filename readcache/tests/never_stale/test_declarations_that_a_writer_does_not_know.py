"""A writer that does not know what the views of another process declare: its writes are seen all the same.

Such a writer runs yesterday's release, or has not imported the module of the views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from instruments.processes import yesterday
from instruments.processes.process import Process
from instruments.reading import LEASE_SECONDS, Read
from instruments.scratch_redis import ScratchRedis
from instruments.transactions import in_another_thread
from instruments.waiting import wait_until
from library.models import Book, Topic
from readcache import flushing
from readcache.invalidation import rotations
from readcache.storage.breaker import Outage
from readcache.storage.current import known_tags, store
from readcache.storage.store import EVERY_TAG, Store

TAG = "library_book"
every_kind = pytest.mark.parametrize("kind", yesterday.WRITES)


@pytest.fixture(autouse=True)
def variables(settings: Settings, variables: dict[str, str]) -> dict[str, str]:
    """As in production, a table's entries are stored two seconds after its declaration.

    With a long lease: a token that runs out would hide that a rotation is missing.
    """
    settings.READ_CACHE_DECLARATION_SECONDS = 2
    settings.READ_CACHE_LEASE_SECONDS = 3600
    return {**variables, "LIBRARY_DECLARATION_SECONDS": "2"}


@pytest.fixture(autouse=True)
def _book(book: Book, server: ScratchRedis) -> None:
    """Nobody has declared anything yet: writing the book was this process' first use of Redis."""
    server.client.flushall()


@contextmanager
def yesterdays_writer(
    variables: dict[str, str], kind: str, function: Callable[[str], None] = yesterday.write
) -> Iterator[Process]:
    with Process(function, kind, **variables, LIBRARY_URLCONF=yesterday.__name__) as writer:
        writer.wait_for("ready")
        yield writer


def write(writer: Process) -> None:
    writer.go_on()
    writer.wait_for("written")


def warm(read: Read) -> None:
    wait_until(lambda: read()[0].startswith("hit"))
    assert read()[1] == "Old"


@every_kind
def test_the_write_of_a_process_that_started_before_the_declaration_is_seen(
    kind: str, variables: dict[str, str], read: Read
) -> None:
    with yesterdays_writer(variables, kind) as writer:
        warm(read)
        write(writer)

        assert read()[1] == "New"


@every_kind
def test_the_write_of_a_process_that_starts_after_the_fill_is_seen(
    kind: str, variables: dict[str, str], read: Read
) -> None:
    warm(read)
    with yesterdays_writer(variables, kind) as writer:
        write(writer)

        assert read()[1] == "New"


@every_kind
def test_the_write_of_a_process_that_starts_between_the_declaration_and_the_fill_is_seen(
    kind: str, variables: dict[str, str], read: Read
) -> None:
    assert read()[0] == "fwd=uri-miss; detail=new-declaration"
    with yesterdays_writer(variables, kind) as writer:
        warm(read)
        write(writer)

        assert read()[1] == "New"


def test_an_answer_is_not_stored_until_each_writer_has_looked(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    """The writer looked a moment before the declaration, and takes the table for undeclared for a second."""
    with yesterdays_writer(variables, "autocommit") as writer:
        assert read() == ("fwd=uri-miss; detail=new-declaration", "Old")
        assert read() == ("fwd=uri-miss; detail=new-declaration", "Old")
        write(writer)

    assert read()[1] == "New"
    seconds, microseconds = server.client.time()
    declared_at = server.client.zscore(store()._registry_key, TAG) / 1000
    assert seconds + microseconds / 1e6 - declared_at < 2


@pytest.mark.parametrize("error", [Outage, KeyboardInterrupt])
def test_a_look_that_fails_after_the_write_leaves_every_table_pending(
    error: type[BaseException], read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a process that ends now, or was only interrupted, would not flush anything."""
    warm(read)
    looks: list[frozenset[str]] = []

    def look(known: frozenset[str]) -> frozenset[str]:
        looks.append(known)
        if len(looks) == 2:
            raise error
        return frozenset()

    monkeypatch.setattr(rotations, "declared_since", look)

    with suppress(KeyboardInterrupt):
        Book.objects.update(title="New")

    assert len(looks) == 2
    assert store().breaker.is_open
    assert EVERY_TAG in store().breaker._pending
    wait_until(lambda: not store().breaker.is_open)
    assert read()[1] == "New"


def test_nobody_waits_for_an_answer_that_cannot_be_stored_yet(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request comes while the first computes its answer, and holds the lock."""
    second: list[tuple[str, str]] = []

    def come_second(execute: Callable[..., Any], *arguments: Any) -> Any:
        if not second:
            second.append(("", ""))
            second[0] = in_another_thread(read)
        return execute(*arguments)

    monkeypatch.setattr(Store, "read_while_filled", lambda *arguments: pytest.fail("The request waits."))

    with connection.execute_wrapper(come_second):
        first = read()

    assert [first, *second] == [("fwd=uri-miss; detail=new-declaration", "Old")] * 2


def test_a_reader_that_starts_later_finds_the_declaration_in_redis(read: Read, read_elsewhere: Read) -> None:
    warm(read)
    Book.objects.update(title="New")

    assert read_elsewhere() == ("fwd=stale; stored", "New")


@pytest.mark.parametrize("kind", ["autocommit", "atomic"])
def test_a_declaration_during_the_commit_of_a_writer_is_seen_by_it_before_it_goes_on(
    kind: str, variables: dict[str, str], read: Read
) -> None:
    """Writer: looks, sends its COMMIT. Reader: declares, and fills two seconds later. Database: commits."""
    with yesterdays_writer(variables, kind, yesterday.write_and_stop_in_its_commit) as writer:
        writer.go_on()
        writer.wait_for("committing")
        warm(read)
        writer.go_on()
        writer.wait_for("committed")
        assert read()[1] == "Old"
        writer.go_on()
        writer.wait_for("written")

        assert read()[1] == "New"


@pytest.mark.parametrize("kind", ["autocommit", "atomic"])
def test_a_writer_that_is_killed_after_that_commit_costs_one_lease(
    kind: str, variables: dict[str, str], server: ScratchRedis, read: Read, settings: Settings
) -> None:
    """It guarded nothing. The first fill left a mark in its place."""
    settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS
    with yesterdays_writer(variables, kind, yesterday.write_and_stop_in_its_commit) as writer:
        writer.go_on()
        writer.wait_for("committing")
        warm(read)
        writer.go_on()
        writer.wait_for("committed")
        writer.kill()

    assert 0 < server.client.pttl(store().token_key(TAG)) <= LEASE_SECONDS * 1000
    wait_until(lambda: read()[1] == "New")


def test_a_write_during_an_outage_counts_as_a_write_of_every_table(
    variables: dict[str, str], server: ScratchRedis, read: Read
) -> None:
    """The writer cannot look. It sends the rotations when Redis is back."""
    with yesterdays_writer({**variables, "LIBRARY_REDIS_SECONDS": "0.2"}, "autocommit") as writer:
        warm(read)
        server.pause()
        write(writer)
        server.go_on()

        wait_until(lambda: read()[1] == "New")


def test_flushing_everything_includes_the_tags_of_other_releases(
    server: ScratchRedis, temporary_declarations: None
) -> None:
    server.client.zadd(store()._registry_key, {"table_of_tomorrow": 0})
    server.client.set(store().token_key("table_of_tomorrow"), "old")

    flushing.flush(flushing.select())

    assert server.client.get(store().token_key("table_of_tomorrow")) not in (None, b"old")


# What it costs


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch, read: Read) -> list[list[Any]]:
    """The commands of each round trip to Redis from now on. The last look is long ago."""
    warm(read)
    seen: list[list[Any]] = []
    send = store()._connections.send

    def counting_send(*commands: Any, **options: Any) -> Any:
        seen.append([command[0] for command in commands])
        return send(*commands, **options)

    monkeypatch.setattr(store()._connections, "send", counting_send)
    monkeypatch.setattr(store().registry, "_looked_at", -1.0)
    return seen


def test_a_transaction_costs_two_round_trips_and_looks_in_the_first(exchanges: list[list[Any]]) -> None:
    with transaction.atomic():
        Topic.objects.create(name="x")
        Book.objects.update(title="New")

    assert exchanges == [["EVALSHA", "ZRANGE"], ["EVALSHA"]]


def test_writes_of_other_tables_look_once_a_second(
    exchanges: list[list[Any]], django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        django_user_model.objects.create(username=name)
    with transaction.atomic():
        django_user_model.objects.update(first_name="x")
    assert exchanges == [["ZRANGE"]]

    monkeypatch.setattr(store().registry, "_looked_at", -1.0)
    django_user_model.objects.update(first_name="y")
    assert exchanges == [["ZRANGE"]] * 2


def test_a_hit_costs_one_round_trip(exchanges: list[list[Any]], read: Read) -> None:
    assert read()[0].startswith("hit")

    assert exchanges == [["MGET"]]


def test_a_declaration_that_is_learned_is_known_for_good(server: ScratchRedis) -> None:
    assert "table_of_tomorrow" not in known_tags()
    server.client.zadd(store()._registry_key, {"table_of_tomorrow": 0})
    store().registry._looked_at = -1.0
    Book.objects.update(title="New")

    assert "table_of_tomorrow" in known_tags()
    assert known_tags() is known_tags()
