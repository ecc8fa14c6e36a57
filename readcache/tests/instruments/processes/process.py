from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import connection

import readcache
from instruments.waiting import PATIENCE_SECONDS
from library.database import url_of

TESTS = Path(__file__).parents[2]


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process that shares the test run's database, Redis and engine."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(Path(readcache.__file__).parents[1])]),
        "DJANGO_SETTINGS_MODULE": "library.settings",
        "DATABASE_URL": url_of(connection.settings_dict),
        "LIBRARY_REDIS_DIR": str(settings.PRIVATE_REDIS_DIR),
        **variables,
    }


class Process:
    """A process that calls a function with the arguments as texts. It is killed at the end of the block.

    ``variables`` are added to its environment.
    """

    def __init__(self, function: Callable[..., None], *arguments: object, **variables: str) -> None:
        called = [function.__module__, function.__name__, *map(str, arguments)]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "instruments.processes", *called],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
            env=environment(**variables),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """The next line of its output, or an empty one if it has ended."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def wait_for(self, line: str) -> None:
        assert self.line() == line

    def ask(self, line: str) -> str:
        """The line that it prints in answer to this one."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.line()

    def go_on(self) -> None:
        """Send the line for which the process waits."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def output(self) -> str:
        """The rest of its output. Fails the test unless it ends without an error."""
        printed, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert self._process.returncode == 0
        return printed.strip()

    def kill(self) -> None:
        """End it by a signal that no process can catch."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
