from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from conftest import Manage
from readcache.testing import PrivateRedis


def test_private_redis_reports_a_running_server_and_stops_it(
    manage: Manage, manage_environment: dict[str, str]
) -> None:
    server = PrivateRedis(Path(manage_environment["PRIVATE_REDIS_DIR"]))
    server.ensure_running()

    status = manage("private_redis", "status")
    stop = manage("private_redis", "stop")

    assert (status.returncode, status.stderr) == (stop.returncode, stop.stderr) == (0, "")
    assert status.stdout == f"The private Redis is running on {server.socket_path}.\n"
    assert stop.stdout == "Stopped the private Redis.\n"
    assert not server.is_running()


def test_private_redis_reports_that_no_server_is_running(
    tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = PrivateRedis(tmp_path / "redis")
    settings.PRIVATE_REDIS_DIR = server.directory

    for action in ("status", "stop"):
        call_command("private_redis", action)
        call_command("private_redis", action, verbosity=0)

    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"The private Redis is not running on {server.socket_path}.",
        "The private Redis is not running.",
    ]
    assert printed.err == ""


def test_an_unknown_action_is_refused(manage: Manage) -> None:
    answer = manage("private_redis", "restart")

    assert answer.returncode == 2
    assert re.search(r"error: argument action: .*'restart'.*status.*cli.*stop", answer.stderr)
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_redis_cli_is_not_opened_on_the_private_redis_if_redis_url_is_set(manage: Manage) -> None:
    refused = manage("private_redis", "cli", REDIS_URL="redis://:s3cret@127.0.0.1:1/1")

    assert refused.returncode == 1
    assert refused.stderr == (
        "CommandError: REDIS_URL is set, so the shop does not use the private Redis. "
        "Open the other one with: redis-cli -u redis://:***@127.0.0.1:1/1\n"
    )
    assert "is not running" in manage("private_redis", "status").stdout
