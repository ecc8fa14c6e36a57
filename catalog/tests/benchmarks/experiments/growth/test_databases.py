from __future__ import annotations

import json
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth.databases import (
    NoScratchDatabase,
    require_scratch,
    scratch_database,
)

pytestmark = pytest.mark.django_db(transaction=True)


def is_there(name: str) -> bool:
    if connection.vendor == "sqlite":
        return Path(name).parent.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
        return cursor.fetchone() is not None


@pytest.mark.parametrize("interrupt", [None, KeyboardInterrupt])
def test_a_scratch_database_is_removed_after_the_block(interrupt: type[BaseException] | None) -> None:
    names = []

    def use() -> None:
        with scratch_database() as database:
            names.append(database.name)
            assert is_there(database.name)
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"CREATE TABLE {database.name}.full_of_products (id int)")
            if interrupt:
                raise interrupt

    if interrupt:
        with pytest.raises(interrupt):
            use()
    else:
        use()

    assert not is_there(names[0])


def test_the_users_database_is_not_accepted_as_the_scratch_database() -> None:
    with scratch_database() as database, pytest.raises(BenchmarkError) as raised:
        require_scratch(database.name)

    assert str(raised.value).startswith(f"A process must fill the database {database.name}, but it is")


def test_without_the_right_to_create_a_schema_there_is_no_scratch_database() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has schemas.")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(NoScratchDatabase, match="cannot execute CREATE SCHEMA"), scratch_database():
            pass
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")


class PoolerThatRefusesOptions(socketserver.BaseRequestHandler):
    """Refuses a connection as PgBouncer does unless it is configured to ignore the option."""

    WORDS = b"SFATAL\0C08P01\0Munsupported startup parameter in options: search_path\0\0"

    def handle(self) -> None:
        while length := struct.unpack("!i", self.request.recv(4))[0]:
            if length > 8:
                break
            # The client asks for TLS, and then for GSSAPI.
            self.request.recv(4)
            self.request.sendall(b"N")
        assert b"search_path=bench_cache" in self.request.recv(length)
        self.request.sendall(b"E" + struct.pack("!i", 4 + len(self.WORDS)) + self.WORDS)


@contextmanager
def pooler() -> Iterator[int]:
    """Yields the port of the pooler."""
    with socketserver.TCPServer(("127.0.0.1", 0), PoolerThatRefusesOptions) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_pooler_that_refuses_options_allows_no_scratch_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has schemas.")
    connection.ensure_connection()
    with pooler() as port:
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", port)
        with (
            pytest.raises(NoScratchDatabase, match=r"unsupported startup parameter.* no pooler before it"),
            scratch_database(),
        ):
            pass

    assert not bench_schemas()


def test_a_scratch_schema_keeps_the_options_of_the_users_connection() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has schemas.")
    options = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = {**options, "options": "-c lock_timeout=7s -c search_path=public"}
    try:
        with scratch_database() as database:
            told = json.loads(database.environment["BENCH_DATABASE"])["OPTIONS"]["options"]
    finally:
        connection.settings_dict["OPTIONS"] = options

    assert told == f"-c lock_timeout=7s -c search_path=public -c search_path={database.name}"


def bench_schemas() -> list[tuple[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name ~ '^bench_cache'"
        )
        return list(cursor.fetchall())
