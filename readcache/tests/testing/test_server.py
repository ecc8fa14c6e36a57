from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from instruments.servers import (
    DEADLINE_SECONDS,
    ENGINE_FOLDER,
    SHORT_TIMEOUT_SECONDS,
    STARTER,
    connect,
    ended,
    full_backlog,
    hung,
    info,
    is_alive,
    kill,
    linux_only,
    longest_folder,
    process_id,
    servers_in,
    write_program,
)
from instruments.waiting import wait_until
from readcache.testing import PrivateRedis, PrivateRedisError
from readcache.testing import server as server_module

NO_PROCESS = "99999999"  # above the largest pid of any system


def starter_of(server: PrivateRedis) -> list[str]:
    """The command of a process that starts this server when it reads a line or the end of its input."""
    return [sys.executable, str(STARTER), str(server.directory), str(ENGINE_FOLDER)]


# Starting


def test_creating_the_object_starts_nothing_and_touches_no_file(server: PrivateRedis) -> None:
    server.url(database=1)

    assert not server.is_running()
    assert not server.directory.exists()


def test_the_server_opens_no_port_stores_nothing_on_disk_and_bounds_its_memory(server: PrivateRedis) -> None:
    server.ensure_running()

    with closing(connect(server)) as client:
        configured = client.config_get("*")

    assert configured["port"] == "0"
    assert configured["save"] == ""
    assert configured["appendonly"] == "no"
    assert configured["maxmemory"] == str(256 * 1024 * 1024)
    assert configured["maxmemory-policy"] == "volatile-lru"


def test_a_start_is_over_when_the_pid_file_exists(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis listens before it writes that file. Here it cannot write it until somebody reads it."""
    end_orphan, connect = PrivateRedis._end_orphan, PrivateRedis._connect
    pid_file = server.directory / "redis.pid"
    listening: list[bool] = []
    written: list[int] = []

    def end_orphan_and_make_pipe(server: PrivateRedis) -> bool:
        found = end_orphan(server)
        os.mkfifo(pid_file)
        return found

    def connect_and_read_at_the_second_time(server: PrivateRedis) -> socket.socket:
        if listening and not written:
            written.append(int(pid_file.read_text()))
        connection = connect(server)
        listening.append(True)
        return connection

    monkeypatch.setattr(server_module, "CONNECT_TIMEOUT_SECONDS", SHORT_TIMEOUT_SECONDS)
    monkeypatch.setattr(PrivateRedis, "_end_orphan", end_orphan_and_make_pipe)
    monkeypatch.setattr(PrivateRedis, "_connect", connect_and_read_at_the_second_time)
    server.ensure_running()

    assert written == [process_id(server)]


# One server for all processes


def test_a_second_start_changes_nothing(server: PrivateRedis) -> None:
    server.ensure_running()
    first = process_id(server)

    server.ensure_running()
    PrivateRedis(server.directory).ensure_running()

    assert process_id(server) == first
    assert len(servers_in(server.directory)) == 1


def test_ten_processes_that_start_it_at_once_share_one_server(server: PrivateRedis) -> None:
    # All of them read the same pipe, and go on together when it is closed.
    reading_end, writing_end = os.pipe()
    starters = [
        subprocess.Popen(starter_of(server), stdin=reading_end, stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    os.close(reading_end)
    for starter in starters:
        assert starter.stdout
        assert starter.stdout.readline() == "ready\n"
    os.close(writing_end)
    run_ids = [starter.communicate(timeout=DEADLINE_SECONDS)[0].strip() for starter in starters]

    assert {*run_ids} == {info(server)["run_id"]}
    assert len(servers_in(server.directory)) == 1


def test_left_as_found_stops_a_server_that_was_started_inside(server: PrivateRedis) -> None:
    with suppress(KeyboardInterrupt), server.left_as_found():
        server.ensure_running()
        raise KeyboardInterrupt

    assert not server.is_running()


def test_left_as_found_leaves_a_server_that_ran_before(server: PrivateRedis) -> None:
    server.ensure_running()
    before = process_id(server)

    with server.left_as_found():
        server.ensure_running()

    assert process_id(server) == before


# Killed and hung servers


def test_the_socket_of_a_killed_server_counts_as_no_server(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    assert not server.is_running()
    server.ensure_running()

    assert server.is_running()
    assert len(servers_in(server.directory)) == 1


def test_a_hung_server_counts_as_running_and_no_second_one_is_started(server: PrivateRedis) -> None:
    with hung(server) as pid:
        assert server.is_running()
        server.ensure_running()
        assert len(servers_in(server.directory)) == 1

    assert process_id(server) == pid


@linux_only
def test_a_hung_server_with_a_full_backlog_counts_as_running(server: PrivateRedis) -> None:
    with hung(server), full_backlog(server):
        assert server.is_running()
        server.ensure_running()
        assert len(servers_in(server.directory)) == 1


# Stopping


def test_stop_ends_the_server_and_returns_true(server: PrivateRedis) -> None:
    server.ensure_running()
    pid = process_id(server)

    assert server.stop() is True

    assert not server.is_running()
    wait_until(lambda: not is_alive(pid))
    # A server that was asked to end removes its socket; a killed one cannot.
    assert not server.socket_path.exists()


def test_stop_returns_false_where_nothing_runs_and_creates_nothing(server: PrivateRedis) -> None:
    assert server.stop() is False
    assert not server.directory.exists()


def test_stop_returns_false_after_a_kill(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    assert server.stop() is False


@pytest.mark.usefixtures("short_timeouts")
def test_stop_kills_a_hung_server(server: PrivateRedis) -> None:
    with hung(server) as pid:
        assert server.stop() is True

        assert not server.is_running()
        wait_until(lambda: not is_alive(pid))


@linux_only
@pytest.mark.usefixtures("short_timeouts")
def test_stop_kills_a_hung_server_with_a_full_backlog(server: PrivateRedis) -> None:
    with hung(server) as pid:
        with full_backlog(server):
            assert server.stop() is True

        wait_until(lambda: not is_alive(pid))


@pytest.mark.usefixtures("short_timeouts")
def test_stop_does_not_kill_another_process(server: PrivateRedis) -> None:
    with hung(server) as pid, subprocess.Popen(["sleep", "60"]) as other:
        (server.directory / "redis.pid").write_text(f"{other.pid}\n")
        try:
            with pytest.raises(PrivateRedisError, match=rf"process {other.pid} is not it\. End it by hand"):
                server.stop()
        finally:
            other.terminate()
        assert other.wait() == -signal.SIGTERM
        assert is_alive(pid)


@linux_only
@pytest.mark.usefixtures("short_timeouts")
def test_stop_kills_a_hung_server_that_was_started_with_a_small_environment(tmp_path: Path) -> None:
    with ended(PrivateRedis(longest_folder(tmp_path))) as server:
        subprocess.run(
            starter_of(server),
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with hung(server) as pid:
            assert server.stop() is True
            wait_until(lambda: not is_alive(pid))


def test_an_interrupt_waits_until_the_server_has_started(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = PrivateRedis.start

    def interrupted(server: PrivateRedis, program: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start(server, program)

    monkeypatch.setattr(PrivateRedis, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.ensure_running()

    assert server.is_running()
    assert servers_in(server.directory) == [process_id(server)]


def test_a_server_whose_socket_was_removed_is_ended_before_another_starts(server: PrivateRedis) -> None:
    server.ensure_running()
    orphan = process_id(server)
    server.socket_path.unlink()

    server.ensure_running()

    assert not is_alive(orphan)
    assert servers_in(server.directory) == [process_id(server)]


def test_stop_ends_a_server_whose_socket_was_removed(server: PrivateRedis) -> None:
    server.ensure_running()
    orphan = process_id(server)
    server.socket_path.unlink()

    assert server.stop() is True
    assert not is_alive(orphan)
    assert server.stop() is False


def test_another_process_in_the_pid_file_is_not_taken_for_the_server(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)
    with subprocess.Popen(["sleep", "60"]) as other:
        (server.directory / "redis.pid").write_text(f"{other.pid}\n")
        try:
            assert server.stop() is False
            server.ensure_running()
            assert is_alive(other.pid)
        finally:
            other.terminate()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("content", [None, "", "no number", NO_PROCESS])
def test_stop_without_a_usable_pid_file_is_an_error(content: str | None, server: PrivateRedis) -> None:
    with hung(server):
        pid_file = server.directory / "redis.pid"
        pid_file.unlink() if content is None else pid_file.write_text(content)

        with pytest.raises(
            PrivateRedisError, match=r"does not answer, and its process is not known\. End it by hand"
        ):
            server.stop()


# Servers with a time limit, which are children of this process


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[PrivateRedis]:
    options = {"maxmemory": "7mb"}
    server = PrivateRedis(tmp_path / "limited", options=options, limit_seconds=60)
    yield server
    server.stop()


def test_a_server_with_a_time_limit_is_a_child_until_it_is_stopped(limited: PrivateRedis) -> None:
    limited.ensure_running()

    child = psutil.Process(process_id(limited))
    assert child.ppid() == os.getpid()
    assert limited.stop()
    assert not child.is_running()
    assert not limited.stop()


def test_directives_replace_those_of_the_class(limited: PrivateRedis) -> None:
    limited.ensure_running()

    with closing(connect(limited)) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(7 * 1024 * 1024)}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_a_server_ends_by_itself_after_its_time_limit(tmp_path: Path) -> None:
    server = PrivateRedis(tmp_path / "short", limit_seconds=0.3)
    server.ensure_running()
    child = psutil.Process(process_id(server))
    child.wait(timeout=DEADLINE_SECONDS)

    assert not server.is_running()
    server.stop()
    assert not child.is_running()


@pytest.mark.parametrize(("save", "kept"), [(True, b"1"), (False, None)])
def test_a_server_has_its_data_again_only_if_it_was_told_to_save(
    limited: PrivateRedis, save: bool, kept: bytes | None
) -> None:
    limited.ensure_running()
    with closing(connect(limited)) as client:
        client.set("key", 1)

    limited.stop(save=save)
    limited.ensure_running()

    with closing(connect(limited)) as client:
        assert client.get("key") == kept


# Servers that cannot start


def test_a_server_that_fails_is_an_error_with_its_reason(server: PrivateRedis, empty_path: Path) -> None:
    program = empty_path / "redis-server"
    write_program(program, "#!/bin/sh\necho starting\necho first >&2\necho no such luck >&2\nexit 1\n")
    server.directory.mkdir()
    (server.directory / "redis.log").write_text("of the start before\n")

    with pytest.raises(PrivateRedisError) as raised:
        server.ensure_running()

    assert str(raised.value) == (f"{program} did not start in {server.directory}: no such luck.")


@pytest.mark.usefixtures("short_timeouts")
def test_a_server_that_logs_why_it_fails_is_an_error_with_that_reason(server: PrivateRedis) -> None:
    server.socket_path.mkdir(parents=True)

    with pytest.raises(PrivateRedisError, match=r"(?i) did not start in .*unix socket.*\.$"):
        server.ensure_running()


@pytest.mark.usefixtures("short_timeouts")
def test_a_server_that_ends_without_a_message_is_an_error(server: PrivateRedis, empty_path: Path) -> None:
    write_program(empty_path / "redis-server", "#!/bin/sh\n")

    with pytest.raises(PrivateRedisError, match="it gave no reason"):
        server.ensure_running()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(
    "program",
    [
        "#!/bin/sh\nexec /bin/sleep 60\n",
        "#!/no/such/interpreter\n",
        "no program",
        "#!/bin/sh\nprintf '\\351' >&2\nexit 1\n",
    ],
    ids=["never ends", "misses its interpreter", "is no program", "speaks Latin-1"],
)
def test_a_program_that_cannot_be_run_is_an_error(
    program: str, server: PrivateRedis, empty_path: Path
) -> None:
    write_program(empty_path / "redis-server", program)

    with pytest.raises(PrivateRedisError, match="did not start in"):
        server.ensure_running()
