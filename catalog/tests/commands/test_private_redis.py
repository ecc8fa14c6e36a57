from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from conftest import Manage
from readcache.testing import PrivateRedis


def test_the_command_tells_that_the_server_runs_and_stops_it(
    manage: Manage, manage_environment: dict[str, str]
) -> None:
    server = PrivateRedis(Path(manage_environment["PRIVATE_REDIS_DIR"]))
    server.ensure_running()

    status = manage("private_redis", "status")
    stop = manage("private_redis", "stop")

    assert (status.returncode, status.stderr) == (stop.returncode, stop.stderr) == (0, "")
    assert status.stdout == f"The private Redis runs on {server.socket_path}.\n"
    assert stop.stdout == "Stopped the private Redis.\n"
    assert not server.is_running()


def test_the_command_tells_that_nothing_runs(
    tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = PrivateRedis(tmp_path / "redis")
    settings.PRIVATE_REDIS_DIR = server.directory

    for action in ("status", "stop"):
        call_command("private_redis", action)
        call_command("private_redis", action, verbosity=0)

    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"The private Redis does not run on {server.socket_path}.",
        "The private Redis does not run.",
    ]
    assert told.err == ""


def test_the_command_refuses_another_action(manage: Manage) -> None:
    answer = manage("private_redis", "restart")

    assert answer.returncode == 2
    assert re.search(r"error: argument action: .*'restart'.*status.*cli.*stop", answer.stderr)
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_redis_cli_does_not_open_another_redis_than_the_shop_uses(manage: Manage) -> None:
    refused = manage("private_redis", "cli", REDIS_URL="redis://127.0.0.1:1/1")

    assert refused.returncode == 1
    assert refused.stderr == (
        "CommandError: REDIS_URL is set: the shop uses that Redis. Open it with: redis-cli -u URL\n"
    )
    assert "does not run" in manage("private_redis", "status").stdout
