"""A COMMIT in raw SQL, in a script, at the release of a savepoint, or of a transaction that was prepared."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from instruments.marks import end_marks
from instruments.processes import prepared
from instruments.processes.process import Process
from instruments.reading import Read
from instruments.scratch_redis import ScratchRedis
from instruments.transactions import execute
from library.models import Book
from readcache.storage.current import store

UPDATE = "UPDATE library_book SET title = 'New'"
TAG = "library_book"


@pytest.fixture(autouse=True)
def _warm_page(server: ScratchRedis, settings: Settings, book: Book, read: Read) -> None:
    """With a long lease: a token that runs out would hide that a rotation is missing."""
    settings.READ_CACHE_LEASE_SECONDS = 3600
    warm(server, read)


def warm(server: ScratchRedis, read: Read) -> None:
    """The page is stored under immortal tokens."""
    read()
    end_marks(server.client)
    read()
    assert read()[1] == "Old"
    assert read()[0].startswith("hit")
    assert life(server) == -1


def life(server: ScratchRedis) -> int:
    milliseconds: int = server.client.pttl(store().token_key(TAG))
    return milliseconds


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """The tags of each guard."""
    seen: list[frozenset[str]] = []
    guard = store().guard

    def recorded(tags: frozenset[str], mark: str) -> None:
        seen.append(tags)
        guard(tags, mark)

    monkeypatch.setattr(store(), "guard", recorded)
    return seen


# Without autocommit


@pytest.fixture
def without_autocommit() -> Iterator[None]:
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


def commit_by(*statements: str) -> Callable[[], None]:
    def commit() -> None:
        Book.objects.update(title="New")
        for statement in statements:
            execute(statement)

    return commit


def release_the_outermost_savepoint() -> None:
    with transaction.atomic():
        Book.objects.update(title="New")


def release_after_an_inner_savepoint() -> None:
    with transaction.atomic():
        with transaction.atomic():
            Book.objects.update(title="New")
        execute("SELECT 1")


def write_with_a_common_table_expression() -> None:
    """SQLite's driver begins a transaction before INSERT, UPDATE, DELETE and REPLACE only."""
    execute("WITH new AS (SELECT 'New' AS title) UPDATE library_book SET title = (SELECT title FROM new)")


def run_a_script() -> None:
    """It commits what was written before."""
    Book.objects.update(title="New")
    with connection.cursor() as cursor:
        cursor.executescript("SELECT 1")


COMMITS = {
    "COMMIT": commit_by("COMMIT"),
    "COMMIT WORK": commit_by("COMMIT TRANSACTION"),
    "END": commit_by("END"),
    "comments": commit_by("/* why */ -- and who\n COMMIT -- now"),
}
ON_SQLITE = {
    "RELEASE": release_the_outermost_savepoint,
    "nested": release_after_an_inner_savepoint,
    "WITH": write_with_a_common_table_expression,
    "executescript": run_a_script,
}
ON_POSTGRESQL = {
    "WORK": commit_by("COMMIT WORK"),
    "AND CHAIN": commit_by("COMMIT AND CHAIN"),
    "several": lambda: execute(f"{UPDATE}; COMMIT"),
    "several, and another": lambda: execute(f"{UPDATE}; COMMIT; BEGIN; SELECT 1"),
}


@pytest.mark.parametrize("name", [*COMMITS, *ON_SQLITE, *ON_POSTGRESQL])
@pytest.mark.usefixtures("without_autocommit")
def test_a_commit_without_autocommit_is_guarded_and_seen_although_a_rollback_follows(
    name: str, guards: list[frozenset[str]], read_elsewhere: Read
) -> None:
    others = ON_SQLITE if connection.vendor == "sqlite" else ON_POSTGRESQL
    if name not in {**COMMITS, **others}:
        pytest.skip(f"{connection.vendor} has no such COMMIT.")
    assert read_elsewhere()[1] == "Old"

    {**COMMITS, **others}[name]()
    shown = read_elsewhere()[1]
    transaction.rollback()

    assert shown == read_elsewhere()[1] == "New"
    assert any(TAG in tags for tags in guards)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Only on SQLite a release may commit.")
@pytest.mark.usefixtures("without_autocommit")
def test_the_release_of_an_inner_savepoint_leaves_the_rotation_to_the_commit(
    server: ScratchRedis, read_elsewhere: Read
) -> None:
    execute("SAVEPOINT outer_one")
    with transaction.atomic():
        Book.objects.update(title="New")
    assert read_elsewhere()[0].startswith("hit")

    execute("RELEASE outer_one")

    assert read_elsewhere()[1] == "New"


# Scripts in autocommit


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Of SQLite's driver.")
@pytest.mark.parametrize(
    "script", [UPDATE, f"BEGIN; {UPDATE}; COMMIT;", f"SELECT 1; {UPDATE}"], ids=["one", "own", "several"]
)
def test_a_script_is_guarded_and_seen(
    script: str, guards: list[frozenset[str]], read_elsewhere: Read
) -> None:
    assert read_elsewhere()[1] == "Old"

    with connection.cursor() as cursor:
        cursor.executescript(script)

    assert read_elsewhere()[1] == "New"
    assert guards[0] == {TAG}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Of SQLite's driver.")
def test_a_script_in_an_atomic_block_commits_it(read_elsewhere: Read) -> None:
    assert read_elsewhere()[1] == "Old"

    with transaction.atomic():
        Book.objects.update(title="New")
        with connection.cursor() as cursor:
            cursor.executescript("SELECT 1")
        assert read_elsewhere()[1] == "New"
        execute("BEGIN")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Of SQLite's driver.")
def test_a_cursor_is_gone_when_nobody_refers_to_it() -> None:
    """Its method for scripts does not refer to it: it would keep its rows until they are collected."""
    cursor = connection.create_cursor()
    reference = weakref.ref(cursor)
    del cursor

    assert reference() is None


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite takes one statement at a time.")
@pytest.mark.parametrize(
    "sql",
    [f"BEGIN; {UPDATE}; COMMIT", f"BEGIN; {UPDATE}; END; BEGIN; SELECT 1", f"{UPDATE}; SELECT 1"],
    ids=["one", "two", "none"],
)
def test_several_statements_in_one_text_are_guarded_and_seen(
    sql: str, guards: list[frozenset[str]], read_elsewhere: Read
) -> None:
    assert read_elsewhere()[1] == "Old"

    execute(sql)

    assert read_elsewhere()[1] == "New"
    assert guards[0] == {TAG}
    execute("ROLLBACK")


# Two-phase commits


def may_prepare() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_prepared_transactions")
        return bool(int(cursor.fetchone()[0]))


@pytest.fixture
def two_phases(transactional_db: None, variables: dict[str, str]) -> Iterator[None]:
    """The first half of a two-phase commit is done, and its process has ended."""
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has them.")
    if not may_prepare():
        reason = "PostgreSQL needs max_prepared_transactions, for example 8."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with Process(prepared.prepare, **variables) as process:
        assert process.output() == ""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        for (name,) in cursor.fetchall():
            cursor.execute(f"ROLLBACK PREPARED '{name}'")


def test_the_second_half_of_a_two_phase_commit_in_another_process_is_seen(
    two_phases: None, server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    """However long after the first half: everything that had been rotated or guarded then is over."""
    warm(server, read)
    with Process(prepared.end, "COMMIT", **variables) as process:
        assert process.output() == ""

    assert read()[1] == "New"


def test_the_second_half_is_guarded(
    two_phases: None, guards: list[frozenset[str]], server: ScratchRedis, read: Read
) -> None:
    prepared.end("COMMIT")

    assert TAG in guards[0]
    assert read()[1] == "New"


def test_a_prepared_transaction_that_is_rolled_back_costs_nothing(
    two_phases: None, server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    warm(server, read)
    with Process(prepared.end, "ROLLBACK", **variables) as process:
        assert process.output() == ""

    assert read()[1] == "Old"
    assert read()[0].startswith("hit")
