"""A server with scripted answers, so that a test knows every byte that a client receives."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
KEPT = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"


class ScriptedServer:
    """The first connection gets the answers of the first list and is then closed, and so on.

    Further connections get the last list again. Like a synchronous worker, it serves one connection after
    the other.
    """

    def __init__(self, script: Sequence[Sequence[bytes]], before_answer: Callable[[], None]) -> None:
        self._script = list(script)
        self._before_answer = before_answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # Closing alone would not wake a thread that accepts. A second call has nothing to wake.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            answers = self._script[min(self.connections, len(self._script) - 1)]
            self.connections += 1
            with connection:
                connection.settimeout(10)
                self._answer(connection, answers)

    def _answer(self, connection: socket.socket, answers: Sequence[bytes]) -> None:
        for answer in answers:
            try:
                request = connection.recv(65536)
                if not request:
                    return
                self.requests.append(request)
                self._before_answer()
                connection.sendall(answer)
            except OSError:
                return


Serve = Callable[..., ScriptedServer]
