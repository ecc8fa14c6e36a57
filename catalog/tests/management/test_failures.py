"""Each failure is reported with a remedy that works. Most of the failures here are real ones."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connections
from pytest_django import Settings
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from catalog.management import failures
from catalog.management.failures import explain
from conftest import Manage
from readcache.testing import SERVER_NAMES, PrivateRedis, PrivateRedisError, find_program

PASSWORD = "s3cret"


@pytest.fixture
def guarded_redis() -> Iterator[int]:
    """The TCP port of a Redis that requires a password."""
    program = find_program(SERVER_NAMES)
    assert program
    port = _free_port()
    server = subprocess.Popen(
        [str(program), "--port", str(port), "--requirepass", PASSWORD, "--save", ""],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        while "eady to accept connections" not in server.stdout.readline():
            assert server.poll() is None
        yield port
    finally:
        server.terminate()
        server.communicate()


@pytest.fixture
def closing_server() -> Iterator[int]:
    """The port of a server that closes the connection at the first byte, as a TLS server does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _answer_in_plain_text(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"-ERR unknown command\r\n")
            connection.recv(4096)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def assert_explained(manage: Manage, url: str, *pieces: str) -> None:
    done = manage("flush_product_cache", REDIS_URL=url)

    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: ")
    assert done.stderr.count("\n") == 1
    assert ".. " not in done.stderr
    for piece in pieces:
        assert piece in done.stderr
    assert "docker compose" not in done.stderr
    assert "s3cret" not in done.stderr
    assert "wrong" not in done.stderr.replace("wrong number", "").replace("wrong version", "")


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:wrong@"])
def test_a_wrong_password_is_explained(credentials: str, guarded_redis: int, manage: Manage) -> None:
    assert_explained(
        manage,
        f"redis://{credentials}127.0.0.1:{guarded_redis}/1",
        "refused: ",
        "Check the user and the password in REDIS_URL.",
    )


def test_the_right_password_of_redis_is_accepted(guarded_redis: int, manage: Manage) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{guarded_redis}/1"

    assert manage("flush_product_cache", REDIS_URL=url).returncode == 0
    with closing(Redis.from_url(url)) as client:
        assert client.ping()


def test_a_rediss_url_for_a_redis_without_tls_is_explained(guarded_redis: int, manage: Manage) -> None:
    url = f"rediss://:{PASSWORD}@127.0.0.1:{guarded_redis}/1"

    assert_explained(
        manage, url, "Cannot reach Redis at rediss://:***@", "TLS, REDIS_URL must begin with redis://."
    )


def test_a_rediss_url_for_another_server_without_tls_is_explained(manage: Manage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=_answer_in_plain_text, args=[listener])
        thread.start()
        assert_explained(
            manage, f"rediss://127.0.0.1:{port}/1", "If the server does not use TLS, REDIS_URL must"
        )
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_redis_url_for_a_server_with_tls_is_explained(closing_server: int, manage: Manage) -> None:
    url = f"redis://127.0.0.1:{closing_server}/1"

    assert_explained(
        manage, url, "The server closed the connection. If it uses TLS, REDIS_URL must begin with rediss://."
    )


def test_an_unknown_host_is_explained(manage: Manage) -> None:
    assert_explained(
        manage, "redis://no-such-host.invalid/1", "The host is not known. Check its name in REDIS_URL."
    )


# The variable of the server that failed


@pytest.fixture
def explain_failure_of_read_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that explains a failure of the read cache's Redis while the other Redis answers."""
    # Called directly and with a long time limit, because a busy machine may be slow to answer.
    monkeypatch.setattr(failures, "ASKING_SECONDS", 10)

    def explain_failure(url: str, *, other: str) -> str:
        settings.USES_PRIVATE_REDIS = False
        settings.REDIS_URL, settings.READ_REDIS_URL = other, url
        with closing(Redis.from_url(url)) as client, pytest.raises(RedisError) as raised:
            client.ping()
        return explain(raised.value) or ""

    return explain_failure


def test_an_unreachable_redis_of_the_read_cache_is_named(
    closing_server: int, explain_failure_of_read_redis: Callable[..., str]
) -> None:
    explanation = explain_failure_of_read_redis(
        "redis://127.0.0.1:1/0", other=f"redis://127.0.0.1:{closing_server}/1"
    )

    assert explanation == (
        "Cannot reach Redis at redis://127.0.0.1:1/0. Start it with: "
        "docker compose up -d redis, or unset READ_REDIS_URL to use the next database of REDIS_URL."
    )


def test_a_wrong_password_of_the_read_caches_redis_is_not_blamed_on_the_other(
    guarded_redis: int, explain_failure_of_read_redis: Callable[..., str]
) -> None:
    explanation = explain_failure_of_read_redis(
        f"redis://:wrong@127.0.0.1:{guarded_redis}/2",
        other=f"redis://:{PASSWORD}@127.0.0.1:{guarded_redis}/1",
    )

    assert explanation.startswith(f"Redis at redis://:***@127.0.0.1:{guarded_redis}/2 refused: ")
    assert explanation.endswith("Check the user and the password in READ_REDIS_URL.")


@pytest.mark.parametrize("url", ["unix://{folder}/none.sock?db=2", "redis://127.0.0.1"])
def test_the_failed_server_is_found_by_any_form_of_its_url(
    url: str, private_redis: PrivateRedis, manage: Manage, tmp_path: Path
) -> None:
    url = url.format(folder=tmp_path)
    with closing(Redis.from_url(url)) as client, suppress(RedisConnectionError):
        client.ping()
        pytest.skip("A Redis listens on its usual port.")

    done = manage(
        "flush_product_cache", "--dry-run", REDIS_URL=private_redis.url(database=1), READ_REDIS_URL=url
    )

    assert done.stderr.startswith(f"CommandError: Cannot reach Redis at {url}. ")
    assert "unset READ_REDIS_URL" in done.stderr


def test_a_database_number_that_the_server_does_not_have_is_explained(
    private_redis: PrivateRedis, explain_failure_of_read_redis: Callable[..., str]
) -> None:
    url = private_redis.url(database=16)

    assert explain_failure_of_read_redis(url, other=private_redis.url(database=15)) == (
        f"Redis at {url} refused: DB index is out of range. "
        "Set READ_REDIS_URL to a database number that the server has."
    )


# The private Redis


def test_the_remedy_for_a_hanging_private_redis_is_to_stop_it(
    manage: Manage, manage_environment: dict[str, str]
) -> None:
    server = PrivateRedis(Path(manage_environment["PRIVATE_REDIS_DIR"]))
    server.ensure_running()
    process = psutil.Process(int((server.directory / "redis.pid").read_text()))
    process.suspend()
    try:
        done = manage("flush_product_cache", "--dry-run")
    finally:
        process.resume()

    assert done.stderr == (
        f"CommandError: The private Redis at {server.url(database=1)} does not answer. "
        "Stop it with: python manage.py private_redis stop\n"
    )


def test_a_private_redis_that_cannot_be_started_is_reported_in_one_line(
    migrated: Manage, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = migrated("demo", PRIVATE_REDIS_DIR=str(tmp_path / "file" / "redis"))

    assert done.returncode == 1
    assert "must be a folder of yours for the private Redis" in done.stderr
    assert done.stderr.count("\n") == 1
    assert ".. " not in done.stderr


def test_a_locked_database_is_explained(migrated: Manage, tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = migrated("seed_products", "--count", "5", DATABASE_URL=f"sqlite:///{path}?timeout=0")

    assert done.returncode == 1
    assert done.stderr == (
        f"CommandError: The database at {path} failed: database is locked. "
        "Another program is writing to it. Run the command again when it has finished.\n"
    )


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (IntegrityError("UNIQUE constraint failed: catalog_product.sku"), "Run the command again."),
        (IntegrityError("duplicate key value violates unique constraint"), "Run the command again."),
        (
            OperationalError("FATAL:  password authentication failed for user"),
            "Check the user and the password",
        ),
        (OperationalError('FATAL:  role "x" does not exist'), "Check the user in DATABASE_URL."),
        (OperationalError("failed to resolve host 'x'"), "Check the host in DATABASE_URL."),
        (
            OperationalError("unable to open database file"),
            "Name a file in a folder that you may write to, for example DATABASE_URL=sqlite:////",
        ),
        (OperationalError("attempt to write a readonly database"), "Name a file in a folder that you may"),
        (OperationalError("database or disk is full"), "Free some space"),
        (OperationalError("no such column: catalog_product.colour"), "python manage.py migrate"),
        (OperationalError("no such table: catalog_product"), "python manage.py migrate"),
        (InterfaceError("connection already closed"), "Check DATABASE_URL."),
        (DatabaseError(), "no reason given. Check DATABASE_URL."),
    ],
    ids=str,
)
def test_each_failure_of_a_database_has_its_remedy(error: DatabaseError, remedy: str) -> None:
    explanation = explain(error)

    assert explanation
    assert remedy in explanation
    assert "\n" not in explanation


def test_the_remedy_for_a_missing_database_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", "shop")

    explanation = explain(OperationalError('FATAL:  database "shop" does not exist'))

    assert explanation
    assert explanation.endswith("in DATABASE_URL, or create it with: createdb shop")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "more memory"),
        (ReadOnlyError("You can't write against a read only replica."), "Set REDIS_URL to the primary of"),
        (NoPermissionError("User x has no permissions to run the 'unlink' command"), "Allow the user in"),
        (ResponseError("unknown command 'UNLINK'"), "Check REDIS_URL."),
    ],
    ids=str,
)
def test_each_refusal_of_redis_has_its_remedy(error: RedisError, remedy: str) -> None:
    explanation = explain(error)

    assert explanation
    assert remedy in explanation


def test_other_errors_are_not_explained() -> None:
    assert explain(ValueError("x")) is None
    assert explain(PrivateRedisError("Do this.")) == "Do this."
