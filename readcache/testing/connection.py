from __future__ import annotations

import socket
import time
from typing import Any, cast

from redis.connection import UnixDomainSocketConnection

from readcache.testing.server import PrivateRedis


class PrivateRedisConnection(UnixDomainSocketConnection):
    """A redis-py connection that starts the private server if none is running."""

    # redis-py 8 reads these attributes of every connection when it reports a time-out.
    host = "localhost"
    port = 0

    def __init__(self, *, server: PrivateRedis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.server = server
        self.started_server_in_seconds = 0.0

    def _connect(self) -> socket.socket:
        connect = super()._connect
        self.server.home.check()
        try:
            return cast("socket.socket", connect())
        except (FileNotFoundError, ConnectionRefusedError):
            began = time.monotonic()
            self.server.ensure_running()
            self.started_server_in_seconds = time.monotonic() - began
            return cast("socket.socket", connect())
