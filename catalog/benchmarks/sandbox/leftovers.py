"""What a run that was killed (SIGKILL, a lost machine) has left, which the next one removes."""

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

from catalog.benchmarks.sandbox.accounts import remove_people
from catalog.benchmarks.sandbox.isolation import KEY_PREFIX, cache_clients
from catalog.benchmarks.sandbox.rows import MARK, SOAK_MARK, remove_rows
from catalog.benchmarks.sandbox.run_lock import killed_runs
from catalog.cached_pages import scan_batches
from catalog.models import Category, Product, Tag
from readcache.invalidation.watch import rotate
from readcache.testing import SERVER_NAMES


def remove_leftovers() -> list[str]:
    """A sentence for each run that was killed and has left something.

    Never of a run that lives, nor of one that wrote to another database or Redis than this one does.
    """
    with killed_runs() as killed:
        return [sentence for folder, run, began in killed if (sentence := _clean_up(folder, run, began))]


def _clean_up(folder: Path, run: str, began: datetime) -> str:
    what = f"what a run that was killed had left (begun at {began:%Y-%m-%d %H:%M} UTC)"
    try:
        # Processes first, which might write.
        removed = {
            "processes": _end_processes(folder),
            **_remove_rows(run, began),
            "schemas": _drop_schemas(run),
            "keys": _remove_keys(run),
        }
    except (DatabaseError, RedisError) as error:
        reason = "".join(str(error).splitlines()[:1])
        return f"Could not remove {what}: {reason}. It is what has {run} in its name."
    rmtree(folder, ignore_errors=True)
    found = [f"{number:,} {name}" for name, number in removed.items() if number]
    return f"Removed {what}: {', '.join(found)}." if found else ""


def _end_processes(folder: Path) -> int:
    """Those whose temporary files were to be there. Even one that was stopped hears SIGKILL."""
    found = list(_processes_of(folder))
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=10)
    return len(found)


def _processes_of(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Redis writes its title over its environment, and has its socket there in the title.
            is_redis = process.name() in SERVER_NAMES and str(folder) in " ".join(process.cmdline())
            if is_redis or process.environ().get("TMPDIR") == str(folder):
                yield process


def _remove_rows(run: str, began: datetime) -> dict[str, int]:
    with transaction.atomic():
        removed = {"people": remove_people(f"{MARK}-{run}", since=began)}
        for mark in (MARK, SOAK_MARK):
            for name, number in remove_rows(f"{mark}-{run}").items():
                removed[name] = removed.get(name, 0) + number
    if any(removed.values()):
        rotate(Product, Category, Tag, Product.tags.through)
    return removed


def _drop_schemas(run: str) -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [f"{KEY_PREFIX}_{run}"]
        )
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(name)} CASCADE")
    return len(names)


def _remove_keys(run: str) -> int:
    return sum(
        client.unlink(*batch)
        for client in cache_clients()
        for batch in scan_batches(client, f"{glob_escape(f'{KEY_PREFIX}.{run}')}*")
    )
