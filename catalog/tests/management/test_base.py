"""The behaviour that all commands of the catalogue share: help, log, progress bar and Redis failures."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework.test import APIClient

from catalog.management.commands import flush_product_cache
from catalog.tests.conftest import SMALL_MANAGE
from conftest import ROOT, Manage, run_manage
from readcache.storage import current
from readcache.storage.breaker import Outage
from readcache.storage.store import Store

pytestmark = pytest.mark.django_db

ROTATION = "Rotated the read cache's tokens"
PROJECT_APPS = ("catalog", "readcache")


@pytest.mark.parametrize(
    "arguments",
    [
        ("seed_products", "--count", "60", "-v0"),
        ("flush_product_cache", "--no-input", "-v0"),
        ("bench_cache", "latency", "--quick", "--requests", "3", "--strategy", "readcache", "-v0"),
        ("private_redis", "status", "-v0"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("small_shop")
def test_verbosity_zero_prints_nothing(
    arguments: tuple[str, ...], manage_environment: dict[str, str]
) -> None:
    program = SMALL_MANAGE if "bench_cache" in arguments else ["manage.py"]
    done = run_manage(arguments, manage_environment, program=program)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", [name for name, app in get_commands().items() if app in PROJECT_APPS])
def test_help_fits_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    text = load_command_class(get_commands()[name], name).create_parser("manage.py", name).format_help()

    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_examples_keep_their_lines_and_continue_with_a_backslash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush_product_cache.Command, "examples", ("", f"--first {'x' * 40} --second y"))

    text = flush_product_cache.Command().create_parser("manage.py", "flush_product_cache").format_help()

    assert text.endswith(
        "examples:\n"
        "  python manage.py flush_product_cache\n"
        "  python manage.py flush_product_cache \\\n"
        f"      --first {'x' * 40} --second y\n"
    )


def test_invalidations_are_logged_at_verbosity_two(migrated: Manage) -> None:
    assert ROTATION not in migrated("seed_products", "--count", "30").stderr
    assert ROTATION in migrated("seed_products", "--count", "60", "-v2").stderr


@pytest.mark.usefixtures("migrated")
def test_a_command_shows_either_the_bar_or_the_log(manage_environment: dict[str, str]) -> None:
    for verbosity, bar in (("1", True), ("2", False)):
        shown = stderr_of_terminal(
            [
                "seed_products",
                "--clear",
                "--no-input",
                "-v",
                verbosity,
                "--batch-size",
                "50",
                "--count",
                "500",
            ],
            manage_environment,
        )
        assert ("Seeding" in shown) is bar
        assert (ROTATION in shown) is not bar


def seed_while_the_read_cache_loses_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command to Redis fails. The textbook's pages are flushed all the same."""

    def fail_once(store: Store, tags: Iterable[str], mark: str) -> None:
        monkeypatch.setattr(Store, "guard", guard)
        store.breaker.open(RedisTimeoutError("Timeout reading from socket"))
        raise Outage

    guard = Store.guard
    monkeypatch.setattr(Store, "guard", fail_once)
    call_command("seed_products", count=5, stdout=StringIO())


@pytest.mark.django_db(transaction=True)
def test_pending_rotations_are_flushed_before_the_command_ends(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.get("/categories/").json()["count"] == 0

    seed_while_the_read_cache_loses_redis(monkeypatch)

    assert not current.store().breaker.is_open
    assert api.get("/categories/").json()["count"] == 8


@pytest.mark.django_db(transaction=True)
def test_a_command_fails_if_its_pending_rotations_cannot_be_flushed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(current.store().breaker, "probe", lambda: False)
        with pytest.raises(CommandError, match=r"answers again, run: python manage\.py flush_product_cache"):
            seed_while_the_read_cache_loses_redis(patched)

    assert current.store().breaker.probe()


def test_a_command_that_wrote_nothing_succeeds_although_redis_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_in_vain(command: flush_product_cache.Command, **options: Any) -> None:
        current.store().breaker.open(RedisTimeoutError("Timeout reading from socket"))

    monkeypatch.setattr(flush_product_cache.Command, "handle", read_in_vain)
    with monkeypatch.context() as patched:
        patched.setattr(current.store().breaker, "probe", lambda: False)
        call_command("flush_product_cache", no_input=True)

    assert current.store().breaker.probe()


def stderr_of_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=child,
    )
    os.close(child)
    chunks = []
    while True:
        try:
            chunks.append(os.read(parent, 65536))
        except OSError:  # Linux's end of file on a terminal
            break
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return b"".join(chunks).decode()
