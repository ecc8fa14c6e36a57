"""The views of a database, and the tables beneath them.

To read a view is to read the tables beneath it, and to write through an updatable view is to write them. A
materialised view is a table of its own: it changes when it is refreshed, and that statement names it.

The definitions are read when a process connects for the first time, and anew after it has defined a view.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from readcache.invalidation.statements import Vocabulary, bare_name, closure

# By the vendor of the database. Each row is the name of a view and its definition.
DEFINITIONS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'view'",
    "postgresql": "SELECT viewname, definition FROM pg_views "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    "mysql": "SELECT table_name, view_definition FROM information_schema.views "
    "WHERE table_schema = DATABASE()",
}


class DatabaseViews:
    """The views of one database, with their definitions by their names in lower case."""

    def __init__(self, definitions: Mapping[str, str]) -> None:
        self.are_any = bool(definitions)
        self._definitions = definitions
        self._vocabulary: Vocabulary | None = None
        self._beneath: dict[str, frozenset[str]] = {}

    def tables_beneath(self, tables: frozenset[str], known: Vocabulary) -> frozenset[str]:
        """The known tables beneath those of the ``tables`` that are views."""
        if self._vocabulary is not known:
            self._beneath = self._find(known)
            self._vocabulary = known
        return frozenset().union(*(self._beneath.get(table, ()) for table in tables))

    def _find(self, known: Vocabulary) -> dict[str, frozenset[str]]:
        """For each known table that is a view, the known tables beneath it.

        Other views may be between them, known or not.
        """
        names = Vocabulary(known.models, known.declared | self._definitions.keys())
        direct = {name: names.tables_named(text) for name, text in self._definitions.items()}
        for table in known.every_table:
            direct.setdefault(table, direct.get(bare_name(table), set()))
        views = {table for table in known.every_table if bare_name(table) in self._definitions}
        return {view: closure(view, direct) & known.every_table - views for view in views}


# By the alias of a database and its name, which differs in tests.
_views: dict[tuple[str, Any], DatabaseViews] = {}


def views_of(connection: BaseDatabaseWrapper) -> DatabaseViews:
    """The views as they were at the first call, or at the first one after ``forget``."""
    found = _views.get(_key(connection))
    return found if found is not None else _load(connection)


def forget(connection: BaseDatabaseWrapper) -> None:
    """The definition of a view may have changed."""
    _views.pop(_key(connection), None)


def read_definitions(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """On the driver's connection, since these statements are none of the project's.

    Raises the driver's errors.
    """
    driver: Any = connection.connection
    query = DEFINITIONS.get(connection.vendor)
    if driver is None or query is None:
        return {}
    cursor = driver.cursor()
    try:
        cursor.execute(query)
        return {name.lower(): text or "" for name, text in cursor.fetchall()}
    finally:
        cursor.close()


def _load(connection: BaseDatabaseWrapper) -> DatabaseViews:
    database: Any = connection
    views = DatabaseViews({})
    # In a transaction that has failed nothing can be read. Then the next call tries again.
    with suppress(database.Database.Error):
        views = _views[_key(connection)] = DatabaseViews(read_definitions(connection))
    return views


def _key(connection: BaseDatabaseWrapper) -> tuple[str, Any]:
    return connection.alias, connection.settings_dict["NAME"]
