"""The processes of a soak: each has a proxy between itself and Redis."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from django.db import connection

from instruments.processes.process import Process
from instruments.redis_proxy import RedisProxy
from instruments.scratch_redis import ScratchRedis
from soak.actions import LEASE_SECONDS, READERS, REDIS_SECONDS, WRITERS, Kill
from soak.processes import serving

# So long stands a mark; the database must end before.
LONGEST_WRITE_SECONDS = {"sqlite": 1.5, "postgresql": 3.6}
_numbers = count(1)


class Participant:
    """A process that answers a line of JSON with a line of JSON."""

    def __init__(self, name: str, proxy: RedisProxy, *, without: str) -> None:
        self.name = name
        self.was_killed = False
        self.proxy = proxy
        self._process = Process(
            serving.serve,
            without,
            LIBRARY_REDIS_URL=self.proxy.url,
            LIBRARY_LEASE_SECONDS=str(LEASE_SECONDS),
            LIBRARY_REDIS_SECONDS=str(REDIS_SECONDS),
            LIBRARY_LONGEST_WRITE_SECONDS=str(LONGEST_WRITE_SECONDS[connection.vendor]),
        )

    def wait_until_ready(self) -> None:
        self._process.wait_for("ready")

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a command of ``soak.processes.serving``, or ``None`` if the process was killed."""
        line = ""
        with suppress(BrokenPipeError):
            line = self._process.ask(json.dumps([command, arguments]))
        if not (line or self.was_killed):
            raise RuntimeError(f"{self.name} has ended by itself.")
        return json.loads(line) if line else None

    @contextmanager
    def killed(self, kill: Kill | None) -> Iterator[None]:
        """Kill the process inside the block, if it comes so far."""
        if kill is None:
            yield
            return
        timer = threading.Timer(kill.after_seconds, self._kill)
        timer.daemon = True
        if kill.at_request:
            self.proxy.reply_delay_seconds = kill.late_by_seconds
            self.proxy.hold_request(kill.at_request, self._kill)
        else:
            timer.start()
        try:
            yield
        finally:
            self.proxy.hold_none()
            self.proxy.reply_delay_seconds = 0.0
            timer.cancel()

    def _kill(self) -> None:
        self.was_killed = True
        self._process.kill()

    def end(self) -> None:
        self._process.__exit__()
        self.proxy.end()


class Crew:
    """The writers and readers of a soak, and the server that all of them use."""

    def __init__(self, server: ScratchRedis, *, without: str) -> None:
        self.server = server
        self._folder = server.folder
        self._without = without
        self.writers = [self._writer(number) for number in range(WRITERS)]
        self.readers = [self._participant(f"reader {number}") for number in range(READERS)]
        for participant in (*self.writers, *self.readers):
            participant.wait_until_ready()

    def replace_killed_writers(self) -> None:
        for number, killed in enumerate(self.writers):
            if killed.was_killed:
                killed.end()
                self.writers[number] = self._writer(number)
                self.writers[number].wait_until_ready()

    @property
    def proxies(self) -> list[RedisProxy]:
        return [participant.proxy for participant in (*self.writers, *self.readers)]

    def fail_over(self) -> None:
        """To a server that has the state of the last snapshot, as a replica that lagged behind.

        Nobody finds the server down: each connection is lost, and the next one reaches the new server.
        """
        folder = self._folder / f"server-{next(_numbers)}"
        folder.mkdir()
        if (snapshot := self.server.folder / "dump.rdb").exists():
            shutil.copy(snapshot, folder)
        old, self.server = self.server, ScratchRedis(folder)
        self.server.start()
        # The old server must not answer anybody while others use the new one.
        old.pause()
        for proxy in self.proxies:
            proxy.server_path = self.server.path
        old.kill()

    def end(self) -> None:
        for participant in (*self.writers, *self.readers):
            participant.end()
        self.server.end()

    def _writer(self, number: int) -> Participant:
        return self._participant(f"writer {number}")

    def _participant(self, name: str) -> Participant:
        proxy = RedisProxy(self._folder / f"{next(_numbers)}.sock", self.server.path)
        return Participant(name, proxy, without=self._without)
