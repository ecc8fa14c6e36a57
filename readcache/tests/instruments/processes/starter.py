"""The program of a process that starts a private Redis. It is run as a file: its environment may be empty.

Arguments: the folder of the server, and the folder that contains the engine.
"""

from __future__ import annotations

import sys
from pathlib import Path


def start_the_server(folder: str) -> None:
    """Waits for a line or the end of its input, and prints the run id of the server that runs then."""
    from redis import Redis

    from readcache.testing import PrivateRedis  # the engine is not on the path before

    server = PrivateRedis(Path(folder))
    print("ready", flush=True)
    sys.stdin.readline()
    server.ensure_running()
    print(Redis(unix_socket_path=str(server.socket_path)).info("server")["run_id"])


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    start_the_server(sys.argv[1])
