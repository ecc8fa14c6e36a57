"""What both commands do when Redis fails, when a pipe closes, and when they are asked for help."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class
from pytest_django import Settings

from instruments.breakable_redis import BreakableRedis
from instruments.processes.process import TESTS, environment
from readcache.storage.current import store

COMMANDS = ("inspect_read_cache", "flush_read_cache")
every_command = pytest.mark.parametrize("command", COMMANDS)


def run(command: str, settings: Settings, **cache: Any) -> str:
    """The error of the command with another ``CACHES["read"]``."""
    settings.CACHES = {
        **settings.CACHES,
        "read": {"BACKEND": "django_redis.cache.RedisCache", "OPTIONS": {}, **cache},
    }
    with pytest.raises(CommandError) as raised:
        call_command(command, **({} if command == "inspect_read_cache" else {"no_input": True}))
    store().breaker.close()
    assert raised.value.returncode == 1
    return str(raised.value)


@every_command
def test_a_redis_that_does_not_run_is_reported_once_and_without_its_password(
    command: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    error = run(command, settings, LOCATION="redis://:s3cret@127.0.0.1:1/5")

    assert error.startswith("The read cache's Redis at 127.0.0.1:1 failed: ")
    assert error.endswith(". Start it, or correct CACHES['read'] in the settings.")
    assert "s3cret" not in error
    assert "\n" not in error
    assert caplog.records == []


@every_command
def test_a_redis_on_a_socket_is_reported_with_its_path(
    command: str, settings: Settings, tmp_path: Any
) -> None:
    error = run(command, settings, LOCATION=f"unix://{tmp_path}/none.sock?db=5")

    assert error.startswith(f"The read cache's Redis at {tmp_path}/none.sock failed: ")


def test_a_redis_that_refuses_the_rotation_is_reported(settings: Settings, tmp_path: Any) -> None:
    server = BreakableRedis(tmp_path / "redis")
    try:
        server.refuse_writes()
        error = run("flush_read_cache", settings, LOCATION=server.location)
    finally:
        server.end()

    assert f"at {server.socket_path} failed: " in error
    assert "replica" in error.lower()


@every_command
def test_help_fits_80_columns_and_shows_examples(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    text = load_command_class("readcache", command).create_parser("manage.py", command).format_help()

    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert f"examples:\n  python manage.py {command}\n  python manage.py {command} --" in text


@pytest.mark.django_db(transaction=True)
def test_a_pipe_that_is_closed_ends_the_command_quietly(redis: Any) -> None:
    for number in range(5_000):
        redis.set(f":rc1:entry:book_list:http://testserver/books/?page={number}", b"not an entry")
    command = [sys.executable, "-W", "error", "-m", "django", "inspect_read_cache"]

    with subprocess.Popen(
        command,
        cwd=TESTS,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("key ")
        process.stdout.close()

        assert process.stderr.read() == ""
