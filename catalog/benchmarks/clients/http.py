"""An HTTP client for servers of this machine: GET over a raw socket, at as little cost as Python allows.

The load generator runs on the same processors as the server that it measures, so the server lacks the time
that the generator spends on a request. The client speaks HTTP/1.0 with ``Connection: keep-alive``, as
ApacheBench does: such a response is never chunked, and the connection stays open if the server keeps it.
Gunicorn's synchronous workers close each connection.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import struct
from dataclasses import dataclass

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.query_counting import QUERIES_HEADER
from catalog.benchmarks.processes.servers import Server

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 18
END_OF_HEAD = b"\r\n\r\n"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5]\d\d")
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
KEEP_ALIVE = re.compile(rb"(?i)\r\nconnection:[ \t]*keep-alive")
GZIPPED = re.compile(rb"(?i)\r\ncontent-encoding:[ \t]*gzip")
QUERIES = re.compile(rb"(?i)\r\n%s:[ \t]*(\d+)" % QUERIES_HEADER.encode())
# Closing resets the connection. Gunicorn waits until the client has closed before it accepts the next
# connection, and thousands of ports would stay in TIME_WAIT for a minute.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Response:
    """``head`` is the status line and the headers, and ``body`` the content, both as they were sent."""

    status: int
    head: bytes
    body: bytes

    @property
    def queries(self) -> int | None:
        """The number of queries of the response; ``None`` from a server that does not count them."""
        found = QUERIES.search(self.head)
        return int(found[1]) if found else None

    @property
    def content(self) -> bytes:
        return gzip.decompress(self.body) if GZIPPED.search(self.head) else self.body


class HTTPClient:
    """One connection to one server. Not thread-safe."""

    def __init__(
        self, port: int, *, accept_encoding: str = "identity", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._port = port
        self.timeout_seconds = timeout_seconds
        self._request_end = (
            f" HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n"
            f"Accept: application/json\r\nAccept-Encoding: {accept_encoding}\r\n\r\n"
        ).encode()
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect before the first request, which then takes no time for it. Raises ``OSError``."""
        self._socket = self._connect()

    def get(self, url: str) -> Response:
        """Raises ``OSError`` unless a whole response comes in time."""
        was_connected = self._socket is not None
        try:
            return self._get(url)
        except TimeoutError:
            raise
        except OSError:
            # A server may close a connection that it kept, at any time (RFC 9112, section 9.3.1).
            if not was_connected:
                raise
        return self._get(url)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _get(self, url: str) -> Response:
        try:
            response = self._exchange(b"GET " + url.encode() + self._request_end)
        except BaseException:
            self.close()
            raise
        # A response without a length ends where the connection does.
        if not (KEEP_ALIVE.search(response.head) and CONTENT_LENGTH.search(response.head)):
            self.close()
        return response

    def _exchange(self, request: bytes) -> Response:
        connection = self._socket = self._socket or self._connect()
        connection.sendall(request)
        received = self._receive(connection)
        while END_OF_HEAD not in received:
            received += self._receive(connection)
        head, _, body = received.partition(END_OF_HEAD)
        if not STATUS_LINE.match(head):
            raise ConnectionError("the response is not HTTP")
        length = CONTENT_LENGTH.search(head)
        if length is None:
            while more := connection.recv(CHUNK_BYTES):
                body += more
        else:
            while len(body) < int(length[1]):
                body += self._receive(connection)
        return Response(status=int(head[9:12]), head=head, body=body)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=self.timeout_seconds)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        received = connection.recv(CHUNK_BYTES)
        if not received:
            raise ConnectionResetError("the server closed the connection before the response was complete")
        return received


def wait_until_ready(server: Server, url: str) -> None:
    """The request waits in the socket's queue until a worker answers it. Raises ``BenchmarkError``."""
    get_ok(server, HTTPClient(server.port), url)


def get_ok(server: Server, client: HTTPClient, url: str) -> Response:
    """A response with status 200. Closes the client. Raises ``BenchmarkError``."""
    with contextlib.closing(client):
        try:
            response = client.get(url)
        except TimeoutError as error:
            raise BenchmarkError(
                f"{url} was not answered within {client.timeout_seconds:g} s. {server.process.last_words()}"
            ) from error
        except OSError as error:
            raise server.process.failed() from error
    if response.status != 200:
        raise BenchmarkError(f"{url} answered {response.status}, not 200. {server.process.last_words()}")
    return response
