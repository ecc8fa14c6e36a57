"""A process that makes all that a run can leave, is killed, and is cleaned up after."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

import psutil
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection

from catalog.benchmarks.processes.children import Process, running_process
from catalog.benchmarks.sandbox import leftovers, run_lock
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.leftovers import remove_leftovers
from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Category, Product, Tag
from catalog.options import InvalidOption

pytestmark = pytest.mark.django_db(transaction=True)

MAKE_EVERYTHING = """
import sys, tempfile, time
from pathlib import Path
import django
django.setup()
from django.core.cache import cache
from catalog.benchmarks.experiments.freshness.shelves import stocked_shelves
from catalog.benchmarks.experiments.growth.databases import scratch_database
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.rows import own_rows
from catalog.benchmarks.sandbox.accounts import browsing, own_people
from catalog.benchmarks.experiments.outage.scratch_server import find_server, sacrificial_redis
from catalog.benchmarks.processes.children import running_process

with (
    isolated_cache(),
    own_rows(2),
    own_people() as (_, user, _),
    browsing(user, accept="text/html"),
    stocked_shelves(1),
    scratch_database(),
    running_process(["-c", "import time; time.sleep(600)"], Path(tempfile.gettempdir()) / "log"),
    sacrificial_redis(find_server(), limit_seconds=600) as redis,
    redis.hung(),
):
    cache.set("mine", 1)
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def killed_run(tmp_path: Path) -> Iterator[Process]:
    with running_process(["-c", MAKE_EVERYTHING], tmp_path / "log") as process:
        process.wait_until_ready()
        yield process


def state(redis: Any) -> list[Any]:
    rows: list[Any] = [list(model.objects.values()) for model in (Product, Category, Tag, User, Session)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^bench_cache'")
            rows.append(cursor.fetchall())
    folders = list(Path(tempfile.gettempdir()).glob("bench_cache.*"))
    return [*rows, redis.keys("bench_cache*"), folders]


def test_what_a_killed_run_left_is_removed_and_nothing_of_a_living_one(redis: Any, tmp_path: Path) -> None:
    ProductFactory.create(name="bench-cache-like", category=CategoryFactory.create(slug="bench-cache-like"))
    TagFactory.create(name="freshness-soak-like")
    redis.set("bench_cache.like", 1)
    with isolated_cache():
        before = state(redis)
        with killed_run(tmp_path) as process:
            others = psutil.Process(process.popen.pid).children()
            assert len(others) == 2
            meanwhile = state(redis)
            assert remove_leftovers() == []
            assert state(redis) == meanwhile != before

            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()
            [said] = remove_leftovers()

        assert not psutil.wait_procs(others, timeout=10)[1]
        assert state(redis) == before
        assert remove_leftovers() == []
    assert said.startswith("Removed what a run that was killed had left (begun at 20")
    counted = said.partition("): ")[2].removesuffix(".").split(", ")
    assert counted[:5] == ["2 processes", "2 people", "4 products", "2 categories", "19 tags"]
    assert counted[-1].endswith(" keys")


def test_what_was_left_in_another_database_is_not_looked_for_here(
    redis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with isolated_cache():
        before = state(redis)
        with killed_run(tmp_path) as process:
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(run_lock, "_place", lambda: {"database": ["another"], "redis": []})
            left = state(redis)
            assert remove_leftovers() == []
            assert state(redis) == left != before
        assert len(remove_leftovers()) == 1
        assert state(redis) == before


def test_what_cannot_be_removed_is_named_and_looked_for_again(
    redis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(mark: str) -> dict[str, int]:
        raise DatabaseError("attempt to write a readonly database")

    with isolated_cache():
        before = state(redis)
        with killed_run(tmp_path) as process:
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()
        with monkeypatch.context() as refusing:
            refusing.setattr(leftovers, "remove_rows", refuse)
            [said] = remove_leftovers()
        assert "attempt to write a readonly database. It is what has " in said
        assert len(remove_leftovers()) == 1
        assert state(redis) == before


def test_a_run_that_ends_leaves_no_folder_and_the_temporary_folder_as_it_was() -> None:
    def fail() -> None:
        with isolated_cache():
            assert Path(tempfile.gettempdir()).name.startswith("bench_cache.")
            raise InvalidOption

    before, folders = tempfile.gettempdir(), set(Path(tempfile.gettempdir()).glob(f"*{run_lock.RUN}*"))
    with pytest.raises(InvalidOption):
        fail()
    assert tempfile.gettempdir() == before
    assert set(Path(before).glob(f"*{run_lock.RUN}*")) == folders == set()


def test_a_run_that_is_just_ending_is_no_killed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, seen = tempfile.gettempdir(), []

    def look_and_remove(folder: Path, **options: Any) -> None:
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(tempfile, "tempdir", outer)
            with run_lock.killed_runs() as killed:
                seen.append(killed)
        rmtree(folder, **options)

    with monkeypatch.context() as removing, isolated_cache():
        folder = Path(tempfile.gettempdir())
        removing.setattr(run_lock, "rmtree", look_and_remove)

    assert [run for runs in seen for run in runs if run[0] == folder] == []
    assert len(seen) == 2
    assert not folder.exists()


def test_a_run_that_ends_while_its_record_is_read_is_no_killed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = run_lock._lock

    def lock_what_is_gone(record: IO[str]) -> None:
        rmtree(Path(record.name).parent)
        lock(record)

    with isolated_cache():
        folder = Path(tempfile.gettempdir()) / "bench_cache.ended.0"
        folder.mkdir()
        said = {"run": "ended", "began": "2026-01-01T00:00:00+00:00", **run_lock._place()}
        (folder / run_lock.RECORD).write_text(json.dumps(said))
        with run_lock.killed_runs() as killed:
            assert [run for _, run, _ in killed] == ["ended"]

        monkeypatch.setattr(run_lock, "_lock", lock_what_is_gone)
        with run_lock.killed_runs() as killed:
            assert killed == []


def test_a_run_that_ends_while_folders_are_listed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Path(tempfile.gettempdir()) / "bench_cache.gone.0"
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [gone])

    assert remove_leftovers() == []
