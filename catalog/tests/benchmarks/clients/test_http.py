from __future__ import annotations

import gzip
import socket
import sys
from itertools import count
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from catalog.benchmarks.clients.http import HTTPClient, get_ok, wait_until_ready
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.servers import Server
from catalog.tests.benchmarks.clients.scripted_server import KEPT, OK, Serve


def server_at(port: int) -> Server:
    process = SimpleNamespace(
        failed=lambda: BenchmarkError("It has ended."), last_words=lambda: "It was thinking."
    )
    return Server(process=cast("Any", process), port=port)


def test_a_connection_that_the_server_keeps_open_is_reused(serve: Serve) -> None:
    server = serve([KEPT, KEPT, KEPT])
    client = HTTPClient(server.port)

    responses = [client.get("/page/?a=1") for _ in range(3)]

    assert [(response.status, response.content) for response in responses] == [(200, b"{}")] * 3
    assert server.connections == 1
    client.close()


def test_a_connection_that_the_server_closes_is_replaced(serve: Serve) -> None:
    server = serve([OK])
    client = HTTPClient(server.port)

    for _ in range(3):
        assert client.get("/").status == 200

    assert server.connections == 3


def test_a_client_can_connect_before_its_first_request(serve: Serve) -> None:
    server = serve([OK])
    client = HTTPClient(server.port)

    client.connect()
    client.get("/")

    assert server.connections == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_request_accepts_json_and_keeps_the_connection_open(encoding: str, serve: Serve) -> None:
    server = serve([OK])
    HTTPClient(server.port, accept_encoding=encoding).get("/page/?a=1")

    line, *headers = server.requests[0].decode().split("\r\n")
    assert line == "GET /page/?a=1 HTTP/1.0"
    assert f"Host: 127.0.0.1:{server.port}" in headers
    assert {"Accept: application/json", f"Accept-Encoding: {encoding}", "Connection: keep-alive"} < set(
        headers
    )


def test_a_kept_connection_that_the_server_has_closed_is_replaced(serve: Serve) -> None:
    server = serve([KEPT], [KEPT])
    client = HTTPClient(server.port)

    client.get("/")
    assert client.get("/").status == 200

    assert server.connections == 2
    client.close()


def test_a_new_connection_that_the_server_closes_at_once_is_an_error(serve: Serve) -> None:
    server = serve([b""])

    with pytest.raises(ConnectionResetError):
        HTTPClient(server.port).get("/")

    assert server.connections == 1


def test_a_response_in_many_packets_is_read_to_its_end(serve: Serve) -> None:
    body = bytes(range(256)) * 5000
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    server = serve([head + body])

    assert HTTPClient(server.port).get("/").body == body


def test_a_response_without_a_length_ends_with_the_connection(serve: Serve) -> None:
    server = serve([b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc"])
    client = HTTPClient(server.port)

    assert client.get("/").body == b"abc"
    assert client.get("/").body == b"abc"
    assert server.connections == 2


def test_a_compressed_response_is_decompressed(serve: Serve) -> None:
    body = gzip.compress(b"{}")
    server = serve([b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body])
    response = HTTPClient(server.port).get("/")

    assert (response.body, response.content) == (body, b"{}")


@pytest.mark.parametrize(("header", "queries"), [(b"X-Queries: 12\r\n", 12), (b"", None)])
def test_the_number_of_queries_is_read_from_a_header(
    header: bytes, queries: int | None, serve: Serve
) -> None:
    server = serve([OK.replace(b"Content-Length", header + b"Content-Length")])

    assert HTTPClient(server.port).get("/").queries == queries


@pytest.mark.parametrize(
    "answer", [OK.replace(b"Length: 2", b"Length: 3"), b"HTTP/1.1 200 OK\r\n", b"What?\r\n\r\n"]
)
def test_an_incomplete_response_is_an_error(answer: bytes, serve: Serve) -> None:
    server = serve([answer])
    with pytest.raises(ConnectionError):
        HTTPClient(server.port).get("/")


def test_a_request_to_a_hanging_server_is_not_repeated(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    really_connect = socket.create_connection

    def connect(*arguments: Any, **options: Any) -> socket.socket:
        made.append(arguments)
        return really_connect(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", connect)
    hang, asked = Event(), count()
    server = serve([KEPT, KEPT], before_answer=lambda: next(asked) and hang.wait())
    client = HTTPClient(server.port, timeout_seconds=0.1)
    client.get("/")

    with pytest.raises(TimeoutError):
        client.get("/")

    hang.set()
    assert len(made) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere only root sees connections")
@pytest.mark.parametrize("answer", [OK, KEPT])
def test_a_closed_connection_leaves_no_socket_in_time_wait(answer: bytes, serve: Serve) -> None:
    server = serve([answer])
    client = HTTPClient(server.port)
    for _ in range(20):
        client.get("/")
        client.close()
    server.close()

    left = [
        each
        for each in psutil.net_connections("tcp4")
        if server.port in {address.port for address in (each.laddr, each.raddr) if address}
    ]
    assert left == []


def test_a_server_that_answers_is_ready(serve: Serve) -> None:
    server = serve([OK])

    wait_until_ready(server_at(server.port), "/page/")

    assert server.requests[0].startswith(b"GET /page/ ")


def test_a_server_that_answers_with_an_error_is_not_ready(serve: Serve) -> None:
    server = server_at(serve([OK.replace(b"200", b"503")]).port)

    with pytest.raises(BenchmarkError, match=r"^/page/ answered 503, not 200\. It was thinking\.$"):
        wait_until_ready(server, "/page/")


def test_a_server_that_has_ended_is_reported_at_once(serve: Serve) -> None:
    ended = serve()
    ended.close()

    with pytest.raises(BenchmarkError, match=r"It has ended\."):
        wait_until_ready(server_at(ended.port), "/")


def test_a_server_that_hangs_is_reported_after_the_timeout(serve: Serve) -> None:
    hang = Event()
    server = serve([OK], before_answer=lambda: hang.wait() and None)
    client = HTTPClient(server.port, timeout_seconds=0.1)

    with pytest.raises(BenchmarkError, match=r"/page/ was not answered within 0\.1 s\. It was thinking\."):
        get_ok(server_at(server.port), client, "/page/")

    hang.set()
