from __future__ import annotations

import socket
import sys
from itertools import count
from threading import Event
from typing import Any

import psutil
import pytest

from catalog.benchmarks.experiments.throughput import connections
from catalog.benchmarks.experiments.throughput.connections import Connection
from catalog.tests.benchmarks.experiments.throughput.conftest import KEPT, OK, Serve


def test_a_connection_that_the_server_keeps_is_used_again(serve: Serve) -> None:
    server = serve([KEPT, KEPT, KEPT])
    connection = Connection(server.port, "/page/?a=1")

    answers = [connection.get() for _ in range(3)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}")] * 3
    assert server.connections == 1
    connection.close()


def test_a_connection_that_the_server_closes_is_made_anew(serve: Serve) -> None:
    server = serve([OK])
    connection = Connection(server.port, "/")

    for _ in range(3):
        assert connection.get().status == 200

    assert server.connections == 3


def test_a_request_is_that_of_a_visitor_who_wants_gzipped_json(serve: Serve) -> None:
    server = serve([OK])
    Connection(server.port, "/page/?a=1").get()

    line, *headers = server.requests[0].decode().split("\r\n")
    assert line == "GET /page/?a=1 HTTP/1.0"
    assert f"Host: 127.0.0.1:{server.port}" in headers
    assert {"Accept: application/json", "Accept-Encoding: gzip", "Connection: keep-alive"} < set(headers)


def test_a_kept_connection_that_was_closed_meanwhile_is_no_error(serve: Serve) -> None:
    server = serve([KEPT], [KEPT])
    connection = Connection(server.port, "/")

    connection.get()
    assert connection.get().status == 200

    assert server.connections == 2
    connection.close()


def test_a_new_connection_that_is_closed_at_once_is_an_error(serve: Serve) -> None:
    server = serve([b""])

    with pytest.raises(ConnectionResetError):
        Connection(server.port, "/").get()

    assert server.connections == 1


def test_an_answer_of_many_chunks_is_read_whole(serve: Serve) -> None:
    body = bytes(range(256)) * 5000
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    server = serve([head + body])

    assert Connection(server.port, "/").get().body == body


def test_an_answer_without_a_length_ends_with_the_connection(serve: Serve) -> None:
    server = serve([b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nConnection: keep-alive\r\n\r\nabc"])
    connection = Connection(server.port, "/")

    answer = connection.get()

    assert (answer.body, answer.is_gzipped) == (b"abc", True)
    assert connection.get().body == b"abc"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [OK.replace(b"Length: 2", b"Length: 3"), b"HTTP/1.1 200 OK\r\n", b"What?\r\n\r\n"]
)
def test_half_an_answer_is_an_error(answer: bytes, serve: Serve) -> None:
    server = serve([answer])
    with pytest.raises(ConnectionError):
        Connection(server.port, "/").get()


def test_a_server_that_hangs_is_not_asked_twice(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    really_connect = socket.create_connection

    def connect(*arguments: Any, **options: Any) -> socket.socket:
        made.append(arguments)
        return really_connect(*arguments, **options)

    monkeypatch.setattr(connections, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "create_connection", connect)
    hang, asked = Event(), count()
    server = serve([KEPT, KEPT], before_answer=lambda: next(asked) and hang.wait())
    connection = Connection(server.port, "/")
    connection.get()

    with pytest.raises(TimeoutError):
        connection.get()

    hang.set()
    assert len(made) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere only root sees connections")
@pytest.mark.parametrize("answer", [OK, KEPT])
def test_a_closed_connection_leaves_no_port_waiting(answer: bytes, serve: Serve) -> None:
    server = serve([answer])
    connection = Connection(server.port, "/")
    for _ in range(20):
        connection.get()
        connection.close()
    server.close()

    left = [
        each
        for each in psutil.net_connections("tcp4")
        if server.port in {address.port for address in (each.laddr, each.raddr) if address}
    ]
    assert left == []
