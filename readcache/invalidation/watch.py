"""The watch sees every statement of every connection, and rotates the tokens of the tables it writes.

Right before a COMMIT, or before a statement that commits itself, the tables that it writes are guarded:
their tokens expire within one lease, and a mark stands until the rotation. After it, and before the
writer's call returns, the tokens are rotated. The rotations that a transaction needs are kept in the
connection's own list of on-commit functions, because Django removes from it what a rolled back savepoint
had added.

A view that only another process knows may depend on a table that this process takes for undeclared. So the
watch looks at the registry in Redis before each COMMIT and after it, unless it has looked within the last
second. Every table that turns out to be declared since the first write of the transaction counts as
written by it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model

from readcache.discovery import import_views
from readcache.invalidation import database_views, recording, rotations
from readcache.invalidation.database_views import views_of
from readcache.invalidation.drivers import OpenReads, commit_by_fetching, is_in_transaction, is_open
from readcache.invalidation.recording import record, this_thread
from readcache.invalidation.statements import SCRIPT, classify, vocabulary
from readcache.storage.breaker import Outage
from readcache.storage.current import known_tags, store
from readcache.storage.store import new_mark

DISPATCH_UID = "read-cache-watch"
# In the context of a statement: several of them, by ``executescript``.
IS_SCRIPT = "is_script"
_NOTHING: frozenset[str] = frozenset()
T = TypeVar("T")


def rotate(*models: type[Model]) -> None:
    """Make every entry that depends on these models dead, at once and in constant time.

    For writes that the watch cannot see, such as psycopg's COPY, triggers and other programs. Inside a
    transaction, the tokens are rotated now and again after its COMMIT.
    """
    tags = frozenset(model._meta.db_table for model in models)
    for connection in connections.all(initialized_only=True):
        watch(connection).rotate_at_commit(tags)
    rotations.rotate_tags(tags)


class RotationAtCommit:
    """An on-commit function that stands for the rotation of its tags. The watch rotates them at COMMIT."""

    def __init__(self, tags: frozenset[str]) -> None:
        self.tags = tags

    def __call__(self) -> None:
        """Rotate, if the on-commit functions are called without a COMMIT, as tests do."""
        rotations.rotate_tags(self.tags)


class Watch:
    """The watch of one connection. Django calls it with each statement, as an execute wrapper."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        # The tags that were known to be declared at the first write of the transaction.
        self._known: frozenset[str] | None = None
        # Whether the transaction began with a savepoint, as SQLite allows. Its release is the COMMIT then.
        self._began_with_savepoint = False
        # The guarded tags, and the mark that the guard has left. Empty between transactions.
        self._guarded: frozenset[str] = _NOTHING
        self._mark = ""
        self._reads = OpenReads(connection)
        # Tags written in a transaction that began when autocommit was switched off.
        self._tags_without_autocommit: set[str] = set()
        # Tags written in a transaction that a BEGIN in raw SQL began. Django does not know of it.
        self._tags_after_raw_begin: set[str] = set()
        # Whether such a BEGIN was sent, for drivers that do not report it.
        self._raw_begin_was_sent = False
        # Tags that were rotated, but not yet announced to the receivers of ``rotated``.
        self._unannounced: set[str] = set()
        self._create_cursor: Callable[..., Any] = connection.create_cursor
        self._commit: Callable[[], None] = connection._commit  # type: ignore[attr-defined]
        self._rollback: Callable[[], None] = connection._rollback  # type: ignore[attr-defined]
        self._set_autocommit: Callable[[bool], None] = connection._set_autocommit  # type: ignore[attr-defined]

    # Statements

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        text = sql if type(sql) is str else self._text_of(sql)
        known = known_tags()
        statement = classify(text, known)
        writes = not (statement.only_reads or this_thread.is_suspended)
        if writes and import_views():
            known = known_tags()
            statement = classify(text, known)
        if tables := statement.tables:
            views = views_of(self.connection)
            if views.are_any:
                tables |= views.tables_beneath(tables, vocabulary(known))
            record(tables, only_reads=statement.only_reads)
        control = SCRIPT if IS_SCRIPT in context else statement.control and self._control(statement.control)
        if not (writes or control or self._tags_after_raw_begin):
            return self._reads.track(context["cursor"], execute(sql, params, many, context))
        tags = tables & known if writes else _NOTHING
        if writes and self._known is None:
            self._known = known
        if statement.defines_view:
            execute = self._forgetting_views(execute)
        if self.connection.in_atomic_block or not self.connection.get_autocommit():
            return self._execute_in_transaction(control, tags, execute, sql, params, many, context)
        return self._execute_in_autocommit(control, tags, execute, sql, params, many, context)

    def _forgetting_views(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def execute_and_forget(*arguments: Any) -> Any:
            try:
                return execute(*arguments)
            finally:
                database_views.forget(self.connection)

        return execute_and_forget

    def _control(self, control: str) -> str:
        """Without SAVEPOINT, and without a RELEASE that cannot be a COMMIT: it is one on SQLite only."""
        if control == SCRIPT:
            return control
        if control == "SAVEPOINT":
            if self.connection.vendor == "sqlite" and not is_in_transaction(self.connection):
                self._began_with_savepoint = True
            return ""
        if control == "RELEASE":
            return control if self._began_with_savepoint else ""
        self._began_with_savepoint = False
        return control

    def _execute_in_transaction(
        self, control: str, tags: frozenset[str], execute: Callable[..., Any], *arguments: Any
    ) -> Any:
        self.rotate_at_commit(tags)
        # Without autocommit, SQLite's driver begins a transaction only before some statements.
        commits_itself = self.connection.vendor == "sqlite" and not is_in_transaction(self.connection)
        if control not in ("COMMIT", "RELEASE", SCRIPT) and not commits_itself:
            return execute(*arguments)
        return self._commit_and_rotate(lambda: execute(*arguments), control)

    def _execute_in_autocommit(
        self, control: str, tags: frozenset[str], execute: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Run a statement that commits itself, or belongs to a transaction that raw SQL began.

        The statement that can end such a transaction guards, and its end rotates.
        """
        was_open = self._is_in_raw_transaction()
        if control or not was_open:
            tags |= self._guard(tags | self._tags_after_raw_begin)
        is_known = False
        try:
            result = execute(*arguments)
            result = commit_by_fetching(self.connection, arguments[3]["cursor"], result) if tags else result
            is_known = True
        except Exception as error:
            is_known = self._was_refused(error)
            raise
        finally:
            # Also after an error: the statement may have written before the connection was lost.
            if control in ("BEGIN", "COMMIT", "ROLLBACK"):
                self._raw_begin_was_sent = control == "BEGIN"
            over = self._end_raw_transaction(tags, control)
            if written := over if was_open else tags | over:
                rotations.rotate_tags(written, ends=self._end_mark(is_known=is_known))
            elif not self._tags_after_raw_begin:
                self._unmark()
            is_over = self._ends_for_certain(control) or not self._is_in_raw_transaction()
            if control != "ROLLBACK" and (is_over or control == SCRIPT):
                rotations.announce(_rotate_late(self._known, rotated=written))
            if is_over:
                self._known = None
        return result

    def _end_raw_transaction(self, tags: frozenset[str], control: str) -> frozenset[str]:
        """The tags that a transaction begun by raw SQL has written, if the last statement ended it.

        COMMIT AND CHAIN ends a transaction too, and begins the next one. Several statements in one text may
        do so, and may have written in the next one.
        """
        self._tags_after_raw_begin |= tags
        if not self._ends_for_certain(control) and self._is_in_raw_transaction():
            return frozenset(self._tags_after_raw_begin) if control in ("COMMIT", SCRIPT) else _NOTHING
        over = _NOTHING if control == "ROLLBACK" else frozenset(self._tags_after_raw_begin)
        self._tags_after_raw_begin.clear()
        return over

    def _ends_for_certain(self, control: str) -> bool:
        """Whether the transaction is over although one may be open: COMMIT AND CHAIN begins the next one.

        SQLite has no CHAIN, and keeps a transaction open whose COMMIT it refuses.
        """
        return control == "COMMIT" and self.connection.vendor != "sqlite"

    def _is_in_raw_transaction(self) -> bool:
        reported = is_in_transaction(self.connection)
        return self._raw_begin_was_sent if reported is None else reported

    def _text_of(self, sql: Any) -> str:
        """The text of the other forms that psycopg accepts: bytes, and statements that it composes."""
        if isinstance(sql, bytes):
            return sql.decode(errors="replace")
        compose = getattr(sql, "as_string", None)
        return str(compose(self.connection.connection) if compose else sql)

    def is_reading(self) -> bool:
        """Whether rows of an earlier statement are still to be fetched, from its snapshot."""
        return self._reads.are_open()

    def create_cursor(self, *arguments: Any) -> Any:
        """Lets the watch see the scripts of SQLite's driver, whose method Django does not wrap."""
        cursor = self._create_cursor(*arguments)
        if self.connection.vendor == "sqlite":
            # A cursor that refers to itself would hold its snapshot until the garbage collector runs.
            itself, run = weakref.ref(cursor), type(cursor).executescript

            def execute_script(script: str) -> Any:
                context = {"connection": self.connection, "cursor": itself(), IS_SCRIPT: True}
                return self(lambda sql, *_: run(itself(), sql), script, None, False, context)

            cursor.executescript = execute_script
        return cursor

    # Transactions

    def has_written(self) -> bool:
        """Whether an open transaction has written a declared table."""
        if self.connection.in_atomic_block or not self.connection.autocommit:
            return bool(self.tags_to_rotate())
        return bool(self._tags_after_raw_begin) and self._is_in_raw_transaction()

    def tags_to_rotate(self) -> frozenset[str]:
        """The tags that the open transaction will rotate if it commits."""
        tags = set(self._tags_without_autocommit)
        for item in self.connection.run_on_commit:
            if isinstance(item[1], RotationAtCommit):
                tags |= item[1].tags
        return frozenset(tags)

    def rotate_at_commit(self, tags: frozenset[str]) -> None:
        """Rotate the tags when the open transaction commits, if one is open."""
        if not tags:
            return
        if self.connection.in_atomic_block:
            self._add_to_transaction(tags)
        elif self.connection.connection is not None and not self.connection.autocommit:
            self._tags_without_autocommit |= tags
        elif self._is_in_raw_transaction():
            self._tags_after_raw_begin |= tags

    def commit(self) -> None:
        """COMMIT, then rotate. The call returns after that, and other on-commit functions run after that."""
        announces_itself = bool(self._tags_without_autocommit)
        self._commit_and_rotate(self._commit)
        if announces_itself:
            self._announce()

    def set_autocommit(self, autocommit: bool) -> None:
        """Switching autocommit on commits the open transaction, on SQLite without a COMMIT."""
        if not autocommit:
            self._set_autocommit(autocommit)
            return
        self._commit_and_rotate(lambda: self._set_autocommit(autocommit))
        if self._unannounced:
            # Announce with the on-commit functions. Earlier, the queries of a receiver could begin a
            # transaction on PostgreSQL, which then refuses to switch autocommit on.
            self.connection.run_on_commit.insert(0, (set(), self._announce, True))  # type: ignore[arg-type]
            self.connection.run_commit_hooks_on_set_autocommit_on = True

    def rollback(self) -> None:
        self._tags_without_autocommit.clear()
        self._known, self._began_with_savepoint = None, False
        self._rollback()
        self._unmark()

    def reset(self) -> None:
        """Start anew on a new connection. The outcome of an open transaction of the old one is unknown."""
        self._tags_without_autocommit.clear()
        if self._tags_after_raw_begin:
            tags = frozenset(self._tags_after_raw_begin)
            rotations.rotate_tags(tags, ends=self._end_mark(is_known=False))
            rotations.announce(_rotate_late(self._known, rotated=tags))
        self._tags_after_raw_begin.clear()
        self._known, self._began_with_savepoint = None, False
        self._raw_begin_was_sent = False

    def _commit_and_rotate(self, commit: Callable[[], T], control: str = "COMMIT") -> T:
        """Guard right before what may be the COMMIT, and rotate right after it.

        Anything but a COMMIT may leave the transaction open, and its tags are rotated at its end.
        """
        tags = self.tags_to_rotate()
        if not tags and self._known is None:
            return commit()
        tags |= self._guard(tags)
        is_known = False
        try:
            result = commit()
            is_known = True
        except Exception as error:
            is_known = self._was_refused(error)
            raise
        finally:
            # Also after an error: the COMMIT may have taken effect although its reply was lost.
            is_over = self._ends_for_certain(control) or is_in_transaction(self.connection) is False
            known = self._known
            if is_over:
                self._forget_transaction()
            # Of several statements in one text, one may have committed and another begun anew.
            if is_over or control in ("COMMIT", SCRIPT):
                self._rotate_committed(tags, known, is_known=is_known)
        return result

    def _rotate_committed(
        self, tags: frozenset[str], known: frozenset[str] | None, *, is_known: bool
    ) -> None:
        if tags:
            rotations.rotate_tokens(tags, ends=self._end_mark(is_known=is_known))
        self._unannounced |= tags | _rotate_late(known, rotated=tags)

    def _was_refused(self, error: Exception) -> bool:
        """Whether the database replied that it did not commit, on a connection that is still open."""
        return isinstance(error, DatabaseError) and is_open(self.connection)

    def _announce(self) -> None:
        tags, self._unannounced = frozenset(self._unannounced), set()
        rotations.announce(tags)

    def _guard(self, tags: frozenset[str]) -> frozenset[str]:
        """Let no token of the tags outlive one lease, until the rotation that follows.

        Returns the tags that turned out to be declared since the first write, which are guarded too.
        """
        self._guard_now(tags)
        if self._known is None:
            return _NOTHING
        late = _NOTHING
        with suppress(Outage):
            late = rotations.declared_since(self._known)
        self._guard_now(late - tags)
        return late

    def _guard_now(self, tags: frozenset[str]) -> None:
        if not tags:
            return
        self._guarded, self._mark = self._guarded | tags, self._mark or new_mark()
        with suppress(Outage):
            store().guard(tags, self._mark)

    def _end_mark(self, *, is_known: bool) -> tuple[str, ...]:
        """The mark that ends with a rotation. It stays where the database may still commit."""
        mark, self._mark, self._guarded = self._mark, "", _NOTHING
        return (mark,) if mark and is_known else ()

    def _unmark(self) -> None:
        """End the mark of a transaction that was certainly rolled back."""
        if self._mark:
            with suppress(Outage):
                store().unmark(self._guarded, self._mark)
            self._mark, self._guarded = "", _NOTHING

    def _add_to_transaction(self, tags: frozenset[str]) -> None:
        missing = tags - self.tags_to_rotate()
        if not missing:
            return
        if self.connection.commit_on_exit:
            self.connection.on_commit(RotationAtCommit(missing))
        else:
            # An atomic block inside a transaction that began when autocommit was switched off.
            self._tags_without_autocommit |= missing

    def _forget_transaction(self) -> None:
        self._known, self._began_with_savepoint = None, False
        self._tags_without_autocommit.clear()
        on_commit = self.connection.run_on_commit
        on_commit[:] = [item for item in on_commit if not isinstance(item[1], RotationAtCommit)]


def _rotate_late(known: frozenset[str] | None, *, rotated: frozenset[str]) -> frozenset[str]:
    """Rotate what turned out to be declared since the first write, if there was one."""
    return _NOTHING if known is None else rotations.rotate_declared_since(known, except_for=rotated)


def install() -> None:
    """Watch the existing connections, and every connection that will be opened."""
    recording.install()
    connection_created.connect(_watch_new_connection, dispatch_uid=DISPATCH_UID)
    for connection in connections.all(initialized_only=True):
        watch(connection)


def is_installed() -> bool:
    return any(receiver[0][0] == DISPATCH_UID for receiver in connection_created.receivers)


def watch(connection: BaseDatabaseWrapper) -> Watch:
    """The watch of this connection object, installed at the first call. The object may reconnect often."""
    for wrapper in connection.execute_wrappers:
        if isinstance(wrapper, Watch):
            return wrapper
    installed = Watch(connection)
    connection.execute_wrappers.insert(0, installed)
    connection.create_cursor = installed.create_cursor  # type: ignore[method-assign,assignment]
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
    """Whether a transaction of this thread is open. Its snapshot of the data may be older than the tokens."""
    return any(
        connection.in_atomic_block
        or (connection.connection is not None and not connection.autocommit)
        or is_in_transaction(connection)
        or watch(connection).is_reading()
        for connection in connections.all(initialized_only=True)
    )


def _watch_new_connection(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    watch(connection).reset()
    # Outside of transactions, which a first look could make read too early.
    views_of(connection)
