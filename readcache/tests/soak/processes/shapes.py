"""Transactions of every shape around a write. They run in a writer's process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection, transaction

from instruments.transactions import execute, manual_transaction, undone
from library.models import Author, Book
from soak.processes import slow_database

# Kinds of writes that consist of statements, without a transaction of their own.
PLAIN_KINDS = frozenset(
    {
        "save",
        "save_one_field",
        "create",
        "update",
        "update_by_an_expression",
        "rename_the_topic",
        "rename_the_author",
        "change_the_slug_of_the_author",
        "raw_sql",
        "raw_sql_after_a_comment",
        "executemany",
        "cte",
        "cte_after_a_literal",
        "upsert",
    }
)
EVERY_DATABASE = ("sqlite", "postgresql")
Work = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """``run`` takes the write and the seconds that its slow part takes.

    ``commits`` is ``False`` where the write is undone for certain, and ``only_plain`` is ``True`` where
    the write cannot have a transaction of its own.
    """

    name: str
    run: Callable[[Work, float], None]
    commits: bool
    takes_time: bool
    only_plain: bool
    vendors: tuple[str, ...]

    @property
    def goes_on_when_killed(self) -> bool:
        """Whether the database goes on with its slow part after the writer was killed."""
        return self.takes_time and self.vendors == ("postgresql",)

    def accepts(self, kind: str) -> bool:
        return not self.only_plain or kind in PLAIN_KINDS


SHAPES: dict[str, Shape] = {}


class RefusedError(Exception):
    """The database has refused the COMMIT, as it was meant to."""


def shape(
    *,
    commits: bool = True,
    takes_time: bool = False,
    only_plain: bool = False,
    vendors: tuple[str, ...] = EVERY_DATABASE,
) -> Callable[[Callable[[Work, float], None]], Callable[[Work, float], None]]:
    """Put the function into ``SHAPES`` under its name."""

    def register(run: Callable[[Work, float], None]) -> Callable[[Work, float], None]:
        SHAPES[run.__name__] = Shape(
            name=run.__name__,
            run=run,
            commits=commits,
            takes_time=takes_time,
            only_plain=only_plain,
            vendors=vendors,
        )
        return run

    return register


@shape()
def autocommit(write: Work, seconds: float) -> None:
    write()


@shape()
def atomic(write: Work, seconds: float) -> None:
    with transaction.atomic():
        write()


@shape()
def savepoint(write: Work, seconds: float) -> None:
    with transaction.atomic(), transaction.atomic():
        write()


@shape()
def beside_an_undone_savepoint(write: Work, seconds: float) -> None:
    with transaction.atomic():
        write()
        with undone():
            Author.objects.filter(pk=-1).update(name="Undone")


@shape(takes_time=True)
def open_for_long(write: Work, seconds: float) -> None:
    with transaction.atomic():
        write()
        time.sleep(seconds)


@shape(commits=False)
def rolled_back(write: Work, seconds: float) -> None:
    with undone():
        write()


@shape()
def without_autocommit(write: Work, seconds: float) -> None:
    with manual_transaction():
        write()
        transaction.commit()


@shape()
def rolled_back_without_autocommit(write: Work, seconds: float) -> None:
    """SQLite commits some writes all the same: it begins a transaction only before some statements, and ends
    it with the release of the outermost savepoint.
    """
    with manual_transaction():
        write()


@shape(only_plain=True)
def raw(write: Work, seconds: float) -> None:
    with _raw_transaction("COMMIT"):
        write()


@shape(only_plain=True, takes_time=True)
def raw_and_open_for_long(write: Work, seconds: float) -> None:
    with _raw_transaction("COMMIT"):
        write()
        time.sleep(seconds)


@shape(only_plain=True, commits=False)
def raw_rolled_back(write: Work, seconds: float) -> None:
    with _raw_transaction("ROLLBACK"):
        write()


@shape(commits=False)
def refused(write: Work, seconds: float) -> None:
    """The database refuses the COMMIT, because a foreign key points nowhere."""
    try:
        with transaction.atomic():
            write()
            Book.objects.create(title="Undone", price=1, copies=1, author_id=-1)
    except DatabaseError as error:
        raise RefusedError from error


@shape(only_plain=True, takes_time=True, vendors=("sqlite",))
def raw_and_repaired(write: Work, seconds: float) -> None:
    with _raw_transaction("COMMIT"):
        write()
        _have_refused(lambda: execute("COMMIT"), seconds)


@shape(takes_time=True, vendors=("sqlite",))
def repaired_without_autocommit(write: Work, seconds: float) -> None:
    with manual_transaction():
        write()
        _have_refused(transaction.commit, seconds)
        transaction.commit()


@shape(takes_time=True, vendors=("postgresql",))
def slow_commit(write: Work, seconds: float) -> None:
    with transaction.atomic():
        write()
        slow_database.slow_down_commit(seconds)


@shape(takes_time=True, only_plain=True, vendors=("postgresql",))
def slow_statement(write: Work, seconds: float) -> None:
    """The first statement of the write sleeps in the database, before it writes."""
    slow_database.slow_down_next_statement(seconds)
    write()


@contextmanager
def _raw_transaction(end: str) -> Iterator[None]:
    execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
    yield
    execute(end)


def _have_refused(commit: Callable[[], None], seconds: float) -> None:
    """SQLite keeps a transaction open whose COMMIT it refuses. When it is repaired, it can be committed."""
    LogEntry.objects.create(user_id=-1, object_repr="", action_flag=1)
    with suppress(DatabaseError):
        commit()
    time.sleep(seconds)
    execute("DELETE FROM django_admin_log WHERE user_id = -1")
