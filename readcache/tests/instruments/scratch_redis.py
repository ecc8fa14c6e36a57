"""A Redis server that a test may kill, restart from its snapshot, fill up and pause."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from instruments.waiting import PATIENCE_SECONDS, wait_until
from readcache.testing import SERVER_NAMES, find_program


class ScratchRedis:
    """Listens on a unix socket in ``folder``, where its snapshot is, and on a free TCP port for replicas."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.options = options
        self.path = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}?db=0"

    @property
    def client(self) -> Any:
        return Redis(
            unix_socket_path=str(self.path), socket_timeout=PATIENCE_SECONDS, retry=Retry(NoBackoff(), 0)
        )

    def start(self) -> None:
        program = find_program(SERVER_NAMES)
        assert program
        options = {
            "port": "0",
            "unixsocket": str(self.path),
            "dir": str(self.folder),
            "save": "",
            "logfile": str(self.folder / "log"),
            **self.options,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([str(program), *words])
        wait_until(self._answers)

    def kill(self) -> None:
        """As by ``kill -9``."""
        self._send(signal.SIGKILL)
        assert self._process
        self._process.wait(PATIENCE_SECONDS)

    def restart_from_snapshot(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def end(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()


@contextmanager
def scratch_redis(**options: str) -> Iterator[ScratchRedis]:
    # A socket's path is short; pytest's folders are not.
    folder = Path(tempfile.mkdtemp(prefix="scratch-redis-"))
    server = ScratchRedis(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.end()
        rmtree(folder, ignore_errors=True)
