"""Python processes that leave nothing behind: each has a session of its own, which ends with it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.sandbox.isolation import key_prefix
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.base import Strategy
from readcache.conf import configuration
from readcache.testing.interrupts import interrupts_deferred

EXIT_PATIENCE_SECONDS = 30
# For a process that imports Django and connects, on a machine that does other work.
STARTING_PATIENCE_SECONDS = 60


class Process:
    """A Python process of a benchmark's own, in the shop's folder, with the settings of this one.

    With a ``strategy`` that has settings of its own, also with those.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        pass_fds: Sequence[int] = (),
        end_by: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        self._log = log
        self._end_by = end_by
        with log.open("wb") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=settings.BASE_DIR,
                env={**_environment(), **plug_ins.environment(strategy), **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                pass_fds=pass_fds,
                # Ctrl-C is for this process, which ends the others.
                start_new_session=True,
            )

    def last_words(self) -> str:
        return "".join(self._log.read_text(errors="replace").strip().splitlines()[-1:]) or "It said nothing."

    def failed(self) -> BenchmarkError:
        return BenchmarkError(f"A process of the benchmark failed. {self.last_words()}")

    def send(self, line: str) -> None:
        if self.popen.stdin is None:
            raise self.failed()
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(f"{line}\n")
            self.popen.stdin.flush()

    def wait_until_ready(self, *, timeout_seconds: float = STARTING_PATIENCE_SECONDS) -> None:
        """Raises ``BenchmarkError`` if it says something else, or nothing in that time."""
        if self.answer(timeout_seconds=timeout_seconds) != "ready\n":
            raise self.failed()

    def answer(self, *, timeout_seconds: float) -> str:
        """The line that answers the one that was sent: there is never more than one to read."""
        stdout = self.popen.stdout
        if stdout is None:
            raise self.failed()
        if not select.select([stdout], [], [], timeout_seconds)[0]:
            raise BenchmarkError(
                f"A process of the benchmark did not answer within {timeout_seconds:g} s. {self.last_words()}"
            )
        line = stdout.readline()
        if not line:
            # Its last words may be under way; it need not end where it only closed its output.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
            raise self.failed()
        return line

    def report(self, *, timeout_seconds: float) -> Any:
        try:
            output, _ = self.popen.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(
                f"A process of the benchmark did not end within {timeout_seconds:g} s. {self.last_words()}"
            ) from None
        if self.popen.returncode:
            raise self.failed()
        return json.loads(output)

    def end(self) -> None:
        """The signal, and then SIGKILL for whatever of its session does not listen.

        A server's worker can outlive it, and would keep its output open for ever.
        """
        self.popen.send_signal(self._end_by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.communicate()


@contextmanager
def running_process(arguments: Sequence[str], log: Path, **options: Any) -> Iterator[Process]:
    process = None
    try:
        # An interrupt in the midst of its start would leave a process that nobody knows of.
        with interrupts_deferred():
            process = Process(arguments, log, **options)
        yield process
    finally:
        if process is not None:
            with interrupts_deferred():
                process.end()


def _environment() -> dict[str, str]:
    """The database and the Redis of this process, also where they are those of a test run."""
    private = settings.USES_PRIVATE_REDIS
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "catalog.benchmarks.processes.child_settings",
        "BENCH_KEY_PREFIX": key_prefix(),
        # By which a process is known that outlived a run that was killed.
        "TMPDIR": tempfile.gettempdir(),
        "DEBUG": "off",
        "HTTPS": "off",
        "TEXTBOOK": "on" if settings.TEXTBOOK else "off",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECRET_KEY": settings.SECRET_KEY,
        **database_environment(),
        "PRIVATE_REDIS_DIR": str(settings.PRIVATE_REDIS_DIR),
        "REDIS_URL": "" if private else settings.REDIS_URL,
        "READ_REDIS_URL": "" if private else settings.READ_REDIS_URL,
        "SIMULATED_LATENCY_SECONDS": str(settings.SIMULATED_LATENCY_SECONDS),
        "READ_CACHE_LEASE_SECONDS": str(configuration().lease_seconds),
    }


def database_environment(**changed: Any) -> dict[str, str]:
    """What leads a process to the database of this one, also where that is a test run's.

    As ``DATABASES`` has it, and not as a URL, which cannot say all of it. ``changed`` are its settings.
    """
    database = {**connection.settings_dict, **changed}
    # What is for those who make the databases of tests.
    database.pop("TEST", None)
    name = str(database["NAME"])
    if connection.vendor == "sqlite" and (":memory:" in name or "mode=memory" in name):
        raise BenchmarkError("A benchmark's processes cannot share a database in memory. Use a file.")
    return {"BENCH_DATABASE": json.dumps(database, default=str)}
