"""uWSGI without threads: no prober runs between two requests, so the worker waits before it stands still."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from instruments.processes import writing_urls
from instruments.processes.process import TESTS, environment
from instruments.reading import Read
from instruments.scratch_redis import ScratchRedis
from instruments.waiting import PATIENCE_SECONDS, wait_until
from library.models import Book

PROGRAM = Path(sys.executable).with_name("uwsgi")
Ask = Callable[[str], str]


@pytest.fixture(autouse=True)
def _program() -> None:
    if not PROGRAM.exists():
        reason = "Needs uWSGI before 2.0.27: pip install 'pyuwsgi<2.0.27'"
        pytest.fail(reason) if os.environ.get("CI") and sys.version_info < (3, 13) else pytest.skip(reason)


@pytest.fixture(autouse=True)
def _warm_page(settings: Settings, server: ScratchRedis, book: Book, read: Read) -> None:
    """With a long lease: a token that runs out would hide that a rotation is missing."""
    settings.READ_CACHE_LEASE_SECONDS = 3600
    read()
    assert read()[0].startswith("hit")


@contextmanager
def uwsgi(server: ScratchRedis, *options: str, **variables: str) -> Iterator[tuple[Ask, Path]]:
    """Yields a function that asks the only worker to write a title, and the log."""
    address, log = server.folder / "uwsgi.sock", server.folder / "uwsgi.log"
    module = "instruments.processes.wsgi:application"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [PROGRAM, "--http-socket", address, "--module", module, "--need-app", *options],
            cwd=TESTS,
            env=environment(**variables, LIBRARY_URLCONF=writing_urls.__name__),
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_until(lambda: process.poll() is None and is_served(address))
        yield lambda title: ask(address, title), log
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def is_served(address: Path) -> bool:
    try:
        return ask(address, "nothing") == "nothing"
    except OSError:
        return False


def ask(address: Path, title: str) -> str:
    """The body of the answer. Returns when it is complete, and not when the worker is free again."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(str(address))
        connection.sendall(f"GET /{title}/ HTTP/1.0\r\nHost: testserver\r\n\r\n".encode())
        received = b""
        while not received.endswith(f"\r\n\r\n{title}".encode()):
            part = connection.recv(65536)
            if not part:
                raise ConnectionError(received)
            received += part
        return received.rpartition(b"\r\n\r\n")[2].decode()


def test_a_worker_without_threads_flushes_its_rotations_before_it_stands_still(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    with uwsgi(server, **variables, LIBRARY_REDIS_SECONDS="0.2") as (write, log):
        server.pause()
        assert write("New") == "New"
        server.go_on()

        # Nobody asks the worker again.
        wait_until(lambda: read()[1] == "New")
        assert "Set enable-threads = true" in log.read_text()


def test_a_worker_waits_once_in_an_outage(server: ScratchRedis, variables: dict[str, str]) -> None:
    """For a lease. In a long outage its next requests are answered at once."""
    seconds = {"LIBRARY_REDIS_SECONDS": "0.2", "LIBRARY_LEASE_SECONDS": "1"}
    with uwsgi(server, **{**variables, **seconds}) as (write, log):
        server.pause()
        for title in ("a", "b", "c"):
            assert write(title) == title
        server.go_on()

        assert log.read_text().count("stands still with pending rotations of") == 1


def test_a_worker_with_threads_does_not_wait(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    with uwsgi(server, "--enable-threads", **variables, LIBRARY_REDIS_SECONDS="0.2") as (write, log):
        server.pause()
        assert write("New") == "New"
        assert write("nothing") == "nothing"
        server.go_on()

        wait_until(lambda: read()[1] == "New")
        assert "enable-threads" not in log.read_text()
