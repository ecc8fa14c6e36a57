"""A database of an experiment's own beside the user's, for its processes, which is gone at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from django.db import DatabaseError, connection

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.isolation import KEY_PREFIX
from shop.termination import interrupts_deferred


class NoScratchDatabase(Exception):
    """None can be made here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ScratchDatabase:
    """``name`` is an SQLite file's path or a PostgreSQL schema's name.

    ``environment`` leads a process there.
    """

    name: str
    environment: Mapping[str, str]


@contextmanager
def scratch_database() -> Iterator[ScratchDatabase]:
    """Of the same kind as the user's, and empty. Raises ``NoScratchDatabase``.

    After SIGKILL a schema named ``bench_cache_…`` is left, which may be dropped.
    """
    with _scratch_file() if connection.vendor == "sqlite" else _scratch_schema() as database:
        yield database


@contextmanager
def _scratch_file() -> Iterator[ScratchDatabase]:
    with TemporaryDirectory(prefix=f"{KEY_PREFIX}.") as folder:
        path = Path(folder) / "growth.sqlite3"
        yield ScratchDatabase(name=str(path), environment={"DATABASE_URL": f"sqlite:///{quote(str(path))}"})


@contextmanager
def _scratch_schema() -> Iterator[ScratchDatabase]:
    schema = f"{KEY_PREFIX}_{uuid.uuid4().hex[:12]}"
    quoted = connection.ops.quote_name(schema)
    with ExitStack() as stack:
        with interrupts_deferred():
            try:
                _execute(f"CREATE SCHEMA {quoted}")
            except DatabaseError as error:
                raise NoScratchDatabase("".join(str(error).splitlines()[:1])) from error
            stack.callback(_drop, quoted)
        # By libpq's variable, which the database's URL need not know of. Without "public": what the
        # process does not see it cannot touch.
        options = f"{os.environ.get('PGOPTIONS', '')} -c search_path={schema}".strip()
        yield ScratchDatabase(name=schema, environment={"PGOPTIONS": options})


def _drop(quoted: str) -> None:
    with interrupts_deferred():
        _execute(f"DROP SCHEMA {quoted} CASCADE")


def free_bytes() -> int | None:
    """The room for scratch databases; ``None`` where it is the database server's and not known."""
    return shutil.disk_usage(tempfile.gettempdir()).free if connection.vendor == "sqlite" else None


def require_scratch(name: str) -> None:
    """Raises ``BenchmarkError`` unless this process is connected to the scratch database."""
    if connection.vendor == "sqlite":
        found = str(connection.settings_dict["NAME"])
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT array_to_string(current_schemas(false), ', ')")
            found = str(cursor.fetchone()[0])
    if found != name:
        raise BenchmarkError(f"A process must fill the database {name}, but it is connected to {found}.")


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
