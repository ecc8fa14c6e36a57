"""The folder of a private Redis, which only its owner can enter."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from readcache.testing.errors import PrivateRedisError

OWN_FILES = {"lock", "redis.log", "redis.pid", "redis.sock"}
# sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux, including the closing NUL.
SOCKET_PATH_MAX_BYTES = 103


class PrivateDirectory:
    """The paths of the socket, the pid file and the log. Creating this object touches no file.

    ``advice`` ends the message of each error.
    """

    def __init__(self, path: Path, *, advice: str = "") -> None:
        self.path = _short_enough(path.absolute())
        self.socket_path = self.path / "redis.sock"
        self.pid_path = self.path / "redis.pid"
        self.log_path = self.path / "redis.log"
        self._lock_path = self.path / "lock"
        self._advice = advice

    def check(self) -> None:
        """Raise ``PrivateRedisError`` if the path exists and is not a folder that only its owner can change.

        Checked before every connection: a project may store pickles in this Redis, so whoever put
        another server in its place could run code here.
        """
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_MAX_BYTES:
            raise self._refused("its path is too long for a socket")
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._refused(error.strerror or "its owner cannot be read") from None
        if not stat.S_ISDIR(status.st_mode):
            raise self._refused("it is a link or a file")
        if status.st_uid != os.getuid():
            raise self._refused("it is somebody else's")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise self._refused("others may write to it")

    def make(self) -> None:
        """Create the folder, or take over an empty one. Raises ``PrivateRedisError``."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        # The mode is changed below, which must not happen to a folder that has another purpose.
        if names - OWN_FILES and "lock" not in names:
            raise self._refused("it has other things in it")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error.strerror or "it cannot be created") from None
        self.check()
        self.path.chmod(0o700)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        import fcntl  # Windows has none, and no server program is found there.

        with self._lock_path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _refused(self, reason: str) -> PrivateRedisError:
        return PrivateRedisError(
            f"{self.path} must be a folder of yours for the private Redis: {reason}. "
            "Remove it, or choose another folder.",
            advice=self._advice,
        )


def _short_enough(directory: Path) -> Path:
    """The folder, or a folder in the temporary folder if the path of its socket would be too long."""
    if len(os.fsencode(directory / "redis.sock")) <= SOCKET_PATH_MAX_BYTES:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"private-redis-{digest}"
