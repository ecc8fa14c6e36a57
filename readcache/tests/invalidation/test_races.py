"""Readers and writers that overlap, writers that are killed, and tokens that are lost.

Each case is made to happen; no test relies on chance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.signals import post_save
from django.forms import model_to_dict
from django.test import Client
from pytest_django import Settings

from instruments.marks import end_marks
from instruments.processes.process import Process
from instruments.processes.writer import write_alone, write_in_a_transaction
from instruments.rows import make_author, make_book, make_topic
from instruments.transactions import in_another_thread, threads, undone
from instruments.visitors import get, is_hit, read, status, uncached
from instruments.waiting import PATIENCE_SECONDS, POLL_SECONDS
from library.models import Author, Book, Topic
from readcache.invalidation.rotations import rotated
from readcache.invalidation.watch import watch
from readcache.storage.current import store

LIST = "/books/"
BOOK_TAG = "library_book"
# Long enough for the steps that happen within it on a busy machine, short enough to wait for.
LEASE_SECONDS = 1.5

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_lease(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS


@pytest.fixture
def book() -> Book:
    return make_book(title="Old", author=make_author("Austen"), topics=[make_topic("old")])


def title_in(url: str) -> str:
    return str(read(url)["results"][0]["title"])


def true_title() -> str:
    return title_in(uncached(LIST))


def rename(book: Book, title: str = "New") -> None:
    book.title = title
    book.save()


def token_key(tag: str = BOOK_TAG) -> str:
    return store().token_key(tag)


def read_under_an_immortal_token(redis: Any) -> None:
    read(LIST)
    end_marks(redis)
    read(LIST)
    assert redis.pttl(token_key()) == -1


def lives_at_most_one_lease(redis: Any) -> bool:
    return 0 < int(redis.pttl(token_key())) <= LEASE_SECONDS * 1000


def assert_old_at_most_for_the_rest_of_the_lease(redis: Any) -> None:
    """Nobody who asks for the list after the token of its books has run out is shown the old one.

    A busy machine may take its time to ask and to answer.
    """
    rest_ms = redis.pttl(token_key())
    assert rest_ms != -1
    assert rest_ms <= LEASE_SECONDS * 1000
    # PTTL is -2 for a token that has run out. Redis rounds to milliseconds.
    end = time.monotonic() + (max(rest_ms, 0) + 2) / 1000
    while True:
        asked = time.monotonic()
        if title_in(LIST) == "New":
            return
        assert asked <= end
        time.sleep(POLL_SECONDS)


# Readers and writers that overlap


def test_a_reader_between_a_save_and_its_commit_does_not_keep_the_old_page(book: Book) -> None:
    read(LIST)

    with transaction.atomic():
        rename(book)
        assert in_another_thread(lambda: title_in(LIST)) == "Old"

    assert true_title() == "New"
    assert title_in(LIST) == "New"


def test_a_reader_while_the_admin_saves_does_not_keep_the_old_page(
    book: Book, client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    read(LIST)
    seen_meanwhile = []

    def visit(**kwargs: Any) -> None:
        seen_meanwhile.append(in_another_thread(lambda: title_in(LIST)))

    post_save.connect(visit, sender=Book)
    try:
        form = model_to_dict(book, fields=["title", "summary", "price", "copies", "author"])
        saved = client.post(f"/admin/library/book/{book.pk}/change/", {**form, "title": "New"})
    finally:
        post_save.disconnect(visit, sender=Book)

    assert saved.status_code == 302
    assert seen_meanwhile[:1] == ["Old"]
    assert true_title() == "New"
    assert title_in(LIST) == "New"


@pytest.mark.parametrize("nth_query", [1, 2, 3])
def test_a_page_filled_during_a_write_is_not_served_again(nth_query: int, book: Book) -> None:
    queries = 0

    def write() -> None:
        book.topics.clear()
        rename(book)

    def write_after_the_query(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal queries
        result = execute(sql, *rest)
        queries += 1
        if queries == nth_query:
            # The whole write: saved, committed, rotated and acknowledged.
            in_another_thread(write)
        return result

    with connection.execute_wrapper(write_after_the_query):
        read(LIST)

    assert queries == 3
    assert read(LIST)["results"] == read(uncached(LIST))["results"]


def test_a_page_whose_last_query_came_before_a_write_is_not_served_again(book: Book) -> None:
    def write_after_the_last_query(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "library_topic" in sql:
            in_another_thread(lambda: rename(book))
        return result

    with connection.execute_wrapper(write_after_the_last_query):
        assert title_in(LIST) == "Old"

    assert title_in(LIST) == "New"


def test_the_tokens_are_read_before_the_first_query(book: Book, redis: Any) -> None:
    seen: list[Any] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(redis.get(token_key()))
        in_another_thread(lambda: rename(book))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        read(LIST)

    assert seen[0] is not None
    assert status(get(LIST)) == "fwd=stale; stored"


@pytest.mark.parametrize(
    "write",
    [
        lambda book: Book.objects.update(title="New"),
        lambda book: Book.objects.bulk_update([Book(pk=book.pk, title="New")], ["title"]),
        lambda book: book.topics.clear(),
        lambda book: Topic.objects.update(name="new"),
        lambda book: Author.objects.update(slug="new"),
    ],
    ids=["update", "bulk_update", "topics cleared", "topic renamed", "author renamed"],
)
def test_a_write_without_a_signal_of_the_books_model_is_seen(
    write: Callable[[Book], object], book: Book
) -> None:
    old = read(LIST)

    write(book)

    truth = read(uncached(LIST))
    assert truth != old
    assert read(LIST) == truth


def test_a_reader_between_a_save_and_the_change_of_its_topics_does_not_keep_the_old_page(book: Book) -> None:
    read(LIST)

    rename(book)
    in_another_thread(lambda: read(LIST))
    book.topics.clear()

    assert read(uncached(LIST))["results"][0]["topics"] == []
    assert read(LIST)["results"][0]["topics"] == []


def test_threads_that_read_and_write_at_once_end_with_the_last_write_shown(book: Book) -> None:
    start = threading.Barrier(4)

    def write(title: str) -> None:
        start.wait(PATIENCE_SECONDS)
        for number in range(10):
            Book.objects.filter(pk=book.pk).update(title=f"{title} {number}")
            assert title_in(f"{LIST}?search={title}") == f"{title} {number}"

    def visit() -> None:
        start.wait(PATIENCE_SECONDS)
        for _ in range(20):
            read(LIST)

    with threads(4) as submit:
        for future in [submit(task) for task in (lambda: write("Zenobia"), visit, visit, visit)]:
            future.result()

    assert read(LIST) == read(uncached(LIST))


def test_a_reader_right_after_the_rotation_finds_the_write_committed(book: Book) -> None:
    seen: list[str] = []

    def visit(**kwargs: Any) -> None:
        seen.append(in_another_thread(lambda: title_in(LIST)))

    read(LIST)
    rotated.connect(visit)
    try:
        with transaction.atomic():
            rename(book)
    finally:
        rotated.disconnect(visit)

    assert seen == ["New"]
    assert title_in(LIST) == "New"


# Savepoints


def test_a_rolled_back_savepoint_drops_only_its_own_promises(book: Book) -> None:
    read(LIST)
    with transaction.atomic():
        with undone():
            rename(book, "Never")
        assert in_another_thread(lambda: title_in(LIST)) == "Old"
        # Guarded before, but no longer to be rotated at COMMIT.
        rename(book)
        assert in_another_thread(lambda: title_in(LIST)) == "Old"

    assert title_in(LIST) == "New"


def test_a_write_after_a_rolled_back_savepoint_rotates_its_own_tags(book: Book) -> None:
    read(LIST)
    with transaction.atomic():
        with undone():
            rename(book, "Never")
        Topic.objects.update(name="new")
        in_another_thread(lambda: read(LIST))

    assert read(LIST)["results"][0]["topics"] == ["new"]


# Writers that are killed


@contextmanager
def writer(write: Callable[[], None]) -> Iterator[Process]:
    """Another process of the library, which stops between its COMMIT and its rotation."""
    with Process(write, LIBRARY_LEASE_SECONDS=str(LEASE_SECONDS)) as process:
        yield process


@pytest.mark.parametrize("write", [write_alone, write_in_a_transaction])
def test_the_write_of_a_writer_killed_before_its_rotation_is_seen_when_the_lease_ends(
    write: Callable[[], None], book: Book, short_lease: None, redis: Any
) -> None:
    read_under_an_immortal_token(redis)

    with writer(write) as killed:
        if write is write_in_a_transaction:
            killed.wait_for("written")
            assert redis.pttl(token_key()) == -1
            killed.go_on()
        killed.wait_for("committed")
        assert lives_at_most_one_lease(redis)
        killed.kill()

    assert true_title() == "New"
    # The old page is served for the rest of the lease at most, and never again.
    assert_old_at_most_for_the_rest_of_the_lease(redis)


def test_a_page_filled_during_the_transaction_of_a_killed_writer_dies_with_the_lease(
    book: Book, short_lease: None, redis: Any
) -> None:
    with writer(write_in_a_transaction) as killed:
        killed.wait_for("written")
        assert title_in(LIST) == "Old"
        killed.go_on()
        killed.wait_for("committed")
        killed.kill()

    assert_old_at_most_for_the_rest_of_the_lease(redis)


def test_the_token_of_a_rotation_during_the_transaction_of_a_killed_writer_dies_with_the_lease(
    book: Book, short_lease: None, redis: Any
) -> None:
    read(LIST)
    with writer(write_in_a_transaction) as killed:
        killed.wait_for("written")

        # Stands for a second writer: SQLite has one at a time.
        store().rotate([BOOK_TAG])
        assert lives_at_most_one_lease(redis)
        assert title_in(LIST) == "Old"
        killed.go_on()
        killed.wait_for("committed")
        killed.kill()

    assert_old_at_most_for_the_rest_of_the_lease(redis)


# Guards


def test_the_guard_comes_right_before_the_commit_of_a_transaction(
    book: Book, short_lease: None, redis: Any
) -> None:
    """However long the transaction is: a guard at its first statement would have run out."""
    read_under_an_immortal_token(redis)
    lives: list[bool] = []
    watched = watch(connection)
    send_commit = watched._commit

    def look_and_commit() -> None:
        lives.append(lives_at_most_one_lease(redis))
        send_commit()

    watched._commit = look_and_commit
    try:
        with transaction.atomic():
            rename(book)
            assert redis.pttl(token_key()) == -1
            # The old page stays a hit for the others: nothing was committed.
            assert in_another_thread(lambda: is_hit(get(LIST)))
    finally:
        watched._commit = send_commit

    assert lives == [True]
    assert redis.pttl(token_key()) == -1
    assert title_in(LIST) == "New"


def test_a_refused_commit_ends_its_mark(book: Book, short_lease: None, redis: Any) -> None:
    """The database said that it did not commit: nothing is left that could commit later."""
    read_under_an_immortal_token(redis)
    watched = watch(connection)
    send_commit = watched._commit

    def refuse() -> None:
        raise IntegrityError("a deferred constraint")

    watched._commit = refuse
    try:
        with pytest.raises(IntegrityError), transaction.atomic():
            rename(book)
    finally:
        watched._commit = send_commit

    assert title_in(LIST) == "Old"
    assert redis.pttl(token_key()) == -1


def test_a_commit_whose_answer_was_lost_leaves_its_mark(
    book: Book, short_lease: None, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may commit yet."""
    read_under_an_immortal_token(redis)
    watched = watch(connection)

    def lose() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(watched, "_commit", lose)
    monkeypatch.setattr("readcache.invalidation.watch.is_open", lambda connection: False)
    with pytest.raises(OperationalError), transaction.atomic():
        rename(book)

    assert title_in(LIST) == "Old"
    assert lives_at_most_one_lease(redis)


def test_the_guard_comes_before_the_statement(book: Book, short_lease: None, redis: Any) -> None:
    read_under_an_immortal_token(redis)
    lives: list[bool] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        lives.append(lives_at_most_one_lease(redis))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        Book.objects.update(title="New")

    assert lives == [True]


# Tokens that are lost


@pytest.mark.parametrize("tag", ["library_author", "library_book", "library_book_topics", "library_topic"])
def test_an_evicted_token_is_a_miss_and_its_entries_never_come_back(tag: str, book: Book, redis: Any) -> None:
    read(LIST)
    assert is_hit(get(LIST))
    before = redis.get(token_key(tag))

    redis.delete(token_key(tag))

    assert status(get(LIST)) == "fwd=stale; stored"
    assert redis.get(token_key(tag)) not in (None, before)
    assert is_hit(get(LIST))


def test_a_new_token_never_equals_an_old_one(book: Book, redis: Any) -> None:
    seen = set()
    for number in range(50):
        redis.delete(token_key())
        read(LIST)
        seen.add(redis.get(token_key()))
        rename(book, f"Title {number}")
        seen.add(redis.get(token_key()))

    assert len(seen) == 100
    assert {len(token) for token in seen} == {16}


def test_a_redis_that_lost_a_rotation_shows_the_old_page_for_one_lease_at_most(
    book: Book, short_lease: None, redis: Any
) -> None:
    """As after a failover to a replica that had received the guard and not the rotation."""
    redis.delete(token_key())
    read(LIST)
    replicated: list[tuple[bytes, int]] = []

    def replicate(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        replicated.append((redis.dump(token_key()), redis.pttl(token_key())))
        return result

    with connection.execute_wrapper(replicate):
        Book.objects.update(title="New")
    [(token, milliseconds)] = replicated
    redis.restore(token_key(), milliseconds, token, replace=True)

    assert title_in(LIST) == "Old"
    assert_old_at_most_for_the_rest_of_the_lease(redis)
