"""A redis-server that can be killed, frozen and put into every state in which it refuses something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from instruments.waiting import wait_until
from readcache.testing import PrivateRedis

DATABASE = 2


class BreakableRedis:
    """Only the test starts it again. ``redis`` is a client of the engine's database.

    ``on_freeze`` is called before the server is frozen, and ``on_thaw`` when it goes on.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_freeze: Callable[[], None] = lambda: None,
        on_thaw: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_freeze, self._on_thaw = on_freeze, on_thaw
        self._server = PrivateRedis(directory)
        self._server.ensure_running()
        self.socket_path = self._server.socket_path
        self.redis: Any = Redis(unix_socket_path=str(self.socket_path), db=DATABASE)

    @property
    def location(self) -> str:
        return f"unix://{self.socket_path}?db={DATABASE}"

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(int((self.socket_path.parent / "redis.pid").read_text()))

    def kill(self) -> None:
        self.process.kill()
        wait_until(lambda: not self._server.is_running())

    def start(self) -> None:
        self._server.ensure_running()

    def freeze(self) -> None:
        self._on_freeze()
        process = self.process
        process.suspend()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        self.process.resume()
        self._on_thaw()

    def refuse_writes(self) -> None:
        self.redis.execute_command("CONFIG SET", "min-replicas-to-write", 1)

    def become_a_replica(self) -> None:
        # Nobody listens on port 1, so it keeps its data, which can be read.
        self.redis.replicaof("127.0.0.1", 1)

    def become_a_replica_that_answers_nothing(self) -> None:
        self.redis.config_set("replica-serve-stale-data", "no")
        self.redis.replicaof("127.0.0.1", 1)

    def fill_up(self) -> None:
        self.redis.config_set("maxmemory-policy", "noeviction")
        self.redis.config_set("maxmemory", 1)

    def repair(self) -> None:
        """End every state. The data is there still, unless the server was killed."""
        if not self._server.is_running():
            self.start()
        self.thaw()
        self.redis.replicaof("NO", "ONE")
        self.redis.execute_command("CONFIG SET", "min-replicas-to-write", 0)
        self.redis.config_set("maxmemory", "256mb")

    def end(self) -> None:
        if self._server.is_running():
            self.process.resume()
            self._server.stop()
        self.redis.close()

    def keys(self, kind: str) -> list[bytes]:
        return list(self.redis.scan_iter(f":rc1:{kind}:*"))


Break = Callable[[BreakableRedis], None]

BREAKS: dict[str, Break] = {
    "refused": BreakableRedis.kill,
    "hung": BreakableRedis.freeze,
    "no writes": BreakableRedis.refuse_writes,
    "read-only": BreakableRedis.become_a_replica,
    "a replica that answers nothing": BreakableRedis.become_a_replica_that_answers_nothing,
    "out of memory": BreakableRedis.fill_up,
}
