"""A Redis server of an experiment's own, in a folder of its own, on a unix socket."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.children import Process

POLL_SECONDS = 0.002
START_PATIENCE_SECONDS = 10.0
# Takes the process's place. The timer outlives exec(), and ends the server even where the benchmark
# was killed.
BECOME_SERVER = """
import os, signal, sys
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


def socket_in(folder: Path) -> Path:
    return folder / "redis.sock"


def client_of(folder: Path) -> Any:
    """It tries nothing twice."""
    return Redis(
        unix_socket_path=str(socket_in(folder)),
        socket_timeout=START_PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def command(program: Path, folder: Path, *, limit_seconds: float, **more: str) -> list[str]:
    """Python's arguments that start it. It ends by itself after ``limit_seconds``."""
    options = {
        "port": "0",
        "unixsocket": str(socket_in(folder)),
        "unixsocketperm": "700",
        "dir": str(folder),
        "dbfilename": "dump.rdb",
        "logfile": str(folder / "redis.log"),
        "loglevel": "warning",
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        **more,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["-c", BECOME_SERVER, str(limit_seconds), str(program), *words]


def wait_until_it_answers(process: Process, program: Path, folder: Path) -> None:
    """Raises ``BenchmarkError`` with its last words if it does not."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    with contextlib.closing(client_of(folder)) as client:
        while not _answers(client):
            if process.popen.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{program} did not start. {_last_words(process, folder)}")
            time.sleep(POLL_SECONDS)


def _answers(client: Any) -> bool:
    with contextlib.suppress(RedisError):
        return bool(client.ping())
    return False


def _last_words(process: Process, folder: Path) -> str:
    log = folder / "redis.log"
    said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return said[-1] if said else process.last_words()
