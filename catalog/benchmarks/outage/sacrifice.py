"""A Redis that is there to be harmed: of this benchmark's own, in a temporary folder."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes import EXIT_PATIENCE_SECONDS, Process
from shop.embedded_redis import SERVER_NAMES, find_program
from shop.termination import interrupts_deferred

POLL_SECONDS = 0.002
START_PATIENCE_SECONDS = 10.0
# The timer outlives exec(), and ends the server even where the benchmark was killed.
BECOME_SERVER = """
import os, signal, sys
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


def find_server() -> Path | None:
    """The program, found as the private Redis's is; ``None`` where there is none that could be used."""
    return find_program(SERVER_NAMES) if hasattr(socket, "AF_UNIX") else None


class SacrificialRedis:
    """Listens on a unix socket in its folder. ``limit_seconds`` is when it ends by itself."""

    def __init__(self, program: Path, folder: Path, *, limit_seconds: float) -> None:
        self._program = program
        self._folder = folder
        self._limit_seconds = limit_seconds
        self._process: Process | None = None
        self._socket_path = folder / "redis.sock"
        self._client: Any = Redis(
            unix_socket_path=str(self._socket_path),
            socket_timeout=START_PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket_path))}?db=1"

    def start(self) -> None:
        """With the data that it was stopped with. Raises ``BenchmarkError``."""
        with interrupts_deferred():
            self._process = Process(
                ["-c", BECOME_SERVER, str(self._limit_seconds), str(self._program), *self._options()],
                self._folder / "stderr",
                # It would not hear another signal while it hangs.
                end_by=signal.SIGKILL,
            )
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._answers():
            if self._process.popen.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{self._program} did not start. {self._last_words()}")
            time.sleep(POLL_SECONDS)

    def empty(self) -> None:
        self._client.flushall()

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Nobody listens inside. It keeps its data, as one does that saves it or that a link was cut to."""
        self._shut_down(save=True)
        yield
        self.start()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Connections are accepted inside, by the kernel, and nothing is ever answered."""
        if self._process is None:
            raise RuntimeError("A Redis hangs only after start().")
        process = psutil.Process(self._process.popen.pid)
        try:
            process.suspend()
            while process.status() != psutil.STATUS_STOPPED:
                time.sleep(POLL_SECONDS)
            yield
        finally:
            process.resume()

    @contextmanager
    def restarted(self) -> Iterator[None]:
        """It answers inside, but has lost its data and closed every connection."""
        self._shut_down(save=False)
        (self._folder / "dump.rdb").unlink(missing_ok=True)
        self.start()
        yield

    def end(self) -> None:
        """Whatever it is doing."""
        with interrupts_deferred():
            if self._process is not None:
                self._process.end()
            self._process = None
            self._client.connection_pool.disconnect()

    def _shut_down(self, *, save: bool) -> None:
        self._client.shutdown(save=save, nosave=not save)
        if self._process is not None:
            self._process.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
        self.end()

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError):
            return bool(self._client.ping())
        return False

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket_path),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "dbfilename": "dump.rdb",
            "logfile": str(self._folder / "redis.log"),
            "loglevel": "warning",
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "maxmemory": "64mb",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _last_words(self) -> str:
        log = self._folder / "redis.log"
        said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return said[-1] if said else (self._process.last_words() if self._process else "")


@contextmanager
def sacrificial_redis(program: Path, *, limit_seconds: float) -> Iterator[SacrificialRedis]:
    """Runs inside, and is gone at the end with its folder."""
    with TemporaryDirectory(prefix="bench-outage-") as folder:
        server = SacrificialRedis(program, Path(folder), limit_seconds=limit_seconds)
        try:
            server.start()
            yield server
        finally:
            server.end()
