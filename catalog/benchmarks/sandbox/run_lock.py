"""The name of this process's run, which is in the names of all that it makes, and the sign that it lives.

A run has a folder in the temporary folder, in which is whatever it needs on disk, and a file in it that
is locked as long as the process lives, however it ends. Another run that can lock it knows that the
first was killed, and what it left: ``leftovers.py``.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from readcache.testing.interrupts import interrupts_deferred
from shop.environment import mask_password

try:
    import fcntl
except ImportError:  # Windows, where a killed run is not noticed
    fcntl = None  # type: ignore[assignment]

PREFIX = "bench_cache"
RUN = uuid.uuid4().hex[:8]
RECORD = "run.json"

_numbers = count()


def new_mark() -> str:
    """Of this run, and no other's of it."""
    return f"{RUN}-{uuid.uuid4().hex[:8]}"


@contextmanager
def living() -> Iterator[None]:
    """Temporary files are in the run's folder inside, of processes that are started too."""
    before = tempfile.tempdir
    outer = Path(tempfile.gettempdir())
    # Ready when it gets the name by which others look for it.
    draft, folder = Path(tempfile.mkdtemp()), outer / f"{PREFIX}.{RUN}.{next(_numbers)}"
    record = (draft / RECORD).open("w")
    try:
        _lock(record)
        json.dump({"run": RUN, "began": timezone.now().isoformat(), **_place()}, record)
        record.flush()
        draft.rename(folder)
        tempfile.tempdir = str(folder)
        yield
    finally:
        with interrupts_deferred():
            tempfile.tempdir = before
            # Locked until it is gone: whoever can lock it takes its run for one that was killed.
            for each in (draft, folder):
                rmtree(each, ignore_errors=True)
            record.close()


@contextmanager
def killed_runs() -> Iterator[list[tuple[Path, str, datetime]]]:
    """The folders of those that wrote where this one writes, with their names and beginnings.

    They are this process's to clean up inside: others take them for living ones.
    """
    records: list[IO[str]] = []
    try:
        yield [found for folder in _folders() if (found := _examine(folder, records))]
    finally:
        for record in records:
            record.close()


def _examine(folder: Path, records: list[IO[str]]) -> tuple[Path, str, datetime] | None:
    try:
        record = (folder / RECORD).open("r+")
    except OSError:
        return None
    records.append(record)
    try:
        _lock(record)
        if not os.fstat(record.fileno()).st_nlink:
            return None  # the run has ended since it was found, and removed it
        said: dict[str, Any] = json.load(record)
        run, began = said.pop("run"), datetime.fromisoformat(said.pop("began"))
    except (OSError, ValueError, KeyError):
        return None
    return (folder, run, began) if said == _place() else None


def _folders() -> list[Path]:
    """Of this user's: what others put there is not believed."""
    if fcntl is None:
        return []
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}.*"):
        with suppress(FileNotFoundError):  # of a run that has ended since
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                found.append(folder)
    return found


def _place() -> dict[str, Any]:
    """Where a run writes."""
    database = connection.settings_dict
    return {
        "database": [str(database[name]) for name in ("ENGINE", "HOST", "PORT", "NAME")],
        "redis": [mask_password(url) for url in (settings.REDIS_URL, settings.READ_REDIS_URL)],
    }


def _lock(record: IO[str]) -> None:
    """Raises ``OSError`` where it is locked by another open file."""
    if fcntl is not None:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
