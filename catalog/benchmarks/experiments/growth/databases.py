"""Scratch databases beside the user's, for the child processes of an experiment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import DatabaseError, connection
from django.db.backends.utils import CursorWrapper

from catalog.benchmarks.errors import BenchmarkError, first_line
from catalog.benchmarks.processes.children import database_environment
from catalog.benchmarks.sandbox.run_lock import PREFIX, new_suffix
from readcache.testing.interrupts import interrupts_deferred

GRANT = "Grant it to the role: GRANT CREATE ON DATABASE … TO …"
DIRECTLY = "Let DATABASE_URL name the server itself, and no pooler before it."


class NoScratchDatabase(Exception):
    """No scratch database can be made here. The message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class ScratchDatabase:
    """``name`` is the path of an SQLite file or the name of a PostgreSQL schema.

    A process with the ``environment`` uses it.
    """

    name: str
    environment: Mapping[str, str]


@contextmanager
def scratch_database() -> Iterator[ScratchDatabase]:
    """An empty database of the same kind as the user's, removed at the end. Raises ``NoScratchDatabase``.

    SIGKILL leaves a schema named ``bench_cache_…``, which the next run drops.
    """
    with _scratch_file() if connection.vendor == "sqlite" else _scratch_schema() as database:
        yield database


@contextmanager
def _scratch_file() -> Iterator[ScratchDatabase]:
    with TemporaryDirectory(prefix=f"{PREFIX}.") as folder:
        path = Path(folder) / "growth.sqlite3"
        yield ScratchDatabase(name=str(path), environment=database_environment(NAME=str(path)))


@contextmanager
def _scratch_schema() -> Iterator[ScratchDatabase]:
    schema = f"{PREFIX}_{new_suffix().replace('-', '_')}"
    quoted = connection.ops.quote_name(schema)
    with ExitStack() as stack:
        with interrupts_deferred():
            try:
                _execute(f"CREATE SCHEMA {quoted}")
            except DatabaseError as error:
                raise NoScratchDatabase(f"{first_line(error)}. {GRANT}") from error
            stack.callback(_drop, quoted)
        options = _options_of(schema)
        _require_search_path(schema, options)
        yield ScratchDatabase(name=schema, environment=database_environment(OPTIONS=options))


def _options_of(schema: str) -> dict[str, Any]:
    """The options of the user's connection, in the schema. Without "public", nothing there is touched."""
    options = dict(connection.settings_dict["OPTIONS"])
    # libpq reads the variable where there are no such options.
    said = options.get("options", os.environ.get("PGOPTIONS", ""))
    return {**options, "options": f"{said} -c search_path={schema}".strip()}


def _require_search_path(schema: str, options: dict[str, Any]) -> None:
    """Raises ``NoScratchDatabase`` if a pooler refuses the option, or ignores it."""
    other = connection.copy()
    other.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    try:
        with other.cursor() as cursor:
            found = _schemas(cursor)
    except DatabaseError as error:
        raise NoScratchDatabase(f"{first_line(error)}. {DIRECTLY}") from error
    finally:
        other.close()
    if found != schema:
        raise NoScratchDatabase(f"its search_path became {found}. {DIRECTLY}")


def _drop(quoted: str) -> None:
    with interrupts_deferred():
        _execute(f"DROP SCHEMA {quoted} CASCADE")


def free_bytes() -> int | None:
    """The room for scratch databases. ``None`` if they are on a database server, whose room is not known."""
    return shutil.disk_usage(tempfile.gettempdir()).free if connection.vendor == "sqlite" else None


def require_scratch(name: str) -> None:
    """Raises ``BenchmarkError`` unless this process is connected to the scratch database."""
    if connection.vendor == "sqlite":
        found = str(connection.settings_dict["NAME"])
    else:
        with connection.cursor() as cursor:
            found = _schemas(cursor)
    if found != name:
        raise BenchmarkError(f"A process must fill the database {name}, but it is connected to {found}.")


def _schemas(cursor: CursorWrapper) -> str:
    cursor.execute("SELECT array_to_string(current_schemas(false), ', ')")
    return str(cursor.fetchone()[0])


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
