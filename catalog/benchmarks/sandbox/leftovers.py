"""Removes what a killed run (SIGKILL, a power cut) left: processes, rows, schemas, keys and files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from shutil import rmtree

import psutil
from django.db import DatabaseError, connection, transaction
from django_redis.client.default import glob_escape
from redis.exceptions import RedisError

from catalog.benchmarks.errors import first_line
from catalog.benchmarks.sandbox.accounts import remove_accounts
from catalog.benchmarks.sandbox.isolation import cache_clients
from catalog.benchmarks.sandbox.rows import LABEL, SOAK_LABEL, remove_rows
from catalog.benchmarks.sandbox.run_lock import PREFIX, killed_runs
from catalog.cached_pages import scan_batches
from catalog.models import Category, Product, Tag
from readcache.invalidation.watch import rotate
from readcache.testing import SERVER_NAMES


def remove_leftovers() -> list[str]:
    """Clean up after killed runs, and return a sentence about each run that had left something.

    Live runs are left alone, and so are runs that wrote to another database or Redis.
    """
    with killed_runs() as killed:
        return [sentence for folder, run, began in killed if (sentence := _clean_up(folder, run, began))]


def _clean_up(folder: Path, run: str, began: datetime) -> str:
    what = f"leftovers of a run that was killed (started at {began:%Y-%m-%d %H:%M} UTC)"
    try:
        # Processes first, since they might write.
        removed = {
            "processes": _end_processes(folder),
            **_remove_rows(run, began),
            "schemas": _drop_schemas(run),
            "keys": _remove_keys(run),
        }
    except (DatabaseError, RedisError) as error:
        return f"Could not remove {what}: {first_line(error)}. Their names contain {run}."
    rmtree(folder, ignore_errors=True)
    found = [f"{number:,} {name}" for name, number in removed.items() if number]
    return f"Removed {what}: {', '.join(found)}." if found else ""


def _end_processes(folder: Path) -> int:
    """Sends SIGKILL, which also ends a stopped process."""
    found = list(_processes_of(folder))
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=10)
    return len(found)


def _processes_of(folder: Path) -> Iterator[psutil.Process]:
    """The processes whose temporary folder is the run's, or whose title names a socket in it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Redis writes its title over its environment.
            is_redis = process.name() in SERVER_NAMES and str(folder) in " ".join(process.cmdline())
            if is_redis or process.environ().get("TMPDIR") == str(folder):
                yield process


def _remove_rows(run: str, began: datetime) -> dict[str, int]:
    with transaction.atomic():
        removed = {"accounts": remove_accounts(f"{LABEL}-{run}", since=began)}
        for label in (LABEL, SOAK_LABEL):
            for name, number in remove_rows(f"{label}-{run}").items():
                removed[name] = removed.get(name, 0) + number
    if any(removed.values()):
        rotate(Product, Category, Tag, Product.tags.through)
    return removed


def _drop_schemas(run: str) -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [f"{PREFIX}_{run}"])
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(name)} CASCADE")
    return len(names)


def _remove_keys(run: str) -> int:
    return sum(
        client.unlink(*batch)
        for client in cache_clients()
        for batch in scan_batches(client, f"{glob_escape(f'{PREFIX}.{run}')}*")
    )
