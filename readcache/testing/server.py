"""The server process of a private Redis: one for all processes that use its folder."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

from readcache.testing import timed_program
from readcache.testing.directory import PrivateDirectory
from readcache.testing.errors import PrivateRedisError
from readcache.testing.interrupts import interrupts_deferred
from readcache.testing.programs import NO_SERVER_MESSAGE, SERVER_NAMES, find_program

START_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
POLL_INTERVAL_SECONDS = 0.002


class PrivateRedis:
    """The private server of one folder. Creating this object starts nothing and touches no file.

    ``directory`` becomes another folder if the path of its socket would be too long. ``options`` are
    directives of redis.conf that replace those of this class. ``advice`` ends each message that a
    ``PrivateRedisError`` shows to the users of the calling program. With ``limit_seconds``, the server
    is a child of the process that starts it, and ends by itself after that time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        options: Mapping[str, str] | None = None,
        advice: str = "",
        limit_seconds: float | None = None,
    ) -> None:
        self._options = options or {}
        self._limit_seconds = limit_seconds
        self._child: subprocess.Popen[str] | None = None
        self._advice = advice
        self.home = PrivateDirectory(directory, advice=advice)
        self.directory = self.home.path
        self.socket_path = self.home.socket_path

    def url(self, *, database: int) -> str:
        return f"unix://{quote(str(self.socket_path))}?db={database}"

    def is_running(self) -> bool:
        """Whether a server listens on the socket, even if it hangs. Raises ``PrivateRedisError``."""
        self.home.check()
        try:
            self._connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            # A hung server with a full backlog. A second server would take its socket away.
            return True
        return True

    def ensure_running(self) -> None:
        """Start the server unless it runs. Of many callers at once, in any process, one starts it.

        Raises ``PrivateRedisError``.
        """
        has_sockets = hasattr(socket, "AF_UNIX")
        if has_sockets and self.is_running():
            return
        server = find_program(SERVER_NAMES) if has_sockets else None
        if server is None:
            raise PrivateRedisError(NO_SERVER_MESSAGE, advice=self._advice)
        self.home.make()
        # An interrupted start would leave a server without a pid file.
        with self.home.lock(), interrupts_deferred():
            if not self.is_running():
                self._end_orphan()
                self.start(server)

    def stop(self, *, save: bool = False) -> bool:
        """Stop the server; returns whether one ran. Raises ``PrivateRedisError``.

        With ``save``, the server writes its data to disk, and reads them when it is started again.
        """
        ran = False
        if self.is_running() or self.home.pid_path.exists():
            with self.home.lock():
                ran = self._shut_down(save=save) if self.is_running() else self._end_orphan()
        if self._child:
            self._child.wait(timeout=STOP_TIMEOUT_SECONDS)
        return ran

    def _shut_down(self, *, save: bool) -> bool:
        with contextlib.suppress(OSError), self._connect() as connection:
            connection.sendall(b"SHUTDOWN SAVE\r\n" if save else b"SHUTDOWN NOSAVE\r\n")
            connection.recv(256)
        if not _wait_until(self._is_gone, seconds=STOP_TIMEOUT_SECONDS):
            self._kill()
        return True

    @contextlib.contextmanager
    def left_as_found(self) -> Iterator[None]:
        """At the end, stop a server that was started inside the block; leave one that ran before."""
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

        ``ensure_running()`` calls this in one process at a time.
        """
        log_path = self.home.log_path
        log_path.unlink(missing_ok=True)
        # "-" makes redis-server read its configuration from standard input.
        command = [str(server), "-"]
        if self._limit_seconds is not None:
            command = [sys.executable, timed_program.__file__, str(self._limit_seconds), *command]
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                child = self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    text=True,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._not_started(server, str(error)) from None
            if not self._becomes_ready(child):
                output.seek(0)
                log = log_path.read_text(errors="replace") if log_path.exists() else ""
                raise self._not_started(server, log or output.read())

    def _becomes_ready(self, child: subprocess.Popen[str]) -> bool:
        if child.stdin:
            with contextlib.suppress(BrokenPipeError), child.stdin as stdin:
                stdin.write(self.configuration())
        # A child that has ended with 0 has left the server in the background.
        _wait_until(lambda: bool(child.poll()) or self.answers(), seconds=START_TIMEOUT_SECONDS)
        is_ready = not child.poll() and self.answers()
        if not is_ready:
            child.kill()
        if not is_ready or self._limit_seconds is None:
            child.wait()
        return is_ready

    def _not_started(self, server: Path, output: str) -> PrivateRedisError:
        last_line = "".join(output.strip().splitlines()[-1:]) or "it gave no reason"
        return PrivateRedisError(
            f"{server} did not start in {self.directory}: {last_line}.", advice=self._advice
        )

    def configuration(self) -> str:
        """The text of redis.conf."""
        directives = {
            "port": "0",
            "unixsocket": _quoted(self.socket_path),
            "unixsocketperm": "700",
            "daemonize": "yes" if self._limit_seconds is None else "no",
            "pidfile": _quoted(self.home.pid_path),
            "dir": _quoted(self.directory),
            "logfile": _quoted(self.home.log_path),
            "loglevel": "warning",
            # A cache needs no files and a limit on its memory.
            "save": '""',
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "volatile-lru",
            **self._options,
        }
        return "".join(f"{name} {value}\n" for name, value in directives.items())

    def answers(self) -> bool:
        """Whether the server is ready. It listens before it has written its pid file and loaded its data."""
        with contextlib.suppress(OSError), self._connect() as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(256).startswith(b"+PONG")
        return False

    def _is_gone(self) -> bool:
        return not self.is_running()

    def _end_orphan(self) -> bool:
        """End a server whose socket was removed; returns whether there was one.

        Processes that are still connected to it would go on using it beside the new server, and neither
        side would see the other's invalidations.
        """
        orphan = self.process()
        if orphan is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
        _wait_until(lambda: self.process() is None, seconds=STOP_TIMEOUT_SECONDS)
        return True

    def _kill(self) -> None:
        """Kill a server that does not answer, if the process in its pid file is this server."""
        server = self.process()
        if server is None:
            raise PrivateRedisError(
                f"The private Redis on {self.socket_path} does not answer, and {self._suspect()}. "
                "End it by hand."
            )
        server.kill()
        if not _wait_until(self._is_gone, seconds=STOP_TIMEOUT_SECONDS):
            raise PrivateRedisError(f"The private Redis, process {server.pid}, does not end. End it by hand.")

    def process(self) -> psutil.Process | None:
        """The process in the pid file, if it is this server: no other process works in its folder."""
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
        return "its process is not known"


def _wait_until(is_so: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_SECONDS)
    return True


def _quoted(path: Path) -> str:
    """The path as a string of redis.conf: in double quotes, with backslashes as escapes."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
