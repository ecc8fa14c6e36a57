"""An entry of CACHES with a Redis of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from instruments.processes.process import environment
from readcache.testing import private_cache

# Prints the folder of the server, and whether it exists before and after the first use.
SCRIPT = """
import os
from django.conf import settings
from readcache.testing import private_cache
entry = private_cache()
settings.configure(CACHES={"default": entry})
from django.core.cache import cache
folder = entry["OPTIONS"]["CONNECTION_POOL_KWARGS"]["server"].directory
print(folder, folder.exists())
cache.set("key", "value")
print(folder.exists(), cache.get("key"))
"""
IN_A_FORK = """
import sys
if os.fork() == 0:
    sys.exit()
os.wait()
print(cache.get("key"))
"""


def run(script: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


def test_the_server_starts_at_the_first_use_and_ends_with_the_process() -> None:
    folder, *printed = run(SCRIPT)

    assert printed == ["False", "True", "value"]
    assert not Path(folder).exists()


def test_a_forked_process_that_ends_leaves_the_server_of_its_parent() -> None:
    assert run(SCRIPT + IN_A_FORK)[-1] == "value"


def test_two_entries_have_servers_of_their_own() -> None:
    assert private_cache()["LOCATION"] != private_cache()["LOCATION"]
