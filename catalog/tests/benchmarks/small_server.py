"""A small HTTP server in the process of the test, which answers as the test says."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from catalog.benchmarks.processes.query_counting import QUERIES_HEADER

Reply = Callable[[BaseHTTPRequestHandler], None]


class _Listener(ThreadingHTTPServer):
    # As many clients as a test starts may connect at once.
    request_queue_size = 64

    def handle_error(self, *arguments: Any) -> None:
        # A client resets its connection when it closes it.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*arguments)


@contextmanager
def serving(reply: Reply) -> Iterator[int]:
    """Yields the port of 127.0.0.1 on which ``reply`` handles each GET."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet for head and body: the second of two would wait for the client's delayed ACK.
        wbufsize = -1

        def do_GET(self) -> None:
            reply(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    with _Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join()


def send(handler: BaseHTTPRequestHandler, status: int = 200, *, queries: int = 0, body: bytes = b"") -> None:
    """Answer as the measured servers do, with the number of queries in a header."""
    handler.send_response(status)
    handler.send_header(QUERIES_HEADER, str(queries))
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
