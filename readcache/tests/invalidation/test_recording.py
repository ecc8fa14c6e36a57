from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from instruments.transactions import execute, in_another_thread
from instruments.waiting import PATIENCE_SECONDS
from library.models import Book, Topic
from readcache.invalidation.recording import recording_reads, suspended
from readcache.invalidation.rotations import rotated


@pytest.fixture
def rotations() -> Any:
    """The tags of each rotation, in order."""
    seen: list[set[str]] = []

    def record(*, tags: frozenset[str], **kwargs: Any) -> None:
        seen.append(set(tags))

    rotated.connect(record)
    yield seen
    rotated.disconnect(record)


@pytest.mark.django_db
def test_the_tables_that_are_read_meanwhile_are_recorded() -> None:
    Topic.objects.count()
    with recording_reads() as reads:
        Book.objects.count()
    Topic.objects.count()

    assert reads.tables == {"library_book"}


@pytest.mark.django_db
def test_a_recording_inside_another_belongs_to_both() -> None:
    with recording_reads() as outer:
        Topic.objects.count()
        with recording_reads() as inner:
            Book.objects.count()
        Topic.objects.count()

    assert inner.tables == {"library_book"}
    assert outer.tables == {"library_book", "library_topic"}


@pytest.mark.django_db(transaction=True)
def test_the_reads_of_another_thread_are_kept_apart() -> None:
    with recording_reads() as reads:
        in_another_thread(Book.objects.count)

    assert reads.tables == set()
    assert reads.by_helpers == {"library_book"}


@pytest.mark.django_db(transaction=True)
def test_a_write_of_another_thread_is_not_a_read() -> None:
    with recording_reads() as reads:
        in_another_thread(lambda: execute("DELETE FROM library_topic"))

    assert reads.by_helpers == set()


@pytest.mark.django_db(transaction=True)
def test_the_main_thread_is_no_helper_of_a_fill_in_another_thread() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def fill() -> set[str]:
        with recording_reads() as reads:
            has_begun.set()
            may_end.wait(PATIENCE_SECONDS)
        return reads.by_helpers

    with ThreadPoolExecutor(max_workers=1) as executor:
        by_helpers = executor.submit(fill)
        assert has_begun.wait(PATIENCE_SECONDS)
        Book.objects.count()
        may_end.set()
        assert by_helpers.result() == set()


@pytest.mark.django_db
def test_a_recording_that_fails_leaves_none() -> None:
    with pytest.raises(RuntimeError), recording_reads() as reads:
        raise RuntimeError

    Book.objects.count()
    assert reads.tables == reads.by_helpers == set()


@pytest.mark.django_db(transaction=True)
def test_writes_go_unnoticed_while_the_watch_is_suspended(rotations: list[set[str]]) -> None:
    with suspended():
        with suspended():
            execute("DELETE FROM library_topic")
        execute("DELETE FROM library_topic")
    assert rotations == []

    execute("DELETE FROM library_topic")
    assert rotations == [{"library_topic"}]
