"""The process: one server for all that use a folder, started when needed and stopped when told."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

from readcache.testing.directory import PrivateDirectory
from readcache.testing.errors import PrivateRedisError
from readcache.testing.interrupts import interrupts_deferred
from readcache.testing.programs import NO_SERVER_MESSAGE, SERVER_NAMES, find_program

START_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
POLL_INTERVAL_SECONDS = 0.01


class PrivateRedis:
    """The private server of one folder. Making this object starts nothing and touches no file there.

    ``directory`` is where it really is: not the given one, where a socket's path would be too long.
    ``options`` are directives of redis.conf that differ from this class's.
    """

    def __init__(self, directory: Path, *, options: Mapping[str, str] | None = None) -> None:
        self._options = options or {}
        self.home = PrivateDirectory(directory)
        self.directory = self.home.path
        self.socket_path = self.home.socket_path

    def url(self, *, database: int) -> str:
        return f"unix://{quote(str(self.socket_path))}?db={database}"

    def is_running(self) -> bool:
        """Whether a server listens on the socket; it need not answer. Raises ``PrivateRedisError``."""
        self.home.check()
        try:
            self._connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            # A hung server with a full backlog. Starting another would take its socket away.
            return True
        return True

    def ensure_running(self) -> None:
        """Start the server unless one is there. Of many callers at once, in any process, one starts it.

        Raises ``PrivateRedisError``.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise PrivateRedisError(NO_SERVER_MESSAGE)
        if self.is_running():
            return
        server = find_program(SERVER_NAMES)
        if server is None:
            raise PrivateRedisError(NO_SERVER_MESSAGE)
        self.home.make()
        # A start that is cut short would leave a server that nobody knows of.
        with self.home.lock(), interrupts_deferred():
            if not self.is_running():
                self._end_orphan()
                self.start(server)

    def stop(self) -> bool:
        """End the server and return whether one was there. Raises ``PrivateRedisError``."""
        if not (self.is_running() or self.home.pid_path.exists()):
            return False
        with self.home.lock():
            if not self.is_running():
                return self._end_orphan()
            with contextlib.suppress(OSError), self._connect() as connection:
                connection.sendall(b"SHUTDOWN NOSAVE\r\n")
                connection.recv(256)
            if not _wait_until(self._is_gone, seconds=STOP_TIMEOUT_SECONDS):
                self._kill()
        return True

    @contextlib.contextmanager
    def left_as_found(self) -> Iterator[None]:
        """Stop at the end the server that was started meanwhile; leave one that ran before."""
        was_running = self.is_running()
        try:
            yield
        finally:
            if not was_running:
                with interrupts_deferred():
                    self.stop()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            connection.connect(str(self.socket_path))
        except OSError:
            connection.close()
            raise
        return connection

    def start(self, server: Path) -> None:
        """Run the program and wait until it answers. Raises ``PrivateRedisError``.

        ``ensure_running()`` calls it, in one process at a time. A subclass may run the program its own way.
        """
        log_path = self.home.log_path
        log_path.unlink(missing_ok=True)
        try:
            # The configuration goes in by standard input, where "-" is redis-server's name for it.
            started = subprocess.run(
                [str(server), "-"],
                input=self.configuration(),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=START_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._not_started(server, str(error)) from None
        if started.returncode != 0 or not _wait_until(self.answers, seconds=START_TIMEOUT_SECONDS):
            log = log_path.read_text(errors="replace") if log_path.exists() else ""
            raise self._not_started(server, log or started.stderr or started.stdout)

    def _not_started(self, server: Path, output: str) -> PrivateRedisError:
        last_line = "".join(output.strip().splitlines()[-1:]) or "it gave no reason"
        return PrivateRedisError(
            f"{server} did not start in {self.directory}: {last_line}. Set REDIS_URL to use another Redis."
        )

    def configuration(self) -> str:
        """The text of redis.conf."""
        directives = {
            "port": "0",
            "unixsocket": _quoted(self.socket_path),
            "unixsocketperm": "700",
            "daemonize": "yes",
            "pidfile": _quoted(self.home.pid_path),
            "dir": _quoted(self.directory),
            "logfile": _quoted(self.home.log_path),
            "loglevel": "warning",
            # Nothing on disk, and a bound on memory: it is a cache.
            "save": '""',
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
            **self._options,
        }
        return "".join(f"{name} {value}\n" for name, value in directives.items())

    def answers(self) -> bool:
        """Whether its start is over: it listens before it has written the pid file and loaded its data."""
        with contextlib.suppress(OSError), self._connect() as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(256).startswith(b"+PONG")
        return False

    def _is_gone(self) -> bool:
        return not self.is_running()

    def _end_orphan(self) -> bool:
        """End a server whose socket was removed, and return whether there was one.

        Those who are connected to it would go on with it beside another, and each would miss the
        other's invalidations.
        """
        orphan = self._own_process()
        if orphan is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
        _wait_until(lambda: self._own_process() is None, seconds=STOP_TIMEOUT_SECONDS)
        return True

    def _kill(self) -> None:
        """Kill a server that does not answer, after making sure that the process is this server."""
        server = self._own_process()
        if server is None:
            raise PrivateRedisError(
                f"The private Redis on {self.socket_path} does not answer, and {self._suspect()}. "
                "End it by hand."
            )
        server.kill()
        if not _wait_until(self._is_gone, seconds=STOP_TIMEOUT_SECONDS):
            raise PrivateRedisError(f"The private Redis, process {server.pid}, does not end. End it by hand.")

    def _own_process(self) -> psutil.Process | None:
        """The process of the pid file, if it is this server: it works in its folder, where nobody else is."""
        try:
            process = psutil.Process(int(self.home.pid_path.read_text()))
            is_it = Path(process.cwd()) == self.directory.resolve() and process.uids().real == os.getuid()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if is_it else None

    def _suspect(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.home.pid_path.read_text())
            if psutil.pid_exists(pid):
                return f"process {pid} is not it"
        return "which process it is, is not known"


def _wait_until(is_so: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_SECONDS)
    return True


def _quoted(path: Path) -> str:
    """As redis.conf has it: in double quotes, where a backslash escapes."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
