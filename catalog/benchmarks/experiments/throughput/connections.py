"""A client's connection: one GET over a raw socket, at as little cost as Python allows.

HTTP/1.0 with ``Connection: keep-alive``, as ApacheBench asks: such an answer is never chunked, and
the connection stays open where the server keeps it. Gunicorn's synchronous workers close each one.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass

TIMEOUT_SECONDS = 10.0
CHUNK_BYTES = 1 << 18
END_OF_HEAD = b"\r\n\r\n"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5]\d\d")
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
KEEP_ALIVE = re.compile(rb"(?i)\r\nconnection:[ \t]*keep-alive")
GZIPPED = re.compile(rb"(?i)\r\ncontent-encoding:[ \t]*gzip")
# Closing resets the connection. Gunicorn waits for the client's end of it before it takes the next
# one, and thousands of ports would stay in TIME_WAIT for a minute.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``head`` is the status line and the headers as they were sent."""

    status: int
    head: bytes
    body: bytes

    @property
    def is_gzipped(self) -> bool:
        return GZIPPED.search(self.head) is not None


class Connection:
    """Asks for one URL of a server on this machine, again and again. Not thread-safe."""

    def __init__(self, port: int, url: str) -> None:
        self._port = port
        self._request = (
            f"GET {url} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n"
            "Accept: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
        ).encode()
        self._socket: socket.socket | None = None

    def get(self) -> Answer:
        """Raises ``OSError`` where there is no whole answer in time."""
        was_kept = self._socket is not None
        try:
            return self._get()
        except TimeoutError:
            raise
        except OSError:
            # A server may close a connection that it kept, at any time (RFC 9112, section 9.3.1).
            if not was_kept:
                raise
        return self._get()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _get(self) -> Answer:
        try:
            answer = self._exchange()
        except BaseException:
            self.close()
            raise
        if not self._is_kept_after(answer):
            self.close()
        return answer

    @staticmethod
    def _is_kept_after(answer: Answer) -> bool:
        """Without a length an answer ends where the connection does."""
        return bool(KEEP_ALIVE.search(answer.head) and CONTENT_LENGTH.search(answer.head))

    def _exchange(self) -> Answer:
        connection = self._socket = self._socket or self._connect()
        connection.sendall(self._request)
        received = self._receive(connection)
        while END_OF_HEAD not in received:
            received += self._receive(connection)
        head, _, body = received.partition(END_OF_HEAD)
        if not STATUS_LINE.match(head):
            raise ConnectionError("the answer is no HTTP")
        length = CONTENT_LENGTH.search(head)
        if length is None:
            while more := connection.recv(CHUNK_BYTES):
                body += more
        else:
            while len(body) < int(length[1]):
                body += self._receive(connection)
        return Answer(status=int(head[9:12]), head=head, body=body)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        received = connection.recv(CHUNK_BYTES)
        if not received:
            raise ConnectionResetError("the server closed the connection before the answer was whole")
        return received
