"""Run id and lock file: how a later run tells a killed run from a live one.

The run id is part of every name that a run gives to rows, keys, schemas and folders. Each run has a
folder in the temporary folder, which holds its temporary files and a record that stays locked as long as
the process lives. Another run that can lock the record knows that the process was killed, and
``leftovers.py`` removes what it left.
"""

from __future__ import annotations

import fcntl
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

PREFIX = "bench_cache"
RUN_ID = uuid.uuid4().hex[:8]
RECORD = "run.json"

_numbers = count()


def new_suffix() -> str:
    """A random end for a name. It begins with the run id."""
    return f"{RUN_ID}-{uuid.uuid4().hex[:8]}"


@contextmanager
def locked_run() -> Iterator[None]:
    """Within the block, this process and its children create temporary files in the run's folder."""
    before = tempfile.tempdir
    outer = Path(tempfile.gettempdir())
    # Other runs find the folder by this name, which it gets when its record is complete and locked.
    draft, folder = Path(tempfile.mkdtemp()), outer / f"{PREFIX}.{RUN_ID}.{next(_numbers)}"
    record = (draft / RECORD).open("w")
    try:
        _lock(record)
        json.dump({"run": RUN_ID, "began": timezone.now().isoformat(), **_targets()}, record)
        record.flush()
        draft.rename(folder)
        tempfile.tempdir = str(folder)
        yield
    finally:
        with interrupts_deferred():
            tempfile.tempdir = before
            # The lock is held until the folder is gone: a record that can be locked is a killed run's.
            for each in (draft, folder):
                rmtree(each, ignore_errors=True)
            record.close()


@contextmanager
def killed_runs() -> Iterator[list[tuple[Path, str, datetime]]]:
    """Folder, run id and start of each killed run that wrote to this run's database and Redis.

    Within the block, their records are locked, so that no other process cleans up after the same runs.
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
            return None  # The run has ended since its folder was found, and has removed the record.
        content: dict[str, Any] = json.load(record)
        run, began = content.pop("run"), datetime.fromisoformat(content.pop("began"))
    except (OSError, ValueError, KeyError):
        return None
    return (folder, run, began) if content == _targets() else None


def _folders() -> list[Path]:
    """The folders of runs of this user. A folder of another user is not trusted."""
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}.*"):
        with suppress(FileNotFoundError):  # The run has ended since.
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                found.append(folder)
    return found


def _targets() -> dict[str, Any]:
    """The database and the Redis servers that a run writes to."""
    database = connection.settings_dict
    return {
        "database": [str(database[name]) for name in ("ENGINE", "HOST", "PORT", "NAME")],
        "redis": [mask_password(url) for url in (settings.REDIS_URL, settings.READ_REDIS_URL)],
    }


def _lock(record: IO[str]) -> None:
    """Raises ``OSError`` if the record is locked through another open file."""
    fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
