"""A TCP proxy in front of a real Redis, which changes, delays or loses its replies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import hiredis

from instruments.waiting import PATIENCE_SECONDS

RECEIVED_AT_ONCE_BYTES = 65_536
_INCOMPLETE = object()

Command = list[bytes]
# Given a command that Redis has executed and the bytes of its reply: the pieces that are passed on.
Relay = Callable[[Command, bytes], Iterable[bytes]]


class ConnectionLost(Exception):
    """Raised by a relay: the proxy closes the connection and passes nothing on."""


def passing_on(command: Command, reply: bytes) -> Iterable[bytes]:
    return [reply]


class ReplyProxy:
    """Passes each command to the Redis whose socket is at ``path``, and each reply through ``relay``.

    ``is_ending`` is set at the end: a relay that delays its pieces waits for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self.relay: Relay = passing_on
        self.is_ending = threading.Event()
        self._start(self._accept)

    def url(self, *, database: int) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}?db={database}"

    def end(self) -> None:
        self.is_ending.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for each in self._sockets:
            each.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                # Otherwise a piece waits for the acknowledgement of the last one.
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                redis = socket.socket(socket.AF_UNIX)
                redis.connect(str(self._path))
                self._sockets += [peer, redis]
                self._start(lambda peer=peer, redis=redis: self._serve(peer, redis))  # type: ignore[misc]

    def _serve(self, peer: socket.socket, redis: socket.socket) -> None:
        # ConnectionLost is no OSError.
        with suppress(OSError, ConnectionLost):
            for command in _commands_from(peer):
                redis.sendall(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
                for piece in self.relay(command, _reply_from(redis)):
                    peer.sendall(piece)
        for each in (peer, redis):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _commands_from(peer: socket.socket) -> Iterator[Command]:
    reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
    while received := peer.recv(RECEIVED_AT_ONCE_BYTES):
        reader.feed(received)
        while (command := reader.gets()) is not _INCOMPLETE:
            yield command


def _reply_from(redis: socket.socket) -> bytes:
    """The bytes of one reply: nothing follows it, because one command at a time is sent."""
    reader, reply = hiredis.Reader(notEnoughData=_INCOMPLETE), b""
    while received := redis.recv(RECEIVED_AT_ONCE_BYTES):
        reader.feed(received)
        reply += received
        if reader.gets() is not _INCOMPLETE:
            return reply
    raise ConnectionLost


@contextmanager
def reply_proxy(path: Path) -> Iterator[ReplyProxy]:
    proxy = ReplyProxy(path)
    try:
        yield proxy
    finally:
        proxy.end()
