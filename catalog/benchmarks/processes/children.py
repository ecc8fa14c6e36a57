"""Python processes of the benchmark: they are started, get orders, and end without leaving anything.

Each process leads a session, and all processes that still run in that session are killed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection, Pipe
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from django.conf import settings
from django.db import connection

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes import child_main
from catalog.benchmarks.sandbox.isolation import key_prefix
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.base import Strategy
from readcache.conf import configuration
from readcache.testing.interrupts import interrupts_deferred

EXIT_PATIENCE_SECONDS = 30
# For importing Django and connecting, on a machine that does other work.
STARTING_PATIENCE_SECONDS = 60
LAST_WORDS_BYTES = 4096

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class Process:
    """A Python process in the project's folder that uses the database and Redis of this process.

    The settings of the ``strategy`` apply too.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        end_by: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        self._end_by = end_by
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, end() closes it
        self.popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env={**_environment(), **plug_ins.environment(strategy), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            pass_fds=pass_fds,
            # Ctrl-C reaches this process only, which ends the others.
            start_new_session=True,
        )

    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def last_words(self) -> str:
        """The last line of its log, which is the error if it failed."""
        # pread() does not move the position at which the process writes.
        descriptor = self._log.fileno()
        start = max(0, os.fstat(descriptor).st_size - LAST_WORDS_BYTES)
        log = os.pread(descriptor, LAST_WORDS_BYTES, start).decode(errors="replace")
        return "".join(log.strip().splitlines()[-1:]) or "It logged nothing."

    def failed(self) -> BenchmarkError:
        return BenchmarkError(f"A process of the benchmark failed. {self.last_words()}")

    def end(self) -> None:
        """Send the signal, wait, and kill what is left of the session, such as a server's workers."""
        self.popen.send_signal(self._end_by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self._log.close()


@contextmanager
def running_process(arguments: Sequence[str], **options: Any) -> Iterator[Process]:
    process = None
    try:
        # An interrupt while it starts would leave a process that is never ended.
        with interrupts_deferred():
            process = Process(arguments, **options)
        yield process
    finally:
        if process is not None:
            with interrupts_deferred():
                process.end()


class Child(Generic[S]):
    """A process that offers a service: an object whose methods are called from here.

    Methods, arguments and results are pickled. ``patience_seconds`` is how long a method may take.
    """

    def __init__(self, process: Process, channel: Connection, patience_seconds: float) -> None:
        self.process = process
        self._channel = channel
        self._patience_seconds = patience_seconds

    def wait_until_ready(self, *, timeout_seconds: float = STARTING_PATIENCE_SECONDS) -> None:
        """Until it offers its service. Raises ``BenchmarkError``."""
        self._receive(timeout_seconds)

    def ask(self, method: Callable[Concatenate[S, P], R], *arguments: P.args, **keywords: P.kwargs) -> R:
        """What the method returns in the child. Raises ``BenchmarkError``."""
        self.order(method, *arguments, **keywords)
        result: R = self.answer()
        return result

    def order(
        self, method: Callable[Concatenate[S, P], object], *arguments: P.args, **keywords: P.kwargs
    ) -> None:
        """Start a call, whose result ``answer()`` returns. There is one call at a time."""
        self._send((method, arguments, keywords))

    def has_answered(self, *, within_seconds: float) -> bool:
        return self._channel.poll(max(0.0, within_seconds))

    def answer(self) -> Any:
        """The result of the call that was ordered. Raises ``BenchmarkError``."""
        return self._receive(self._patience_seconds)

    def _send(self, message: object) -> None:
        # Waiting for the answer reports a child that has ended.
        with contextlib.suppress(ConnectionError):
            self._channel.send(message)

    def _receive(self, timeout_seconds: float) -> Any:
        if not self._channel.poll(timeout_seconds):
            raise BenchmarkError(
                f"A process of the benchmark did not answer within {timeout_seconds:g} s. "
                f"{self.process.last_words()}"
            )
        try:
            return self._channel.recv()
        except (EOFError, ConnectionError):
            # The child closes the socket before it has logged its error.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
            raise self.process.failed() from None


@contextmanager
def running_child(
    service: Callable[[], AbstractContextManager[S]],
    *,
    patience_seconds: float = EXIT_PATIENCE_SECONDS,
    environment: Mapping[str, str] | None = None,
    strategy: Strategy | None = None,
) -> Iterator[Child[S]]:
    """A process that opens the service, which can be pickled: a function of a module, or a ``partial``.

    It starts while the caller goes on; call ``wait_until_ready()`` before the first order.
    """
    here, there = Pipe()
    with here, ExitStack() as stack:
        with there:
            # The limit ends an order whose answer is no longer waited for.
            arguments = ["-m", child_main.__name__, str(there.fileno()), str(2 * patience_seconds)]
            options: dict[str, Any] = {"environment": environment, "strategy": strategy}
            process = stack.enter_context(running_process(arguments, pass_fds=[there.fileno()], **options))
        child: Child[S] = Child(process, here, patience_seconds)
        child._send(service)
        yield child


def _environment() -> dict[str, str]:
    """The settings of this process that a child must share, also in a test run."""
    private = settings.USES_PRIVATE_REDIS
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "catalog.benchmarks.processes.child_settings",
        "BENCH_KEY_PREFIX": key_prefix(),
        # Identifies the processes that outlived a killed run.
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
    """The variable that gives a process the database of this one, with the ``changed`` settings.

    It holds the entry of ``DATABASES`` as JSON, since a URL cannot express every setting.
    """
    database = {**connection.settings_dict, **changed}
    # Only the creation of test databases reads these.
    database.pop("TEST", None)
    name = str(database["NAME"])
    if connection.vendor == "sqlite" and (":memory:" in name or "mode=memory" in name):
        raise BenchmarkError("A benchmark's processes cannot share a database in memory. Use a file.")
    return {"BENCH_DATABASE": json.dumps(database, default=str)}
