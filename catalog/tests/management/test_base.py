"""What every command of the catalogue has: a log that is quiet, and a bar that nothing runs into."""

import os
import pty
import subprocess
import sys

import pytest

from conftest import ROOT, Manage

pytestmark = pytest.mark.django_db

ROTATION = "Rotated the read cache's tokens"


@pytest.mark.parametrize(
    "arguments",
    [
        ("seed_products", "--count", "30", "-v0"),
        ("flush_product_cache", "--no-input", "-v0"),
        ("bench_seeding", "--count", "30", "--rounds", "1", "-v0"),
        ("bench_cache", "latency", "--quick", "--strategy", "readcache", "-v0"),
        ("private_redis", "status", "-v0"),
    ],
    ids=" ".join,
)
def test_verbosity_zero_prints_nothing(arguments: tuple[str, ...], manage: Manage) -> None:
    manage("migrate", "-v0")
    manage("seed_products", "--count", "5")

    done = manage(*arguments)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_invalidated_is_logged_for_who_asks(manage: Manage) -> None:
    manage("migrate", "-v0")

    assert ROTATION not in manage("seed_products", "--count", "30").stderr
    assert ROTATION in manage("seed_products", "--count", "60", "-v2").stderr


def test_nothing_runs_into_the_bar(manage: Manage, manage_environment: dict[str, str]) -> None:
    manage("migrate", "-v0")

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
