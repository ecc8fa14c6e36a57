"""The watch: every statement of every connection passes it, and every write changes its tags' tokens.

Before a statement that writes a declared table, the tag's token is made perishable (guarded).
After COMMIT, before the writer is told, it is replaced (rotated). Which rotations a transaction
has promised is read from the connection's own on-commit list, which Django trims when a
savepoint rolls back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model

from readcache.conf import configuration
from readcache.declarations import declared_tags
from readcache.discovery import import_views
from readcache.invalidation import rotations
from readcache.invalidation.drivers import commit_by_fetching, is_in_transaction
from readcache.invalidation.recording import this_thread
from readcache.invalidation.statements import classify
from readcache.storage.breaker import Outage
from readcache.storage.current import store

DISPATCH_UID = "read-cache-watch"
_NOTHING: frozenset[str] = frozenset()


def rotate(*models: type[Model]) -> None:
    """Make every entry that depends on these models dead, at once and in constant time.

    For writes that the watch cannot see: psycopg's COPY, SQLite's ``executescript``, a stored
    procedure, another program. Where a transaction of this thread is open, also after its COMMIT.
    """
    tags = frozenset(model._meta.db_table for model in models)
    for connection in connections.all(initialized_only=True):
        watch(connection).promise_if_open(tags)
    rotations.rotate_tags(tags)


class Promise:
    """Stands in the on-commit list for the rotation of its tags, which the watch does at COMMIT."""

    def __init__(self, tags: frozenset[str]) -> None:
        self.tags = tags

    def __call__(self) -> None:
        """Rotate, where somebody runs the list without a COMMIT, as tests do."""
        rotations.rotate_tags(self.tags)


class Watch:
    """One connection's. Django calls it with each statement, as an execute wrapper."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        # Monotonic time of each tag's last guard in the open transaction.
        self._guarded: dict[str, float] = {}
        # Promises of a transaction that was opened by switching autocommit off.
        self._manual: set[str] = set()
        # Tags written in a transaction that Django did not begin, as by a BEGIN sent as SQL.
        self._by_hand: set[str] = set()
        # Whether a BEGIN was sent as SQL, for drivers that cannot be asked.
        self._began = False
        # Tags whose rotation the receivers of the signal have not been told of.
        self._unannounced: set[str] = set()
        self._commit: Callable[[], None] = connection._commit  # type: ignore[attr-defined]
        self._rollback: Callable[[], None] = connection._rollback  # type: ignore[attr-defined]
        self._set_autocommit: Callable[[bool], None] = connection._set_autocommit  # type: ignore[attr-defined]

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        statement = classify(sql if type(sql) is str else self._text_of(sql))
        if this_thread.tables is not None:
            this_thread.tables.update(statement.tables)
        is_a_write = not statement.only_reads and not this_thread.is_suspended
        if is_a_write:
            import_views()
        tags = statement.tables & declared_tags() if is_a_write else _NOTHING
        if not (tags or statement.control or self._by_hand):
            return execute(sql, params, many, context)
        if self.connection.in_atomic_block or not self.connection.get_autocommit():
            self.promise_if_open(tags)
            return execute(sql, params, many, context)
        return self._execute_at_once(statement.control, tags, execute, sql, params, many, context)

    def _execute_at_once(
        self, control: str, tags: frozenset[str], execute: Callable[..., Any], *arguments: Any
    ) -> Any:
        """A statement that commits itself, or one of a transaction by hand, of which Django knows nothing:
        what that wrote is rotated once more when it is over.
        """
        self._guard(tags | self._by_hand)
        try:
            result = execute(*arguments)
            return commit_by_fetching(self.connection, arguments[3]["cursor"], result) if tags else result
        finally:
            # Also after an error: a lost connection may have written.
            if control:
                self._began = control == "BEGIN"
            over = self._settle(tags, is_undone=control == "ROLLBACK")
            if tags | over:
                self._guarded.clear()
                rotations.rotate_tags(tags | over)

    def _settle(self, tags: frozenset[str], *, is_undone: bool) -> frozenset[str]:
        """What a transaction by hand has written, if it is over."""
        self._by_hand |= tags
        if self._is_in_transaction():
            return _NOTHING
        over = _NOTHING if is_undone else frozenset(self._by_hand)
        self._by_hand.clear()
        return over

    def _is_in_transaction(self) -> bool:
        known = is_in_transaction(self.connection)
        return self._began if known is None else known

    def _text_of(self, sql: Any) -> str:
        """The text of what psycopg takes besides a text: bytes, and statements it composes."""
        if isinstance(sql, bytes):
            return sql.decode(errors="replace")
        compose = getattr(sql, "as_string", None)
        return str(compose(self.connection.connection) if compose else sql)

    def has_written(self) -> bool:
        """Whether an open transaction has written a declared table."""
        if self.connection.in_atomic_block or not self.connection.autocommit:
            return bool(self.promised())
        return bool(self._by_hand) and self._is_in_transaction()

    def promised(self) -> frozenset[str]:
        """The tags that the open transaction will rotate if it commits."""
        tags = set(self._manual)
        for item in self.connection.run_on_commit:
            if isinstance(item[1], Promise):
                tags |= item[1].tags
        return frozenset(tags)

    def promise_if_open(self, tags: frozenset[str]) -> None:
        """Guard the tags, and rotate them when the open transaction commits."""
        if not tags:
            return
        if self.connection.in_atomic_block:
            self._guard(tags)
            self._promise(tags)
        elif self.connection.connection is not None and not self.connection.autocommit:
            self._guard(tags)
            self._manual |= tags
        elif self._is_in_transaction():
            self._by_hand |= tags

    def commit(self) -> None:
        """COMMIT, then rotate, before anybody is told: also before the other on-commit functions."""
        is_manual = bool(self._manual)
        self._rotating_what_was_promised(self._commit)
        if is_manual:
            self._announce()

    def set_autocommit(self, autocommit: bool) -> None:
        """Switching autocommit on commits what was written by hand, on SQLite without a COMMIT."""
        if not autocommit:
            self._set_autocommit(autocommit)
            return
        self._rotating_what_was_promised(lambda: self._set_autocommit(autocommit))
        if self._unannounced:
            # With the on-commit functions: before them, the receivers' queries would find a connection
            # that is still to be switched, which PostgreSQL refuses once they have begun a transaction.
            self.connection.run_on_commit.insert(0, (set(), self._announce, True))  # type: ignore[arg-type]
            self.connection.run_commit_hooks_on_set_autocommit_on = True

    def _rotating_what_was_promised(self, commit: Callable[[], None]) -> None:
        tags = self.promised()
        if tags:
            self._guard(tags)
        try:
            commit()
        finally:
            # Also after an error: a COMMIT whose answer was lost may have happened.
            if tags:
                self._forget_promises()
                rotations.rotate_tokens(tags)
                self._unannounced |= tags

    def _announce(self) -> None:
        tags, self._unannounced = frozenset(self._unannounced), set()
        rotations.announce(tags)

    def reset(self) -> None:
        """The connection was opened anew: what an earlier one left undone is not to be known."""
        self._guarded.clear()
        self._manual.clear()
        if self._by_hand:
            rotations.rotate_tags(frozenset(self._by_hand))
        self._by_hand.clear()
        self._began = False

    def rollback(self) -> None:
        self._guarded.clear()
        self._manual.clear()
        self._rollback()

    def _guard(self, tags: frozenset[str]) -> None:
        """Guard the tags whose last guard is not there or half a lease old."""
        now = time.monotonic()
        due = [tag for tag in tags if now - self._guarded.get(tag, -1e9) > configuration().lease_seconds / 2]
        if not due:
            return
        try:
            store().guard(due)
        except Outage:
            store().breaker.add_pending(due)
        self._guarded.update(dict.fromkeys(due, now))

    def _promise(self, tags: frozenset[str]) -> None:
        missing = tags - self.promised()
        if not missing:
            return
        if self.connection.commit_on_exit:
            self.connection.on_commit(Promise(missing))
        else:
            # A block within a transaction that was opened by switching autocommit off.
            self._manual |= missing

    def _forget_promises(self) -> None:
        self._guarded.clear()
        self._manual.clear()
        waiting = self.connection.run_on_commit
        waiting[:] = [item for item in waiting if not isinstance(item[1], Promise)]


def install() -> None:
    """Watch the connections that are there, and every one that will be made."""
    connection_created.connect(_watch_new_connection, dispatch_uid=DISPATCH_UID)
    for connection in connections.all(initialized_only=True):
        watch(connection)


def is_installed() -> bool:
    return any(receiver[0][0] == DISPATCH_UID for receiver in connection_created.receivers)


def watch(connection: BaseDatabaseWrapper) -> Watch:
    """The connection's watch, installed once: a connection is opened many times in its life."""
    for wrapper in connection.execute_wrappers:
        if isinstance(wrapper, Watch):
            return wrapper
    installed = Watch(connection)
    connection.execute_wrappers.insert(0, installed)
    connection._commit = installed.commit  # type: ignore[attr-defined]
    connection._rollback = installed.rollback  # type: ignore[attr-defined]
    connection._set_autocommit = installed.set_autocommit  # type: ignore[attr-defined]
    return installed


def has_written() -> bool:
    """Whether an open transaction of this thread has written a declared table."""
    for connection in connections.all(initialized_only=True):
        for wrapper in connection.execute_wrappers:
            if isinstance(wrapper, Watch) and wrapper.has_written():
                return True
    return False


def in_transaction() -> bool:
    """Whether a transaction of this thread is open, whose view of the data may be older than now."""
    return any(
        connection.in_atomic_block
        or (connection.connection is not None and not connection.autocommit)
        or is_in_transaction(connection)
        for connection in connections.all(initialized_only=True)
    )


def _watch_new_connection(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    watch(connection).reset()
