"""A Redis that is there to be harmed: of this benchmark's own, in a temporary folder."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psutil

from catalog.benchmarks.processes import scratch_redis
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, Process
from readcache.testing import SERVER_NAMES, find_program
from readcache.testing.interrupts import interrupts_deferred

POLL_SECONDS = 0.002


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
        self._client = scratch_redis.client_of(folder)

    @property
    def url(self) -> str:
        return f"unix://{quote(str(scratch_redis.socket_in(self._folder)))}?db=1"

    def start(self) -> None:
        """With the data that it was stopped with. Raises ``BenchmarkError``."""
        command = scratch_redis.command(
            self._program, self._folder, limit_seconds=self._limit_seconds, maxmemory="64mb"
        )
        with interrupts_deferred():
            # It would not hear another signal while it hangs.
            self._process = Process(command, self._folder / "stderr", end_by=signal.SIGKILL)
        scratch_redis.wait_until_it_answers(self._process, self._program, self._folder)

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


@contextmanager
def sacrificial_redis(program: Path, *, limit_seconds: float) -> Iterator[SacrificialRedis]:
    """Runs inside, and is gone at the end with its folder."""
    with TemporaryDirectory() as folder:
        server = SacrificialRedis(program, Path(folder), limit_seconds=limit_seconds)
        try:
            server.start()
            yield server
        finally:
            server.end()
