"""Statements and COMMITs that take long in PostgreSQL, which goes on with them when their client is killed.

SQLite is a library in the client's process and ends with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from instruments.transactions import execute
from library.models import Author, Book, Topic

TABLES = tuple(model._meta.db_table for model in (Book, Author, Topic, Book.topics.through))

CREATE = [
    "CREATE TABLE soak_slow_commit (seconds double precision NOT NULL)",
    """CREATE FUNCTION soak_sleep_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER soak_slow_commit AFTER INSERT ON soak_slow_commit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION soak_sleep_at_commit()""",
    """CREATE FUNCTION soak_sleep() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE seconds text := current_setting('soak.seconds', true);
    BEGIN
      PERFORM set_config('soak.seconds', '', false);
      PERFORM pg_sleep(coalesce(nullif(seconds, ''), '0')::double precision);
      RETURN NULL;
    END $$""",
    *(
        f"CREATE TRIGGER soak_slow_statement BEFORE INSERT OR UPDATE OR DELETE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION soak_sleep()"
        for table in TABLES
    ),
]
DROP = [
    "DROP FUNCTION IF EXISTS soak_sleep CASCADE",
    "DROP TABLE IF EXISTS soak_slow_commit",
    "DROP FUNCTION IF EXISTS soak_sleep_at_commit",
]


@contextmanager
def slow_database() -> Iterator[None]:
    """The database can be slowed down inside the block, if it is PostgreSQL."""
    if connection.vendor != "postgresql":
        yield
        return
    _run(DROP + CREATE)
    try:
        yield
    finally:
        _run(DROP)


def slow_down_commit(seconds: float) -> None:
    """The COMMIT of the open transaction will take so long."""
    execute("INSERT INTO soak_slow_commit (seconds) VALUES (%s)", [seconds])


def slow_down_next_statement(seconds: float) -> None:
    """The next statement of this connection that writes will take so long."""
    execute("SELECT set_config('soak.seconds', %s, false)", [str(seconds)])


def _run(statements: list[str]) -> None:
    for statement in statements:
        execute(statement)
