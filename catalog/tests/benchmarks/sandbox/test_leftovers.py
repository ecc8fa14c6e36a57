"""A run that was killed leaves processes, rows, keys and folders behind. The next run removes them."""

from __future__ import annotations

import json
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

from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.sandbox import leftovers, run_lock
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.leftovers import remove_leftovers
from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Category, Product, Tag
from catalog.options import InvalidOption
from catalog.tests.benchmarks.processes.services import Service
from catalog.tests.benchmarks.sandbox.everything import making_everything

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def run_that_can_be_killed() -> Iterator[Child[Service]]:
    with running_child(making_everything) as child:
        child.wait_until_ready()
        yield child


def kill(run: Child[Service]) -> None:
    run.process.popen.kill()
    run.process.popen.wait()


def state(redis: Any) -> list[Any]:
    rows: list[Any] = [list(model.objects.values()) for model in (Product, Category, Tag, User, Session)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^bench_cache'")
            rows.append(cursor.fetchall())
    folders = list(Path(tempfile.gettempdir()).glob("bench_cache.*"))
    return [*rows, redis.keys("bench_cache*"), folders]


def test_leftovers_of_a_killed_run_are_removed_and_a_live_run_is_left_alone(redis: Any) -> None:
    ProductFactory.create(name="bench-cache-like", category=CategoryFactory.create(slug="bench-cache-like"))
    TagFactory.create(name="freshness-soak-like")
    redis.set("bench_cache.like", 1)
    with isolated_cache():
        before = state(redis)
        with run_that_can_be_killed() as run:
            others = psutil.Process(run.process.popen.pid).children()
            assert len(others) == 2
            meanwhile = state(redis)
            assert remove_leftovers() == []
            assert state(redis) == meanwhile != before

            kill(run)
            [sentence] = remove_leftovers()

        assert not psutil.wait_procs(others, timeout=10)[1]
        assert state(redis) == before
        assert remove_leftovers() == []
    assert sentence.startswith("Removed leftovers of a run that was killed (started at 20")
    counted = sentence.partition("): ")[2].removesuffix(".").split(", ")
    assert counted[:5] == ["2 processes", "2 accounts", "4 products", "2 categories", "19 tags"]
    assert counted[-1].endswith(" keys")


def test_leftovers_in_another_database_are_left_alone(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with isolated_cache():
        before = state(redis)
        with run_that_can_be_killed() as run:
            kill(run)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(run_lock, "_targets", lambda: {"database": ["another"], "redis": []})
            left = state(redis)
            assert remove_leftovers() == []
            assert state(redis) == left != before
        assert len(remove_leftovers()) == 1
        assert state(redis) == before


def test_leftovers_that_cannot_be_removed_are_reported_and_removed_by_a_later_run(
    redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(label: str) -> dict[str, int]:
        raise DatabaseError("attempt to write a readonly database")

    with isolated_cache():
        before = state(redis)
        with run_that_can_be_killed() as run:
            kill(run)
        with monkeypatch.context() as refusing:
            refusing.setattr(leftovers, "remove_rows", refuse)
            [sentence] = remove_leftovers()
        assert "attempt to write a readonly database. Their names contain " in sentence
        assert len(remove_leftovers()) == 1
        assert state(redis) == before


def test_a_run_that_ends_leaves_no_folder_and_restores_the_temporary_folder() -> None:
    def fail() -> None:
        with isolated_cache():
            assert Path(tempfile.gettempdir()).name.startswith("bench_cache.")
            raise InvalidOption

    before, folders = tempfile.gettempdir(), set(Path(tempfile.gettempdir()).glob(f"*{run_lock.RUN_ID}*"))
    with pytest.raises(InvalidOption):
        fail()
    assert tempfile.gettempdir() == before
    assert set(Path(before).glob(f"*{run_lock.RUN_ID}*")) == folders == set()


def test_a_run_that_is_ending_is_not_mistaken_for_a_killed_run(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_run_that_ends_while_its_record_is_read_is_not_mistaken_for_a_killed_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = run_lock._lock

    def lock_what_is_gone(record: IO[str]) -> None:
        rmtree(Path(record.name).parent)
        lock(record)

    with isolated_cache():
        folder = Path(tempfile.gettempdir()) / "bench_cache.ended.0"
        folder.mkdir()
        content = {"run": "ended", "began": "2026-01-01T00:00:00+00:00", **run_lock._targets()}
        (folder / run_lock.RECORD).write_text(json.dumps(content))
        with run_lock.killed_runs() as killed:
            assert [run for _, run, _ in killed] == ["ended"]

        monkeypatch.setattr(run_lock, "_lock", lock_what_is_gone)
        with run_lock.killed_runs() as killed:
            assert killed == []


def test_a_folder_that_disappears_while_folders_are_listed_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = Path(tempfile.gettempdir()) / "bench_cache.gone.0"
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [gone])

    assert remove_leftovers() == []
