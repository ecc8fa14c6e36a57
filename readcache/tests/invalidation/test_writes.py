"""Every kind of write is seen, in every kind of transaction, at a known cost.

How statements are classified: ``test_statements.py``. Overlaps and killed writers: ``test_races.py``.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.signals import connection_created
from rest_framework.test import APIClient

from instruments import visitors
from instruments.processes.process import Process
from instruments.processes.single_writes import write_alone, write_and_roll_back, write_in_a_transaction
from instruments.transactions import Undo, execute, in_another_thread, manual_transaction, undone
from instruments.visitors import uncached
from instruments.writes import (
    KINDS,
    NEW_PRICE,
    NEW_TITLE,
    Kind,
    Page,
    Target,
    Write,
    clear_the_topics,
    make_target,
    raw_sql,
    rename_the_author,
    rename_the_topic,
    save,
    seed,
    update,
)
from library.models import Author, Book, Topic
from readcache.invalidation import recording, watch
from readcache.invalidation.rotations import rotated
from readcache.invalidation.watch import Watch, rotate
from readcache.storage import registry
from readcache.storage.current import store

LIST, STATISTICS, AUTHORS = "/books/", "/books/statistics/", "/authors/"
BYPASSED = "fwd=bypass; detail=uncommitted-write"
IS_POSTGRESQL = django_settings.DATABASES["default"]["ENGINE"].endswith("postgresql")

in_its_own_transactions = pytest.mark.django_db(transaction=True)
every_kind_of_write = pytest.mark.parametrize("kind", KINDS, ids=str)


@pytest.fixture
def target() -> Target:
    return make_target()


def get(url: str) -> tuple[Any, str]:
    """The JSON that a visitor is shown, and how the cache took part in it."""
    answer = APIClient().get(url)
    assert answer.status_code in (200, 404), answer.content
    return answer.json(), visitors.status(answer)


def truth(url: str) -> Any:
    return APIClient().get(uncached(url)).json()


def named_pages(target: Target) -> dict[Page, str]:
    return {
        "list": LIST,
        "detail": f"{LIST}{target.book.pk}/",
        "statistics": STATISTICS,
        "author": f"{AUTHORS}{target.author.slug}/",
    }


def pages_of(target: Target) -> list[str]:
    """Each page that shows something of the books, their author or their topic."""
    return [*named_pages(target).values(), AUTHORS]


def warm(pages: list[str]) -> dict[str, Any]:
    """Fill the pages, and return what they show."""
    for url in pages:
        get(url)
    shown = {url: get(url) for url in pages}
    assert all(status.startswith("hit") for _, status in shown.values()), shown
    return {url: body for url, (body, _) in shown.items()}


def shown_to_others(pages: list[str]) -> dict[str, Any]:
    """The pages as a visitor sees them whose requests run in another thread."""
    return in_another_thread(lambda: {url: get(url)[0] for url in pages})


def assert_right(pages: list[str]) -> None:
    """At the first reading, and again when it is served from the entry that the first has stored."""
    expected = {url: truth(url) for url in pages}
    for _ in range(2):
        assert {url: get(url)[0] for url in pages} == expected


@contextmanager
def receiving(receiver: Callable[..., object]) -> Iterator[None]:
    rotated.connect(receiver)
    try:
        yield
    finally:
        rotated.disconnect(receiver)


@contextmanager
def rotations() -> Iterator[list[set[str]]]:
    """The tags of each rotation, in order."""
    seen: list[set[str]] = []

    def record(*, tags: frozenset[str], **kwargs: Any) -> None:
        seen.append(set(tags))

    with receiving(record):
        yield seen


# Each kind of write in each kind of transaction


@in_its_own_transactions
@every_kind_of_write
def test_a_write_is_seen_by_the_next_read(kind: Kind, target: Target) -> None:
    named, pages = named_pages(target), pages_of(target)
    old = warm(pages)

    kind.write(target)

    assert {page for page, url in named.items() if truth(url) != old[url]} == kind.changes
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_a_write_in_a_transaction_is_seen_inside_at_once_and_outside_after_the_commit(
    kind: Kind, target: Target
) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        kind.write(target)
        for url in pages:
            shown, status = get(url)
            assert shown == truth(url)
            # A page that does not exist any more was not answered by the cache.
            assert status == BYPASSED or "detail" in shown
        assert shown_to_others(pages) == old

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_the_write_around_a_savepoint_that_undid_another_is_seen(kind: Kind, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        with undone():
            kind.write(target)
        Book.objects.filter(pk=target.book.pk).update(summary="Outer")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
@pytest.mark.parametrize("write", [save, update, clear_the_topics, rename_the_author, raw_sql, seed])
def test_a_write_before_a_savepoint_that_is_undone_is_seen(write: Write, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        write(target)
        with undone():
            Book.objects.update(summary="Inner")
            Book.topics.through.objects.all().delete()

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_a_write_that_was_rolled_back_leaves_every_page_a_hit(kind: Kind, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with undone():
        kind.write(target)
        assert shown_to_others(pages) == old

    assert {url: truth(url) for url in pages} == old
    assert_right(pages)
    assert all(status.startswith("hit") for _, status in map(get, pages))


# Statements of one database only


@pytest.mark.skipif(not IS_POSTGRESQL, reason="Only PostgreSQL has these.")
@in_its_own_transactions
@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE library_author CASCADE",
        "TRUNCATE library_book_topics",
        "DO $$ BEGIN UPDATE library_book SET title = 'New'; END $$",
        """MERGE INTO library_book USING library_author AS a ON author_id = a.id
           WHEN MATCHED THEN UPDATE SET title = 'New'""",
        "EXPLAIN ANALYZE DELETE FROM library_book_topics",
        "SELECT 1; UPDATE public.library_book SET title = 'New'",
        'UPDATE "public"."library_book" SET title = \'New\'',
    ],
)
def test_a_statement_that_only_postgresql_has_is_seen(sql: str, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute(sql)

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@pytest.mark.skipif(not IS_POSTGRESQL, reason="Only psycopg composes statements and takes bytes.")
@in_its_own_transactions
@pytest.mark.parametrize("form", ["composed", "bytes"])
def test_a_statement_that_is_not_a_string_is_seen(form: str, target: Target) -> None:
    from psycopg import sql  # not installed where only SQLite is used

    composed = sql.SQL("UPDATE {} SET title = 'New'").format(sql.Identifier("public", "library_book"))
    pages = pages_of(target)
    warm(pages)

    execute(composed if form == "composed" else b"UPDATE library_book SET title = 'New'")

    assert truth(LIST)["results"][0]["title"] == "New"
    assert_right(pages)


@in_its_own_transactions
def test_a_statement_that_fails_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with pytest.raises(Exception, match="no_such_column"):
        execute("UPDATE library_book SET no_such_column = 1")

    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


# Other connections


@in_its_own_transactions
@pytest.mark.parametrize("atomic", [False, True], ids=["alone", "in a transaction"])
def test_a_write_of_another_thread_is_seen(atomic: bool, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write() -> None:
        if atomic:
            with transaction.atomic():
                save(target)
        else:
            save(target)

    in_another_thread(write)

    assert truth(LIST)["results"][0]["title"] == NEW_TITLE
    assert_right(pages)


@in_its_own_transactions
@pytest.mark.parametrize(
    ("write", "title"),
    [(write_alone, "New"), (write_in_a_transaction, "New"), (write_and_roll_back, "Old")],
)
def test_a_write_of_another_process_is_seen(write: Callable[[], None], title: str, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    with Process(write) as process:
        process.output()

    assert truth(LIST)["results"][0]["title"] == title
    assert_right(pages)


@in_its_own_transactions
@pytest.mark.parametrize("atomic", [False, True], ids=["alone", "in a transaction"])
def test_a_write_on_another_alias_is_seen(atomic: bool, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)
    connections["other"] = connection.copy()
    try:
        if atomic:
            with transaction.atomic(using="other"):
                Book.objects.using("other").update(title="New")
        else:
            Book.objects.using("other").update(title="New")
    finally:
        connections["other"].close()
        del connections["other"]

    assert truth(LIST)["results"][0]["title"] == "New"
    assert_right(pages)


def watches() -> list[Watch]:
    return [wrapper for wrapper in connection.execute_wrappers if isinstance(wrapper, Watch)]


@in_its_own_transactions
def test_a_connection_that_was_opened_before_the_watch_was_installed_is_watched(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write_on_an_old_connection() -> None:
        assert connection_created.disconnect(dispatch_uid="read-cache-watch")
        try:
            connection.ensure_connection()
            assert watches() == []
        finally:
            watch.install()
        with transaction.atomic():
            save(target)

    in_another_thread(write_on_an_old_connection)

    assert truth(LIST)["results"][0]["title"] == NEW_TITLE
    assert_right(pages)


@in_its_own_transactions
def test_a_connection_is_watched_once_however_often_it_is_opened(target: Target) -> None:
    watch.install()
    connection.close()
    connection.ensure_connection()
    watch.install()

    with rotations() as seen, transaction.atomic():
        save(target)

    assert len(watches()) == 1
    assert seen == [{"library_book"}]


@pytest.mark.parametrize("ask", [watch.install, watch.has_written, watch.in_transaction])
def test_a_thread_that_uses_no_database_is_given_no_connection(ask: Callable[[], object]) -> None:
    def connections_made() -> list[object]:
        ask()
        return list(connections.all(initialized_only=True))

    with ThreadPoolExecutor(max_workers=1) as executor:
        assert executor.submit(connections_made).result() == []


@in_its_own_transactions
def test_a_transaction_whose_connection_was_closed_promises_nothing_to_the_next(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    with undone():
        save(target)
        connection.close()

    assert not watch.has_written()
    assert_right(pages)
    with rotations() as seen, transaction.atomic():
        Topic.objects.create(name="another")
    assert seen == [{"library_topic"}]


# Manual transactions


@in_its_own_transactions
def test_a_manual_transaction_is_seen_inside_at_once_and_outside_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with manual_transaction():
        update(target)
        shown, status = get(LIST)
        assert shown == truth(LIST) != old[LIST]
        assert status == BYPASSED
        assert shown_to_others(pages) == old
        transaction.commit()
        assert not watch.has_written()
        assert shown_to_others([LIST])[LIST] == truth(LIST)

    assert_right(pages)


@in_its_own_transactions
def test_a_manual_transaction_that_is_rolled_back_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with rotations() as seen, manual_transaction():
        update(target)
        transaction.rollback()
        assert not watch.has_written()

    assert seen == []
    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


@in_its_own_transactions
def test_an_atomic_block_in_a_manual_transaction_is_seen_after_the_commit(target: Target) -> None:
    """On SQLite the block begins the transaction with a savepoint, whose release commits."""
    pages = pages_of(target)
    old = warm(pages)

    with manual_transaction():
        with transaction.atomic():
            update(target)
        if IS_POSTGRESQL:
            assert shown_to_others(pages) == old
            transaction.commit()
        else:
            assert shown_to_others([LIST])[LIST] == in_another_thread(lambda: truth(LIST)) != old[LIST]

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
def test_nothing_is_filled_in_a_manual_transaction_that_has_not_written(target: Target) -> None:
    with manual_transaction():
        assert get(LIST)[1] == "fwd=bypass; detail=transaction"

    assert get(LIST)[1] == "fwd=uri-miss; stored"


@pytest.mark.skipif(IS_POSTGRESQL, reason="psycopg refuses it.")
@in_its_own_transactions
def test_switching_autocommit_on_commits_on_sqlite_and_is_seen(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    transaction.set_autocommit(False)
    try:
        update(target)
    finally:
        transaction.set_autocommit(True)

    assert in_another_thread(lambda: truth(LIST))["results"][0]["price"] == str(NEW_PRICE)
    assert_right(pages)


@pytest.mark.skipif(IS_POSTGRESQL, reason="PostgreSQL ends a transaction whose COMMIT it refuses.")
@pytest.mark.parametrize("begins_in_sql", [True, False])
@in_its_own_transactions
def test_a_commit_that_is_refused_and_then_repaired_is_seen(begins_in_sql: bool, target: Target) -> None:
    """SQLite keeps the transaction open. A reader may fill between the two COMMITs."""
    pages = pages_of(target)
    old = warm(pages)

    def commit() -> None:
        if begins_in_sql:
            execute("COMMIT")
        else:
            transaction.commit()

    with nullcontext() if begins_in_sql else manual_transaction():
        if begins_in_sql:
            execute("BEGIN IMMEDIATE")
        update(target)
        LogEntry.objects.create(user_id=-1, object_repr="", action_flag=1)
        with pytest.raises(IntegrityError):
            commit()
        assert shown_to_others(pages) == old
        execute("DELETE FROM django_admin_log WHERE user_id = -1")
        commit()

    assert truth(LIST) != old[LIST]
    assert_right(pages)


# Transactions in raw SQL


@in_its_own_transactions
def test_a_transaction_in_raw_sql_is_seen_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    update(target)
    assert shown_to_others(pages) == old
    execute("COMMIT")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@in_its_own_transactions
def test_the_uncommitted_writes_of_a_transaction_in_raw_sql_are_never_stored(
    end: str, target: Target
) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    assert not watch.has_written()
    update(target)
    shown, status = get(LIST)
    assert shown == truth(LIST) != old[LIST]
    assert status == BYPASSED
    assert shown_to_others(pages) == old
    execute(end)

    assert not watch.has_written()
    assert_right(pages)


@in_its_own_transactions
def test_nothing_is_filled_in_a_transaction_in_raw_sql_that_has_not_written(target: Target) -> None:
    execute("BEGIN")
    execute("SELECT 1 FROM library_book")
    assert get(LIST)[1] == "fwd=bypass; detail=transaction"
    execute("COMMIT")

    assert get(LIST)[1] == "fwd=uri-miss; stored"


@pytest.mark.skipif(not IS_POSTGRESQL, reason="SQLite takes one statement at a time.")
@in_its_own_transactions
def test_a_transaction_that_begins_in_the_same_text_as_its_write_is_seen_after_its_commit(
    target: Target,
) -> None:
    pages = pages_of(target)
    warm(pages)

    execute(f"BEGIN; UPDATE library_book SET title = 'Newest' WHERE id = {target.book.pk}")
    shown_to_others(pages)
    execute("COMMIT")

    assert_right(pages)


@pytest.mark.skipif(IS_POSTGRESQL, reason="PostgreSQL refuses it.")
@in_its_own_transactions
def test_a_savepoint_that_is_a_transaction_on_sqlite_is_seen_after_its_release(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("SAVEPOINT alone")
    update(target)
    assert shown_to_others(pages) == old
    execute("RELEASE alone")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
def test_a_transaction_in_raw_sql_whose_connection_was_closed_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    update(target)
    connection.close()

    assert not watch.has_written()
    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


@in_its_own_transactions
def test_a_transaction_in_raw_sql_that_the_driver_commits_is_seen_when_the_connection_is_opened_anew(
    target: Target,
) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    update(target)
    connection.connection.commit()
    connection.close()

    assert truth(LIST) != old[LIST]
    assert_right(pages)


# Writes that return rows


@in_its_own_transactions
def test_an_insert_that_returns_its_key_is_rotated_after_it_is_committed(target: Target) -> None:
    """SQLite commits such a statement when its last row is fetched, after its execution."""
    get(AUTHORS)

    with receiving(lambda **kwargs: shown_to_others([AUTHORS])):
        made = Author.objects.create(name="Newest", slug="newest")

    assert made.pk == Author.objects.get(slug="newest").pk
    assert shown_to_others([AUTHORS])[AUTHORS] == truth(AUTHORS)


@in_its_own_transactions
def test_the_rows_that_a_write_returns_can_be_fetched_in_every_way(target: Target) -> None:
    slugs = ["a", "b", "c", "d", "e", "f"]
    rows = [(slug,) for slug in slugs]
    values = ", ".join(f"('{slug}', '{slug}')" for slug in slugs)

    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO library_author (name, slug) VALUES {values} RETURNING slug")
        assert cursor.description[0][0] == "slug"
        assert cursor.rowcount == len(slugs)
        assert cursor.fetchone() == rows[0]
        assert cursor.fetchmany(2) == rows[1:3]
        assert cursor.fetchall() == rows[3:]
        assert cursor.fetchone() is None
        # The same cursor goes on with the next statement.
        cursor.execute("SELECT slug FROM library_author WHERE slug = 'b'")
        assert list(cursor) == [("b",)]
        cursor.execute("DELETE FROM library_author WHERE slug = 'b' RETURNING slug")
        assert list(cursor) == [("b",)]
        cursor.executemany("DELETE FROM library_author WHERE slug = %s", [("c",), ("d",)])
    assert {"b", "c", "d"}.isdisjoint(Author.objects.values_list("slug", flat=True))


# The application's on-commit functions


@in_its_own_transactions
def test_on_commit_functions_find_the_rotation_done(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)
    seen: list[Any] = []

    with transaction.atomic():
        # Registered before the write, and so run before anything that the write registers.
        transaction.on_commit(lambda: seen.append(shown_to_others([LIST])[LIST]))
        update(target)

    assert seen == [truth(LIST)]
    assert seen[0]["results"][0]["price"] == str(NEW_PRICE)


@in_its_own_transactions
def test_an_on_commit_function_that_fails_does_not_prevent_the_rotation(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def fail() -> None:
        raise Undo

    # On-commit functions run after the COMMIT.
    with suppress(Undo), transaction.atomic():
        transaction.on_commit(fail)
        update(target)

    assert truth(LIST)["results"][0]["price"] == str(NEW_PRICE)
    assert_right(pages)


@pytest.mark.django_db
def test_callbacks_that_a_test_captures_rotate_where_they_are_executed(
    target: Target, django_capture_on_commit_callbacks: Any
) -> None:
    with rotations() as seen:
        with django_capture_on_commit_callbacks(execute=True):
            update(target)
            # This table was written before the block too: its rotation is on the list already.
            execute("DELETE FROM library_topic WHERE name = 'nobody'")
        assert seen == []

    with rotations() as seen:
        for _, callback, *_ in list(connection.run_on_commit):
            assert callable(callback)
            callback()
    assert set().union(*seen) == {
        "library_author",
        "library_book",
        "library_book_topics",
        "library_topic",
    }


@pytest.mark.django_db
def test_a_write_in_the_transaction_of_a_test_promises_one_rotation_that_capturing_executes(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with rotations() as seen:
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            Topic.objects.create(name="new")
            Topic.objects.create(name="newer")
        assert len(callbacks) == 1

    assert seen == [{"library_topic"}]


# The signal


@in_its_own_transactions
def test_the_signal_names_the_tags_once_for_each_transaction_after_its_commit(target: Target) -> None:
    with rotations() as seen, transaction.atomic():
        save(target)
        rename_the_author(target)
        save(target)
        assert seen == []

    assert seen == [{"library_book", "library_author"}]


@in_its_own_transactions
def test_a_transaction_that_is_rolled_back_sends_no_signal(target: Target) -> None:
    with rotations() as seen, undone():
        save(target)

    assert seen == []


@in_its_own_transactions
def test_a_savepoint_that_was_undone_is_not_rotated(target: Target) -> None:
    with rotations() as seen, transaction.atomic():
        with undone():
            rename_the_topic(target)
        update(target)

    assert seen == [{"library_book"}]


@in_its_own_transactions
def test_a_manual_transaction_sends_the_signal_at_its_commit(target: Target) -> None:
    with rotations() as seen, manual_transaction():
        update(target)
        with transaction.atomic():
            rename_the_author(target)
        assert seen == []
        transaction.commit()
        assert seen == [{"library_book", "library_author"}]


@in_its_own_transactions
def test_a_receiver_that_fails_does_not_fail_the_write(target: Target) -> None:
    def fail(**kwargs: Any) -> None:
        raise Undo

    with receiving(fail):
        update(target)

    assert Book.objects.get(pk=target.book.pk).price == NEW_PRICE


@in_its_own_transactions
def test_a_receiver_may_query_the_database(target: Target) -> None:
    counted: list[int] = []

    def count(**kwargs: Any) -> None:
        counted.append(Author.objects.filter(name="Newest").count())

    with receiving(count), transaction.atomic():
        Author.objects.create(name="Newest", slug="newest")

    assert counted == [1]
    assert not connection.in_atomic_block
    assert connection.get_autocommit()


@in_its_own_transactions
def test_a_receiver_is_called_when_the_connection_commits_by_itself_again(target: Target) -> None:
    seen: list[bool] = []

    with receiving(lambda **kwargs: seen.append(connection.get_autocommit())), transaction.atomic():
        update(target)

    assert seen == [True]


@in_its_own_transactions
def test_a_write_of_a_receiver_is_seen_too(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write(**kwargs: Any) -> None:
        rotated.disconnect(write)
        rename_the_author(target)

    with receiving(write), transaction.atomic():
        update(target)

    assert truth(AUTHORS) == shown_to_others([AUTHORS])[AUTHORS]
    assert_right(pages)


# Rotating by hand


@in_its_own_transactions
def test_rotate_makes_the_entries_of_a_model_dead_and_no_others(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    with rotations() as seen:
        rotate(Topic)

    assert seen == [{"library_topic"}]
    statuses = [get(url)[1].split(";")[0] for url in pages]
    assert statuses == ["fwd=stale", "fwd=stale", "hit", "hit", "hit"]


@in_its_own_transactions
def test_rotate_in_a_transaction_also_rotates_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        # Stands for a write that the watch cannot see, such as COPY or a stored procedure.
        with recording.suspended():
            update(target)
        rotate(Book)
        assert shown_to_others(pages) == old
        assert get(LIST)[1] == BYPASSED

    assert truth(LIST) != old[LIST]
    assert_right(pages)


# The cost of a write


@contextmanager
def counted(redis: Any) -> Iterator[Callable[[], tuple[int, int, int]]]:
    """Round trips, scripts, and marks that were left, since the block began."""
    # Redis knows the scripts, and the connections are confirmed: a second later they are confirmed again,
    # in the same round trip. The block lasts no second by the clock of the last look at the registry.
    now = time.monotonic()
    store().look()
    store().guard(["no_table"], "a mark")
    store().rotate(["no_table"], ends=["a mark"])
    store().unmark(["no_table"], "a mark")

    def count() -> tuple[int, int, int]:
        commands = redis.info("commandstats")
        scripts, marks = (
            int(commands.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "zadd")
        )
        # The server reads a pipeline of a few commands at once, and each INFO alone.
        return int(redis.info("stats")["total_reads_processed"]), scripts, marks

    # The end of a connection that is garbage would count as a read of the server.
    gc.collect()
    before = count()

    def difference() -> tuple[int, int, int]:
        reads, scripts, marks = (now - then for now, then in zip(count(), before, strict=True))
        return reads - 2, scripts, marks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "time", SimpleNamespace(monotonic=lambda: now))
        yield difference


@in_its_own_transactions
@pytest.mark.parametrize("statements", [1, 10, 100])
def test_a_transaction_costs_one_guard_and_one_rotation_whatever_its_statements(
    statements: int, target: Target, redis: Any
) -> None:
    with counted(redis) as cost:
        with transaction.atomic():
            for number in range(statements):
                Book.objects.filter(pk=target.book.pk).update(copies=number)
            inside = cost()
        outside = cost()

    # Counting inside takes two round trips itself.
    assert inside == (0, 0, 0)
    assert outside == (2 + 2, 2, 1)


@in_its_own_transactions
def test_all_tags_are_guarded_at_once_and_rotated_at_once(target: Target, redis: Any) -> None:
    with counted(redis) as cost, transaction.atomic():
        for _ in range(3):
            Book.objects.update(copies=3)
            Topic.objects.update(name="new")
            with transaction.atomic():
                Author.objects.update(name="New")

    assert cost() == (2, 2, 3)


@in_its_own_transactions
def test_a_write_without_a_transaction_costs_two_round_trips(target: Target, redis: Any) -> None:
    with counted(redis) as cost:
        Book.objects.filter(pk=target.book.pk).update(copies=1)

    assert cost() == (2, 2, 1)


@in_its_own_transactions
def test_a_transaction_that_is_rolled_back_costs_redis_nothing(target: Target, redis: Any) -> None:
    with counted(redis) as cost, undone():
        Book.objects.filter(pk=target.book.pk).update(copies=1)

    assert cost() == (0, 0, 0)


@in_its_own_transactions
def test_statements_without_declared_tables_and_reads_cost_redis_nothing(target: Target, redis: Any) -> None:
    with counted(redis) as cost:
        User.objects.create_user("walter")
        list(Book.objects.select_for_update().none())
        list(Book.objects.all())
        with transaction.atomic():
            list(Book.objects.select_for_update())

    assert cost() == (0, 0, 0)


@in_its_own_transactions
def test_a_thousand_rows_in_one_transaction_cost_a_few_round_trips(target: Target, redis: Any) -> None:
    with counted(redis) as cost, transaction.atomic():
        books = Book.objects.bulk_create([target.new_book() for _ in range(1_000)], batch_size=100)
        rows = [Book.topics.through(book_id=book.pk, topic_id=target.topic.pk) for book in books]
        Book.topics.through.objects.bulk_create(rows, batch_size=100)

    # The tables of books and of their topics are guarded together, and rotated together.
    assert Book.objects.count() == len(target.books) + 1_000
    assert cost() == (2, 2, 2)


@in_its_own_transactions
def test_a_404_in_a_transaction_that_wrote_says_that_the_cache_was_bypassed() -> None:
    with transaction.atomic():
        Book.objects.update(price=1)
        answer = APIClient().get(f"{LIST}1/")

    assert answer.status_code == 404
    assert visitors.status(answer) == BYPASSED
