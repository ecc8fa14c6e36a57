"""A Redis server of one experiment, in a temporary folder."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes import timed_program
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, Process
from readcache.testing import PrivateRedis, PrivateRedisError
from readcache.testing.interrupts import interrupts_deferred

POLL_SECONDS = 0.002
START_PATIENCE_SECONDS = 10.0


class ScratchRedis(PrivateRedis):
    """A child of this process with no bound on its memory. It ends by itself after ``limit_seconds``.

    ``options`` are directives of redis.conf.
    """

    def __init__(self, directory: Path, *, limit_seconds: float, **options: str) -> None:
        super().__init__(directory, options={"daemonize": "no", "maxmemory": "0", **options})
        self._limit_seconds = limit_seconds
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("A scratch Redis has a process only after it was started.")
        return self._process.popen.pid

    def start(self, server: Path) -> None:
        """Raises ``BenchmarkError``."""
        configuration = self.directory / "redis.conf"
        configuration.write_text(self.configuration())
        arguments = ["-m", timed_program.__name__, str(self._limit_seconds), str(server), str(configuration)]
        # While it hangs, SIGKILL is the only signal that ends it.
        process = self._process = Process(arguments, end_by=signal.SIGKILL)
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self.answers():
            if process.has_ended() or time.monotonic() > deadline:
                raise BenchmarkError(f"{server} did not start. {self._last_words(process)}")
            time.sleep(POLL_SECONDS)

    def wait_until_ended(self) -> None:
        if self._process is not None:
            self._process.popen.wait(timeout=EXIT_PATIENCE_SECONDS)

    def stop(self) -> bool:
        """End it at once, whatever it is doing."""
        process, self._process = self._process, None
        if process is None:
            return False
        with interrupts_deferred():
            process.end()
        return True

    def _last_words(self, process: Process) -> str:
        log = self.home.log_path
        logged = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return logged[-1] if logged else process.last_words()


@contextmanager
def scratch_redis(*, limit_seconds: float, **options: str) -> Iterator[ScratchRedis]:
    """It runs inside, and is gone at the end with its folder. Raises ``BenchmarkError``."""
    with TemporaryDirectory() as folder:
        redis = ScratchRedis(Path(folder), limit_seconds=limit_seconds, **options)
        try:
            redis.ensure_running()
            yield redis
        except PrivateRedisError as error:
            raise BenchmarkError(str(error)) from error
        finally:
            redis.stop()
