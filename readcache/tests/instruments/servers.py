"""Private servers that a test inspects and breaks without the code under test."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import readcache
from instruments.processes import starter
from instruments.waiting import wait_until
from readcache.testing import SERVER_NAMES, PrivateRedis
from readcache.testing.directory import SOCKET_PATH_MAX_BYTES

DEADLINE_SECONDS = 10.0
SHORT_TIMEOUT_SECONDS = 0.2
BACKLOG_LIMIT = 4096

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="Elsewhere a full backlog looks like no server."
)
STARTER = Path(starter.__file__)
ENGINE_FOLDER = Path(readcache.__file__).parents[1]


@contextmanager
def ended(server: PrivateRedis) -> Iterator[PrivateRedis]:
    """In the end, kill the server without the code under test, and remove its folder, wherever it is."""
    try:
        yield server
    finally:
        for pid in servers_in(server.directory):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(server.directory, ignore_errors=True)


@contextmanager
def hung(server: PrivateRedis) -> Iterator[int]:
    """Stop the server with SIGSTOP: it accepts connections and answers none. Yields its pid."""
    server.ensure_running()
    pid = process_id(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def full_backlog(server: PrivateRedis) -> Iterator[None]:
    """So many connections to a hung server that it accepts no other."""
    with ExitStack() as held:
        for _ in range(BACKLOG_LIMIT):
            connection = held.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            try:
                connection.connect(str(server.socket_path))
            except BlockingIOError:
                yield
                return
        pytest.fail(f"A backlog of {BACKLOG_LIMIT} connections was not full.")


def connect(server: PrivateRedis, **options: Any) -> Redis:
    """A client whose connections are made and retried as those of the read cache."""
    pool = cache_options()["CONNECTION_POOL_KWARGS"]
    return Redis.from_url(server.url(database=1), **{**pool, "server": server, **options})


def cache_options() -> dict[str, Any]:
    return cast("dict[str, Any]", settings.CACHES["read"]["OPTIONS"])


def info(server: PrivateRedis) -> dict[str, Any]:
    """``INFO server``, without the code under test."""
    with closing(raw_client(server)) as client:
        found: dict[str, Any] = client.info("server")
        return found


def raw_client(server: PrivateRedis, *, database: int = 0) -> Redis:
    """A client that starts nothing and tries once."""
    return Redis(
        unix_socket_path=str(server.socket_path),
        db=database,
        socket_timeout=DEADLINE_SECONDS,
        retry=Retry(NoBackoff(), retries=0),
    )


def process_id(server: PrivateRedis) -> int:
    return int(info(server)["process_id"])


def is_alive(pid: int) -> bool:
    """A killed process that nobody has waited for is a zombie, not alive."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def servers_in(directory: Path) -> list[int]:
    """The pids of the Redis processes with this working directory. The private Redis works in its folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd", "name", "status"])
        if process.info["cwd"] == str(directory.resolve())
        and process.info["name"] in SERVER_NAMES
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def kill(server: PrivateRedis) -> None:
    """Kill the server, which leaves its socket behind."""
    os.kill(process_id(server), signal.SIGKILL)
    wait_until(lambda: is_refused(server))
    assert server.socket_path.is_socket()


def is_refused(server: PrivateRedis) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(server.socket_path)) == errno.ECONNREFUSED


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def longest_folder(parent: Path) -> Path:
    """A folder in which the path of the socket has the greatest length."""
    room = SOCKET_PATH_MAX_BYTES - len(os.fsencode(parent / "redis.sock")) - 1
    if room < 1:
        pytest.skip(f"{parent} has no room for a folder.")
    return parent / ("x" * room)
