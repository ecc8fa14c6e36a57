from __future__ import annotations

import os
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis, exceptions

from instruments.servers import (
    connect,
    ended,
    longest_folder,
    process_id,
    raw_client,
    servers_in,
)
from readcache.testing import PrivateRedis, PrivateRedisError
from readcache.testing.directory import SOCKET_PATH_MAX_BYTES

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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
        PrivateRedisError, match=r"must be a folder of yours.*: it is a link.* choose another folder"
    ):
        server.ensure_running()

    assert mode(elsewhere) == 0o755
    assert not [*elsewhere.iterdir()]


def test_a_folder_of_another_user_is_refused(server: PrivateRedis) -> None:
    if os.getuid() == 0:
        server.directory.mkdir()
        os.chown(server.directory, NOBODY, NOBODY)
    else:
        server = PrivateRedis(Path("/usr"))

    with pytest.raises(PrivateRedisError, match=r"must be a folder of yours.*: it is somebody else's"):
        server.ensure_running()


def test_a_server_whose_folder_is_reached_by_a_link_is_refused(server: PrivateRedis, tmp_path: Path) -> None:
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
def test_any_folder_name_works_in_the_url(name: str, tmp_path: Path) -> None:
    with ended(PrivateRedis(tmp_path / name)) as server:
        server.ensure_running()
        with closing(Redis.from_url(server.url(database=3))) as client:
            client.set("key", "value")
        with closing(raw_client(server, database=3)) as client:
            assert client.get("key") == b"value"


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\\x41b"])
def test_a_folder_name_may_have_quotes_and_backslashes(name: str, tmp_path: Path) -> None:
    with ended(PrivateRedis(tmp_path / name)) as server:
        server.ensure_running()

        assert server.is_running()


@pytest.mark.parametrize(
    ("name", "fits"),
    [("x" * 91, True), ("x" * 92, False), ("é" * 45, True), ("é" * 46, False)],
    ids=["103 bytes", "104 bytes", "102 bytes of é", "104 bytes of é"],
)
def test_a_socket_path_may_have_103_bytes_and_no_more(name: str, fits: bool) -> None:
    directory = Path("/") / name

    assert SOCKET_PATH_MAX_BYTES == 103
    assert (PrivateRedis(directory).directory == directory) is fits


def test_a_socket_path_of_103_bytes_works(tmp_path: Path) -> None:
    with ended(PrivateRedis(longest_folder(tmp_path))) as server:
        server.ensure_running()

        assert len(os.fsencode(server.socket_path)) == 103
        assert server.directory.parent == tmp_path
        assert len(servers_in(server.directory)) == 1


def test_a_folder_whose_path_is_too_long_is_replaced_by_one_with_a_short_path(tmp_path: Path) -> None:
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


def test_a_temporary_folder_whose_path_is_too_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))

    with pytest.raises(PrivateRedisError, match="or choose another folder"):
        PrivateRedis(tmp_path / ("x" * 120)).ensure_running()


def test_a_folder_that_others_may_write_to_is_refused(server: PrivateRedis) -> None:
    server.directory.mkdir()
    server.directory.chmod(0o777)

    with pytest.raises(PrivateRedisError, match="others may write to it"):
        server.ensure_running()
    with closing(connect(server)) as client, pytest.raises(exceptions.ConnectionError):
        client.ping()


def test_a_folder_with_other_files_is_refused_and_keeps_its_mode(server: PrivateRedis) -> None:
    server.directory.mkdir(mode=0o755)
    (server.directory / "letters").write_text("")

    with pytest.raises(PrivateRedisError, match="it has other things in it"):
        server.ensure_running()
    assert server.directory.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("below", [".", "below"])
def test_a_file_in_the_place_of_the_folder_is_an_error(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PrivateRedisError, match="or choose another folder"):
        PrivateRedis(tmp_path / "file" / below).ensure_running()


def test_a_folder_that_cannot_be_made_is_an_error() -> None:
    with pytest.raises(PrivateRedisError, match="or choose another folder"):
        PrivateRedis(Path("/proc/redis")).ensure_running()
