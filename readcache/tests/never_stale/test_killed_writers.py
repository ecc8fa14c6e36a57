"""A writer that is killed after its COMMIT, beside writers that are not: stale for one lease at most."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from instruments.marks import end_marks
from instruments.processes import writer as stopping_writer
from instruments.processes.process import Process
from instruments.reading import LEASE_SECONDS, Read
from instruments.scratch_redis import ScratchRedis
from instruments.transactions import threads
from instruments.waiting import wait_until
from library.models import Book
from readcache.storage.current import store

TAG = "library_book"


@pytest.fixture(autouse=True)
def _known_history(server: ScratchRedis, book: Book, read: Read) -> None:
    """The page is warm under immortal tokens: the marks of the first fill have ended."""
    read()
    end_marks(server.client)
    read()
    assert read()[1] == "Old"
    assert life(server) == -1


def life(server: ScratchRedis) -> int:
    milliseconds: int = server.client.pttl(store().token_key(TAG))
    return milliseconds


@contextmanager
def killed_after_commit(variables: dict[str, str]) -> Iterator[float]:
    """Yields the monotonic time of the COMMIT, after which its writer was killed."""
    with Process(stopping_writer.write_alone, **variables) as writer:
        writer.wait_for("committed")
        committed_at = time.monotonic()
        writer.kill()
    yield committed_at


def rows(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def seconds_until_new(read: Read, since: float) -> float:
    wait_until(lambda: read()[1] == "New")
    return time.monotonic() - since


def test_a_killed_writer_costs_one_lease(read: Read, variables: dict[str, str]) -> None:
    with killed_after_commit(variables) as committed_at:
        assert read()[1] == "Old"
        assert seconds_until_new(read, committed_at) < LEASE_SECONDS + 0.5


on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite ends with its process.")


def is_running() -> bool:
    """Whether PostgreSQL executes the slow statement."""
    return bool(rows("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'UPDATE%%pg_sleep%%'"))


def assert_new_one_lease_after_the_statement(read: Read) -> None:
    """A reader stores the old page again while the statement runs."""
    assert read() == ("fwd=stale; stored", "Old")
    assert is_running()

    wait_until(lambda: not is_running())
    assert seconds_until_new(read, time.monotonic()) < LEASE_SECONDS + 0.5


@on_postgresql
def test_a_statement_that_the_database_ends_after_its_writer_was_killed_costs_one_lease(
    server: ScratchRedis, read: Read, variables: dict[str, str]
) -> None:
    with Process(stopping_writer.write_slowly, LEASE_SECONDS + 2, **variables) as writer:
        wait_until(is_running)
        writer.kill()
    # It takes longer than the lease.
    wait_until(lambda: life(server) == -2)
    assert_new_one_lease_after_the_statement(read)


@on_postgresql
def test_a_statement_whose_answer_was_lost_costs_one_lease(read: Read) -> None:
    """Its writer rotates after the error, and the database commits after that."""
    sockets: list[socket.socket] = []

    def write() -> None:
        connection.ensure_connection()
        sockets.append(socket.socket(fileno=os.dup(connection.connection.fileno())))
        with pytest.raises(OperationalError):
            stopping_writer.write_slowly(str(LEASE_SECONDS))

    with threads(1) as submit:
        writing = submit(write)
        wait_until(is_running)
        with sockets[0]:
            sockets[0].shutdown(socket.SHUT_RDWR)
        writing.result()
        assert_new_one_lease_after_the_statement(read)


def test_guards_of_others_do_not_prolong_a_dying_token(read: Read, variables: dict[str, str]) -> None:
    """Each guards, and its COMMIT is refused: an unconditional expiry would keep the old entry alive."""
    with killed_after_commit(variables) as committed_at:
        while time.monotonic() < committed_at + LEASE_SECONDS + 0.5:
            store().guard([TAG], "of another")
            store().unmark([TAG], "of another")
            read()

        assert read()[1] == "New"


def test_the_rotation_of_one_writer_leaves_the_mark_of_the_other(
    server: ScratchRedis, read: Read, variables: dict[str, str]
) -> None:
    """Both guard; one rotates, and a reader makes a token; the other commits and is killed."""
    store().guard([TAG], "of one")
    store().guard([TAG], "of the other")
    store().rotate([TAG], ends=["of one"])
    read()

    assert 0 < life(server) <= LEASE_SECONDS * 1000


def test_a_guarded_token_that_is_evicted_is_not_made_anew_for_good(server: ScratchRedis, read: Read) -> None:
    store().guard([TAG], "of a writer")
    server.client.delete(store().token_key(TAG))
    read()

    assert 0 < life(server) <= LEASE_SECONDS * 1000


def test_a_tag_that_lost_its_marks_too_is_not_made_anew_for_good(server: ScratchRedis, read: Read) -> None:
    """As under allkeys-lru, in the middle of a transaction."""
    store().guard([TAG], "of a writer")
    server.client.delete(store().token_key(TAG), store().marks_key(TAG))
    read()

    assert 0 < life(server) <= LEASE_SECONDS * 1000


def test_a_transaction_guards_right_before_its_commit(
    server: ScratchRedis, read: Read, variables: dict[str, str]
) -> None:
    """However long it is open: neither does it shorten a token before, nor does its guard run out."""
    with Process(stopping_writer.write_in_a_transaction, **variables) as writer:
        writer.wait_for("written")
        assert life(server) == -1
        writer.go_on()
        writer.wait_for("committed")
        assert 0 < life(server) <= LEASE_SECONDS * 1000
        committed_at = time.monotonic()
        writer.kill()

    assert seconds_until_new(read, committed_at) < LEASE_SECONDS + 0.5


def test_a_rolled_back_transaction_costs_nothing(server: ScratchRedis, read: Read) -> None:
    with transaction.atomic():
        Book.objects.update(title="New")
        transaction.set_rollback(True)

    assert life(server) == -1
    assert read()[0].startswith("hit")


def test_a_rotation_that_is_interrupted_is_pending(
    read: Read, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the time limit of a task queue."""

    class TimeLimit(BaseException):
        pass

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise TimeLimit

    with monkeypatch.context() as patch:
        patch.setattr(store(), "rotate", interrupted)
        with pytest.raises(TimeLimit):
            Book.objects.update(title="New")

    assert store().breaker.is_open
    assert read()[1] == "New"
    assert store().breaker.flush_now()
    read()
    assert read()[1] == "New"
