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
# sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux, with a closing NUL.
SOCKET_PATH_MAX_BYTES = 103


class PrivateDirectory:
    """Where the socket, the pid file and the log are. Making this object touches nothing there."""

    def __init__(self, path: Path) -> None:
        self.path = _short_enough(path.absolute())
        self.socket_path = self.path / "redis.sock"
        self.pid_path = self.path / "redis.pid"
        self.log_path = self.path / "redis.log"
        self._lock_path = self.path / "lock"

    def check(self) -> None:
        """Raise ``PrivateRedisError`` if the folder is there and is not a folder of this user's.

        Checked before every connection: cached pages are unpickled, so whoever could put a server
        of theirs into its place could run code here.
        """
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_MAX_BYTES:
            raise self._refused("its path is too long for a socket")
        try:
            status = self.path.lstat()
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

    def make(self) -> None:
        """Make it, or take an empty one over. Raises ``PrivateRedisError``."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        # Its mode is about to be changed: not one of a folder that is somebody's for something else.
        if names - OWN_FILES and "lock" not in names:
            raise self._refused("it has other things in it")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error.strerror or "it cannot be made") from None
        self.check()
        self.path.chmod(0o700)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        import fcntl  # not on Windows, where no server is ever found

        with self._lock_path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _refused(self, reason: str) -> PrivateRedisError:
        return PrivateRedisError(
            f"{self.path} must be a folder of yours for the private Redis: {reason}. "
            "Remove it, or set PRIVATE_REDIS_DIR to another."
        )


def _short_enough(directory: Path) -> Path:
    """The folder, or one in the temporary folder where a socket's path would be too long for it."""
    if len(os.fsencode(directory / "redis.sock")) <= SOCKET_PATH_MAX_BYTES:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"private-redis-{digest}"
