"""A proxy between one process and Redis: it delays replies, loses them, and holds requests back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from instruments.waiting import PATIENCE_SECONDS

RECEIVED_AT_ONCE_BYTES = 65_536


class RedisProxy:
    """Listens on the unix socket ``path`` and connects each client to the server's socket.

    The engine sends the commands of one exchange at once, so each piece that arrives is counted as one
    request. ``server_path`` is where new connections lead; ``refuses`` closes them at once;
    ``reply_delay_seconds`` holds each reply back.
    """

    def __init__(self, path: Path, server_path: Path) -> None:
        self.path = path
        self.server_path = server_path
        self.refuses = False
        self.reply_delay_seconds = 0.0
        self.loses_next_reply = False
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._requests_until_hold = 0
        self._on_hold: Callable[[], None] = _do_nothing
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"unix://{self.path}?db=0"

    def hold_request(self, number: int, then: Callable[[], None]) -> None:
        """Never forward the request of this number, counted from 1 and from now on, and call ``then``."""
        with self._lock:
            self._requests_until_hold, self._on_hold = number, then

    def hold_none(self) -> None:
        self.hold_request(0, _do_nothing)

    def cut(self) -> None:
        """Close all connections. Whatever is under way is lost."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)

    def end(self) -> None:
        self.refuses = True
        _shut(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self.refuses:
                    raise ConnectionRefusedError
                server.connect(str(self.server_path))
            except OSError:
                client.close()
                server.close()
                continue
            with self._lock:
                self._connections |= {client, server}
            for pump in (self._forward_requests, self._forward_replies):
                self._start(pump, client, server)

    def _forward_requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(RECEIVED_AT_ONCE_BYTES):
                if self._is_held():
                    self._on_hold()
                    # Until the client gives up or is gone.
                    client.recv(1)
                    break
                server.sendall(piece)
        self._close(client, server)

    def _forward_replies(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(RECEIVED_AT_ONCE_BYTES):
                if self.loses_next_reply:
                    self.loses_next_reply = False
                    break
                time.sleep(self.reply_delay_seconds)
                client.sendall(piece)
        self._close(client, server)

    def _is_held(self) -> bool:
        with self._lock:
            self._requests_until_hold -= 1
            return self._requests_until_hold == 0

    def _close(self, *connections: socket.socket) -> None:
        """Called by both threads. The first call wakes the other thread, and the second one closes."""
        with self._lock:
            is_last = self._connections.isdisjoint(connections)
            self._connections -= {*connections}
        for connection in connections:
            _shut(connection)
            if is_last:
                connection.close()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _do_nothing() -> None:
    pass
